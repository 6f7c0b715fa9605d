"""Claims: one winner, fair between shops, fenced by a token."""

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest
from django.db import connection, transaction
from django.utils import timezone

from core.storage import BlobStore
from runs import commits
from runs.attempts import Attempt
from runs.claims import Claim, claim_runs, release_runs, renew_leases, rest_run
from runs.cluster.listening import RUNS, Listener
from runs.context import load_context
from runs.errors import LeaseLost, PutOff
from runs.grounds import Ended
from runs.models import Run, RunError, Step
from runs.policy import Decisions
from runs.services import start_run
from runs.sweeping import sweep
from tests.factories import ShopFactory
from tests.runs.engine import chain, publish


def waiting(count: int, shop: object = None, **extra: object) -> list[Run]:
    publish("noops", *chain("noop@1", "noop@1"))
    return [start_run(pipeline="noops", shop=shop, input={}, **extra) for _ in range(count)]


def expire(run: Run) -> None:
    Run.objects.filter(pk=run.pk).update(lease_until=timezone.now() - timedelta(seconds=1))


@pytest.mark.django_db(transaction=True)
def test_many_workers_at_once_never_claim_the_same_run() -> None:
    runs = waiting(40)
    taken: list[Claim] = []
    start = threading.Barrier(8)

    def worker(name: str) -> None:
        start.wait()
        while claims := claim_runs(name, 3):
            taken.extend(claims)
        connection.close()

    threads = [threading.Thread(target=worker, args=(f"w{n}",)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    # A worker that met only locked rows may leave early, so some runs may be left; none may be taken twice.
    assert max(Counter(claim.run_id for claim in taken).values()) == 1
    taken += claim_runs("last", 100)
    assert {claim.run_id for claim in taken} == {run.id for run in runs}


@pytest.mark.django_db
def test_small_shops_do_not_wait_behind_a_big_one() -> None:
    big, small = ShopFactory(), ShopFactory()
    waiting(20, big)
    (urgent,) = waiting(1, small)
    claimed = [claim.run_id for claim in claim_runs("w", 3)]
    assert urgent.id in claimed


@pytest.mark.django_db
def test_shoppers_come_before_bulk_work() -> None:
    shop = ShopFactory()
    waiting(5, shop, priority=10)
    (shopper,) = waiting(1, shop, priority=0)
    assert [claim.run_id for claim in claim_runs("w", 1)] == [shopper.id]


@pytest.mark.django_db
def test_an_expired_lease_is_claimed_with_a_higher_token() -> None:
    (run,) = waiting(1)
    (first,) = claim_runs("w1", 1)
    assert claim_runs("w2", 1) == []
    expire(run)
    (second,) = claim_runs("w2", 1)
    assert (second.run_id, second.token) == (run.id, first.token + 1)
    assert renew_leases([first]) == set()
    assert renew_leases([second]) == {run.id}


@pytest.mark.django_db
def test_a_worker_that_lost_its_lease_changes_nothing() -> None:
    (run,) = waiting(1)
    (first,) = claim_runs("zombie", 1)
    context = load_context(first)
    commits.begin_nodes(context, Decisions(["a"]))
    expire(run)
    claim_runs("w2", 1)
    attempt = Attempt("a", 1, 0, {}, {}, ir={"node": "a"})
    for write in (
        lambda: commits.begin_nodes(context, Decisions(["a"])),
        lambda: commits.save_reply(context, attempt, [], BlobStore()),
        lambda: commits.commit_node(context, attempt, Ended("completed"), Decisions(["b"]), BlobStore()),
        lambda: commits.put_off_node(context, "a", PutOff(5.0, "The vendor's limit is reached.")),
        lambda: rest_run(first, 5.0),
        lambda: commits.fail_run(first, stage="a", code="x", message="x", retryable=False),
        lambda: load_context(first),
    ):
        with pytest.raises(LeaseLost):
            write()
    run.refresh_from_db()
    assert run.status == Run.Status.RUNNING and run.steps_done == 0
    assert not Step.objects.filter(run=run, status=Step.Status.COMPLETED).exists()
    assert not RunError.objects.filter(run=run).exists()


@pytest.mark.django_db
def test_a_run_handed_over_is_due_at_once_and_the_start_does_not_count() -> None:
    (run,) = waiting(1)
    (claim,) = claim_runs("w1", 1)
    release_runs([claim])
    (again,) = claim_runs("w2", 1)
    run.refresh_from_db()
    assert (again.run_id, run.starts) == (run.id, 1)


@pytest.mark.django_db
def test_a_run_that_kills_its_workers_is_parked(settings: object) -> None:
    (run,) = waiting(1)
    for _ in range(settings.RUN_MAX_STARTS):
        claim_runs("w", 1)
        expire(run)
    assert len(sweep().parked) == 1
    run.refresh_from_db()
    assert (run.status, run.error_code) == (Run.Status.FAILED, "worker_lost")
    assert claim_runs("w", 1) == []
    assert sweep().parked == []


@pytest.fixture
def hints() -> Iterator[Callable[[], list[str]]]:
    """The runs that somebody was told of, as a session that listens hears them."""
    ears = Listener(RUNS)
    ears.wait(0)
    yield lambda: ears.wait(0.2)
    ears.close()


@pytest.mark.django_db(transaction=True)
def test_the_sweep_sends_a_new_hint_for_a_run_nobody_took(hints: Callable[[], list[str]]) -> None:
    (run,) = waiting(1)
    hints()
    assert sweep().hinted == [], "it has only just become due"
    Run.objects.filter(pk=run.pk).update(due_at=timezone.now() - timedelta(minutes=1))
    assert len(sweep().hinted) == 1
    assert hints() == [str(run.id)]


@pytest.mark.django_db(transaction=True)
def test_an_inline_run_sends_no_hint_and_no_worker_takes_it(hints: Callable[[], list[str]]) -> None:
    publish("noops", *chain("noop@1"))
    start_run(pipeline="noops", shop=None, input={}, inline_owner="inline")
    assert claim_runs("w", 5) == []
    assert hints() == []


@pytest.mark.django_db(transaction=True)
def test_run_and_hint_leave_together_or_not_at_all(hints: Callable[[], list[str]]) -> None:
    publish("noops", *chain("noop@1"))
    with pytest.raises(RuntimeError), transaction.atomic():
        start_run(pipeline="noops", shop=None, input={})
        raise RuntimeError
    assert not Run.objects.exists() and hints() == []
    with transaction.atomic():
        run = start_run(pipeline="noops", shop=None, input={})
        assert hints() == [], "not before the commit"
    assert hints() == [str(run.id)]
