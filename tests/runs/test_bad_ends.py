"""Every run ends, and its trace stays true, whatever goes wrong on the way."""

import asyncio
import threading
from dataclasses import replace
from datetime import timedelta
from typing import Any
from unittest.mock import Mock

import pytest
from asgiref.sync import async_to_sync
from django.db import IntegrityError, OperationalError, connection, transaction
from django.utils import timezone

from core.storage import BlobStore, StoredBlob
from runs import registry
from runs.asking import Asker
from runs.attempts import Attempt
from runs.claims import Claim, claim_runs, release_runs
from runs.commits import begin_nodes, commit_failed_attempt, save_reply
from runs.context import Deps, RunContext, load_context
from runs.errors import AttemptFailed
from runs.executor import execute_claim
from runs.inline import _same_thread, execute_inline
from runs.models import Artifact, Run, RunError, Step
from runs.policy import Decisions, Retry
from runs.registry import on_finish, output
from runs.rules import AttemptRules
from runs.services import start_run
from runs.step import Question, StepHandle, StepSpec
from runs.watchdog import Watchdog
from tests.engineapp.stages import STUBBORN_ENDED
from tests.runs.engine import ScriptedVendor, chain, deps, publish, run_inline
from vendors.base import RateLimited, Reply, Usage

pytestmark = pytest.mark.django_db


def claimed(run: Run) -> Claim:
    """A worker takes the run, its lease over if it had one."""
    Run.objects.filter(pk=run.pk, status="running").update(lease_until=timezone.now() - timedelta(seconds=1))
    (claim,) = claim_runs("w", 1)
    assert claim.run_id == run.pk
    return claim


def execute(claim: Claim, given: Deps | None = None) -> Run:
    async_to_sync(execute_claim)(claim, given or deps(), _same_thread)
    return Run.objects.get(pk=claim.run_id)


def lost_after_its_answer(run: Run, given: Deps) -> tuple[RunContext, Attempt]:
    """A worker takes the run, has its first node's answer stored, and dies; what it had in hand."""
    context = load_context(claimed(run))
    begin_nodes(context, Decisions(["a"]))
    step = context.steps["a"]
    attempt = Attempt("a", step.attempt, step.route, {}, {})

    async_to_sync(ask)(context, attempt, given)
    return context, attempt


async def ask(context: RunContext, attempt: Attempt, given: Deps) -> None:
    """What the stage `asking` does, without its end."""

    async def save(drafts: list[Any]) -> None:
        await _same_thread(save_reply, context, attempt, drafts, given.store)

    spec = StepSpec(str(context.run.id), context.owner, "a", "asking@1", attempt.number, {}, {})
    handle = StepHandle(spec, given.store)
    attempt.recording = handle.recording
    asker = Asker(context, given, "a", 0, save, AttemptRules(context, given))
    await asker(Question("facts", None, {}, {}, {"question": "?"}), handle)


def test_a_run_that_no_worker_can_read_fails_and_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    publish("gone", *chain("noop@1"))
    run = start_run(pipeline="gone", shop=None, input={})
    monkeypatch.delitem(registry._stages, "noop@1")
    monkeypatch.setattr("runs.dag._published", {})
    ended = execute(claimed(run))
    assert (ended.status, ended.error_code) == (Run.Status.FAILED, "pipeline_invalid")


def test_a_run_started_too_often_is_parked_before_anything_of_it_is_read(
    settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish("noops", *chain("noop@1"))
    run = start_run(pipeline="noops", shop=None, input={})

    def unreadable(claim: Claim) -> None:
        raise RuntimeError("a row that this release cannot read")

    monkeypatch.setattr("runs.executor.load_context", unreadable)
    for _ in range(settings.RUN_MAX_STARTS):
        with pytest.raises(RuntimeError):
            execute(claimed(run))
    ended = execute(claimed(run))
    assert (ended.status, ended.error_code) == (Run.Status.FAILED, "worker_lost")


def test_a_domain_whose_finish_handler_raises_keeps_no_run_from_ending() -> None:
    def refuse(run: Run) -> None:
        raise ValueError("no such thing")

    on_finish("deaf")(refuse)
    publish("deaf", *chain("crashing@1"))
    run = run_inline("deaf")
    assert (run.status, run.error_code) == (Run.Status.FAILED, "stage_crashed")


@pytest.mark.parametrize("what", ["nan", "nul"])
def test_evidence_that_cannot_be_stored_fails_the_run_at_once(what: str) -> None:
    publish(
        "unstorable",
        {"key": "a", "step": "unstorable@1", "params": {"what": what}},
        {"key": "b", "step": "noop@1", "depends_on": ["a"]},
    )
    run = run_inline("unstorable")
    assert (run.status, run.error_stage, run.error_code) == (Run.Status.FAILED, "a", "output_refused")
    assert run.starts == 1


def test_tokens_and_cost_of_a_refused_result_count_once() -> None:
    def refuse(result: object) -> list[tuple[str, str]]:
        raise ValueError("no such thing")

    output("dear", "a")(refuse)
    publish("dear", *chain("asking@1"))
    reply = Reply(model="m", data=1, usage=Usage(tokens_in=10, tokens_out=5), cost_usd=0.25)
    run = run_inline("dear", given=deps(ScriptedVendor([reply])))
    assert (run.error_code, run.tokens_in, run.tokens_out, float(run.cost_usd)) == ("output_refused", 10, 5, 0.25)


def test_an_answer_stored_before_its_worker_died_is_used_and_its_cost_counts() -> None:
    publish("asking", *chain("asking@1"))
    vendor = ScriptedVendor([Reply(model="m", data=1, usage=Usage(tokens_in=10), cost_usd=0.25), 2])
    given = deps(vendor)
    run = start_run(pipeline="asking", shop=None, input={})
    lost_after_its_answer(run, given)
    ended = execute(claimed(run), given)
    step = ended.steps.get()
    assert (ended.status, len(vendor.calls), step.payload.ir["answer"]) == (Run.Status.COMPLETED, 1, 1)
    assert (ended.tokens_in, float(ended.cost_usd), step.tokens_in) == (10, 0.25, 10)


class WatchedStore(BlobStore):
    """Notes the threads that read from it."""

    def __init__(self) -> None:
        super().__init__()
        self.readers: list[str] = []

    def read_key(self, key: str) -> bytes:
        self.readers.append(threading.current_thread().name)
        return super().read_key(key)


@pytest.mark.parametrize("gone", [False, True])
def test_a_large_answer_of_a_lost_worker_is_read_on_a_thread_or_if_gone_asked_for_again(
    gone: bool,
) -> None:
    publish("asking", *chain("asking@1"))
    vendor, store = ScriptedVendor(["x" * 9000, "y"]), WatchedStore()
    given = replace(deps(vendor), store=store)
    run = start_run(pipeline="asking", shop=None, input={})
    lost_after_its_answer(run, given)
    kept = Artifact.objects.get(run=run, role="reply").blob
    if gone:
        store.delete_key(kept.storage_key)
    ended = execute(claimed(run), given)
    assert (ended.status, len(vendor.calls)) == (Run.Status.COMPLETED, 2 if gone else 1)
    assert ended.steps.get().payload.ir["answer"] == ("y" if gone else "x" * 9000)
    assert store.readers and all(name.startswith("store-") for name in store.readers)


def test_an_answer_whose_attempt_failed_is_not_used_again_by_the_next_worker() -> None:
    publish("asking", *chain("asking@1"))
    vendor = ScriptedVendor([Reply(model="m", data="bad"), "good"])
    given = deps(vendor)
    run = start_run(pipeline="asking", shop=None, input={})
    context, attempt = lost_after_its_answer(run, given)
    commit_failed_attempt(
        context, attempt, AttemptFailed("ir_invalid", "bad", kind="ir_invalid"), given.store, Retry(0, next_route=False)
    )
    ended = execute(claimed(run), given)
    assert ended.steps.get().payload.ir["answer"] == "good"


def test_an_attempt_handed_over_is_one_of_its_own_so_that_both_keep_their_evidence() -> None:
    publish("asking", *chain("asking@1"))
    given = deps(
        ScriptedVendor([Reply(model="first-1", data=1, request={"n": 1}), Reply(model="m", data=2, request={"n": 2})])
    )
    run = start_run(pipeline="asking", shop=None, input={})
    context, _ = lost_after_its_answer(run, given)
    Artifact.objects.filter(run=run, role="reply").update(name="asked-with-another-prompt")
    release_runs([context.claim])
    ended = execute(claimed(run), given)
    assert ended.steps.get().attempt == 2
    assert sorted(Artifact.objects.filter(run=run, role="request").values_list("attempt", flat=True)) == [1, 2]


def test_a_vendor_that_wants_a_day_of_rest_is_not_waited_for() -> None:
    publish("asking", *chain("asking@1", retries=2))
    run = run_inline("asking", given=deps(ScriptedVendor([RateLimited("later", retry_after_s=86_400.0)])))
    assert (run.status, run.error_code) == (Run.Status.FAILED, "vendor_rate_limited")


def test_a_secret_in_an_exception_reaches_neither_the_run_nor_its_errors() -> None:
    key = "AIza" + "x" * 35
    publish("leaking", {"key": "a", "step": "raising@1", "params": {"text": f"GET https://x.test/?key={key} failed"}})
    run = run_inline("leaking")
    error = RunError.objects.get(run=run)
    assert "failed" in run.error_message
    assert key not in run.error_message + error.message + str(error.details)


def test_an_exception_with_a_code_of_its_own_kind_is_a_crash() -> None:
    publish("leaking", {"key": "a", "step": "raising@1", "params": {"text": "x", "code": None}})
    assert run_inline("leaking").error_code == "stage_crashed"


def test_an_inline_run_broken_off_names_the_node_it_was_at() -> None:
    publish(
        "three",
        {"key": "a", "step": "noop@1"},
        {"key": "b", "step": "interrupted@1", "depends_on": ["a"]},
        {"key": "c", "step": "noop@1", "depends_on": ["b"]},
    )
    before = set(threading.enumerate())
    with pytest.raises(KeyboardInterrupt):
        run_inline("three")
    for thread in set(threading.enumerate()) - before:
        thread.join(timeout=10)
        assert not thread.is_alive(), "Ctrl-C ends the process, too"
    run = Run.objects.get()
    assert [step.status for step in run.steps.all()] == ["completed", "failed", "cancelled"]
    assert run.latency_ms is not None
    assert (run.error_stage, run.error_code) == ("b", "interrupted")
    assert not run.steps.filter(status=Step.Status.RUNNING).exists()


def test_a_run_that_cannot_be_written_says_why_and_is_not_taken_for_another() -> None:
    publish("noops", *chain("noop@1"))
    start_run(pipeline="noops", shop=None, input={})
    with pytest.raises(IntegrityError):
        start_run(pipeline="noops", shop=None, input={}, environment=None)  # type: ignore[arg-type]


def test_a_database_that_is_away_while_a_model_is_asked_fails_no_run() -> None:
    """The connection breaks once; the next statement finds the database again."""
    publish("asking", *chain("asking@1"))
    given, broken = deps(ScriptedVendor([1])), []

    async def database(function: Any, *arguments: Any, **named: Any) -> Any:
        if function is save_reply and not broken:
            broken.append(True)
            raise OperationalError("server closed the connection unexpectedly")
        return await _same_thread(function, *arguments, **named)

    run = start_run(pipeline="asking", shop=None, input={})
    with pytest.raises(OperationalError):
        async_to_sync(execute_claim)(claimed(run), given, database)
    run.refresh_from_db()
    assert run.status == Run.Status.RUNNING
    assert execute(claimed(run), given).status == Run.Status.COMPLETED


def test_a_run_ends_whose_stage_goes_on_when_it_is_cancelled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("runs.attempts.LAST_WORDS_S", 0.1)
    seen: list[bool] = []
    on_finish("stubborn")(lambda run: seen.append(str(run.pk) in STUBBORN_ENDED))
    publish("stubborn", {"key": "a", "step": "stubborn@1", "timeout_ms": 100})
    run = run_inline("stubborn")
    assert (run.status, run.error_code) == (Run.Status.FAILED, "timeout")
    assert seen == [False], "nobody waits for it"


@pytest.mark.django_db(transaction=True)
def test_a_heartbeat_that_waits_for_its_caller_holds_nobody_up(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("runs.inline.LAST_BEAT_SECONDS", 0.1)
    settings.RUN_LEASE_SECONDS = 0.03
    publish("marking", {"key": "a", "step": "marking@1", "params": {"seconds": 0.5}})
    run = start_run(pipeline="marking", shop=None, input={"folder": "/tmp"}, inline_owner="inline")
    with transaction.atomic():
        Run.objects.select_for_update().get(pk=run.pk)
        assert execute_inline(run, deps()).status == Run.Status.COMPLETED


def test_runs_of_a_worker_that_somebody_unknown_blocked_have_been_started(monkeypatch: pytest.MonkeyPatch) -> None:
    """Given back uncounted, the one that did it would block one worker after another for ever."""
    publish("noops", *chain("noop@1"))
    for _ in range(2):
        start_run(pipeline="noops", shop=None, input={})
    claims = claim_runs("w", 2)
    for name in ("os._exit", "threading.Timer", "connection"):
        monkeypatch.setattr(f"runs.watchdog.{name}", Mock())
    loop = asyncio.new_event_loop()
    Watchdog(loop, "w", lambda: claims, threading.Event())._replace(15)
    loop.close()
    assert [run.starts for run in Run.objects.all()] == [1, 1]
    assert len(claim_runs("v", 2)) == 2, "they are due at once"


@pytest.mark.django_db(transaction=True)
def test_nobody_waits_for_the_store_while_the_runs_row_is_locked() -> None:
    locked: list[bool] = []

    class WatchedStore(BlobStore):
        def put(self, owner: str, content: bytes, media_type: str) -> StoredBlob:
            locked.append(connection.in_atomic_block)
            return super().put(owner, content, media_type)

    publish("noops", *chain("noop@1"))
    run = run_inline("noops", {"text": "x" * 50_000}, replace(deps(), store=WatchedStore()))
    assert run.steps.get().payload.truncated == ["input"]
    assert locked == [False]


def test_a_run_that_was_failing_when_its_worker_was_lost_fails_and_begins_nothing_more() -> None:
    nodes = [{"key": key, "step": "noop@1"} for key in "ab"]
    publish("noops", *nodes, {"key": "c", "step": "noop@1", "depends_on": ["b"]})
    run = start_run(pipeline="noops", shop=None, input={})
    step = run.steps.get(node_key="b")
    Step.objects.filter(pk=step.pk).update(status="failed", error_code="vendor_refused")
    RunError.objects.create(run=run, step=step, stage="b", code="vendor_refused", message="No.", retryable=False)
    [claim] = claim_runs("w", 1)
    async_to_sync(execute_claim)(claim, deps(), _same_thread)
    run.refresh_from_db()
    assert (run.status, run.error_stage, run.error_code) == ("failed", "b", "vendor_refused")
    assert dict(run.steps.values_list("node_key", "status")) == {"a": "cancelled", "b": "failed", "c": "cancelled"}
    assert run.errors.count() == 1
