"""Replays: whatever became of a run, it comes out the same from its recording, and nothing is asked."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from django.core.management import call_command

from irschemas.metrics import MetricValue, evaluator
from irschemas.models import IRSchema, MetricDefinition, MetricProfile, MetricProfileItem
from irschemas.services import activate_schema, create_schema
from prompts.models import PromptOverride
from prompts.services import create_override
from runs.blobs import delete_pictures
from runs.cancelling import cancel_run
from runs.changes import Changes
from runs.errors import BlobsExpired, NotReproducible, RunActive
from runs.inline import execute_inline
from runs.models import Artifact, Pipeline, Run, RunError, StepPayload
from runs.replaying import original_of, start_replay
from runs.rerunning import rerun_run
from runs.services import start_run
from runs.verdicts import Verdict, first_difference, judge_replay, read_verdict
from shops.models import Shop
from tests.engineapp.policy_stages import CALLS
from tests.factories import ShopFactory
from tests.runs.engine import ScriptedVendor, chain, deps, publish, run_inline
from vendors.base import Image, RateLimited, Refused, Reply, TimedOut, Unavailable, Usage

pytestmark = pytest.mark.django_db
SCHEMA = {
    "type": "object",
    "properties": {name: {"type": ["number", "null"]} for name in ("answer", "picture")},
    "additionalProperties": False,
}
PIXEL = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108020000009077"
    "53de0000000c49444154789c63f8cfc0000003010100c9fe92ef0000000049454e44ae426082"
)


@evaluator("replay_quality")
def quality(ir: dict, inputs: dict, artifacts: dict) -> list[MetricValue]:
    """The answer itself is the quality."""
    return [MetricValue("replay_quality", float(ir["answer"]))]


HASTY = {"continue_on_fail": True, "timeout_ms": 100}


@pytest.fixture
def gate() -> MetricProfileItem:
    metric = MetricDefinition.objects.create(
        key="replay_quality", name="Quality", direction="higher", evaluator="replay_quality"
    )
    profile = MetricProfile.objects.create(key="replay_v1")
    return MetricProfileItem.objects.create(profile=profile, metric=metric, threshold=0.8, must_pass=True)


def replay(run: Run) -> Verdict:
    """Executed without any vendor: a call that went out would fail."""
    made = execute_inline(start_replay(run, by="test", inline_owner="test"), deps())
    verdict = judge_replay(made)
    assert verdict.run == str(original_of(run).pk)
    return verdict


def assert_reproduced(run: Run) -> Verdict:
    verdict = replay(run)
    assert verdict.reproduced, [str(item) for item in verdict.differences]
    assert verdict.met == verdict.hashes > 0
    return verdict


def picture(**usage: Any) -> Reply:
    return Reply("drawn-1", data={"n": 1}, images=(Image("result", PIXEL, "image/png"),), usage=Usage(**usage))


def nodes_in_parallel() -> list[dict[str, Any]]:
    return [
        {"key": "a", "step": "asking@1"},
        {"key": "b", "step": "asking@1"},
        {"key": "c", "step": "reading@1", "depends_on": ["a", "b"], "join": "all_done"},
    ]


def two_answers() -> ScriptedVendor:
    return ScriptedVendor([{"n": 1}, picture(tokens_in=10, tokens_out=3)])


CASES: dict[str, Callable[[], Run]] = {}


def case(function: Callable[[], Run]) -> Callable[[], Run]:
    CASES[function.__name__] = function
    return function


@case
def pictures() -> Run:
    publish("p", *chain("asking@1", "picturing@1", "drawing@1", params={}))
    return run_inline("p", {"question": "hm", "subject": "a lamp"}, deps(ScriptedVendor([picture(tokens_in=5)])))


@case
def side_by_side() -> Run:
    publish("p", *nodes_in_parallel())
    return run_inline("p", {"question": "hm"}, deps(two_answers()))


@case
def retries() -> Run:
    publish("p", *chain("asking@1", "flaky@1", retries=3, backoff={"initial_ms": 1}, params={}))
    errors = [RateLimited("slow down", retry_after_s=0.01), TimedOut("nobody home"), Unavailable("503", usage=Usage(7))]
    return run_inline("p", given=deps(ScriptedVendor([*errors, {"n": 1}])))


@case
def fallback_route() -> Run:
    publish("p", *chain("asking@1"))
    first = ScriptedVendor([Refused("no", category="violence", response={"blocked": True})], name="first")
    return run_inline("p", given=deps(first, two_answers(), move_on=["vendor_refused"]))


@case
def every_route_fails() -> Run:
    publish("p", *chain("asking@1", "noop@1"))
    return run_inline("p", given=deps(ScriptedVendor([Refused("no", request={"asked": 1})])))


@case
def rejected_by_the_gate() -> Run:
    publish("p", *chain("asking@1", metric_profile="replay_v1"))
    poor, good = ScriptedVendor([0.3], name="poor"), ScriptedVendor([0.95], name="good")
    return run_inline("p", given=deps(poor, good))


@case
def skipped_and_degraded() -> Run:
    publish(
        "p",
        {"key": "a", "step": "flaky@1", "params": {"failures": 9}, "continue_on_fail": True},
        {"key": "b", "step": "noop@1", "condition": "run.mode == 'live' && shop.plan == 'pro'"},
        {"key": "c", "step": "noop@1", "depends_on": ["a"]},
        {"key": "d", "step": "asking@1", "depends_on": ["b"], "condition": "steps.b.latency_ms >= 0"},
    )
    return run_inline("p", given=deps(two_answers()), shop=ShopFactory(plan="pro"))


@case
def a_condition_that_cannot_be_decided() -> Run:
    publish("p", {"key": "a", "step": "noop@1"}, {"key": "b", "step": "noop@1", "condition": "input.missing > 3"})
    return run_inline("p")


@case
def a_stage_that_crashes() -> Run:
    publish("p", *chain("noop@1", "crashing@1", "noop@1"))
    return run_inline("p")


@case
def one_that_takes_too_long() -> Run:
    publish(
        "p",
        {"key": "a", "step": "marking@1", "params": {"seconds": 5}, **HASTY},
        {"key": "b", "step": "noop@1", "depends_on": ["a"], "join": "all_done"},
    )
    return run_inline("p", {"folder": "/tmp"})


@case
def one_that_acts_outside() -> Run:
    publish("p", {"key": "a", "step": "calling@1", "side_effects": "external"}, *chain("noop@1", "noop@1")[1:])
    return run_inline("p")


@case
def an_earlier_answer() -> Run:
    publish("p", *chain("asking@1", cache="input_hash"))
    shop = ShopFactory()
    run_inline("p", given=deps(two_answers()), shop=shop)
    return run_inline("p", given=deps(ScriptedVendor([{"n": 2}])), shop=shop)


@case
def a_fork_with_another_input() -> Run:
    publish("p", *chain("asking@1", "asking@1"))
    run = run_inline("p", given=deps(two_answers()))
    fork = rerun_run(run, from_node="b", by="test", changes=Changes(input={"question": "and now?"}), inline_owner="t")
    return execute_inline(fork, deps(two_answers()))


@case
def large_answers() -> Run:
    publish("p", *chain("asking@1", "reading@1"))
    return run_inline("p", {"question": "x" * 40_000}, deps(ScriptedVendor([{"text": "y" * 50_000}])))


@case
def a_worker_that_was_lost() -> Run:
    """As the rows stand when a worker took over from one that had its answer and died."""
    publish("p", *chain("asking@1"))
    run = run_inline("p", given=deps(two_answers()))
    step = run.steps.get()
    RunError.objects.create(
        run=run, step=step, stage="a", attempt=1, code="worker_lost", message="Lost.", retryable=True,
        details={"lost": "worker", "kind": "worker_lost"},
    )  # fmt: skip
    run.steps.update(attempt=2)
    run.artifacts.filter(role="rules").update(attempt=2)
    return run


@case
def one_that_was_cancelled() -> Run:
    publish("p", *chain("asking@1", "noop@1", "noop@1"))
    run = start_run(pipeline="p", shop=None, input={}, inline_owner="test")
    given = deps(ScriptedVendor([{"n": 1}]))
    execute_inline(run, given)
    # Back to where it stood when somebody cancelled it after its first node.
    run.steps.exclude(node_key="a").update(status="running", finished_at=None, output_sha256="")
    StepPayload.objects.filter(step__run=run).exclude(step__node_key="a").delete()
    Run.objects.filter(pk=run.pk).update(status="running", lease_until=run.started_at)
    assert cancel_run(run.pk, by="anna", reason="enough")
    return Run.objects.get(pk=run.pk)


@pytest.mark.parametrize("name", CASES)
@pytest.mark.usefixtures("gate")
def test_every_kind_of_run_is_reproduced_without_a_call(name: str) -> None:
    CALLS.clear()
    run = CASES[name]()
    before = list(CALLS)
    assert_reproduced(run)
    assert before == CALLS, "a replay acts nowhere"


def test_rules_that_have_changed_since_change_nothing(gate: MetricProfileItem) -> None:
    shop = ShopFactory()
    schema = SCHEMA
    activate_schema(schema_id=create_schema(target="stage:asking", schema=schema, name="first").pk)
    publish("p", *chain("asking@1", metric_profile="replay_v1"))
    run = run_inline("p", given=deps(ScriptedVendor([0.9])), shop=shop)
    assert run.status == "completed"
    stricter = {**schema, "required": ["colour"], "properties": {**schema["properties"], "colour": {"type": "string"}}}
    activate_schema(schema_id=create_schema(target="stage:asking", schema=stricter, name="second").pk)
    MetricProfileItem.objects.filter(pk=gate.pk).update(threshold=0.99)
    publish("p", *chain("noop@1"))
    assert_reproduced(run)


def test_a_prompt_is_the_one_that_was_used(published: None) -> None:
    shop = ShopFactory()
    publish("p", {"key": "a", "step": "prompted@1"})
    given = {"title": "Oak chair"}
    override = {"prompt_name": "facts_extraction", "template": "Only the title: {{ title }}", "reason": "test"}
    create_override(shop=shop, created_by="test", **override)
    run = run_inline("p", given, deps(ScriptedVendor([{"n": 1}])), shop=shop)
    assert run.steps.get().prompt_source == "override"
    PromptOverride.objects.all().delete()
    assert_reproduced(run)


def test_a_replay_is_nobodys(gate: MetricProfileItem) -> None:
    shop = ShopFactory()
    publish("p", *chain("asking@1"))
    run = run_inline("p", given=deps(ScriptedVendor([picture(tokens_in=9)])), shop=shop)
    made = execute_inline(start_replay(run, by="anna", inline_owner="test"), deps())
    assert (made.mode, made.parent_id, made.trigger) == ("recorded", run.pk, "reproduced by anna")
    assert list(Run.objects.shoppers()) == [run]
    assert (made.cost_usd, made.tokens_in, made.cost_unknown) == (0, 0, 0), "nothing was spent"
    again = start_replay(made, by="anna", inline_owner="test")
    assert again.parent_id == run.pk, "a replay of a replay is one of the original"
    assert again.priority > run.priority, "shoppers go first"


def tampered(run: Run, role: str, **where: Any) -> None:
    """One byte of a piece of evidence is another than it was."""
    artifact = run.artifacts.select_related("blob").filter(role=role, **where).first()
    body = bytes(artifact.blob.body)
    place = body.index(b"1")
    artifact.blob.body = body[:place] + b"2" + body[place + 1 :]
    artifact.blob.save()


@pytest.mark.parametrize("role", ["reply", "rules", "response"])
def test_one_byte_that_was_tampered_with_is_found_and_named(role: str) -> None:
    publish("p", *chain("asking@1", "noop@1"))
    run = run_inline("p", {"question": "1"}, deps(ScriptedVendor([Reply("m-1", data={"n": 1}, response={"n": 1})])))
    tampered(run, role)
    verdict = replay(run)
    assert not verdict.reproduced
    assert (verdict.first.step, verdict.first.field.split()[:2]) == ("a", ["stored", role])
    assert verdict.first.expected != verdict.first.found


def test_a_row_that_was_tampered_with_is_found_with_its_path() -> None:
    publish("p", *chain("asking@1", "reading@1"))
    run = run_inline("p", {"question": "1"}, deps(ScriptedVendor([{"places": [{"x": 1}, {"x": 2}]}])))
    StepPayload.objects.filter(step__run=run, step__node_key="a").update(
        ir={"answer": {"places": [{"x": 1}, {"x": 3}]}, "picture": None}
    )
    first = replay(run).first
    assert (first.step, first.field, first.path) == ("a", "answer", "$.answer.places[1].x")
    assert (first.expected_value, first.found_value) == ("3", "2")
    assert "a: answer differs at $.answer.places[1].x" in str(first)


def test_another_question_has_no_recorded_answer() -> None:
    publish("p", *chain("asking@1", "noop@1"))
    run = run_inline("p", {"question": "one"}, deps(ScriptedVendor([{"n": 1}])))
    Run.objects.filter(pk=run.pk).update(input={"question": "two"})
    made = execute_inline(start_replay(run, by="test", inline_owner="test"), deps())
    assert (made.status, made.error_code, made.error_stage) == ("failed", "not_recorded", "a")
    first = judge_replay(made).first
    assert (first.step, first.field) == ("", "input hash")


def test_what_cannot_be_reproduced_says_why() -> None:
    publish("p", *chain("asking@1"))
    shop: Shop = ShopFactory()
    running = start_run(pipeline="p", shop=shop, input={}, inline_owner="test")
    with pytest.raises(RunActive):
        start_replay(running, by="test")
    old = run_inline("p", given=deps(two_answers()), shop=shop)
    Artifact.objects.filter(run=old, role="rules").delete()
    with pytest.raises(NotReproducible, match="a release that did not keep"):
        start_replay(old, by="test")
    pipeline = Pipeline.objects.create(slug="elsewhere", kind="external")
    reported = Run.objects.create(pipeline=pipeline, pipeline_slug="elsewhere", status="completed")
    with pytest.raises(NotReproducible, match="reported by another program"):
        start_replay(reported, by="test")
    expired = run_inline("p", given=deps(two_answers()), shop=shop)
    expired.artifacts.filter(role="reply").update(blob=None, deleted_at=expired.created_at)
    with pytest.raises(BlobsExpired, match="deleted on 20"):
        start_replay(expired, by="test")


def test_pictures_that_are_gone_by_retention_are_not_held_against_it() -> None:
    publish("p", *chain("drawing@1", "noop@1"))
    run = run_inline("p", shop=ShopFactory())
    assert delete_pictures(run) == 1
    verdict = assert_reproduced(run)
    assert any("gone by retention" in note for note in verdict.notes)


def test_what_was_computed_here_can_be_computed_anew() -> None:
    publish("p", *chain("asking@1"))
    local, other = (
        ScriptedVendor([{"n": 1}], name="local", kind="cpu"),
        ScriptedVendor([{"n": 2}], name="local", kind="cpu"),
    )
    run = run_inline("p", given=deps(local))
    for vendor, met in ((local, True), (other, False)):
        made = start_replay(run, by="test", inline_owner="test")
        verdict = judge_replay(execute_inline(made, replace(deps(vendor), recompute=True)))
        assert verdict.reproduced is met
    assert len(local.calls) == 2
    assert verdict.first.field.startswith("reply")
    assert verdict.first.path == "$.data.n"


def test_a_verdict_is_kept_with_the_replay() -> None:
    publish("p", *chain("asking@1"))
    run = run_inline("p", given=deps(two_answers()))
    made = execute_inline(start_replay(run, by="test", inline_owner="test"), deps())
    found = read_verdict(made)
    made.refresh_from_db()
    assert Verdict.from_json(made.summary["verdict"]) == found == read_verdict(made)


def test_the_command_answers_with_its_exit_code(capsys: pytest.CaptureFixture[str]) -> None:
    publish("p", *chain("asking@1", "noop@1"))
    run = run_inline("p", {"question": "1"}, deps(ScriptedVendor([{"n": 1}])))
    call_command("reproduce", str(run.pk))
    assert "hashes met" in capsys.readouterr().out
    tampered(run, "reply")
    with pytest.raises(SystemExit) as ended:
        call_command("reproduce", str(run.pk), "--json")
    assert ended.value.code == 3
    assert '"step": "a"' in capsys.readouterr().out
    with pytest.raises(SystemExit) as ended:
        call_command("reproduce", "nonsense")
    assert ended.value.code == 2


@pytest.mark.parametrize(
    ("one", "other", "path"),
    [
        ({"a": 1}, {"a": 1, "b": None}, "$.b"),
        ({"a": [1, {"b": 2}]}, {"a": [1, {"b": 3}]}, "$.a[1].b"),
        ([1], [1, 2], "$[1]"),
        ({"a": 1}, {"a": True}, "$.a"),
        ("x", {"x": 1}, "$"),
    ],
)
def test_the_first_difference_has_a_path(one: Any, other: Any, path: str) -> None:
    assert first_difference(one, other)[0] == path


def test_schemas_of_another_installation_are_no_rows_here() -> None:
    assert not IRSchema.objects.filter(target="stage:asking").exists()
    publish("p", *chain("asking@1"))
    schema = SCHEMA
    row = create_schema(target="stage:asking", schema=schema, name="x")
    activate_schema(schema_id=row.pk)
    run = run_inline("p", given=deps(ScriptedVendor([0.5])))
    assert run.steps.get().ir_valid is True
    run.steps.update(ir_schema=None)
    IRSchema.objects.filter(pk=row.pk).delete()
    assert_reproduced(run)
