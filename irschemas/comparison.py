"""What sets two versions of a schema apart, in words, and what each difference means for answers. Pure.

Every difference says whether answers that fitted before may be refused now (`narrows`), and whether some fit now that
would have been refused before (`widens`). What cannot be told for sure counts as both.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from core.canonical import canonical_json
from irschemas.findings import TYPE_WORDS, type_name
from irschemas.lint import target
from irschemas.vocabulary import walk

MAX_LISTED = 1_000
WORDING = ("title", "description", "$comment", "examples", "default", "deprecated", "readOnly", "writeOnly")
UNSEEN = frozenset({"$schema", "$id", "$defs", "propertyOrdering", *WORDING})


class Compatibility(StrEnum):
    """What a new version owes to the one in force."""

    BACKWARD = "BACKWARD"  # every answer that fits now will fit
    FORWARD = "FORWARD"  # every answer that will fit would fit now
    FULL = "FULL"  # both
    NONE = "NONE"  # nothing


@dataclass(frozen=True, slots=True)
class Change:
    """One difference: where in the answer, what, and what follows from it."""

    json_path: str
    text: str
    narrows: bool = False
    widens: bool = False

    def __str__(self) -> str:
        """`$.mount: “ceiling” is not allowed any more.`"""
        return f"{self.json_path}: {self.text}."

    @property
    def matters(self) -> bool:
        """Whether an answer may be judged otherwise because of it."""
        return self.narrows or self.widens

    @property
    def effect(self) -> str:
        """In a word: stricter, looser, changed, or wording."""
        words = {(True, True): "changed", (True, False): "stricter", (False, True): "looser"}
        return words.get((self.narrows, self.widens), "wording")

    def to_json(self) -> dict[str, str]:
        """Path, words and effect."""
        return {"json_path": self.json_path, "change": self.text, "effect": self.effect}


def compare_schemas(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[Change]:
    """Every difference between two schemas that pass `lint_schema`, in the order of the newer; at most 1,000."""
    found: dict[Change, None] = {}
    for change in _Comparison(before, after).parts(before, after, "$"):
        found[change] = None
        if len(found) == MAX_LISTED:
            found[Change("$", "there are more differences than are listed", True, True)] = None
            break
    if _looks_around(before) or _looks_around(after):
        return [replace(change, narrows=True, widens=True) if change.matters else change for change in found]
    return list(found)


def incompatibilities(changes: list[Change], mode: Compatibility) -> list[Change]:
    """The differences that a promise forbids."""
    narrow = mode in (Compatibility.BACKWARD, Compatibility.FULL)
    wide = mode in (Compatibility.FORWARD, Compatibility.FULL)
    return [change for change in changes if (change.narrows and narrow) or (change.widens and wide)]


class _Comparison:
    """Two schemas side by side; references are followed in each, once per pair."""

    def __init__(self, before: Mapping[str, Any], after: Mapping[str, Any]) -> None:
        self._before, self._after = dict(before), dict(after)
        self._under_way: set[tuple[bytes, bytes]] = set()
        self._alike: set[tuple[bytes, bytes]] = set()

    def parts(self, old: Any, new: Any, path: str) -> Iterator[Change]:
        """The differences of two subschemas for the same place in an answer."""
        old, new = _resolved(self._before, old), _resolved(self._after, new)
        pair = canonical_json(old), canonical_json(new)
        if pair in self._alike or pair in self._under_way or (pair[0] == pair[1] and b'"$ref"' not in pair[0]):
            return
        self._under_way.add(pair)
        alike = True
        for change in self._differences(old, new, path):
            alike = False
            yield change
        self._under_way.discard(pair)
        if alike:
            self._alike.add(pair)

    def _differences(self, old: Any, new: Any, path: str) -> Iterator[Change]:
        if not isinstance(old, dict) or not isinstance(new, dict):
            yield from _of_booleans(old, new, path)
            return
        yield from _wording(old, new, path)
        yield from _types(old, new, path)
        yield from _values(old, new, path)
        for keyword in BOUNDS:
            yield from _bound(keyword, old.get(keyword), new.get(keyword), path)
        for keyword in TEXTS:
            yield from _text(keyword, old.get(keyword), new.get(keyword), path)
        yield from _required(old, new, path)
        yield from self._properties(old, new, path)
        yield from self._items(old, new, path)
        for keyword in ALTERNATIVES:
            yield from self._alternatives(keyword, old.get(keyword), new.get(keyword), path)
        yield from self._others(old, new, path)

    def _properties(self, old: dict[str, Any], new: dict[str, Any], path: str) -> Iterator[Change]:
        before, after = old.get("properties", {}), new.get("properties", {})
        old_rest, new_rest = _rest(old), _rest(new)
        blurred = "patternProperties" in old or "patternProperties" in new
        for name in [*after, *(name for name in before if name not in after)]:
            where = f"{path}.{name}"
            if name in before and name in after:
                yield from self.parts(before[name], after[name], where)
            elif name in after:
                yield Change(where, "is new", blurred or old_rest is not False, blurred or old_rest is not True)
            else:
                yield Change(where, "is gone", blurred or new_rest is not True, blurred or new_rest is not False)
        if canonical_json(old_rest) != canonical_json(new_rest):
            closed = new_rest is False
            text = "takes no properties beside the named ones any more" if closed else "takes other properties too"
            yield Change(path, text, new_rest is not True, old_rest is not True)
        elif isinstance(new_rest, dict):
            yield from self.parts(old_rest, new_rest, f"{path}.*")

    def _items(self, old: dict[str, Any], new: dict[str, Any], path: str) -> Iterator[Change]:
        if canonical_json(old.get("prefixItems")) != canonical_json(new.get("prefixItems")):
            yield Change(path, "its first items are described otherwise", True, True)
        before, after = old.get("items", True), new.get("items", True)
        if before is not True or after is not True:
            yield from self.parts(before, after, f"{path}[*]")

    def _alternatives(self, keyword: str, old: Any, new: Any, path: str) -> Iterator[Change]:
        """Choices, or conditions: those that are written alike, then what is left side by side if it is as many."""
        if old is None and new is None:
            return
        what = ALTERNATIVES[keyword]
        if old is None or new is None:
            yield Change(
                path, f"has {what} now" if old is None else f"has no {what} any more", old is None, new is None
            )
            return
        kept, gone, come = _matched(old, new)
        pairs = [*zip(kept, kept, strict=True), *(zip(gone, come, strict=False) if len(gone) == len(come) else ())]
        for before, after in pairs:
            yield from _inside(keyword, self.parts(before, after, path))
        if len(gone) != len(come):
            loses, gains = keyword != "allOf", keyword != "anyOf"
            if gone:
                yield Change(path, f"of its {what} {_count(gone)} gone", loses, gains)
            if come:
                yield Change(path, f"of its {what} {_count(come)} new", gains, loses)

    def _others(self, old: dict[str, Any], new: dict[str, Any], path: str) -> Iterator[Change]:
        """Keywords that are not taken apart here."""
        defined = canonical_json(self._before.get("$defs")) == canonical_json(self._after.get("$defs"))
        for keyword in sorted((old.keys() | new.keys()) - COMPARED - UNSEEN):
            before, after = canonical_json(old.get(keyword)), canonical_json(new.get(keyword))
            if before != after or (b'"$ref"' in after and not defined):
                yield Change(path, f"“{keyword}” is different", True, True)


BOUNDS = {
    "minimum": (True, "at least {}", "has no lower bound"),
    "exclusiveMinimum": (True, "more than {}", "has no lower bound"),
    "maximum": (False, "at most {}", "has no upper bound"),
    "exclusiveMaximum": (False, "less than {}", "has no upper bound"),
    "minLength": (True, "at least {} characters", "may be shorter"),
    "maxLength": (False, "at most {} characters", "may be of any length"),
    "minItems": (True, "at least {} items", "may have fewer items"),
    "maxItems": (False, "at most {} items", "may have any number of items"),
    "minProperties": (True, "at least {} properties", "may have fewer properties"),
    "maxProperties": (False, "at most {} properties", "may have any number of properties"),
}
TEXTS = {
    "pattern": "text that matches {}",
    "format": "text in the form {}",
    "multipleOf": "a multiple of {}",
    "uniqueItems": "no item twice",
}
ALTERNATIVES = {"anyOf": "alternatives", "oneOf": "alternatives", "allOf": "conditions"}
COMPARED = frozenset(
    {
        *BOUNDS, *TEXTS, *ALTERNATIVES, "type", "enum", "const", "required", "properties", "additionalProperties",
        "items", "prefixItems", "$ref",
    }
)  # fmt: skip


def _resolved(root: dict[str, Any], part: Any) -> Any:
    """A subschema with a reference at its top replaced by what it names; what stands beside one is a condition more."""
    for _ in range(64):
        if not isinstance(part, dict) or "$ref" not in part:
            return part
        beside = {key: value for key, value in part.items() if key != "$ref" and key not in UNSEEN}
        named = target(root, part["$ref"])
        if beside:
            return {"allOf": [named, beside]}
        part = named
    return part


def _looks_around(schema: Any) -> bool:
    """Whether something in it depends on what other parts have looked at."""
    parts = (part for _, part in walk(schema) if isinstance(part, dict))
    return any(part.keys() & {"unevaluatedProperties", "unevaluatedItems"} for part in parts)


def _rest(part: dict[str, Any]) -> Any:
    """What is said of properties that have no name; True where nothing is."""
    return part.get("additionalProperties", True)


def _inside(keyword: str, changes: Iterator[Change]) -> Iterator[Change]:
    """Where exactly one alternative has to fit, a looser one may make an answer ambiguous."""
    for change in changes:
        yield replace(change, narrows=True, widens=True) if keyword == "oneOf" and change.matters else change


def _matched(old: list[Any], new: list[Any]) -> tuple[list[Any], list[Any], list[Any]]:
    """What both have, each as often as both have it; then what only the one has, and what only the other."""
    kept: list[Any] = []
    gone: list[Any] = []
    come = [(canonical_json(part), part) for part in new]
    for part in old:
        text = canonical_json(part)
        twin = next((pair for pair in come if pair[0] == text), None)
        (gone if twin is None else kept).append(part)
        if twin is not None:
            come.remove(twin)
    return kept, gone, [part for _, part in come]


def _count(parts: list[Any]) -> str:
    return "1 is" if len(parts) == 1 else f"{len(parts)} are"


def _of_booleans(old: Any, new: Any, path: str) -> Iterator[Change]:
    if old == new:
        return
    if new is False:
        yield Change(path, "nothing may stand here any more", True, False)
    elif old is False:
        yield Change(path, "something may stand here now", False, True)
    else:
        yield Change(path, "anything may stand here now" if new is True else "is described now", new is not True,
                     old is not True)  # fmt: skip


def _wording(old: dict[str, Any], new: dict[str, Any], path: str) -> Iterator[Change]:
    for keyword in WORDING:
        if canonical_json(old.get(keyword)) != canonical_json(new.get(keyword)):
            yield Change(path, f"its {keyword.removeprefix('$')} is worded otherwise")


def _types(old: dict[str, Any], new: dict[str, Any], path: str) -> Iterator[Change]:
    before, after = _type_set(old), _type_set(new)
    if before == after:
        return
    lost, won = before - after, after - before
    if "number" in after:
        lost -= {"integer"}
    if "number" in before:
        won -= {"integer"}
    yield Change(path, f"was {_kinds(before)}, is {_kinds(after)}", bool(lost), bool(won))


def _type_set(part: dict[str, Any]) -> set[str]:
    if "type" not in part and (values := list(_value_lists(part))):
        return {kind for value in values[0] for kind in _kinds_of(value)}
    kinds = part.get("type", list(TYPE_WORDS))
    return set(kinds if isinstance(kinds, list) else [kinds])


def _kinds_of(value: Any) -> set[str]:
    """The types that a JSON value has; a number may count as an integer too."""
    words = type_name(value)
    found = {kind for kind, name in TYPE_WORDS.items() if name == words}
    return found | {"integer", "number"} if found & {"integer", "number"} else found


def _kinds(kinds: set[str]) -> str:
    if kinds >= TYPE_WORDS.keys():
        return "anything"
    return " or ".join(words for kind, words in TYPE_WORDS.items() if kind in kinds)


def _values(old: dict[str, Any], new: dict[str, Any], path: str) -> Iterator[Change]:
    """`enum` and `const` as sets of values."""
    before, after = _value_set(old), _value_set(new)
    if before is None and after is None:
        return
    if before is None or after is None:
        text = f"takes only {_listed(after)} now" if after is not None else "is not limited to certain values any more"
        yield Change(path, text, after is not None, before is not None)
        return
    if gone := [value for value in before if value not in after]:
        yield Change(path, f"{_listed(gone)} is not allowed any more", True, False)
    if come := [value for value in after if value not in before]:
        yield Change(path, f"{_listed(come)} is allowed too", False, True)


def _value_set(part: dict[str, Any]) -> list[bytes] | None:
    both = [set(map(canonical_json, values)) for values in _value_lists(part)]
    return sorted(set.intersection(*both)) if both else None


def _value_lists(part: dict[str, Any]) -> Iterator[list[Any]]:
    if "enum" in part:
        yield part["enum"]
    if "const" in part:
        yield [part["const"]]


def _listed(values: list[bytes] | None) -> str:
    shown = [value.decode()[:40].strip('"') for value in values or []]
    more = f" and {len(shown) - 6} more" if len(shown) > 6 else ""
    return ", ".join(f"“{text}”" for text in shown[:6]) + more


def _bound(keyword: str, old: Any, new: Any, path: str) -> Iterator[Change]:
    lower, words, none = BOUNDS[keyword]
    if old == new:
        return
    if new is None:
        yield Change(path, f"{none} any more" if none.startswith("has no") else none, False, True)
    elif old is None:
        yield Change(path, f"has to be {words.format(new)} now", True, False)
    else:
        stricter = new > old if lower else new < old
        yield Change(path, f"was {words.format(old)}, is {words.format(new)}", stricter, not stricter)


def _text(keyword: str, old: Any, new: Any, path: str) -> Iterator[Change]:
    old, new = (None if value is False else value for value in (old, new))
    if canonical_json(old) == canonical_json(new):
        return
    if new is None:
        yield Change(path, f"does not have to be {TEXTS[keyword].format(old)} any more", False, True)
    else:
        yield Change(path, f"has to be {TEXTS[keyword].format(new)} now", True, old is not None)


def _required(old: dict[str, Any], new: dict[str, Any], path: str) -> Iterator[Change]:
    before, after = set(old.get("required", [])), set(new.get("required", []))
    for name in sorted(after - before):
        yield Change(f"{path}.{name}", "has to be there now", True, False)
    for name in sorted(before - after):
        yield Change(f"{path}.{name}", "may be left out now", False, True)
