"""Random pipelines with random policies end as a plain reference interpreter says, also when workers are lost."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.utils import timezone
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from runs.claims import claim_runs
from runs.errors import LeaseLost
from runs.executor import execute_claim
from runs.inline import _same_thread
from runs.models import Run, RunError, Step
from runs.services import publish_dag, start_run
from tests.engineapp.policy_stages import LOST
from tests.runs.engine import deps, run_inline
from tests.runs.reference import Outcome, Spec, condition_text, interpret

pytestmark = pytest.mark.django_db
KEYS = "abcdefg"
WORDS = st.sampled_from(["ok", "ok", "ok", "vendor", "timeout", "worker_lost", "crash"])
ABOUT = st.sampled_from(["always", "flag", "score", "status", "passed", "missing", "rescued"])


@st.composite
def pipelines(draw: Callable[..., Any]) -> list[Spec]:
    specs: list[Spec] = []
    for place in range(draw(st.integers(1, len(KEYS)))):
        before = [spec.key for spec in specs]
        parents = draw(st.lists(st.sampled_from(before), unique=True, max_size=3)) if before else []
        ancestors = sorted(_ancestors(parents, specs))
        about = draw(ABOUT) if draw(st.booleans()) else None
        if about and not ancestors and about not in ("always", "flag"):
            about = None
        specs.append(
            Spec(
                key=KEYS[place],
                parents=tuple(key for key in before if key in parents),
                script=tuple(draw(st.lists(WORDS, min_size=1, max_size=4))),
                score=draw(st.integers(1, 3)),
                join=draw(st.sampled_from(["all_success", "all_success", "any_success", "all_done"])),
                condition=(about, draw(st.sampled_from(ancestors)) if ancestors else "") if about else None,
                on_condition_error=draw(st.sampled_from(["fail", "skip"])),
                continue_on_fail=draw(st.booleans()),
                retries=draw(st.integers(0, 3)),
                retry_on=tuple(draw(st.sets(st.sampled_from(["vendor", "timeout", "worker_lost"])))),
                external=draw(st.integers(0, 4)) == 0,
            )
        )
    return specs


def _ancestors(parents: list[str], specs: list[Spec]) -> set[str]:
    found = set(parents)
    for spec in reversed(specs):
        if spec.key in found:
            found |= set(spec.parents)
    return found


def document(specs: list[Spec], *, in_turn: bool) -> dict[str, Any]:
    nodes = []
    for spec in specs:
        node: dict[str, Any] = {
            "key": spec.key,
            "step": "scripted@1",
            "params": {"script": list(spec.script), "score": spec.score},
            "depends_on": list(spec.parents),
            "join": spec.join,
            "on_condition_error": spec.on_condition_error,
            "continue_on_fail": spec.continue_on_fail,
            "retries": spec.retries,
            "retry_on": sorted(spec.retry_on),
            "backoff": {"initial_ms": 0},
        }
        if spec.condition:
            node["condition"] = condition_text(spec.condition)
        if spec.external:
            node["side_effects"] = "external"
        if in_turn:
            node["parallel_group"] = "all"
        nodes.append(node)
    return {"dag_version": 1, "nodes": nodes, **({"parallel_groups": {"all": 1}} if in_turn else {})}


def lost_attempts(run: Run, key: str) -> int:
    """How many attempts of a node ended with their worker."""
    return RunError.objects.filter(run=run, stage=key, message__startswith="The worker that held this run").count()


def compare(run: Run, specs: list[Spec], expected: Outcome, *, in_turn: bool) -> None:
    """Hold a run's rows against the reference; a run that fails may have cancelled those beside, unless in turn."""
    steps = {step.node_key: step for step in Step.objects.filter(run=run)}
    assert run.status == ("failed" if expected.fatal else "completed")
    if expected.fatal:
        assert run.error_stage in expected.fatal
        assert run.error_code == expected.ends[run.error_stage].reason
        assert steps[run.error_stage].status == "failed"
    else:
        assert run.degraded == bool(expected.degraded)
        assert sorted(run.summary["degraded"]) == expected.degraded
        assert run.steps_done == len(specs)
    for spec in specs:
        step, end = steps[spec.key], expected.ends.get(spec.key)
        if end is None or (expected.fatal and not in_turn and step.status == "cancelled"):
            assert step.status == "cancelled"
            continue
        assert step.status == end.status, spec
        assert step.attempt == end.attempts + lost_attempts(run, spec.key), spec
        assert RunError.objects.filter(step=step).count() == end.errors + lost_attempts(run, spec.key), spec
        if end.status == "skipped":
            assert end.reason.items() <= step.reasons.items(), spec
        elif end.status == "failed":
            assert step.error_code == end.reason, spec


COMMON = settings(max_examples=60, phases=[Phase.generate], deadline=None, suppress_health_check=list(HealthCheck))


@COMMON
@given(pipelines(), st.booleans(), st.booleans())
def test_a_random_pipeline_ends_as_the_reference_says(specs: list[Spec], flag: bool, in_turn: bool) -> None:
    publish_dag("random", document(specs, in_turn=in_turn))
    run = run_inline("random", {"flag": flag})
    compare(run, specs, interpret(specs, flag=flag, in_turn=in_turn), in_turn=in_turn)


class Stopping:
    """Database work that ends the worker with its nth call: before it, or after it was committed."""

    def __init__(self, calls: int, *, after: bool) -> None:
        self.left = calls
        self.after = after

    async def __call__(self, function: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
        self.left -= 1
        if self.left <= 0 and not self.after:
            raise LeaseLost()
        result = await _same_thread(function, *arguments, **named)
        if self.left <= 0:
            raise LeaseLost()
        return result


@settings(COMMON, max_examples=60)
@given(pipelines(), st.booleans(), st.booleans(), st.lists(st.tuples(st.integers(1, 6), st.booleans()), max_size=4))
def test_a_run_taken_over_again_and_again_ends_the_same(
    specs: list[Spec], flag: bool, in_turn: bool, stops: list[tuple[int, bool]]
) -> None:
    publish_dag("random", document(specs, in_turn=in_turn))
    run = start_run(pipeline="random", shop=None, input={"flag": flag})
    external = {spec.key for spec in specs if spec.external}
    unknown: set[str] = set()
    for calls, after in [*stops, (10_000, False)]:
        Run.objects.filter(pk=run.pk, status="running").update(lease_until=timezone.now() - timedelta(seconds=1))
        claims = claim_runs("w", 1)
        if not claims:
            break
        for key in Step.objects.filter(run=run, status="running").values_list("node_key", flat=True):
            if key in external:
                unknown.add(key)
            LOST[str(run.pk), key] = lost_attempts(run, key) + 1
        async_to_sync(execute_claim)(claims[0], deps(), Stopping(calls, after=after))
    run.refresh_from_db()
    expected = interpret(specs, flag=flag, in_turn=in_turn, unknown=frozenset(unknown))
    compare(run, specs, expected, in_turn=in_turn)
