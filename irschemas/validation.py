"""Validate a step's answer (its IR) against a JSON Schema, Draft 2020-12, and say what is wrong without repeating it.

Pure: no ORM, no Django, nothing fetched. Messages are our own words and never hold the value's content, since answers
carry merchants' and shoppers' text and end up in logs and traces.
"""

import re
from collections.abc import Iterator, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from typing import Any

import referencing
from jsonschema import Draft202012Validator, validators
from jsonschema.exceptions import ValidationError

from core.canonical import canonical_json
from irschemas import findings, geometry, strict_json
from irschemas.acceptance import Acceptance, allow_references
from irschemas.errors import SchemaRefused
from irschemas.findings import Problem
from irschemas.formats import CHECKER
from irschemas.lint import LOCAL_REF, target
from irschemas.patterns import MAX_TEXT, translate
from irschemas.records import ActiveSchema
from irschemas.vocabulary import pointer, rewrite, walk

MAX_LISTED = 20
MAX_COUNTED = 1_000
MAX_REFERENCES = 10_000
INTEGRAL = "integral_float"


@dataclass(frozen=True, slots=True)
class Validation:
    """The outcome for one value.

    `errors` lists at most 20 of them; `error_count` counts on to 1,000. `notes` names the paths of a value that fits
    where a number such as 1.0 stood for an integer, which JSON Schema accepts and a stricter reader would not.
    """

    passed: bool
    error_count: int = 0
    errors: tuple[Problem, ...] = ()
    notes: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """What a step keeps: `{passed, error_count, errors: [...], notes: [...]}`."""
        errors = [problem.to_json() for problem in self.errors]
        return {"passed": self.passed, "error_count": self.error_count, "errors": errors, "notes": list(self.notes)}

    def summary(self, limit: int = 3) -> str:
        """One readable sentence per error, the first few: what a page shows and a model is asked to repair."""
        shown = [str(problem) for problem in self.errors[:limit]]
        if self.error_count > len(shown):
            shown.append(f"And {self.error_count - len(shown)} more.")
        return " ".join(shown)


class _TooComplex(Exception):
    """Following references took too many turns."""


@dataclass(slots=True)
class _Turn:
    """One value under one validator: what surely fits, and how many references were followed."""

    acceptance: Acceptance
    references: int = 0


_turn: ContextVar[_Turn] = ContextVar("turn")


def _members(validator: Any, properties: Any, instance: Any, schema: Any) -> Iterator[ValidationError]:
    """`properties`, without a second look at what surely fits."""
    if not isinstance(instance, dict):
        return
    accepts = _turn.get().acceptance.accepts
    for name, part in properties.items():
        if name in instance and not accepts(part, instance[name]):
            yield from validator.descend(instance[name], part, path=name, schema_path=name)


def _items(validator: Any, items: Any, instance: Any, schema: Any) -> Iterator[ValidationError]:
    """`items`, without a second look at what surely fits."""
    if not isinstance(instance, list) or not isinstance(items, dict):
        yield from Draft202012Validator.VALIDATORS["items"](validator, items, instance, schema) or ()
        return
    accepts = _turn.get().acceptance.accepts
    for index in range(len(schema.get("prefixItems", [])), len(instance)):
        if not accepts(items, instance[index]):
            yield from validator.descend(instance[index], items, path=index)


def _counted_ref(validator: Any, ref: str, instance: Any, schema: Any) -> Iterator[ValidationError]:
    """`$ref` with a budget: recursion and doubling both need references, so counting them bounds the work."""
    turn = _turn.get()
    turn.references += 1
    if turn.references > MAX_REFERENCES:
        raise _TooComplex
    yield from Draft202012Validator.VALIDATORS["$ref"](validator, ref, instance, schema)


def _bounded_pattern(validator: Any, pattern: str, instance: Any, schema: Any) -> Iterator[ValidationError]:
    """`pattern` on text of reasonable length only; longer text is an error of its own."""
    if isinstance(instance, str) and len(instance) > MAX_TEXT:
        yield ValidationError("", validator=findings.TOO_LONG)
    else:
        yield from Draft202012Validator.VALIDATORS["pattern"](validator, pattern, instance, schema)


_Validator = validators.extend(
    Draft202012Validator,
    {"$ref": _counted_ref, "pattern": _bounded_pattern, "properties": _members, "items": _items},
)
_StrictIntegers = validators.extend(
    _Validator,
    type_checker=_Validator.TYPE_CHECKER.redefine(
        "integer", lambda _, value: isinstance(value, int) and not isinstance(value, bool)
    ),
)


@dataclass(frozen=True, slots=True)
class _Ready:
    """A validator, and its quick way to say yes."""

    validator: Any
    acceptance: Acceptance

    def accepts(self, value: Any) -> bool:
        """Whether a value surely fits."""
        allow_references()
        return self.acceptance.accepts(self.validator.schema, value)


@dataclass(frozen=True, slots=True)
class _Compiled:
    """A schema made ready: patterns translated, references checked, validators built."""

    usual: _Ready
    strict: _Ready | None
    declared: frozenset[str]


class Checker:
    """A schema made ready for many values: `validate_ir` once it is known which schema.

    Raises:
        SchemaRefused: the schema itself cannot be used (it is malformed, or refers to something outside itself).
    """

    def __init__(self, schema: Mapping[str, Any], target: str = "") -> None:
        self._compiled, self._target = _compile(_canonical(schema)), target

    def __call__(self, value: Any) -> Validation:
        """Validate a value; with a target also what its schema cannot say (see `check_geometry`)."""
        validation = self._validate(value)
        if not self._target or not validation.passed:
            return validation
        return _outcome(list(geometry.check_geometry(self._target, value)), validation.notes)

    def _validate(self, value: Any) -> Validation:
        compiled = self._compiled
        if defects := list(islice(strict_json.defects(value), MAX_COUNTED)):
            return _outcome([findings.from_defect(defect, compiled.declared) for defect in defects])
        try:
            if compiled.strict is not None and compiled.strict.accepts(value):
                return Validation(True)
            found = _run(compiled.usual, value, compiled.declared)
            return _outcome(found) if found else _outcome([], _integral_notes(compiled, value))
        except (_TooComplex, RecursionError):
            return _outcome([findings.too_complex(value)])


def validate_ir(schema: Mapping[str, Any], value: Any) -> Validation:
    """Validate a JSON value against a schema; any value is answered, none raises.

    NaN, infinity and anything that is not JSON are errors. Boxes are not checked for sense here: see `validate_active`.

    Raises:
        SchemaRefused: the schema itself cannot be used (it is malformed, or refers to something outside itself).
    """
    return Checker(schema)(value)


def validate_active(active: ActiveSchema, value: Any) -> Validation:
    """Validate a value against the schema in force for its target, boxes and ids included."""
    return Checker(active.schema, active.target)(value)


def _outcome(problems: list[Problem], notes: tuple[str, ...] = ()) -> Validation:
    return Validation(not problems, len(problems), tuple(problems[:MAX_LISTED]), notes)


def _run(ready: _Ready, value: Any, declared: frozenset[str]) -> list[Problem]:
    """Every finding of one validator about one value, with a fresh budget."""
    if ready.accepts(value):
        return []
    token = _turn.set(_Turn(ready.acceptance))
    try:
        return findings.from_errors(islice(ready.validator.iter_errors(value), MAX_COUNTED), declared)
    finally:
        _turn.reset(token)


def _integral_notes(compiled: _Compiled, value: Any) -> tuple[str, ...]:
    """Where 1.0 stands for an integer in a value that fits: what a reader without that liberty would find."""
    if compiled.strict is None or not strict_json.has_integral_float(value):
        return ()
    stricter = _run(compiled.strict, value, compiled.declared)
    paths = [problem.json_path for problem in stricter if problem.keyword == "type"]
    return tuple(f"{INTEGRAL} {path}" for path in paths[:MAX_LISTED])


def _canonical(schema: Any) -> bytes:
    """A schema's canonical JSON, under which it is compiled once."""
    try:
        return canonical_json(schema)
    except (ValueError, TypeError, RecursionError) as error:
        raise SchemaRefused(["not_json #: the schema is not JSON."]) from error


@lru_cache(maxsize=64)
def _compile(canonical: bytes) -> _Compiled:
    """Build the validators of a schema, once per content.

    Raises:
        SchemaRefused: with every reason found.
    """
    schema = strict_json.parse(canonical)
    problems = list(_unusable(schema))
    if problems:
        raise SchemaRefused(problems)
    ready = rewrite({key: part for key, part in schema.items() if key != "$schema"}, _translate_patterns)
    parts = [part for _, part in walk(schema) if isinstance(part, dict)]
    declared = frozenset(name for part in parts for name in part.get("properties", {}))
    integers = any("integer" in part.get("type", "") for part in parts)
    return _Compiled(
        _ready(_Validator, ready, strict=False),
        _ready(_StrictIntegers, ready, strict=True) if integers else None,
        declared,
    )


def _ready(kind: Any, schema: dict[str, Any], *, strict: bool) -> _Ready:
    registry: referencing.Registry[Any] = referencing.Registry()
    return _Ready(kind(schema, registry=registry, format_checker=CHECKER), Acceptance(schema, strict=strict))


def _unusable(schema: Any) -> Iterator[str]:
    """Why a schema could not even be run; `lint_schema` asks for much more."""
    if not isinstance(schema, dict):
        yield "not_an_object #: write the schema as a JSON object."
        return
    for error in Draft202012Validator(Draft202012Validator.META_SCHEMA).iter_errors(schema):
        yield f"malformed {pointer(tuple(error.absolute_path))}: this is not a valid value for its keyword."
        return
    for path, part in walk(schema):
        if not isinstance(part, dict):
            continue
        reference = part.get("$ref")
        if reference is not None and (not LOCAL_REF.match(reference) or target(schema, reference) is None):
            yield f"remote_ref {pointer(path)}: a $ref has to point at something inside this schema."
        if {"$dynamicRef", "$anchor", "$dynamicAnchor"} & part.keys() or (path and "$id" in part):
            yield f"unknown_keyword {pointer(path)}: only plain $ref and $defs are read here."


def _translate_patterns(part: dict[str, Any]) -> dict[str, Any]:
    """The same schema with its regular expressions in Python's spelling."""
    try:
        if "pattern" in part:
            part["pattern"] = translate(part["pattern"])
        if "patternProperties" in part:
            part["patternProperties"] = {translate(text): child for text, child in part["patternProperties"].items()}
    except (re.error, OverflowError, RecursionError) as error:
        raise SchemaRefused(["unsafe_pattern #: one of its patterns is not a regular expression."]) from error
    return part
