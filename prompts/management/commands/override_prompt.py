"""`manage.py override_prompt`: the emergency patch from a shell."""

import getpass
import re
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from django.core.management.base import CommandParser
from django.utils import timezone

from core.commands import SeeItCommand
from core.errors import SeeItError
from core.ids import parse_id
from prompts.errors import OverrideInvalid
from prompts.services import create_override, revoke_override
from shops.models import Shop

LIFETIME = re.compile(r"([0-9]{1,6})(s|m|h|d)")
UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


class Command(SeeItCommand):
    """Give one shop its own text of a prompt for a while, or take it back."""

    help = (
        "Give one shop its own text of a prompt for a while, or take it back. The file is a whole .prompt file or a "
        "part of one: a header with `params:` alone, messages alone, or plain text, which replaces the user message. "
        "What is left out comes from the library's production version (or --base)."
    )
    example = (
        'manage.py override_prompt oak.example placement --file fix.prompt --reason "Blocks doors" --expires 72h\n'
        "  manage.py override_prompt oak.example placement --revoke"
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("shop", metavar="SHOP", help="Its domain or id.")
        parser.add_argument("name", metavar="NAME", help="The prompt, such as placement.")
        parser.add_argument("--file", metavar="F", help="The prompt text.")
        parser.add_argument("--reason", metavar="R", help="Why; people will read it in a month.")
        parser.add_argument("--expires", metavar="72h", default="72h", help="90m, 72h or 7d from now; at most 14d.")
        parser.add_argument("--long", action="store_true", help="Allow more than 14 days, at most 90.")
        parser.add_argument("--base", metavar="V", help="The library's version it starts from (default: production).")
        parser.add_argument("--revoke", action="store_true", help="Close the shop's override of this prompt.")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            line = self._revoke(options) if options["revoke"] else self._create(options)
        except SeeItError as error:
            self.fail(error.message)
        self.stdout.write(line)

    def _create(self, options: dict[str, Any]) -> str:
        if not options["file"] or not options["reason"]:
            raise OverrideInvalid("An override needs --file and --reason (or --revoke).")
        now = timezone.now()
        override = create_override(
            shop=_shop(options["shop"]),
            prompt_name=options["name"],
            template=_text(options["file"]),
            reason=options["reason"],
            base_version=options["base"],
            expires_at=_expiry(options["expires"], now),
            lasting=options["long"],
            created_by=_who(),
            now=now,
        )
        return (
            f"{override.pk}  {override.prompt_name} {override.version_label} for {override.shop.domain}"
            f" until {override.expires_at.isoformat()}"
        )

    def _revoke(self, options: dict[str, Any]) -> str:
        override = revoke_override(shop=_shop(options["shop"]), prompt_name=options["name"], revoked_by=_who())
        return f"{override.pk}  {override.prompt_name} for {override.shop.domain} is closed"


def _shop(text: str) -> Shop:
    try:
        shop = Shop.objects.filter(pk=parse_id(text)).first()
    except ValueError:
        shop = Shop.objects.filter(domain=text.lower()).first()
    if shop is None:
        raise OverrideInvalid(f"There is no shop {text!r}.")
    return shop


def _text(name: str) -> str:
    try:
        return Path(name).read_text(encoding="utf-8")
    except OSError as error:
        raise OverrideInvalid(f"{name}: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise OverrideInvalid(f"{name}: not UTF-8 text.") from error


def _expiry(text: str, now: datetime) -> datetime:
    found = LIFETIME.fullmatch(text.strip())
    if found is None:
        raise OverrideInvalid(f"--expires {text}: expected a number and a unit, such as 90m, 72h or 7d.")
    return now + timedelta(**{UNITS[found[2]]: int(found[1])})


def _who() -> str:
    """Who types: the login name, so that the row says more than `a command`."""
    try:
        return f"{getpass.getuser()} (command)"
    except (KeyError, OSError):
        return "command"
