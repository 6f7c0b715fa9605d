"""Whatever the value: an answer, no crash, no echo; whatever the schema: the linter answers."""

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from irschemas.acceptance import TYPES, Acceptance, allow_references
from irschemas.errors import SchemaRefused
from irschemas.formats import CHECKER
from irschemas.lint import lint_schema
from irschemas.validation import validate_ir
from irschemas.vocabulary import KEYWORDS
from tests.irschemas.examples import GOOD, SCHEMAS

MARK = "zqjx"
scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8).map(lambda text: MARK + text)
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6).map(lambda t: MARK + t), inner, max_size=4)
    ),
    max_leaves=20,
)


@st.composite
def damaged(draw: st.DrawFn) -> tuple[str, Any]:
    """A good answer of a library schema with one value somewhere in it replaced."""
    target = draw(st.sampled_from(sorted(GOOD)))
    return target, _replace(draw, GOOD[target])


def _replace(draw: st.DrawFn, value: Any) -> Any:
    if not isinstance(value, (dict, list)) or not value or draw(st.integers(0, 3)) == 0:
        return draw(values)
    if isinstance(value, list):
        index = draw(st.integers(0, len(value) - 1))
        return [*value[:index], _replace(draw, value[index]), *value[index + 1 :]]
    key = draw(st.sampled_from(sorted(value)))
    return value | {key: _replace(draw, value[key])}


@settings(max_examples=150, deadline=None)
@given(case=damaged())
def test_any_value_is_answered_without_repeating_any_of_it(case: tuple[str, Any]) -> None:
    target, value = case
    validation = validate_ir(SCHEMAS[target], value)
    assert validation.passed == (validation.error_count == 0) == (not validation.errors)
    assert MARK not in json.dumps(validation.to_json())


keywords = st.dictionaries(st.sampled_from(sorted(KEYWORDS)), st.deferred(lambda: parts), max_size=4)
parts = st.recursive(
    scalars | st.sampled_from(["object", "array", "string", "#", "#/$defs/a", "^a+$"]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from([*sorted(KEYWORDS), "a"]), inner, max_size=4)
    ),
    max_leaves=12,
)


@settings(max_examples=150, deadline=None)
@given(schema=keywords, value=values)
def test_any_schema_is_linted_and_one_without_problems_can_be_used(schema: dict[str, Any], value: Any) -> None:
    problems = lint_schema(schema)
    try:
        validate_ir(schema, value)
        usable = True
    except SchemaRefused:
        usable = False
    assert problems or usable


class Fits:
    """What Draft 2020-12 says of a value, and whether the quick way says yes."""

    def __init__(self, schema: dict[str, Any], value: Any) -> None:
        allow_references()
        self.quickly = Acceptance(schema, strict=False).accepts(schema, value)
        self.really = Draft202012Validator(schema, format_checker=CHECKER).is_valid(value)


words = st.sampled_from(["a", "b", "c", "2026-11-21"])
small = st.integers(0, 4)
plain = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 5) | st.sampled_from([0.0, 1.0, 0.5, 2.5]) | words,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(words, inner, max_size=3),
    max_leaves=8,
)
types = st.sampled_from(sorted(TYPES))
leaf_schemas = st.fixed_dictionaries(
    {},
    optional={
        "type": types | st.lists(types, min_size=1, max_size=3, unique=True),
        "enum": st.lists(st.none() | st.booleans() | words, min_size=1, max_size=3),
        "const": st.none() | st.booleans() | words | small,
        "minimum": small, "maximum": small, "exclusiveMinimum": small, "exclusiveMaximum": small,
        "multipleOf": st.just(2),
        "minLength": small, "maxLength": small, "minItems": small, "maxItems": small,
        "minProperties": small, "maxProperties": small, "uniqueItems": st.booleans(),
        "format": st.just("date"), "pattern": st.sampled_from(["^a", "b"]),
        "required": st.lists(words, max_size=2, unique=True),
    },
)  # fmt: skip
schemas = st.recursive(
    leaf_schemas | st.just({"$ref": "#/$defs/a"}),
    lambda inner: st.builds(
        lambda leaf, more: leaf | more,
        leaf_schemas,
        st.fixed_dictionaries(
            {},
            optional={
                "properties": st.dictionaries(words, inner, max_size=3),
                "additionalProperties": st.booleans() | inner,
                "items": inner | st.booleans(),
                "anyOf": st.lists(inner, min_size=1, max_size=3),
                "oneOf": st.lists(inner, min_size=1, max_size=3),
                "allOf": st.lists(inner, min_size=1, max_size=2),
                "not": inner,
                "contains": inner,
            },
        ),
    ),
    max_leaves=5,
)


@settings(max_examples=100, deadline=None)
@given(schema=schemas, definition=leaf_schemas, value=plain)
def test_what_is_accepted_quickly_is_valid_and_the_rest_is_told_as_jsonschema_tells_it(
    schema: dict[str, Any], definition: dict[str, Any], value: Any
) -> None:
    whole = schema | {"$defs": {"a": definition}}
    fits = Fits(whole, value)
    assert fits.really or not fits.quickly
    assert validate_ir(whole, value).passed == fits.really


def test_every_good_answer_of_the_library_is_accepted_quickly() -> None:
    assert all(Fits(SCHEMAS[target], GOOD[target]).quickly for target in GOOD)
