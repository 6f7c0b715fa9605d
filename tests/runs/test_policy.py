"""Policy of nodes: conditions, joins, groups, runs that go on, retries that rest, external effects."""

import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.utils import timezone

from irschemas.models import MetricDefinition, MetricProfile, MetricProfileItem
from irschemas.services import activate_schema, create_schema
from runs.claims import Claim, claim_runs
from runs.commits import begin_nodes, commit_node
from runs.context import Deps, load_context
from runs.errors import LeaseLost
from runs.executor import execute_claim
from runs.inline import _same_thread
from runs.models import Artifact, Run, RunError, Step
from runs.policy import Decisions
from runs.registry import on_finish
from runs.services import start_run
from tests.engineapp.policy_stages import AT_WORK, CALLS
from tests.runs.engine import ScriptedVendor, chain, deps, publish, run_inline
from tests.runs.test_execute_run import read
from vendors.base import RateLimited, TimedOut

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def nothing_called() -> Iterator[None]:
    CALLS.clear()
    yield
    CALLS.clear()


def node(key: str, *script: str, after: str = "", **more: Any) -> dict[str, Any]:
    """A node of the stage `scripted`, behind the nodes named by single letters."""
    params = {"script": list(script) or ["ok"], **more.pop("params", {})}
    return {"key": key, "step": "scripted@1", "params": params, "depends_on": list(after), **more}


def claimed(run: Run) -> Claim:
    """A worker takes the run, its lease or its rest over if it had one."""
    past = timezone.now() - timedelta(seconds=1)
    Run.objects.filter(pk=run.pk, status="running").update(lease_until=past)
    Run.objects.filter(pk=run.pk, status="pending").update(due_at=past)
    (claim,) = claim_runs("w", 1)
    assert claim.run_id == run.pk
    return claim


def execute(claim: Claim, given: Deps | None = None) -> Run:
    async_to_sync(execute_claim)(claim, given or deps(), _same_thread)
    return Run.objects.get(pk=claim.run_id)


def worker_lost_at(run: Run, *keys: str) -> None:
    """A worker takes the run, begins these nodes, and is gone."""
    context = load_context(claimed(run))
    begin_nodes(context, Decisions(list(keys)))


def statuses(run: Run) -> dict[str, str]:
    return dict(run.steps.values_list("node_key", "status"))


def measured(score: float, condition: str, **policy: Any) -> list[dict[str, Any]]:
    """generate, measured for faithfulness, and publish under a condition."""
    definition = MetricDefinition.objects.create(
        key="faithfulness_v1", name="Faithfulness", evaluator="test_score", direction="higher"
    )
    profile = MetricProfile.objects.create(key="module_profile_v1")
    MetricProfileItem.objects.create(profile=profile, metric=definition, threshold=0.8, must_pass=False)
    return [
        node("generate", params={"score": score}, metric_profile="module_profile_v1"),
        {**node("publish", condition=condition, **policy), "depends_on": ["generate"]},
    ]


@pytest.mark.parametrize(("score", "status"), [(0.9, "completed"), (0.8, "completed"), (0.62, "skipped")])
def test_the_documents_condition_on_a_metric_decides(score: float, status: str) -> None:
    publish("flow", *measured(score, "metrics.generate.faithfulness >= 0.8"))
    run = run_inline("flow")
    assert (run.status, run.steps.get(node_key="publish").status) == (Run.Status.COMPLETED, status)


def test_a_skipped_step_says_why_in_words_and_for_programs() -> None:
    publish("flow", *measured(0.62, "metrics.generate.faithfulness >= 0.8"))
    run = run_inline("flow")
    step = run.steps.get(node_key="publish")
    assert step.why == (
        "Skipped: its condition is false: metrics.generate.faithfulness >= 0.8 (metrics.generate.faithfulness is 0.62)."
    )
    assert step.reasons == {
        "condition": "metrics.generate.faithfulness >= 0.8",
        "value": False,
        "seen": {"metrics.generate.faithfulness": 0.62},
    }
    assert (step.started_at, run.steps_done, run.degraded) == (None, 2, False)


def test_the_documents_other_condition_holds_for_a_node_that_passed() -> None:
    publish(
        "flow", node("validate"), {**node("p", condition="metrics.validate.passed == true"), "depends_on": ["validate"]}
    )
    assert statuses(run_inline("flow")) == {"validate": "completed", "p": "completed"}


def test_a_worker_that_takes_a_run_over_decides_by_what_the_rows_say() -> None:
    condition = "metrics.generate.faithfulness_v1 < 0.7 && steps.generate.attempt == 1 && ir.generate.score > 0.5"
    generate, publishing = measured(0.62, f"{condition} && metrics.generate.passed && !steps.generate.reused")
    between = {**node("between"), "depends_on": ["generate"]}
    publish("flow", generate, between, {**publishing, "depends_on": ["between"]})
    run = start_run(pipeline="flow", shop=None, input={})

    async def until_it_is_generated(function: Any, *arguments: Any, **named: Any) -> Any:
        result = await _same_thread(function, *arguments, **named)
        if function is commit_node:
            raise LeaseLost
        return result

    async_to_sync(execute_claim)(claimed(run), deps(), until_it_is_generated)
    assert statuses(run) == {"generate": "completed", "between": "running", "publish": "pending"}
    assert statuses(execute(claimed(run))) == {"generate": "completed", "between": "completed", "publish": "completed"}


def test_a_condition_that_cannot_be_decided_fails_the_node_with_the_reason() -> None:
    publish("flow", node("a"), node("b", after="a", condition="ir.a.unknown > 1", retries=3))
    run = run_inline("flow")
    assert (run.status, run.error_stage, run.error_code) == (Run.Status.FAILED, "b", "condition_error")
    assert "what it names has no 'unknown'" in run.error_message
    assert RunError.objects.get(run=run).details["condition"] == "ir.a.unknown > 1"


def test_or_skips_it_where_the_policy_says_so() -> None:
    publish("flow", node("a"), node("b", after="a", condition="ir.a.unknown > 1", on_condition_error="skip"))
    run = run_inline("flow")
    assert (run.status, statuses(run)["b"]) == (Run.Status.COMPLETED, "skipped")
    assert run.steps.get(node_key="b").reasons["error"] == "what it names has no 'unknown'"


def test_a_first_node_under_a_condition_on_the_input_is_not_begun_before_it_is_decided() -> None:
    publish("flow", node("a", condition="input.wanted"), node("b", after="a"))
    assert statuses(run_inline("flow", {"wanted": True})) == {"a": "completed", "b": "completed"}
    run = run_inline("flow", {"wanted": False})
    assert (run.status, statuses(run)) == (Run.Status.COMPLETED, {"a": "skipped", "b": "skipped"})
    assert run.steps.get(node_key="b").reasons == {"join": "all_success", "skipped": ["a"]}


def test_a_domain_that_refuses_a_run_of_skipped_nodes_only_fails_it_with_a_reason() -> None:
    def refuse(run: Run) -> None:
        if run.status == Run.Status.COMPLETED:
            raise ValueError("nothing came of it")

    on_finish("refused")(refuse)
    publish("refused", node("a", condition="input.wanted == true"))
    run = run_inline("refused", {"wanted": False})
    assert (run.status, run.error_code) == (Run.Status.FAILED, "output_refused")
    assert "nothing came of it" in run.error_message


def test_a_run_of_skipped_nodes_only_tells_the_domain_that_it_is_completed() -> None:
    heard: list[str] = []
    on_finish("nothing")(lambda run: heard.append(run.status))
    publish("nothing", node("a", condition="false"))
    assert (run_inline("nothing").steps_done, heard) == (1, ["completed"])


@pytest.mark.parametrize(
    ("parents", "all_success", "any_success", "all_done"),
    [
        ("CC", True, True, True),
        ("CF", False, True, True),
        ("CS", False, True, True),
        ("FS", False, False, True),
        ("SS", False, False, True),
        ("FF", False, False, True),
    ],
)
def test_joins_follow_the_table_in_the_documentation(
    parents: str, all_success: bool, any_success: bool, all_done: bool
) -> None:
    kinds = {"C": {}, "F": {"params": {"script": ["crash"]}, "continue_on_fail": True}, "S": {"condition": "false"}}
    nodes = [{**node(key), **kinds[kind]} for key, kind in zip("ab", parents, strict=True)]
    joins = {"x": "all_success", "y": "any_success", "z": "all_done"}
    publish("joins", *nodes, *(node(key, after="ab", join=join) for key, join in joins.items()))
    found = statuses(run_inline("joins"))
    assert [found[key] == "completed" for key in "xyz"] == [all_success, any_success, all_done]


def test_a_join_that_is_not_met_names_who_failed_and_who_was_skipped() -> None:
    publish(
        "joins",
        node("a", "crash", continue_on_fail=True),
        node("b", condition="false"),
        node("c", after="ab", join="any_success"),
    )
    step = run_inline("joins").steps.get(node_key="c")
    assert step.why == "Skipped: one of those before it must have succeeded; failed a; skipped b."
    assert step.reasons == {"join": "any_success", "failed": ["a"], "skipped": ["b"]}


@pytest.mark.parametrize(
    "policy", [{"condition": "false"}, {"params": {"script": ["crash"]}, "continue_on_fail": True}]
)
def test_the_answer_of_a_node_that_has_none_is_null_for_those_behind_it(policy: dict[str, Any]) -> None:
    publish("flow", {**node("a"), **policy}, {"key": "b", "step": "reading@1", "depends_on": ["a"], "join": "all_done"})
    assert run_inline("flow", {"a": "the input's"}).steps.get(node_key="b").payload.ir == {"a": None}


def test_a_run_goes_on_without_a_node_that_may_fail_and_is_degraded() -> None:
    heard: list[tuple[str, bool]] = []
    on_finish("lenient")(lambda run: heard.append((run.status, run.degraded)))
    publish(
        "lenient",
        node("a", "vendor", continue_on_fail=True, retries=1, retry_on=["vendor"]),
        node("b"),
        backoff={"initial_ms": 0},
    )
    run = run_inline("lenient")
    assert (run.status, run.degraded, run.summary["degraded"]) == (Run.Status.COMPLETED, True, ["a"])
    assert (run.error_code, run.steps_done, heard) == ("", 2, [("completed", True)])
    failed = run.steps.get(node_key="a")
    assert (failed.status, failed.attempt, failed.error_code) == ("failed", 2, "scripted_vendor")
    assert RunError.objects.filter(run=run).count() == 2


@pytest.mark.parametrize(("limits", "most"), [({"parallel_groups": {"images": 2}}, 2), ({}, 4)])
def test_a_parallel_group_is_never_fuller_than_its_limit(limits: dict[str, Any], most: int) -> None:
    from runs.services import publish_dag

    nodes = [{"key": key, "step": "crowding@1", "parallel_group": "images"} for key in "abcdefg"]
    publish_dag("crowd", {"nodes": nodes, **limits})
    run = run_inline("crowd")
    assert set(statuses(run).values()) == {"completed"}
    assert AT_WORK[str(run.pk)] == [0, most]


def test_a_long_wait_for_a_retry_leaves_the_worker_and_stands_in_the_rows() -> None:
    publish(
        "flow",
        node("a", "vendor", "ok", retries=1, backoff={"initial_ms": 60_000, "max_ms": 60_000, "jitter": 0}),
        node("b"),
    )
    run = execute(claimed(start_run(pipeline="flow", shop=None, input={})))
    step = run.steps.get(node_key="a")
    assert (run.status, run.lease_until, run.lease_owner, run.starts) == (Run.Status.PENDING, None, "", 0)
    assert (step.status, step.attempt, step.retries) == ("pending", 2, 1)
    assert statuses(run)["b"] == "completed", "what else there is to do is done first"
    wait = (run.due_at - timezone.now()).total_seconds()
    assert 30 < wait <= 60 and abs((step.due_at - run.due_at).total_seconds()) < 5
    assert not claim_runs("w", 1), "it is not due"
    early = execute(claimed(run))
    assert (early.status, early.steps.get(node_key="a").attempt) == (Run.Status.PENDING, 2), "nor is its step"
    Step.objects.filter(run=run).update(due_at=timezone.now())
    done = execute(claimed(early))
    assert (done.status, done.steps.get(node_key="a").attempt, done.steps.get(node_key="a").due_at) == (
        "completed",
        2,
        None,
    )


def test_the_count_of_retries_outlives_workers() -> None:
    publish("flow", node("a", "vendor", retries=1, backoff={"initial_ms": 60_000, "max_ms": 60_000}))
    run = execute(claimed(start_run(pipeline="flow", shop=None, input={})))
    Step.objects.filter(run=run).update(due_at=timezone.now())
    ended = execute(claimed(run))
    assert (ended.status, ended.steps.get().attempt) == (Run.Status.FAILED, 2)
    assert list(RunError.objects.filter(run=run).values_list("attempt", "code")) == [
        (1, "scripted_vendor"),
        (2, "scripted_vendor"),
    ]


def test_a_vendors_rest_is_honoured_and_no_worker_held_meanwhile() -> None:
    publish("asking", *chain("asking@1", retries=1, backoff={"initial_ms": 0}))
    vendor = ScriptedVendor([RateLimited("slow down", retry_after_s=90.0), 7])
    run = execute(claimed(start_run(pipeline="asking", shop=None, input={})), deps(vendor))
    assert run.status == Run.Status.PENDING
    assert 60 < (run.due_at - timezone.now()).total_seconds() <= 90


def test_a_retried_attempt_keeps_its_answer_and_what_was_wrong_with_it() -> None:
    number = {
        "type": "object",
        "additionalProperties": False,
        "required": ["answer", "picture"],
        "properties": {"answer": {"type": "integer", "minimum": 10}, "picture": {"type": "null"}},
    }
    activate_schema(schema_id=create_schema(target="stage:asking", name="Asking", schema=number).id)
    publish(
        "again", *chain("asking@1", retries=1, retry_on=["ir_invalid"]), ir_mode="enforce", backoff={"initial_ms": 0}
    )
    run = run_inline("again", given=deps(ScriptedVendor([3, 30])))
    assert run.steps.get().payload.ir["answer"] == 30
    first = Artifact.objects.get(run=run, attempt=1, role=Artifact.Role.PAYLOAD)
    kept = json.loads(read(first.blob))
    assert (kept["attempt"], kept["ir"]["answer"]) == (1, 3)
    assert kept["validation_errors"][0]["json_path"] == "$.answer"
    assert set(Artifact.objects.filter(run=run, role="response").values_list("attempt", flat=True)) == {1, 2}


def external(**more: Any) -> dict[str, Any]:
    return {"key": "a", "step": "calling@1", "side_effects": "external", "retries": 3, **more}


def test_what_acts_outside_is_not_repeated_after_its_worker_was_lost() -> None:
    publish("outside", external())
    run = start_run(pipeline="outside", shop=None, input={})
    worker_lost_at(run, "a")
    ended = execute(claimed(run))
    assert (ended.status, ended.error_code, ended.error_retryable, CALLS) == ("failed", "outcome_unknown", False, [])
    assert "run again from a" in ended.error_message
    assert RunError.objects.get(run=run).details["cause"] == "worker_lost"


def test_nor_after_it_took_too_long() -> None:
    publish("outside", external(params={"seconds": 60}, timeout_ms=100))
    run = run_inline("outside")
    assert (run.error_code, CALLS) == ("outcome_unknown", ["a 1"])
    publish("outside", {**external(), "step": "asking@1"})
    vendor = ScriptedVendor([TimedOut("no answer")])
    assert (run_inline("outside", given=deps(vendor)).error_code, len(vendor.calls)) == ("outcome_unknown", 1)


def test_but_after_a_known_failure_it_is_repeated_also_by_another_worker() -> None:
    slow = {"initial_ms": 60_000, "max_ms": 60_000}
    publish("outside", external(params={"kind": "rate_limit"}, backoff=slow))
    run = execute(claimed(start_run(pipeline="outside", shop=None, input={})))
    assert run.status == Run.Status.PENDING
    Step.objects.filter(run=run).update(due_at=timezone.now())
    ended = execute(claimed(run))
    assert (ended.status, CALLS) == ("completed", ["a 1", "a 2"])


def test_while_a_run_fails_what_acts_outside_is_not_broken_off() -> None:
    publish("outside", external(params={"seconds": 0.2}), node("b", "crash"), {**node("c", after="a")})
    run = run_inline("outside")
    assert (run.status, run.error_stage) == ("failed", "b")
    assert statuses(run) == {"a": "completed", "b": "failed", "c": "cancelled"}


@pytest.mark.parametrize(
    ("what", "code"),
    [("large", "ir_too_large"), ("deep", "stage_crashed"), ("nul", "ir_invalid"), ("set", "ir_invalid")],
)
def test_an_answer_that_is_none_fails_with_the_reason(what: str, code: str) -> None:
    publish("odd", {"key": "a", "step": "odd@1", "params": {"what": what}})
    run = run_inline("odd")
    assert (run.status, run.error_code) == (Run.Status.FAILED, code)


def test_a_stage_that_raises_at_its_hundredth_call_fails_that_run_only() -> None:
    CALLS.extend(["hundredth"] * 98)
    publish("hundred", *chain("hundredth@1"))
    assert [run_inline("hundred").status for _ in range(3)] == ["completed", "failed", "completed"]


def test_a_stage_that_blocks_the_loop_beyond_its_time_is_found_out() -> None:
    publish("blocking", {"key": "a", "step": "dawdling@1", "timeout_ms": 100, "params": {"seconds": 0.15}})
    run = run_inline("blocking")
    assert (run.status, run.error_code) == (Run.Status.FAILED, "timeout")
    assert "held up the event loop" in run.error_message
