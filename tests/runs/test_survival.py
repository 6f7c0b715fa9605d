"""Zombies, doubled and late hints, wrong clocks, a slow store: nothing is lost, done twice, or held up."""

import asyncio
import signal
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import psutil
import pytest
import time_machine
from django.utils import timezone

from core.storage import BlobStore, StoredBlob
from runs.claims import claim_runs, renew_leases
from runs.database_thread import DatabaseThread
from runs.executor import execute_claim
from runs.messages import send_hint
from runs.models import Run, RunError, Worker
from runs.services import start_run
from tests.runs.engine import ScriptedVendor, chain, deps, publish, run_inline
from tests.runs.test_execute_run import PNG
from tests.workers import Cluster, wait_until
from vendors.base import BadResponse, Image, Reply, Usage


@pytest.fixture
def cluster(files_of_its_own: Path) -> Iterator[Cluster]:
    """A cluster of two workers."""
    running = Cluster(files_of_its_own)
    wait_until(lambda: Worker.objects.count() >= 2, "two workers report")
    yield running
    running.kill()


def ended(run: Run) -> bool:
    run.refresh_from_db()
    return run.is_over


@pytest.mark.django_db(transaction=True)
@pytest.mark.xdist_group("workers")
def test_a_zombie_that_wakes_after_its_lease_changes_nothing(cluster: Cluster, tmp_path: Path) -> None:
    publish("marking", {"key": "a", "step": "marking@1", "params": {"seconds": 3}})
    run = start_run(pipeline="marking", shop=None, input={"folder": str(tmp_path)})
    wait_until(lambda: list(tmp_path.glob(f"{run.id}.a.*")), "the node begins")
    run.refresh_from_db()
    begun = time.time()
    zombie = psutil.Process(int(run.lease_owner.rsplit(":", 1)[1]))
    zombie.send_signal(signal.SIGSTOP)
    wait_until(lambda: len(list(tmp_path.glob(f"{run.id}.a.*"))) == 2, "another worker goes on")
    wait_until(lambda: time.time() > begun + 3.2, "the zombie's node is over the moment it wakes")
    zombie.send_signal(signal.SIGCONT)
    wait_until(lambda: ended(run), "the run ends")
    assert (run.status, run.starts, run.steps_done) == (Run.Status.COMPLETED, 2, 1)
    assert run.steps.get().payload.ir["pid"] != zombie.pid, "the answer is the second worker's"
    assert RunError.objects.filter(run=run).count() == 1
    before = Worker.objects.get(pid=zombie.pid).beat_at
    wait_until(lambda: Worker.objects.get(pid=zombie.pid).beat_at > before, "it works on as one of the living")


@pytest.mark.django_db(transaction=True)
@pytest.mark.xdist_group("workers")
def test_hints_that_come_twenty_times_or_after_the_end_start_nothing(cluster: Cluster, tmp_path: Path) -> None:
    publish("marking", {"key": "a", "step": "marking@1", "params": {"seconds": 0.5}})
    run = start_run(pipeline="marking", shop=None, input={"folder": str(tmp_path)})
    for _ in range(20):
        send_hint(run.id)
    wait_until(lambda: ended(run), "the run ends")
    for _ in range(20):
        send_hint(run.id)
    other = start_run(pipeline="marking", shop=None, input={"folder": str(tmp_path)})
    wait_until(lambda: ended(other), "a run hinted at after all of them ends")
    run.refresh_from_db()
    assert (run.starts, len(list(tmp_path.glob(f"{run.id}.a.*")))) == (1, 1)


@pytest.mark.django_db
@pytest.mark.parametrize("days", [-2, 2])
def test_a_worker_with_a_wrong_clock_takes_what_is_due_and_nothing_that_is_held(days: int) -> None:
    publish("noops", *chain("noop@1"))
    with time_machine.travel(timezone.now() + timedelta(days=days)):
        first = start_run(pipeline="noops", shop=None, input={})
        (claim,) = claim_runs("here", 5)
        assert claim.run_id == first.id, "due at once, whatever the clock says"
        assert claim_runs("there", 5) == []
        assert renew_leases([claim]) == {claim.run_id}
    assert claim_runs("there", 5) == [], "the lease is the database's"


class WatchedStore(BlobStore):
    """Notes the threads that wait for it."""

    def __init__(self) -> None:
        super().__init__()
        self.waiting: set[str] = set()

    def put(self, owner: str, content: bytes, media_type: str) -> StoredBlob:
        self.waiting.add(threading.current_thread().name)
        return super().put(owner, content, media_type)

    def read(self, owner: str, sha256: str) -> bytes:
        self.waiting.add(threading.current_thread().name)
        return super().read(owner, sha256)


@pytest.mark.django_db(transaction=True)
def test_nobody_waits_for_the_store_on_the_event_loop() -> None:
    publish("asking", *chain("asking@1"))
    store = WatchedStore()
    reply = Reply(model="m", data={"n": 1}, images=(Image("drawing", PNG, "image/png"),))
    given = replace(deps(ScriptedVendor([reply])), store=store)
    runs = [start_run(pipeline="asking", shop=None, input={"question": str(number)}) for number in range(20)]

    async def work() -> None:
        database = DatabaseThread()
        database.start()
        claims = await database(claim_runs, "w", 20)
        await asyncio.gather(*(execute_claim(claim, given, database) for claim in claims))
        database.close()

    asyncio.run(work())
    assert {Run.objects.get(pk=run.pk).status for run in runs} == {Run.Status.COMPLETED}
    assert store.waiting and all(name.startswith("store-") for name in store.waiting)


@pytest.mark.django_db
def test_an_error_after_an_answer_that_is_paid_for_says_what_it_cost() -> None:
    publish("asking", *chain("asking@1", retries=1, retry_on=["vendor"], backoff={"initial_ms": 1}))
    billed = BadResponse("not JSON", usage=Usage(tokens_in=10, tokens_out=3), cost_usd=0.25, response={"text": "?"})
    run = run_inline("asking", given=deps(ScriptedVendor([billed, Reply(model="m", data=1, cost_usd=0.5)])))
    error = RunError.objects.get(run=run)
    assert (error.code, error.tokens_in, error.tokens_out, float(error.cost_usd)) == (
        "vendor_bad_response",
        10,
        3,
        0.25,
    )
    assert float(run.cost_usd) == 0.75


@pytest.mark.django_db
def test_a_stage_gets_the_reply_without_its_thinking() -> None:
    publish("asking", *chain("asking@1"))
    data = {"parts": [{"thought": True, "text": "hmm"}, {"text": "42"}], "reasoning_content": "hmm"}
    run = run_inline("asking", given=deps(ScriptedVendor([Reply(model="m", data=data)])))
    step = run.steps.get()
    assert step.payload.ir["answer"] == {"parts": [{"text": "42"}]}
    assert step.payload.thinking_removed
