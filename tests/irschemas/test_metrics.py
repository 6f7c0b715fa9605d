"""Measuring and judging: thresholds, directions, and numbers that are not there."""

import json
import pickle
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from django.apps import apps

from irschemas import metrics
from irschemas.metrics import MetricValue, evaluate, evaluator, grade, registered_evaluators
from irschemas.records import Direction, Profile, ProfileItem


def item(key: str, direction: Direction = "lower", threshold: float | None = 1.0, **more: Any) -> ProfileItem:
    fields: dict[str, Any] = {"evaluator": "", "must_pass": True, "weight": 1.0, "unit": "px"} | more
    return ProfileItem(metric_key=key, direction=direction, threshold=threshold, **fields)


def profile(*items: ProfileItem) -> Profile:
    return Profile("example_v1", items)


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Any]]:
    """An empty registry for one test."""
    empty: dict[str, Any] = {}
    monkeypatch.setattr(metrics, "_registry", empty)
    yield empty


@pytest.mark.parametrize(
    ("direction", "threshold", "value", "passed"),
    [
        ("lower", 0.3, 0.3, True),
        ("lower", 0.3, 0.3001, False),
        ("higher", 0.9, 0.9, True),
        ("higher", 0.9, 0.8999, False),
        ("boolean", None, True, True),
        ("boolean", None, 1.0, True),
        ("boolean", None, False, False),
        ("lower", None, 99.0, True),
    ],
)
def test_a_value_is_judged_by_its_direction(
    direction: Direction, threshold: float | None, value: Any, passed: bool
) -> None:
    result = grade(profile(item("m", direction, threshold)), [MetricValue("m", value)])
    assert result.passed is passed
    assert result.failed_keys == (() if passed else ("m",))


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ([], "it was not measured"),
        ([MetricValue("m", None)], "it could not be measured"),
        ([MetricValue("m", float("nan"))], "it is not a finite number"),
        ([MetricValue("m", float("-inf"))], "it is not a finite number"),
    ],
)
def test_a_required_number_that_is_missing_fails_and_says_so(values: list[MetricValue], reason: str) -> None:
    result = grade(profile(item("m")), values)
    assert (result.passed, result.results[0].value, result.results[0].details) == (False, None, {"reason": reason})
    assert result.summary() == f"m: {reason}"


def test_a_missing_number_that_nobody_requires_fails_nothing() -> None:
    result = grade(profile(item("m", must_pass=False)), [])
    assert (result.passed, result.results[0].passed, result.score) == (True, None, None)


def test_a_metric_that_may_fail_is_told_and_does_not_close_the_gate() -> None:
    result = grade(profile(item("m", must_pass=False)), [MetricValue("m", 5.0)])
    assert (result.passed, result.failed_keys, result.results[0].passed) == (True, (), False)
    assert result.results[0].details["reason"] == "5 where at most 1 is required"


def test_without_a_threshold_a_number_is_measured_not_judged() -> None:
    result = grade(profile(item("m", threshold=None, must_pass=False)), [MetricValue("m", 5.0)])
    assert (result.results[0].value, result.results[0].passed) == (5.0, None)


def test_the_score_is_the_weighted_share_of_what_passed() -> None:
    gate = profile(item("a", weight=3.0), item("b", weight=1.0), item("c", threshold=None, must_pass=False, weight=9.0))
    result = grade(gate, [MetricValue("a", 0.5), MetricValue("b", 5.0), MetricValue("c", 5.0)])
    assert result.score == 0.75


def test_values_that_the_profile_does_not_name_are_left_out_and_details_are_kept() -> None:
    result = grade(profile(item("m")), [MetricValue("m", 0.5, {"note": "left edge"}), MetricValue("other", 9.0)])
    assert [(outcome.key, outcome.details) for outcome in result.results] == [("m", {"note": "left edge"})]


def test_two_values_for_one_metric_are_a_mistake_of_ours() -> None:
    with pytest.raises(ValueError, match="Two values"):
        grade(profile(item("m")), [MetricValue("m", 0.5), MetricValue("m", 5.0)])


def test_a_verdict_is_json_and_travels_between_processes() -> None:
    result = grade(profile(item("m"), item("n")), [MetricValue("m", float("nan"), {"a": 1}), MetricValue("n", 1)])
    assert json.loads(json.dumps(result.to_json(), allow_nan=False))["metrics"]["m"]["value"] is None
    assert pickle.loads(pickle.dumps(result)) == result


def test_each_evaluator_of_a_profile_runs_once_and_sees_answer_inputs_and_artifacts(registry: dict[str, Any]) -> None:
    calls: list[tuple[Any, ...]] = []

    @evaluator("picture")
    def picture(ir: Any, inputs: Mapping[str, Any], artifacts: Mapping[str, Any]) -> list[MetricValue]:
        calls.append((ir, inputs, artifacts))
        return [MetricValue("a", 0.5), MetricValue("b", 0.5)]

    gate = profile(item("a", evaluator="picture"), item("b", evaluator="picture"), item("c", must_pass=False))
    values = evaluate(gate, {"x": 1}, {"room": 2}, {"result": 3})
    assert calls == [({"x": 1}, {"room": 2}, {"result": 3})]
    assert grade(gate, values).passed


def test_an_evaluator_that_is_not_there_leaves_required_metrics_failing(registry: dict[str, Any]) -> None:
    gate = profile(item("a", evaluator="nowhere"))
    assert grade(gate, evaluate(gate, {}, {}, {})).summary() == "a: it was not measured"


def test_two_functions_cannot_share_a_key_but_a_reload_can(registry: dict[str, Any]) -> None:
    def first(ir: Any, inputs: Mapping[str, Any], artifacts: Mapping[str, Any]) -> list[MetricValue]:
        return []

    def second(ir: Any, inputs: Mapping[str, Any], artifacts: Mapping[str, Any]) -> list[MetricValue]:
        return []

    evaluator("picture")(first)
    evaluator("picture")(first)
    with pytest.raises(ValueError, match="Two evaluators"):
        evaluator("picture")(second)
    assert registered_evaluators() == ["picture"]


def test_evaluators_of_every_installed_app_are_found_at_the_start(
    registry: dict[str, Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Any, settings: Any
) -> None:
    package = tmp_path / "measuring_app"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "evaluators.py").write_text(
        "from irschemas.metrics import evaluator\n\n"
        "@evaluator('found')\ndef found(ir, inputs, artifacts):\n    return []\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    settings.INSTALLED_APPS = [*settings.INSTALLED_APPS, "measuring_app"]
    apps.get_app_config("irschemas").ready()
    assert registered_evaluators() == ["found"]


def test_a_metric_that_does_not_apply_is_not_judged_however_strict_the_profile() -> None:
    profile = Profile("p", (ProfileItem("gap", "e", 0.05, "lower", True, 1.0, "share"),))
    outcome = grade(profile, [MetricValue("gap", None, {"note": "on a wall"}, applies=False)])
    assert outcome.passed and outcome.results[0].passed is None
    assert not grade(profile, [MetricValue("gap", None)]).passed
