"""What differs between two JSON values, member by member, for people to read."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

from core.canonical import canonical_json

MAX_CHANGES = 20
MAX_TEXT = 80
ABSENT = "nothing"


@dataclass(frozen=True, slots=True)
class JsonChange:
    """A member that differs: its path, `dimensions_m.height`, and both values as short JSON."""

    path: str
    before: str
    after: str

    def __str__(self) -> str:
        return f"{self.path or 'all of it'} {self.before} → {self.after}"

    def under(self, name: str) -> str:
        """In words, as the change of a member of something larger."""
        dot = "." if self.path and not self.path.startswith("[") else ""
        return f"{name}{dot}{self.path} {self.before} → {self.after}"

    def to_json(self) -> dict[str, str]:
        """As a step's reasoning keeps it."""
        return {"path": self.path, "before": self.before, "after": self.after}


def json_changes(before: Any, after: Any) -> list[JsonChange]:
    """The members that differ, at most 20; a list whose length changed counts as one."""
    return list(islice(_walk("", before, after), MAX_CHANGES))


def _walk(path: str, before: Any, after: Any) -> Iterator[JsonChange]:
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        for name in sorted(before.keys() | after.keys()):
            inner = f"{path}.{name}" if path else str(name)
            if name in before and name in after:
                yield from _walk(inner, before[name], after[name])
            else:
                yield JsonChange(inner, _short(before, name), _short(after, name))
    elif isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        for index, (old, new) in enumerate(zip(before, after, strict=True)):
            yield from _walk(f"{path}[{index}]", old, new)
    elif canonical_json(before) != canonical_json(after):
        yield JsonChange(path, _text(before), _text(after))


def _short(holder: Mapping[str, Any], name: str) -> str:
    return _text(holder[name]) if name in holder else ABSENT


def _text(value: Any) -> str:
    text = canonical_json(value).decode()
    return text if len(text) <= MAX_TEXT else f"{text[: MAX_TEXT - 1]}…"
