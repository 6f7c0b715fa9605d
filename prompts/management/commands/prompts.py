"""`manage.py prompts check|drift|render`: the library's health, overrides it left behind, and what a prompt says."""

import json
from argparse import RawDescriptionHelpFormatter
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from prompts.errors import PromptError, PromptNotFound
from prompts.library import library
from prompts.services import drifted_overrides

EXAMPLES = """Examples:
  manage.py prompts check
  manage.py prompts drift --json
  manage.py prompts render placement v3"""


class Command(BaseCommand):
    """Check the prompt library, list overrides that it has left behind, or show what a prompt says."""

    help = "Check the prompt library, list overrides that it has left behind, or show what a prompt says."

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        kwargs.setdefault("formatter_class", RawDescriptionHelpFormatter)
        kwargs.setdefault("epilog", EXAMPLES)
        return super().create_parser(prog_name, subcommand, **kwargs)

    def add_arguments(self, parser: CommandParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True, metavar="check|drift|render")
        check = actions.add_parser(
            "check", help="Every library prompt parses and renders its example (3: one does not)."
        )
        drift = actions.add_parser(
            "drift", help="Live overrides whose base version has moved on, was edited or is gone."
        )
        for action in (check, drift):
            action.add_argument("--json", action="store_true", help="Print one JSON object.")
        show = actions.add_parser("render", help="A library prompt with its example filled in.")
        show.add_argument("name", metavar="NAME")
        show.add_argument("version", metavar="VERSION", nargs="?", help="Default: production.")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["action"] == "render":
            self.stdout.write(self._render(options["name"], options["version"]))
            return
        rows = self._check() if options["action"] == "check" else self._drift()
        if options["json"]:
            self.stdout.write(json.dumps({"ok": True, options["action"]: rows}, indent=2))
            return
        for row in rows:
            self.stdout.write("  ".join(str(value) for value in row.values()))
        if not rows:
            self.stdout.write("No live override has drifted.")

    def _render(self, name: str, version: str | None) -> str:
        try:
            prompt = library().get(name, version) if version else library().production(name)
        except PromptNotFound as error:
            raise CommandError(error.message, returncode=2) from error
        return prompt.document.fill(prompt.document.example).text

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
                "release": _pointer(
                    prompt.version, releases[prompt.name].production, releases[prompt.name].experimental
                ),
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
