"""Linting schemas: what the meta-schema lets through and nobody notices until it is too late."""

from typing import Any

import pytest

from irschemas.errors import JsonInvalid
from irschemas.lint import lint_schema
from irschemas.patterns import weakness
from irschemas.strict_json import parse
from tests.irschemas.examples import closed

TEXT = {"type": "string"}


def nested(levels: int) -> dict[str, Any]:
    schema: dict[str, Any] = TEXT
    for _ in range(levels):
        schema = closed({"a": schema})
    return schema


@pytest.mark.parametrize(
    ("schema", "start"),
    [
        ([], "not_an_object #:"),
        ({"type": "number", "maximum": float("nan")}, "not_json #/maximum:"),
        ({"$schema": "http://json-schema.org/draft-07/schema#", "type": "string"}, "wrong_dialect #:"),
        ({"type": "strnig"}, "malformed #/type:"),
        (closed({"a": {"type": "string", "minLenght": 3}}), "unknown_keyword #/properties/a:"),
        (closed({"a": {"description": "anything"}}), "missing_type #/properties/a:"),
        (closed({"a": True}), "missing_type #/properties/a:"),
        ({"type": "object", "properties": {"a": TEXT}}, "open_object #:"),
        ({"type": "object", "additionalProperties": True}, "open_object #:"),
        ({"type": ["object", "null"]}, "open_object #:"),
        (closed({"a": TEXT}, required=["b"]), "undeclared_required #:"),
        ({"$ref": "https://example.test/schema.json"}, "remote_ref #:"),
        ({"$ref": "#/properties/a", "type": "string"}, "remote_ref #:"),
        ({"$ref": "#/$defs/a"}, "broken_ref #:"),
        ({"$ref": "#"}, "endless_ref #:"),
        ({"$ref": "#/$defs/a", "$defs": {"a": {"allOf": [{"$ref": "#/$defs/a"}]}}}, "endless_ref #/$defs/a/allOf/0:"),
        ({"type": "string", "format": "date-tiem"}, "unknown_format #:"),
        ({"type": "string", "pattern": "^(a+)+$"}, "unsafe_pattern #:"),
        ({"type": "string", "pattern": "("}, "unsafe_pattern #:"),
        (closed({}, patternProperties={"^(a|a)*$": TEXT}), "unsafe_pattern #:"),
        ({"type": "array", "items": TEXT, "uniqueItems": True}, "unbounded_unique #:"),
        (nested(17), "too_deep #:"),
        ({"type": "string", "description": "x" * 65_536}, "too_big #:"),
        (closed({"a": {"type": "string", "$id": "x"}}), "unknown_keyword #/properties/a:"),
    ],
)
def test_each_trap_is_found_with_its_code_and_place(schema: Any, start: str) -> None:
    assert any(problem.startswith(start) for problem in lint_schema(schema)), lint_schema(schema)


def test_a_sound_schema_has_no_problems() -> None:
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A tree",
        "$ref": "#/$defs/node",
        "$defs": {
            "node": closed(
                {
                    "name": {"type": "string", "pattern": "^[a-z][a-z0-9_]*$", "maxLength": 40},
                    "kids": {"type": "array", "maxItems": 9, "uniqueItems": True, "items": {"$ref": "#/$defs/node"}},
                    "size": {"anyOf": [{"type": "number"}, {"type": "null"}]},
                    "then": {"const": 1},
                },
                allOf=[{"if": {"properties": {"name": {"const": "x"}}}, "then": {"required": ["size"]}}],
            )
        },
    }
    assert lint_schema(schema) == []


def test_a_property_named_like_a_keyword_is_still_a_property() -> None:
    assert lint_schema(closed({"not": {}}))[0].startswith("missing_type #/properties/not")
    assert lint_schema(closed({"pattern": TEXT, "enum": TEXT, "$ref": TEXT})) == []


def test_schemas_nested_without_end_are_refused_not_followed() -> None:
    schema: dict[str, Any] = {}
    for _ in range(50_000):
        schema = {"not": schema}
    assert lint_schema(schema)[0].startswith("too_deep #")


@pytest.mark.parametrize(
    "pattern",
    [
        "^(a+)+$", "^(a|aa)*$", r"^\d+\d+x$", "a*b", r"^(\w+\s?)*$", "^(?=a)b$", r"^(a)\1$", "^.*x.*$",
        "^(a?){30}a{30}$",
        "^a?a?a?a?a?a?a?a?a?b$", "^a*(b|a*)$", "(", "^[a-z]{0,90}[a-m]{0,90}$",
    ],
)  # fmt: skip
def test_patterns_that_can_run_away_are_refused(pattern: str) -> None:
    assert weakness(pattern)


@pytest.mark.parametrize(
    "pattern",
    [
        "^[a-z][a-z0-9_]{0,62}$", "^[0-9a-f]{64}$", "^#[0-9a-fA-F]{6}$", "^(stage|prompt):[a-z]+$",
        r"^[a-z]+@[a-z]+\.[a-z]+$",
        r"^\d{1,3}(\.\d{1,3}){3}$", "^(v[0-9]+)?$", "[$]x$", "^image/[a-z0-9.+-]{1,40}$", "é",
    ],
)  # fmt: skip
def test_patterns_that_people_need_are_allowed(pattern: str) -> None:
    assert weakness(pattern) is None


@pytest.mark.parametrize(
    "text", ['{"a": NaN}', '{"a": 1, "a": 2}', "{", "[" * 100_000, b"\xff", "9" * 5_000, "-Infinity"]
)
def test_lenient_json_is_refused(text: str | bytes) -> None:
    with pytest.raises(JsonInvalid):
        parse(text)
