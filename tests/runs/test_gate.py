"""The quality gate: a picture that fails a must-pass metric moves the node to the next route."""

import pytest

from irschemas.metrics import MetricValue, evaluator
from irschemas.models import MetricDefinition, MetricProfile, MetricProfileItem
from irschemas.profiles import save_profile
from runs.inline import execute_inline
from runs.models import MetricResult, Run, RunError
from runs.services import start_run
from tests.runs.engine import ScriptedVendor, chain, deps, publish, run_inline

pytestmark = pytest.mark.django_db


@evaluator("test_quality")
def quality(ir: dict, inputs: dict, artifacts: dict) -> list[MetricValue]:
    """The answer itself is the quality."""
    return [MetricValue("quality", float(ir["answer"]))]


@pytest.fixture(autouse=True)
def gate() -> None:
    metric = MetricDefinition.objects.create(
        key="quality", name="Quality", direction="higher", evaluator="test_quality"
    )
    profile = MetricProfile.objects.create(key="quality_v1")
    MetricProfileItem.objects.create(profile=profile, metric=metric, threshold=0.8, must_pass=True)


def test_a_result_that_passes_completes_the_node_with_its_metrics() -> None:
    publish("gated", *chain("asking@1", metric_profile="quality_v1"))
    run = run_inline("gated", given=deps(ScriptedVendor([0.9])))
    assert run.status == Run.Status.COMPLETED
    result = MetricResult.objects.get(run=run)
    assert (result.key, result.value, result.threshold, result.passed, result.must_pass) == (
        "quality",
        0.9,
        0.8,
        True,
        True,
    )


def test_a_rejected_result_moves_on_to_the_next_route() -> None:
    publish("gated", *chain("asking@1", metric_profile="quality_v1"))
    poor, good = ScriptedVendor([0.3], name="poor"), ScriptedVendor([0.95], name="good")
    run = run_inline("gated", given=deps(poor, good))
    assert run.status == Run.Status.COMPLETED
    step = run.steps.get()
    assert (step.vendor, step.attempt, step.route) == ("good", 2, 1)
    assert list(run.metrics.values_list("attempt", "passed")) == [(1, False), (2, True)]
    assert RunError.objects.get(run=run).code == "gate_rejected"


def test_when_no_route_passes_the_run_fails_and_every_rejected_answer_is_kept() -> None:
    publish("gated", *chain("asking@1", metric_profile="quality_v1", retries=3, retry_on=["metric_failed"]))
    poor, worse = ScriptedVendor([0.3], name="poor"), ScriptedVendor([0.1], name="worse")
    run = run_inline("gated", given=deps(poor, worse))
    assert (run.status, run.error_code, run.error_retryable) == (Run.Status.FAILED, "gate_rejected", True)
    assert "quality" in run.error_message
    assert set(run.artifacts.filter(role="reply").values_list("attempt", flat=True)) >= {1, 2}


def tighten(threshold: float) -> None:
    item = {"metric": "quality", "threshold": threshold, "must_pass": True}
    save_profile(key="quality_v1", description="", items=[item])


def test_a_run_is_judged_by_the_gate_of_its_beginning_and_a_later_one_by_the_new() -> None:
    publish("gated", *chain("asking@1", metric_profile="quality_v1"))
    started = start_run(pipeline="gated", shop=None, input={}, inline_owner="inline")
    tighten(0.95)
    first = execute_inline(started, deps(ScriptedVendor([0.9])))
    assert first.status == Run.Status.COMPLETED
    second = run_inline("gated", given=deps(ScriptedVendor([0.9])))
    assert (second.status, second.error_code) == (Run.Status.FAILED, "gate_rejected")
    judged = MetricResult.objects.order_by("id").values_list("profile_revision", "threshold", "must_pass", "passed")
    assert list(judged) == [(1, 0.8, True, True), (2, 0.95, True, False)]
