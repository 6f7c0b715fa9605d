"""Conditions: what may be said, what it means, and that nothing said can hang or kill a worker."""

import subprocess
import sys
import threading
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runs.conditions import (
    MAX_VALUES,
    ConditionError,
    ConditionInvalid,
    check_condition,
    evaluate_condition,
    named_values,
    seen_values,
)

VALUES: dict[str, Any] = {
    "metrics": {"generate": {"faithfulness": 0.62, "passed": True}, "validate": {"passed": True}},
    "ir": {"generate": {"n": 3, "items": [{"a": 1}], "nothing": None, "word": "käse"}},
    "steps": {"generate": {"status": "completed", "attempt": 1, "drop_ratio": None}},
    "run": {"mode": "live"},
    "input": {"title": "chair", "huge": 2**70},
    "params": {"floor": 0.5},
    "shop": {"plan": "pro", "features": {"new_model": True}},
}
BEFORE = {"generate", "validate"}


def decide(text: str, values: dict[str, Any] = VALUES) -> bool:
    return evaluate_condition(check_condition(text, BEFORE), values)


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("metrics.generate.faithfulness >= 0.8", False),
        ("metrics.validate.passed == true", True),
        ("ir.generate.n == 3.0 && ir.generate.n >= 2.5 && 3 in [3.0]", True),
        ("steps.generate.status == 'completed' && shop.features.new_model", True),
        ("shop.plan in ['pro', 'enterprise'] || metrics.generate.unknown > 1", True),
        ("metrics.generate.unknown > 1 && false", False),
        ("has(metrics.generate.unknown) ? metrics.generate.unknown > 1 : true", True),
        ("ir.generate.items[0].a == 1 && size(ir.generate.items) == 1", True),
        ("metrics['generate'][\"faithfulness\"] < 0.7", True),
        ("params.floor < metrics.generate.faithfulness", True),
        ("ir.generate.nothing == null && steps.generate.drop_ratio == null", True),
        ("input.title.startsWith('ch') && !input.title.contains('sofa')", True),
        ("true", True),
    ],
)
def test_a_condition_decides_as_people_expect(text: str, holds: bool) -> None:
    assert decide(text) is holds


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("metrics.generate.unknown > 1", "has no 'unknown'"),
        ("ir.generate.nothing > 1", "null, or values of different kinds"),
        ("ir.generate.nothing.deeper > 1", "."),
        ("ir.generate.word > 1", "different kinds"),
        ("ir.generate.n", "its result is a number"),
        ("ir.generate.items[7].a == 1", "index out of bounds"),
        ("ir.generate.n / 0 == 1", "division by zero"),
        ("ir.generate.n + 9223372036854775807 > 1", "overflow"),
        ("input.huge > 1", "more than 64 bits"),
    ],
)
def test_a_condition_that_cannot_be_decided_says_why(text: str, why: str) -> None:
    with pytest.raises(ConditionError, match=why):
        decide(text)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("ir.generate.items.all(i, i.a > 0)", "all is a macro that loops"),
        ("[1, 2].map(x, x * 2) == [2]", "map is a macro that loops"),
        ("[[1, 2]].exists(x, x.filter(y, y > 1) == [2])", "exists is a macro that loops"),
        ("input.title.matches('(a+)+$')", "regular expression"),
        ("timestamp('2020-01-01T00:00:00Z') == 1", "timestamp may not be called"),
        ("shop.access_token == 'x'", "shop.access_token names a secret"),
        ("shop['access_token'] == 'x'", "shop.access_token names a secret"),
        ("shop['access\\u005ftoken'] == 'x'", "shop is to be followed"),
        ("(shop).access_token == 'x'", "access_token names a secret"),
        ("input.api_key == 'x'", "input.api_key names a secret"),
        ("shop.quota_daily > 1", "shop.quota_daily may not be named"),
        ("run.lease_owner == 'x'", "run.lease_owner may not be named"),
        ("steps.generate.why == 'x'", "may not be named"),
        ("shop == shop", "shop is to be followed"),
        ("settings.SECRET == 1", "there is no settings"),
        ("metrics.publish.passed", "publish, which does not come before"),
        ("metrics[input.title].passed", "metrics is to be followed"),
        (".shop.plan == 'x'", "starts with a point"),
        ("metrics.generate.passed ==", "not a CEL expression"),
        ("metrics.generate.passed = true", "has no place"),
        ("é == 1", "has no place"),
        ("1 + 1", "its result is a number"),
        ("1 < 'a'", "different kinds"),
        ("(" * 17 + "true" + ")" * 17, "nested more than 16"),
        ("!" * 400 + "true", "nested more than 16"),
        ("'" + "x" * 500 + "' == ''", "at most 500"),
    ],
)
def test_what_may_not_be_said_is_refused_by_name(text: str, why: str) -> None:
    with pytest.raises(ConditionInvalid, match=why):
        check_condition(text, BEFORE)


def test_the_engine_gets_only_what_a_condition_names() -> None:
    condition = check_condition("ir.generate.n > 1 && metrics.generate.passed && !has(ir.generate.missing)", BEFORE)
    assert named_values(condition, VALUES) == {
        "ir": {"generate": {"n": 3}},
        "metrics": {"generate": {"passed": True}},
    }
    whole = check_condition("size(ir.generate) > 1 && ir.generate.n > 1", BEFORE)
    assert named_values(whole, VALUES)["ir"]["generate"] is VALUES["ir"]["generate"]


def test_a_decision_shows_its_grounds_but_no_texts() -> None:
    condition = check_condition(
        "metrics.generate.faithfulness > 1 || steps.generate.status == 'x' || input.title == 'x'", BEFORE
    )
    assert seen_values(condition, VALUES) == {
        "metrics.generate.faithfulness": 0.62,
        "steps.generate.status": "completed",
    }


@pytest.mark.parametrize(
    "value",
    [
        ["x"] * (MAX_VALUES + 1),
        "x" * 300_000,
        [[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]],
    ],
)
def test_values_that_would_keep_the_engine_busy_are_an_error_of_the_condition(value: Any) -> None:
    with pytest.raises(ConditionError, match="names too much"):
        decide("ir.generate.n == 1", {"ir": {"generate": {"n": value}}})


def test_a_condition_is_decided_on_any_thread() -> None:
    condition, found = check_condition("metrics.generate.passed", BEFORE), []
    decide(condition.text)
    thread = threading.Thread(target=lambda: found.append(evaluate_condition(condition, VALUES)))
    thread.start()
    thread.join()
    assert found == [True]


PIECES = st.sampled_from(
    [
        *("metrics.generate.passed", "ir.generate.n", "ir.generate.items", "input.title", "shop.plan", "size(", "has("),
        *("(", ")", "[", "]", "{", "}", "!", "-", "+", "*", "/", "%", "?", ":", ",", ".", "&&", "||", "==", "<", "in"),
        *("0", "1", "2.5", "9223372036854775807", "'a'", '"\\n"', "true", "null", "x", "int(", "string(", ".size()"),
    ]
)


@settings(max_examples=150, deadline=None)
@given(st.lists(PIECES, min_size=1, max_size=60), st.sampled_from(["", " "]))
def test_whatever_is_written_is_refused_decided_or_an_error(pieces: list[str], between: str) -> None:
    try:
        condition = check_condition(between.join(pieces), BEFORE)
        assert evaluate_condition(condition, VALUES) in (True, False)
    except (ConditionInvalid, ConditionError) as error:
        assert str(error)


BOMBS = [
    "[0,1,2,3,4,5,6,7,8,9].all(a,[0,1,2,3,4,5,6,7,8,9].all(b,[0,1,2,3,4,5,6,7,8,9].all(c,true)))",
    "'" + "a" * 100 + "'.matches('(a+)+(a+)+(a+)+$')",
    "(" * 250 + ")" * 250,
    "[" * 499,
    "!" * 495 + "true",
    "-" * 494 + "1 < 0",
    "{1:" * 120 + "1" + "}" * 120,
    "true?" * 60 + "true" + ":1" * 60,
    "1" + "+1" * 200 + " > 0",
    "'" + "a" * 40 + "'" + " + '" * 90,
    "ir.generate.items" + "[0]" * 150 + " == 1",
]


def test_bombs_end_at_once_in_a_process_that_survives_them() -> None:
    program = (
        "import sys, resource\n"
        "resource.setrlimit(resource.RLIMIT_CPU, (20, 20))\n"
        "from runs.conditions import *\n"
        "for text in sys.argv[1:]:\n"
        "    try: evaluate_condition(check_condition(text, {'generate'}), {'ir': {'generate': {'items': []}}})\n"
        "    except (ConditionInvalid, ConditionError): pass\n"
        "print('alive')"
    )
    done = subprocess.run([sys.executable, "-c", program, *BOMBS], capture_output=True, text=True, timeout=60)
    assert (done.stdout, done.stderr) == ("alive\n", "")
