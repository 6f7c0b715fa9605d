"""What our management commands have in common: one plain line on stderr, and exit codes that mean something."""

import json
import sys
from typing import Any, NoReturn

from django.core.management.base import BaseCommand

BAD_INPUT, RUN_FAILED = 2, 3


class SeeItCommand(BaseCommand):
    """A command whose `help` ends with an example and whose failures are sentences."""

    example = ""
    requires_system_checks: list[str] = []

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> Any:
        from django.core.management.base import DjangoHelpFormatter

        class Plain(DjangoHelpFormatter):
            def _fill_text(self, text: str, width: int, indent: str) -> str:
                return "\n".join(indent + line for line in text.splitlines())

        example = f"Example:\n  {self.example}" if self.example else None
        return super().create_parser(prog_name, subcommand, epilog=example, formatter_class=Plain, **kwargs)

    def fail(self, message: str, code: int = BAD_INPUT) -> NoReturn:
        """End with one plain line and an exit code."""
        self.stderr.write(" ".join(message.split()))
        sys.exit(code)

    def print_json(self, value: Any) -> None:
        """One JSON object on stdout."""
        self.stdout.write(json.dumps(value, ensure_ascii=False))
