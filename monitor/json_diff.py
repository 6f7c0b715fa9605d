"""Two JSON values beside each other: every place where they differ, by its path."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from core.pictures import BLOB_KEY

LIMIT = 200
SHOWN = 160
BEYOND = 1e300  # JSON has numbers that no arithmetic takes
IDENTITIES = ("id", "key", "field", "name")
# What the end of a name says about its numbers; `dimensions_m.width` is a length as `distance_m` is.
UNITS = (
    (re.compile(r"px_per_m$"), "px/m"),
    (re.compile(r"_(m|cm|mm|px|ms|s)$"), ""),
    (re.compile(r"_deg$"), "°"),
    (re.compile(r"_usd$"), "USD"),
)
Kind = Literal["added", "removed", "changed"]


class _Missing:
    """Stands where one side has nothing."""


MISSING = _Missing()


@dataclass(frozen=True, slots=True)
class Difference:
    """One place where two values differ; texts are cut for reading. `share` is the change as a part of before."""

    path: str
    kind: Kind
    before: str
    after: str
    delta: float | None = None
    share: float | None = None
    unit: str = ""


@dataclass(frozen=True, slots=True)
class JsonDiff:
    """The differences in the order of the first value, and how many more there are than are shown."""

    rows: tuple[Difference, ...]
    left_out: int = 0

    def __bool__(self) -> bool:
        return bool(self.rows)


def diff_json(before: Any, after: Any, limit: int = LIMIT) -> JsonDiff:
    """Where two JSON values differ. Objects in lists are matched by their `id` (or key, field, name) if they have one.

    `None` is a value like any other: an answer that is not there yet is told from one that is null by `MISSING`.
    """
    rows: list[Difference] = []
    left_out = 0
    for row in _walk("", before, after):
        if len(rows) < limit:
            rows.append(row)
        else:
            left_out += 1
    return JsonDiff(tuple(rows), left_out)


def _walk(path: str, before: Any, after: Any) -> Iterator[Difference]:
    if _same(before, after):
        return
    if isinstance(before, Mapping) and isinstance(after, Mapping) and not _pictures(before, after):
        yield from _members(path, before, after)
    elif isinstance(before, list) and isinstance(after, list):
        yield from _items(path, before, after)
    else:
        yield _difference(path, before, after)


def _same(before: Any, after: Any) -> bool:
    """Equal as JSON: true is not 1."""
    if isinstance(before, bool) is not isinstance(after, bool):
        return False
    if isinstance(before, (Mapping, list)):
        return before == after and json.dumps(before, sort_keys=True) == json.dumps(after, sort_keys=True)
    return bool(before == after)


def _pictures(*values: Mapping[str, Any]) -> bool:
    return any(BLOB_KEY in value for value in values)


def _members(path: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[Difference]:
    for name in [*before, *(name for name in after if name not in before)]:
        inner = f"{path}.{name}" if path else str(name)
        yield from _walk(inner, before.get(name, MISSING), after.get(name, MISSING))


def _items(path: str, before: list[Any], after: list[Any]) -> Iterator[Difference]:
    key = _identity(before, after)
    if key is None:
        for index in range(max(len(before), len(after))):
            yield from _walk(f"{path}[{index}]", _at(before, index), _at(after, index))
        return
    old, new = ({str(item[key]): item for item in items} for items in (before, after))
    for name in [*old, *(name for name in new if name not in old)]:
        yield from _walk(f"{path}[{name}]", old.get(name, MISSING), new.get(name, MISSING))


def _identity(*lists: Sequence[Any]) -> str | None:
    """The member by which the objects of both lists can be told apart."""
    for key in IDENTITIES:
        if all(isinstance(item, Mapping) and isinstance(item.get(key), str | int) for items in lists for item in items):
            names = [[str(item[key]) for item in items] for items in lists]
            if all(len(set(found)) == len(found) for found in names):
                return key
    return None


def _at(items: Sequence[Any], index: int) -> Any:
    return items[index] if index < len(items) else MISSING


def _difference(path: str, before: Any, after: Any) -> Difference:
    kind: Kind = "added" if before is MISSING else "removed" if after is MISSING else "changed"
    delta = share = None
    if _number(before) and _number(after):
        delta = after - before
        share = delta / abs(before) if before else None
    unit = _unit(path) if _number(before) or _number(after) else ""
    return Difference(path, kind, _text(before), _text(after), delta, share, unit)


def _number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < BEYOND


def _unit(path: str) -> str:
    """The unit that the nearest name with one gives."""
    for name in reversed(re.split(r"[.\[\]]+", path)):
        for pattern, unit in UNITS:
            if found := pattern.search(name):
                return unit or found[1]
    return ""


def _text(value: Any) -> str:
    if value is MISSING:
        return ""
    if isinstance(value, Mapping) and isinstance(value.get(BLOB_KEY), str):
        return f"picture {value[BLOB_KEY][:12]}"
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}…"
