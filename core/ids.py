"""Identifiers: UUIDv7 in the database (byte order is time order), ULID text everywhere outside."""

import uuid
from datetime import datetime

import uuid_utils.compat
from ulid import ULID


class Ulid(uuid.UUID):
    """A UUID that prints as its 26-character ULID, so pages, URLs and JSON never show the hexadecimal form."""

    __slots__ = ()

    def __str__(self) -> str:
        return str(ULID(self.bytes))

    def __repr__(self) -> str:
        return f"Ulid({str(self)!r})"


def new_id() -> Ulid:
    """A new identifier, later than every one made before it in this process (RFC 9562, UUID version 7)."""
    return Ulid(int=uuid_utils.compat.uuid7().int)


def parse_id(value: str | uuid.UUID) -> Ulid:
    """Read an identifier in either spelling (26-character ULID or UUID).

    Raises:
        ValueError: the text is neither.
    """
    if isinstance(value, uuid.UUID):
        return Ulid(int=value.int)
    text = value.strip()
    if len(text) == 26:
        return Ulid(bytes=ULID.from_str(text.upper()).bytes)
    return Ulid(text)


def first_id(moment: datetime) -> Ulid:
    """The smallest identifier of a moment: those of later have larger ones (RFC 9562, 5.7: milliseconds first)."""
    return Ulid(int=int(moment.timestamp() * 1000) << 80)
