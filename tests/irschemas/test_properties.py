"""Whatever the value: an answer, no crash, no echo; whatever the schema: the linter answers."""

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from irschemas.errors import SchemaRefused
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
