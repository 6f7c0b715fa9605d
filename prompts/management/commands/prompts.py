"""`manage.py prompts check|drift|render`: the library's health, overrides it left behind, and what a prompt says."""

from typing import Any

from django.core.management.base import CommandParser

from core.commands import RUN_FAILED, SeeItCommand
from prompts.drift import drifted_overrides
from prompts.errors import PromptError, PromptNotFound
from prompts.library import library


class Command(SeeItCommand):
    """Check the prompt library, list overrides that it has left behind, or show what a prompt says."""

    help = (
        "check: every library prompt renders its example (exit 3: one does not). "
        "drift: live overrides whose base version has moved on, was edited or is gone. "
        "render: a library prompt with its example filled in."
    )
    example = "manage.py prompts check\n  manage.py prompts drift --json\n  manage.py prompts render placement v3"

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("action", choices=["check", "drift", "render"])
        parser.add_argument("name", nargs="?", metavar="NAME", help="render: the prompt")
        parser.add_argument("release", nargs="?", metavar="VERSION", help="render: such as v3 (default: production)")
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, *args: Any, **options: Any) -> None:
        action = options["action"]
        if action == "render":
            self.stdout.write(self._render(options["name"], options["release"]))
            return
        if options["name"]:
            self.fail(f"{action} takes no prompt name.")
        rows = self._check() if action == "check" else _drift()
        if options["json"]:
            self.print_json({action: rows})
            return
        for row in rows:
            self.stdout.write("  ".join(row.values()))
        if not rows:
            self.stdout.write("No live override has drifted.")

    def _render(self, name: str | None, version: str | None) -> str:
        if not name:
            self.fail(f"Which prompt? There are {', '.join(library().names())}.")
        try:
            prompt = library().get(name, version) if version else library().production(name)
        except PromptNotFound as error:
            self.fail(error.message)
        return prompt.document.fill(prompt.document.example).text

    def _check(self) -> list[dict[str, str]]:
        """One row a version; reading the library renders every example."""
        try:
            prompts = library()
        except PromptError as error:
            self.fail(error.message, RUN_FAILED)
        return [
            {
                "prompt": prompt.name,
                "version": prompt.version,
                "sha256": prompt.sha256[:12],
                "release": prompts.release(prompt.name).role_of(prompt.version),
                "description": prompt.description,
            }
            for prompt in prompts.all()
        ]


def _drift() -> list[dict[str, str]]:
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
