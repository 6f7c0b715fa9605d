"""Validation: every trap of JSON Schema in Python, and messages that never repeat the value."""

import json
import pickle
import threading
from typing import Any

import pytest

from core.ids import new_id
from irschemas.errors import SchemaRefused
from irschemas.modes import IRMode, ir_mode
from irschemas.records import ActiveSchema
from irschemas.validation import validate_active, validate_ir
from tests.irschemas.examples import closed

NUMBER = {"type": "number", "minimum": 0, "maximum": 10}
SECRET = "jane.doe@example.test"


def problem_of(schema: dict[str, Any], value: Any) -> tuple[str, str]:
    """Path and keyword of the only error."""
    validation = validate_ir(schema, value)
    assert validation.error_count == 1, validation
    return validation.errors[0].json_path, validation.errors[0].keyword


def test_a_value_that_fits_passes_without_errors_or_notes() -> None:
    validation = validate_ir(closed({"a": NUMBER}), {"a": 3})
    assert (validation.passed, validation.error_count, validation.errors, validation.notes) == (True, 0, (), ())


@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf")])
def test_numbers_that_json_does_not_have_are_errors_although_they_pass_every_range(number: float) -> None:
    assert problem_of(closed({"a": NUMBER}), {"a": number}) == ("$.a", "number")


@pytest.mark.parametrize("value", [{1: 2}, {"a": {3}}, {"a": b"x"}, {"a": (1,)}, {"k" * 1001: 1}])
def test_values_that_are_not_json_are_errors(value: Any) -> None:
    assert problem_of(closed({"a": NUMBER}), value)[1] == "json"


def test_a_float_without_fraction_is_an_integer_and_is_noted() -> None:
    validation = validate_ir(closed({"a": {"type": "integer"}, "b": NUMBER}), {"a": 2.0, "b": 2.0})
    assert (validation.passed, validation.notes) == (True, ("integral_float $.a",))


def test_an_integral_float_does_not_hide_a_real_error() -> None:
    validation = validate_ir(closed({"a": {"type": "integer", "minimum": 5}}), {"a": 2.0})
    assert [problem.keyword for problem in validation.errors] == ["minimum"]


def test_true_is_not_a_number() -> None:
    assert problem_of(closed({"a": NUMBER}), {"a": True}) == ("$.a", "type")


def test_a_trailing_newline_does_not_match_the_end_of_a_pattern() -> None:
    schema = closed({"a": {"type": "string", "pattern": "^[a-z]+$"}})
    assert validate_ir(schema, {"a": "abc"}).passed
    assert problem_of(schema, {"a": "abc\n"}) == ("$.a", "pattern")


def test_a_trailing_newline_does_not_match_a_property_pattern_either() -> None:
    schema = {"type": "object", "additionalProperties": False, "patternProperties": {"^[a-z]+$": NUMBER}}
    assert validate_ir(schema, {"abc": 1}).passed
    assert problem_of(schema, {"abc\n": 1}) == ("$", "additionalProperties")


def test_a_digit_in_a_pattern_is_zero_to_nine() -> None:
    assert problem_of(closed({"a": {"type": "string", "pattern": r"^\d$"}}), {"a": "٣"}) == ("$.a", "pattern")


def test_a_dollar_in_a_character_class_stays_a_dollar() -> None:
    assert validate_ir(closed({"a": {"type": "string", "pattern": r"^[$]\$$"}}), {"a": "$$"}).passed


def test_very_long_text_is_refused_before_its_pattern_is_tried() -> None:
    schema = closed({"a": {"type": "string", "pattern": "^a+$"}})
    assert validate_ir(schema, {"a": "a" * 10_000}).passed
    assert problem_of(schema, {"a": "a" * 10_001}) == ("$.a", "pattern")


@pytest.mark.parametrize(
    ("name", "right", "wrong"),
    [
        ("date-time", "2026-11-21T08:30:00.25Z", "2026-11-21 08:30"),
        ("date-time", "2026-02-28T23:59:59+02:00", "2026-02-30T10:00:00Z"),
        ("date", "2026-11-21", "20261121"),
        ("email", "a@b.example", "a@b"),
        ("uri", "https://example.test/a", "https:///a"),
        ("uri", "urn:a:b", "not a uri"),
        ("uuid", "01900000-0000-7000-8000-000000000000", "01900000"),
        ("ipv4", "10.0.0.1", "10.0.0.256"),
        ("ipv6", "::1", "fe80::1%eth0"),
    ],
)
def test_formats_are_really_checked(name: str, right: str, wrong: str) -> None:
    schema = closed({"a": {"type": "string", "format": name}})
    assert validate_ir(schema, {"a": right}).passed
    assert problem_of(schema, {"a": wrong}) == ("$.a", "format")


def test_all_errors_are_listed_in_the_order_of_the_value_and_capped_at_twenty() -> None:
    schema = {"type": "array", "items": NUMBER}
    validation = validate_ir(schema, [99] * 300)
    assert (len(validation.errors), validation.error_count) == (20, 300)
    assert [problem.json_path for problem in validation.errors[:3]] == ["$[0]", "$[1]", "$[2]"]


def test_an_error_says_where_which_rule_what_was_expected_and_what_kind_was_found() -> None:
    schema = closed({"room": closed({"pitch": NUMBER})})
    assert validate_ir(schema, {"room": {"pitch": 11.5}}).to_json()["errors"] == [
        {
            "json_path": "$.room.pitch",
            "schema_path": "#/properties/room/properties/pitch/maximum",
            "keyword": "maximum",
            "expected": "at most 10",
            "found_type": "a number",
        }
    ]


def test_missing_properties_are_named() -> None:
    assert validate_ir(closed({"a": NUMBER, "b": NUMBER}), {"a": 1}).errors[0].expected == "the missing b"


def test_the_summary_reads_as_sentences_and_counts_the_rest() -> None:
    summary = validate_ir({"type": "array", "items": NUMBER}, [99, "x", 99]).summary(limit=2)
    assert summary == ("$[0]: expected at most 10; found an integer. $[1]: expected a number; found text. And 1 more.")


ALTERNATIVES = closed(
    {
        "shape": {
            "oneOf": [
                closed({"kind": {"const": "circle"}, "radius": NUMBER}),
                closed({"kind": {"const": "square"}, "side": NUMBER, "turn": NUMBER}),
                {"type": "null"},
            ]
        }
    }
)


def test_inside_a_choice_the_alternative_that_was_meant_is_reported_with_all_its_errors() -> None:
    validation = validate_ir(ALTERNATIVES, {"shape": {"kind": "square", "side": "x", "turn": 99}})
    assert [(problem.json_path, problem.keyword) for problem in validation.errors] == [
        ("$.shape.side", "type"),
        ("$.shape.turn", "maximum"),
    ]


def test_two_failing_choices_are_both_reported() -> None:
    schema = closed({"a": {"oneOf": [NUMBER, {"type": "null"}]}, "b": {"oneOf": [NUMBER, {"type": "null"}]}})
    validation = validate_ir(schema, {"a": 99, "b": 99})
    assert [problem.json_path for problem in validation.errors] == ["$.a", "$.b"]


@pytest.mark.parametrize("shape", ["text", {"kind": "hexagon"}, 7])
def test_a_choice_with_no_clear_intention_is_one_error(shape: Any) -> None:
    assert problem_of(ALTERNATIVES, {"shape": shape}) == ("$.shape", "oneOf")


def test_a_value_that_fits_two_alternatives_is_one_error() -> None:
    assert problem_of({"oneOf": [NUMBER, {"type": "integer"}]}, 3) == ("$", "oneOf")


def test_one_mistake_in_a_part_does_not_make_everything_unevaluated() -> None:
    policy = {"type": "object", "properties": {"retries": {"type": "integer"}}}
    schema = {
        "type": "object",
        "unevaluatedProperties": False,
        "properties": {"key": {"type": "string"}},
        "allOf": [policy],
    }
    assert problem_of(schema, {"key": "a", "retries": "many"}) == ("$.retries", "type")
    assert problem_of(schema, {"key": "a", "other": 1}) == ("$", "unevaluatedProperties")


def test_a_value_of_the_wrong_type_is_one_error_not_one_for_each_keyword() -> None:
    assert problem_of(closed({"a": {"type": "string", "enum": ["x"]}}), {"a": 5}) == ("$.a", "type")


def test_no_message_repeats_what_the_value_holds() -> None:
    strict = closed({"a": {"type": "string", "pattern": "^x$", "maxLength": 3}, "b": {"enum": ["u", "v"]}, "c": NUMBER})
    values = [SECRET, [SECRET], {SECRET: SECRET}, {"a": SECRET, "b": SECRET, "c": SECRET, SECRET: {SECRET: 1}}]
    mapped = {"type": "object", "patternProperties": {"@": NUMBER}, "additionalProperties": False}
    results = [validate_ir(strict, value) for value in values] + [validate_ir(mapped, {SECRET: 99})]
    assert all(not result.passed for result in results)
    assert SECRET not in json.dumps([result.to_json() for result in results])
    assert results[-1].errors[0].json_path == "$.*"


def test_a_recursive_schema_follows_the_value_and_no_further() -> None:
    schema = closed({"kids": {"type": "array", "items": {"$ref": "#"}}})
    assert validate_ir(schema, {"kids": [{"kids": []}]}).passed
    assert problem_of(schema, {"kids": [{"kids": [{"kids": 1}]}]}) == ("$.kids[0].kids[0].kids", "type")


def test_a_schema_that_only_refers_to_itself_is_an_error_not_a_crash() -> None:
    assert problem_of({"$ref": "#"}, {}) == ("$", "complexity")


def test_references_that_double_at_every_level_are_given_up() -> None:
    branch = {"type": "object", "properties": {"c": {"$ref": "#"}}, "required": ["z"]}
    value: Any = {}
    for _ in range(40):
        value = {"c": value}
    assert problem_of({"anyOf": [branch, branch]}, value) == ("$", "complexity")


def test_a_very_deep_value_is_an_error_not_a_crash() -> None:
    value: Any = 1
    for _ in range(100_000):
        value = [value]
    assert problem_of({"type": "array"}, value) == ("$", "depth")


def test_a_huge_value_is_an_error() -> None:
    assert problem_of({"type": "array", "items": {"type": "null"}}, [None] * 200_001) == ("$", "size")


@pytest.mark.parametrize(
    ("schema", "code"),
    [
        ({"type": "strnig"}, "malformed"),
        ({"$ref": "https://example.test/other.json"}, "remote_ref"),
        ({"$ref": "#/$defs/missing"}, "remote_ref"),
        ({"$anchor": "here"}, "unknown_keyword"),
        ([], "not_an_object"),
        ({"type": "number", "maximum": float("nan")}, "not_json"),
        ({"type": "string", "pattern": "("}, "unsafe_pattern"),
    ],
)
def test_a_schema_that_cannot_be_run_is_refused_and_nothing_is_fetched(schema: Any, code: str) -> None:
    with pytest.raises(SchemaRefused) as caught:
        validate_ir(schema, {})
    assert caught.value.problems[0].startswith(code)


def test_an_outcome_and_a_refusal_travel_between_processes() -> None:
    validation = validate_ir(closed({"a": {"type": "integer"}}), {"a": "x"})
    assert pickle.loads(pickle.dumps(validation)) == validation
    assert pickle.loads(pickle.dumps(SchemaRefused(["open_object #: close it"]))).problems == [
        "open_object #: close it"
    ]


def test_two_threads_validating_at_once_keep_their_own_budget() -> None:
    schema = closed({"kids": {"type": "array", "items": {"$ref": "#/$defs/leaf"}}}, **{"$defs": {"leaf": NUMBER}})
    outcomes: list[bool] = []
    work = [
        threading.Thread(target=lambda: outcomes.append(validate_ir(schema, {"kids": [1] * 6_000}).passed))
        for _ in range(4)
    ]
    for thread in work:
        thread.start()
    for thread in work:
        thread.join()
    assert outcomes == [True] * 4


def test_geometry_is_looked_at_once_the_schema_is_met() -> None:
    box = closed(dict.fromkeys(("x0", "y0", "x1", "y1"), NUMBER))
    active = ActiveSchema(new_id(), "stage:cutout", 1, closed({"box": box}), "0" * 64)
    inside_out = {"box": {"x0": 0.6, "y0": 0.1, "x1": 0.4, "y1": 0.1}}
    assert [(problem.json_path, problem.keyword) for problem in validate_active(active, inside_out).errors] == [
        ("$.box", "geometry"),
        ("$.box", "geometry"),
    ]
    assert validate_active(active, {"box": {"x0": 0.4, "y0": 0.1, "x1": 0.6, "y1": 0.2}}).passed
    assert validate_active(active, {"box": 3}).errors[0].keyword == "type"


def test_what_a_pipeline_pins_wins_over_the_settings() -> None:
    assert ir_mode("enforce", "off") is IRMode.ENFORCE
    assert ir_mode("off", "enforce") is IRMode.OFF
    assert ir_mode(None, "log") is IRMode.LOG
    with pytest.raises(ValueError, match="warn"):
        ir_mode("warn", "log")
