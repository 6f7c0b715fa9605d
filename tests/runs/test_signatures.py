"""Signatures: failures that are alike share one, failures that differ do not."""

import pytest
from django.apps import apps
from django.utils.module_loading import import_string
from hypothesis import given
from hypothesis import strategies as st

from irschemas.metrics import MetricValue, evaluator
from irschemas.models import MetricDefinition, MetricProfile, MetricProfileItem
from runs.models import Run
from runs.signatures import LIMIT, error_signature, normalise
from tests.monitor.factories import MetricFactory, RunFactory, StepFactory
from tests.runs.engine import ScriptedVendor, chain, deps, publish, run_inline
from vendors.base import Rejected


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("gemini did not answer in 30 s", "gemini did not answer in # s"),
        ("503 for request 01ARZ3NDEKTSV4RRFFQ69G5FAV", "# for request <id>"),
        ("no blob 0193aaaa-bbbb-7ccc-8ddd-eeeeffff0000 of sha256:0a1b2c3d4e5f", "no blob <id> of <id>"),
        ('$.candidates[12].box: is "12 px", a text', "$.candidates[#].box: is “…”, a text"),
        ("cannot read https://cdn.example/a.jpg?x=1 now", "cannot read <url> now"),
        ("it's 1,200.5 m - isn't it 3?", "it's # m - isn't it #?"),
        ("two\n lines  of\ttext", "two lines of text"),
        ("beautiful accommodations", "beautiful accommodations"),
    ],
)
def test_what_differs_from_run_to_run_is_out(message: str, expected: str) -> None:
    assert normalise(message) == expected


@given(st.text(max_size=400), st.text(max_size=300))
def test_any_message_gives_a_signature_that_fits_and_stays(stage: str, message: str) -> None:
    signature = error_signature(stage=stage[:63], code="x", message=message)
    assert len(signature) <= LIMIT
    assert signature == error_signature(stage=stage[:63], code="x", message=message)


@given(st.integers(0, 10**9), st.floats(0, 1e6, allow_nan=False))
def test_numbers_never_tell_failures_apart(count: int, seconds: float) -> None:
    said = f"attempt {count} took {seconds:.3f} s"
    assert normalise(said) == "attempt # took # s"


@evaluator("test_two_measures")
def two_measures(ir: dict, inputs: dict, artifacts: dict) -> list[MetricValue]:
    """The answer says both."""
    return [MetricValue("gap", ir["answer"][0]), MetricValue("support", ir["answer"][1])]


@pytest.mark.django_db
def test_a_gate_that_rejects_is_named_by_what_failed_whatever_the_values() -> None:
    profile = MetricProfile.objects.create(key="two_v1")
    for key in ("support", "gap"):
        metric = MetricDefinition.objects.create(key=key, name=key, direction="higher", evaluator="test_two_measures")
        MetricProfileItem.objects.create(profile=profile, metric=metric, threshold=0.8, must_pass=True)
    publish("gated", *chain("asking@1", metric_profile="two_v1"))
    runs = [
        run_inline("gated", given=deps(ScriptedVendor([answer]))) for answer in ([0.3, 0.1], [0.2, 0.7], [0.3, 0.9])
    ]
    assert [run.error_signature for run in runs] == ["a: gate_rejected: gap, support"] * 2 + ["a: gate_rejected: gap"]
    assert set(Run.objects.like("a: gate_rejected: gap, support")) == set(runs[:2])


@pytest.mark.django_db
def test_a_run_that_completes_or_is_cancelled_has_none_and_a_failure_by_the_vendor_has_its_own() -> None:
    publish("ask", *chain("asking@1"))
    good = run_inline("ask", given=deps(ScriptedVendor([1])))
    bad = run_inline("ask", given=deps(ScriptedVendor([Rejected("field 3 is unknown")])))
    assert (good.status, good.error_signature) == ("completed", "")
    assert bad.error_signature == f"a: {bad.error_code}: field # is unknown"
    assert list(Run.objects.like("")) == []


@pytest.mark.django_db
def test_failures_from_before_get_their_signatures() -> None:
    old = RunFactory(status="failed", error_stage="composite", error_code="gate_rejected", error_message="0.2 gap")
    step = StepFactory(run=old, node_key="composite", attempt=2, status="failed")
    for attempt, key, values in ((1, "gap", {}), (2, "seam", {}), (2, "soft", {"must_pass": False})):
        MetricFactory(step=step, attempt=attempt, key=key, **{"passed": False, "must_pass": True, **values})
    timeout = RunFactory(status="failed", error_stage="facts", error_code="timeout", error_message="took 3 s")
    import_string("runs.migrations.0012_find_and_group_errors.sign_failures")(apps, None)
    signatures = dict(Run.objects.values_list("pk", "error_signature"))
    assert signatures == {old.pk: "composite: gate_rejected: seam", timeout.pk: "facts: timeout: took # s"}
