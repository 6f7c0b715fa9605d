"""Say quickly that a value fits a schema; who is not sure says no, and the slow validator finds out and explains.

A schema becomes nested functions, one per subschema, for the keywords that our schemas use. A subschema with any other
keyword that could refuse something has no function, and neither has one that leads to it.
"""

import re
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

from irschemas.formats import CHECKS
from irschemas.lint import target
from irschemas.patterns import MAX_TEXT
from irschemas.vocabulary import children, walk

Check = Callable[[Any], bool]

MAX_REFERENCES = 20_000  # in one value; a schema can make every reference double the work of the one before
SILENT = frozenset(
    {
        "$schema", "$id", "$defs", "$comment", "title", "description", "default", "examples", "deprecated", "readOnly",
        "writeOnly", "propertyOrdering",
    }
)  # fmt: skip


_followed: ContextVar[list[int]] = ContextVar("followed")


class _Unsure(Exception):
    """It cannot be told here, or not in reasonable time."""


class Acceptance:
    """The functions of one schema, by the identity of its subschemas, which have to outlive it.

    `strict`: 1.0 is no integer. Patterns have to be in Python's spelling (see `patterns.translate`).
    """

    def __init__(self, schema: dict[str, Any], *, strict: bool) -> None:
        self._root, self._strict = schema, strict
        self._checks: dict[int, Check] = {}
        for part in _understood(schema, [part for _, part in walk(schema) if isinstance(part, dict)]):
            self._check(part)

    def accepts(self, part: Any, value: Any) -> bool:
        """Whether a value surely fits a subschema. After `allow_references`."""
        check = self._checks.get(id(part))
        try:
            return check is not None and check(value)
        except _Unsure:
            return False

    def _check(self, part: Any) -> Check:
        if isinstance(part, bool):
            return lambda value: part
        known = self._checks.get(id(part))
        if known is None:
            rules = [self._rule(keyword, part) for keyword in part if keyword not in SILENT]
            known = self._checks[id(part)] = _all([rule for rule in rules if rule is not None])
        return known

    def _rule(self, keyword: str, part: dict[str, Any]) -> Check | None:
        wanted = part[keyword]
        if keyword in SIMPLE:
            return SIMPLE[keyword](wanted)
        match keyword:
            case "type":
                return _of_type(wanted if isinstance(wanted, list) else [wanted], strict=self._strict)
            case "$ref":
                return self._follow(target(self._root, wanted))
            case "properties":
                return self._members(wanted, part.get("additionalProperties", True))
            case "additionalProperties":
                return None if "properties" in part else self._members({}, wanted)
            case "items":
                return _each(self._check(wanted))
        return CHOICES[keyword]([self._check(each) for each in wanted])

    def _follow(self, part: Any) -> Check:
        """A reference is looked up when it is followed, since a schema may refer to itself."""
        if isinstance(part, bool):
            return lambda value: part
        identity = id(part)

        def follow(value: Any) -> bool:
            followed = _followed.get()
            followed[0] += 1
            if followed[0] > MAX_REFERENCES:
                raise _Unsure
            return self._checks[identity](value)

        return follow

    def _members(self, properties: dict[str, Any], more: Any) -> Check:
        """`properties` and `additionalProperties` in one pass over the object."""
        named = {name: self._check(inner) for name, inner in properties.items()}
        rest = self._check(more)

        def check(value: Any) -> bool:
            if not isinstance(value, dict):
                return True
            for name, member in value.items():  # noqa: SIM110 - half the time of a generator
                if not named.get(name, rest)(member):
                    return False
            return True

        return check


def allow_references() -> None:
    """Begin with another value: its references are counted anew."""
    _followed.set([0])


def _understood(root: dict[str, Any], parts: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The subschemas of which everything that they lead to can be made a function."""
    leads = {id(part): [id(child) for _, child in children(part)] for part in parts}
    for part in parts:
        if "$ref" in part:
            leads[id(part)].append(id(target(root, part["$ref"])))
    doubtful = {id(part) for part in parts if not all(_is_known(part, keyword) for keyword in part)}
    while more := {part for part, to in leads.items() if part not in doubtful and not doubtful.isdisjoint(to)}:
        doubtful |= more
    return [part for part in parts if id(part) not in doubtful]


def _is_known(part: dict[str, Any], keyword: str) -> bool:
    """Whether a keyword as it stands here has a function."""
    wanted = part[keyword]
    if keyword in ("enum", "const"):  # numbers and lists are compared in JSON's own way: left to the slow validator
        return all(
            each is None or isinstance(each, (str, bool)) for each in (wanted if keyword == "enum" else [wanted])
        )
    if keyword == "format":
        return wanted in CHECKS
    return keyword in SILENT | SIMPLE.keys() | CHOICES.keys() | {
        "type", "$ref", "properties", "additionalProperties", "items",
    }  # fmt: skip


def _all(rules: list[Check]) -> Check:
    if len(rules) == 1:
        return rules[0]
    if len(rules) == 2:
        first, second = rules
        return lambda value: first(value) and second(value)

    def check(value: Any) -> bool:
        for rule in rules:  # noqa: SIM110 - half the time of a generator
            if not rule(value):
                return False
        return True

    return check


def _one(rules: list[Check]) -> Check:
    return lambda value: sum(rule(value) for rule in rules) == 1


def _any(rules: list[Check]) -> Check:
    return lambda value: any(rule(value) for rule in rules)


CHOICES: dict[str, Callable[[list[Check]], Check]] = {"allOf": _all, "anyOf": _any, "oneOf": _one}


def _each(rule: Check) -> Check:
    def check(value: Any) -> bool:
        if isinstance(value, list):
            for item in value:
                if not rule(item):
                    return False
        return True

    return check


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _is_strict_integer(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_integer(value: Any) -> bool:
    return _is_strict_integer(value) or (isinstance(value, float) and value.is_integer())


TYPES: dict[str, Check] = {
    "null": lambda value: value is None,
    "boolean": lambda value: isinstance(value, bool),
    "integer": _is_integer,
    "number": _is_number,
    "string": lambda value: isinstance(value, str),
    "array": lambda value: isinstance(value, list),
    "object": lambda value: isinstance(value, dict),
}


def _of_type(names: list[str], *, strict: bool) -> Check:
    return _any_of([_is_strict_integer if strict and name == "integer" else TYPES[name] for name in names])


def _any_of(rules: list[Check]) -> Check:
    return rules[0] if len(rules) == 1 else _any(rules)


def _among(choices: list[Any]) -> Check:
    texts, others = {each for each in choices if isinstance(each, str)}, [c for c in choices if not isinstance(c, str)]
    return lambda value: value in texts if isinstance(value, str) else any(value is other for other in others)


def _for_numbers(compare: Callable[[Any], bool]) -> Check:
    return lambda value: not isinstance(value, (int, float)) or isinstance(value, bool) or compare(value)


def _for_text(test: Callable[[str], bool]) -> Check:
    return lambda value: not isinstance(value, str) or test(value)


def _sized(kind: type[Any], test: Callable[[int], bool]) -> Check:
    return lambda value: not isinstance(value, kind) or test(len(value))


def _matching(pattern: str) -> Check:
    search = re.compile(pattern).search
    return _for_text(lambda text: len(text) <= MAX_TEXT and search(text) is not None)


def _formatted(name: str) -> Check:
    test = CHECKS[name]

    def check(text: str) -> bool:
        try:
            return test(text)
        except ValueError:
            return False

    return _for_text(check)


def _distinct(wanted: bool) -> Check:
    """Text is compared here; of numbers and objects JSON has its own idea."""

    def check(value: Any) -> bool:
        if not isinstance(value, list) or len(value) < 2 or not wanted:
            return True
        if not all(isinstance(item, str) for item in value):
            raise _Unsure
        return len(set(value)) == len(value)

    return check


def _having(names: list[str]) -> Check:
    return lambda value: not isinstance(value, dict) or all(name in value for name in names)


SIMPLE: dict[str, Callable[[Any], Check]] = {
    "enum": _among,
    "const": lambda wanted: _among([wanted]),
    "minimum": lambda bound: _for_numbers(lambda value: value >= bound),
    "maximum": lambda bound: _for_numbers(lambda value: value <= bound),
    "exclusiveMinimum": lambda bound: _for_numbers(lambda value: value > bound),
    "exclusiveMaximum": lambda bound: _for_numbers(lambda value: value < bound),
    "minLength": lambda bound: _sized(str, lambda size: size >= bound),
    "maxLength": lambda bound: _sized(str, lambda size: size <= bound),
    "minItems": lambda bound: _sized(list, lambda size: size >= bound),
    "maxItems": lambda bound: _sized(list, lambda size: size <= bound),
    "minProperties": lambda bound: _sized(dict, lambda size: size >= bound),
    "maxProperties": lambda bound: _sized(dict, lambda size: size <= bound),
    "uniqueItems": _distinct,
    "pattern": _matching,
    "format": _formatted,
    "required": _having,
}
