"""Turn a validator's raw errors into findings a person can act on: own words, no content, no echoes of one mistake."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from jsonschema.exceptions import ValidationError

from irschemas.strict_json import Defect

TOO_LONG = "pattern_text_too_long"
MAX_WORDS = 240
CHOICES = ("oneOf", "anyOf")
LATE = ("unevaluatedProperties", "unevaluatedItems")


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong with a value: where it stands, which rule it breaks, what was expected, what kind was found.

    `json_path` names declared properties only; a property that the value chose itself is shown as `*`.
    """

    json_path: str
    schema_path: str
    keyword: str
    expected: str
    found_type: str

    def to_json(self) -> dict[str, str]:
        """The five fields by name."""
        return asdict(self)

    def __str__(self) -> str:
        """`$.candidates[0].box.x0: expected at most 2; found a number.`"""
        return f"{self.json_path}: expected {self.expected}; found {self.found_type}."


def from_defect(defect: Defect, declared: frozenset[str]) -> Problem:
    """A finding for what is not JSON at all."""
    return Problem(json_path(defect.path, declared), "#", defect.keyword, defect.expected, type_name(defect.found))


def too_complex(value: Any) -> Problem:
    """The finding when a value makes the schema's references run on without end."""
    return Problem("$", "#", "complexity", "a value that this schema can be checked against", type_name(value))


def from_errors(errors: Iterable[ValidationError], declared: frozenset[str]) -> list[Problem]:
    """Findings in document order, each mistake once."""
    leaves = _without_echoes([leaf for error in errors for leaf in _leaves(error)])
    found = [_problem(error, declared) for error in sorted(leaves, key=_position)]
    return list(dict.fromkeys(found))


def _position(error: ValidationError) -> tuple[tuple[bool, int, str], ...]:
    """Sorts by place in the value: list items by number, properties by name."""
    return tuple(
        (isinstance(step, str), step if isinstance(step, int) else 0, str(step)) for step in error.absolute_path
    )


def _leaves(error: ValidationError) -> list[ValidationError]:
    """An error, or where it is a failed choice, the errors of the alternative that was clearly meant."""
    if error.validator not in CHOICES or not error.context:
        return [error]
    branches: dict[Any, list[ValidationError]] = {}
    for inner in error.context:
        branches.setdefault(next(iter(inner.relative_schema_path), None), []).append(inner)
    plausible = [errors for errors in branches.values() if not any(_is_other_kind(inner) for inner in errors)]
    if not plausible:
        return [error]
    plausible.sort(key=lambda errors: (sum(_is_other_tag(inner) for inner in errors), len(errors)))
    if len(plausible) > 1 and any(_is_other_tag(inner) for inner in plausible[0]):
        return [error]
    return [leaf for inner in plausible[0] for leaf in _leaves(inner)]


def _is_other_kind(error: ValidationError) -> bool:
    """Whether an alternative wants another type of value altogether, or another constant."""
    return not error.relative_path and error.validator in ("type", "const", "enum", None)


def _is_other_tag(error: ValidationError) -> bool:
    """Whether an alternative's tag (a constant one level down) says that it was not meant."""
    return len(error.relative_path) == 1 and error.validator in ("const", "enum")


def _without_echoes(errors: list[ValidationError]) -> list[ValidationError]:
    """Drop what follows from another error: all at a value of the wrong type, and `unevaluated…` above a real error."""
    wrong_type = {tuple(error.absolute_path) for error in errors if error.validator == "type"}
    real = [tuple(error.absolute_path) for error in errors if error.validator not in LATE]
    behind: set[tuple[Any, ...]] = {path[:length] for path in real for length in range(len(path) + 1)}

    def stands(error: ValidationError) -> bool:
        path = tuple(error.absolute_path)
        if error.validator in LATE:
            return path not in behind
        return error.validator == "type" or path not in wrong_type

    return [error for error in errors if stands(error)]


def _problem(error: ValidationError, declared: frozenset[str]) -> Problem:
    keyword = str(error.validator or "false")
    return Problem(
        json_path(error.absolute_path, declared),
        "#" + "".join("/" + _plain(str(step)) for step in error.absolute_schema_path),
        "pattern" if keyword == TOO_LONG else keyword,
        expected(keyword, error.validator_value, error.schema, error.instance),
        type_name(error.instance),
    )


def json_path(steps: Iterable[str | int], declared: frozenset[str]) -> str:
    """`$.candidates[3].box`; names that no schema declares are the value's own and become `*`."""
    parts = (f"[{step}]" if isinstance(step, int) else f".{step}" if step in declared else ".*" for step in steps)
    return "$" + "".join(parts)


def type_name(value: Any) -> str:
    """A value's JSON type in words, nothing more of it."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "a boolean"
    kinds: list[tuple[type | tuple[type, ...], str]] = [
        (int, "an integer"), (float, "a number"), (str, "text"), (list, "a list"), (dict, "an object"),
    ]  # fmt: skip
    return next((words for kind, words in kinds if isinstance(value, kind)), "something that is not JSON")


def expected(keyword: str, wanted: Any, schema: Any, value: Any) -> str:
    """What a keyword asks for, in plain words taken from the schema alone; the value only tells what it lacks."""
    if keyword in SENTENCES:
        return _short(SENTENCES[keyword].format(_words(wanted)))
    if keyword == "required":
        return _short(f"the missing {_names([name for name in wanted if name not in value])}")
    if keyword in ("additionalProperties", "unevaluatedProperties"):
        known = list(schema.get("properties", {})) if isinstance(schema, Mapping) else []
        return _short(f"no property other than {_names(known)}") if known else "no further property"
    if keyword in CHOICES:
        return _short(f"{'one' if keyword == 'oneOf' else 'any'} of: {_alternatives(wanted)}")
    return f"what “{keyword}” asks for"


SENTENCES = {
    "type": "{}",
    "enum": "one of {}",
    "const": "exactly {}",
    "minimum": "at least {}",
    "maximum": "at most {}",
    "exclusiveMinimum": "more than {}",
    "exclusiveMaximum": "less than {}",
    "multipleOf": "a multiple of {}",
    "minLength": "at least {} characters",
    "maxLength": "at most {} characters",
    "pattern": "text that matches {}",
    TOO_LONG: "shorter text, to match a pattern",
    "format": "text in the form {}",
    "minItems": "at least {} items",
    "maxItems": "at most {} items",
    "uniqueItems": "no item twice",
    "contains": "an item of a certain kind",
    "minContains": "at least {} items of a certain kind",
    "maxContains": "at most {} items of a certain kind",
    "minProperties": "at least {} properties",
    "maxProperties": "at most {} properties",
    "dependentRequired": "the properties that belong together",
    "unevaluatedItems": "no further item",
    "not": "something else",
    "false": "nothing here",
}
TYPE_WORDS = {
    "null": "null", "boolean": "a boolean", "integer": "an integer", "number": "a number", "string": "text",
    "array": "a list", "object": "an object",
}  # fmt: skip


def _words(wanted: Any) -> str:
    """A keyword's value as text; types get their article."""
    if isinstance(wanted, list):
        return " or ".join(_words(item) for item in wanted)
    return TYPE_WORDS.get(wanted, _plain(wanted)) if isinstance(wanted, str) else str(wanted)


def _plain(text: str) -> str:
    """A pattern as its author wrote it (see `patterns.translate`), other text as it is."""
    if text.startswith("(?a:") and text.endswith(")"):
        return text[4:-1].replace(r"\Z", "$")
    return text


def _names(names: Iterable[Any]) -> str:
    return ", ".join(str(name) for name in names) or "none"


def _alternatives(branches: Any) -> str:
    """The types that a choice's alternatives take, each once."""
    kinds = [_words(branch["type"]) for branch in branches if isinstance(branch, Mapping) and "type" in branch]
    return ", ".join(dict.fromkeys(kinds)) or f"{len(branches)} alternatives"


def _short(text: str) -> str:
    return text if len(text) <= MAX_WORDS else text[: MAX_WORDS - 1] + "…"
