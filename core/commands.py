"""What our management commands have in common: one plain line on stderr, and exit codes that mean something."""

import json
import logging
import os
import sys
from typing import Any, NoReturn

from django.core.management.base import BaseCommand, DjangoHelpFormatter
from django.db import OperationalError, ProgrammingError

BAD_INPUT, RUN_FAILED = 2, 3


class PlainFormatter(DjangoHelpFormatter):
    """Keeps the line breaks of an example."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        return "\n".join(indent + line for line in text.splitlines())


class SeeItCommand(BaseCommand):
    """A command whose `help` ends with an example and whose failures are sentences."""

    example = ""
    requires_system_checks: list[str] = []

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> Any:
        example = f"Example:\n  {self.example}" if self.example else None
        parser = super().create_parser(prog_name, subcommand, epilog=example, formatter_class=PlainFormatter, **kwargs)
        if parser.called_from_command_line:
            parser.error = self._bad_arguments  # type: ignore[method-assign]
        return parser

    def _bad_arguments(self, message: str) -> NoReturn:
        """What argparse says about bad arguments, without the usage lines before it."""
        self.fail(f"{message[:1].upper()}{message[1:]}. See --help.")

    def execute(self, *args: Any, **options: Any) -> str | None:
        """Run the command; its log lines are warnings and worse, unless LOG_LEVEL asks for more."""
        if "LOG_LEVEL" not in os.environ:
            logging.getLogger().setLevel(logging.WARNING)
        try:
            return super().execute(*args, **options)
        except ProgrammingError as error:
            if "does not exist" not in str(error):
                raise
            self.fail("The database is not set up: run `make demo`, or `manage.py migrate` and `publish_pipelines`.")
        except OperationalError as error:
            self.fail(f"The database cannot be reached: {str(error).splitlines()[0]}")

    def fail(self, message: str, code: int = BAD_INPUT) -> NoReturn:
        """End with one plain line and an exit code."""
        self.stderr.write(" ".join(message.split()))
        sys.exit(code)

    def print_json(self, value: Any) -> None:
        """One JSON object on stdout."""
        self.stdout.write(json.dumps(value, ensure_ascii=False))
