"""`manage.py prompts check|drift`: does every library prompt render, and which overrides has the library left behind?"""

import json
from argparse import RawDescriptionHelpFormatter
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from prompts.errors import PromptError
from prompts.library import library
from prompts.services import drifted_overrides


class Command(BaseCommand):
    """Check the prompt library, or list live overrides whose base version has moved on."""

    help = "Check the prompt library, or list live overrides whose base version has moved on."

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        kwargs.setdefault("formatter_class", RawDescriptionHelpFormatter)
        kwargs.setdefault("epilog", "Examples:\n  manage.py prompts check\n  manage.py prompts drift --json")
        return super().create_parser(prog_name, subcommand, **kwargs)

    def add_arguments(self, parser: CommandParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True, metavar="check|drift")
        check = actions.add_parser("check", help="Every library prompt parses and renders its example (3: one does not).")
        drift = actions.add_parser("drift", help="Live overrides whose base version has moved on, was edited or is gone.")
        for action in (check, drift):
            action.add_argument("--json", action="store_true", help="Print one JSON object.")

    def handle(self, *args: Any, **options: Any) -> None:
        rows = self._check() if options["action"] == "check" else self._drift()
        if options["json"]:
            self.stdout.write(json.dumps({"ok": True, options["action"]: rows}, indent=2))
            return
        for row in rows:
            self.stdout.write("  ".join(str(value) for value in row.values()))
        if not rows:
            self.stdout.write("No live override has drifted.")

    def _check(self) -> list[dict[str, str]]:
        try:
            prompts = library()
            for prompt in prompts.all():
                prompt.document.fill(prompt.document.example)
        except PromptError as error:
            raise CommandError(error.message, returncode=3) from error
        releases = {name: prompts.release(name) for name in prompts.names()}
        return [
            {
                "prompt": prompt.name,
                "version": prompt.version,
                "sha256": prompt.sha256[:12],
                "release": _pointer(prompt.version, releases[prompt.name].production, releases[prompt.name].experimental),
                "description": prompt.description,
            }
            for prompt in prompts.all()
        ]

    def _drift(self) -> list[dict[str, str]]:
        return [
            {
                "shop": drift.override.shop.domain,
                "prompt": drift.override.prompt_name,
                "kind": drift.kind,
                "detail": drift.detail,
                "override": str(drift.override.pk),
                "expires_at": drift.override.expires_at.isoformat(),
            }
            for drift in drifted_overrides()
        ]


def _pointer(version: str, production: str, experimental: str | None) -> str:
    if version == production:
        return "production"
    return "experimental" if version == experimental else "-"
