"""The formats a schema may use, each really checked (jsonschema alone leaves most of them unchecked)."""

import datetime
import re
import uuid
from collections.abc import Callable
from ipaddress import IPv4Address, IPv6Address
from urllib.parse import urlsplit

from jsonschema import FormatChecker

DATE = re.compile(r"\d{4}-\d{2}-\d{2}\Z", re.ASCII)
DATE_TIME = re.compile(r"\d{4}-\d{2}-\d{2}[Tt]\d{2}:\d{2}:\d{2}(\.\d{1,9})?([Zz]|[+-]\d{2}:\d{2})\Z", re.ASCII)
UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\Z")
EMAIL = re.compile(r"[^@\s]{1,64}@[^@\s.]{1,63}(\.[^@\s.]{1,63}){1,8}\Z")
URI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:[\x21-\x7e]+\Z")


def _date(text: str) -> bool:
    """A full date (RFC 3339, full-date)."""
    return DATE.match(text) is not None and bool(datetime.date.fromisoformat(text))


def _date_time(text: str) -> bool:
    """A moment with its offset (RFC 3339, date-time)."""
    if DATE_TIME.match(text) is None:
        return False
    upper = re.sub(r"\.\d+", "", text.upper()).replace("Z", "+00:00")
    return bool(datetime.datetime.fromisoformat(upper))


def _uri(text: str) -> bool:
    """An absolute URI (RFC 3986); with a host where the scheme is http or https."""
    if URI.match(text) is None:
        return False
    parts = urlsplit(text)
    return parts.scheme.lower() not in ("http", "https") or bool(parts.hostname)


def _uuid(text: str) -> bool:
    return UUID.match(text) is not None and bool(uuid.UUID(text))


CHECKS: dict[str, Callable[[str], bool]] = {
    "date": _date,
    "date-time": _date_time,
    "email": lambda text: len(text) <= 254 and EMAIL.match(text) is not None,
    "ipv4": lambda text: IPv4Address(text) is not None,
    "ipv6": lambda text: "%" not in text and IPv6Address(text) is not None,
    "uri": _uri,
    "uuid": _uuid,
}
FORMATS = frozenset(CHECKS)


def _checker() -> FormatChecker:
    """A checker that knows our formats and no other."""
    checker = FormatChecker(formats=())
    for name, check in CHECKS.items():
        checker.checks(name, raises=ValueError)(_for_text(check))
    return checker


def _for_text(check: Callable[[str], bool]) -> Callable[[object], bool]:
    """A format says something about text only."""
    return lambda value: not isinstance(value, str) or check(value)


CHECKER = _checker()
