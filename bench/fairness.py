"""One shop with much to do, and six with little: how long the small ones wait, and what a claim costs."""

import time
from collections.abc import Sequence

from django.conf import settings
from django.db import connection, transaction

from bench.figures import MEDIAN, SLOWEST, Figure, Section, percentile
from bench.processes import running_workers, wait_for
from bench.scratch import scratch_database
from core.ids import new_id
from runs.claims import Room, claim_runs
from runs.groups import Member, start_group
from runs.models import Run, Step
from runs.services import publish_dag, start_run
from shops.models import Shop
from shops.services import create_shop

WORKERS, IN_FLIGHT, SECONDS = 2, 100, 40.0
BIG, SMALL, SMALL_SHOPS = 300, 30, 6
WAIT_TARGET_S = 0.1
DUE, LOOKS = (100, 10_000), 30


def measure(title: str) -> Section:
    """Waits of the small shops without and with the big one; what a claim costs among few and many due runs."""
    how = (
        f"{BIG} runs of one shop, each of which waits {SECONDS:g} s, become due at once for {WORKERS} workers with "
        f"`RUNS_IN_FLIGHT={IN_FLIGHT}` and `RUNS_PER_SHOP={settings.RUNS_PER_SHOP}`. When the shop has in hand and "
        f"waiting all it may have, {SMALL} runs of {SMALL_SHOPS} other shops are started as fast as one process writes "
        "them; their wait is from when they are due to their claim, by the database's clock. Beside it the same "
        "without the big shop, and with its runs as bulk work. Then claims (in a transaction that is undone) among "
        f"{DUE[0]} and {DUE[1]:,} due runs."
    )
    alone, _ = _waits(big=0, priority=0)
    crowded, most = _waits(big=BIG, priority=0)
    bulk, _ = _waits(big=BIG, priority=10)
    few, many = (_claim_ms(due) for due in DUE)
    section = Section(title, how)
    for what, waits in (("behind 300 runs of another shop", crowded), ("behind 300 bulk runs", bulk)):
        section.figures += [
            Figure(f"a small shop's wait {what}, p50", percentile(waits, MEDIAN) * 1000, "ms", "nobody else",
                   percentile(alone, MEDIAN) * 1000),
            Figure(f"a small shop's wait {what}, p95", percentile(waits, SLOWEST) * 1000, "ms", "nobody else",
                   percentile(alone, SLOWEST) * 1000, WAIT_TARGET_S * 1000),
        ]  # fmt: skip
    cap = settings.RUNS_PER_SHOP
    section.figures += [
        Figure("most runs of the big shop in hand", most, "", "its cap", cap, cap),
        Figure(f"a claim of one among {DUE[1]:,} due runs, p50", percentile(many, MEDIAN), "ms",
               f"among {DUE[0]}", percentile(few, MEDIAN)),
    ]  # fmt: skip
    section.notes = ["A wait holds no place of a worker: all of these runs wait for a model at once."]
    return section


def _waits(*, big: int, priority: int) -> tuple[list[float], int]:
    """Seconds that each small shop's run waited for its claim, and the most runs the big shop ever had in hand."""
    with scratch_database("fairness"):
        publish_dag("bench", {"dag_version": 1, "nodes": [_node()]})
        shops = [create_shop(domain=f"shop-{number}.example.test") for number in range(SMALL_SHOPS + 1)]
        with running_workers(WORKERS=str(WORKERS), RUNS_IN_FLIGHT=str(IN_FLIGHT)):
            _started([_begin(None)])
            if big:
                members = [Member(shops[0], {"number": number}) for number in range(big)]
                start_group(pipeline="bench", members=members, group_id=new_id(), priority=priority)
                wait_for(lambda: _at_work(shops[0]) >= _share(priority), "the big shop has all it may have")
            most, runs = 0, []
            for number in range(SMALL):
                runs.append(_begin(shops[1 + number % SMALL_SHOPS]))
                most = max(most, _in_hand(shops[0]))
            _started(runs)
            return _waited(runs), max(most, _in_hand(shops[0]))


def _node() -> dict[str, object]:
    return {"key": "wait", "step": "bench_wait@1", "params": {"seconds": SECONDS}, "timeout_ms": 120_000}


def _share(priority: int) -> int:
    """What the cap leaves one shop; of bulk work less, and a few below the mark, since nobody else asks."""
    return settings.RUNS_PER_SHOP if priority <= 0 else settings.RUNS_PER_SHOP // 2


def _begin(shop: Shop | None) -> Run:
    return start_run(pipeline="bench", shop=shop, input={})


def _started(runs: Sequence[Run]) -> None:
    waiting = Run.objects.filter(pk__in=[run.pk for run in runs], started_at=None)
    wait_for(lambda: not waiting.exists(), "the runs are claimed")


def _in_hand(shop: Shop) -> int:
    return Run.objects.filter(shop=shop, status=Run.Status.RUNNING).count()


def _at_work(shop: Shop) -> int:
    """How many of its runs wait for their model, no row of theirs being written any more."""
    return Step.objects.filter(shop=shop, status=Step.Status.RUNNING).count()


def _waited(runs: Sequence[Run]) -> list[float]:
    pairs = Run.objects.filter(pk__in=[run.pk for run in runs]).values_list("due_at", "started_at")
    return [(start - due).total_seconds() for due, start in pairs if start is not None]


def _claim_ms(due: int) -> list[float]:
    """Milliseconds of claims of one run among so many that are due, each undone."""
    with scratch_database("claims"):
        publish_dag("bench", {"dag_version": 1, "nodes": [_node()]})
        shops = [create_shop(domain=f"shop-{number}.example.test") for number in range(SMALL_SHOPS + 1)]
        members = [Member(shops[0] if number % 10 else shops[1 + number % SMALL_SHOPS], {}) for number in range(due)]
        start_group(pipeline="bench", members=members, group_id=new_id(), priority=0)
        return [_timed_claim() for _ in range(LOOKS)]


def _timed_claim() -> float:
    with transaction.atomic():
        begun = time.perf_counter()
        claims = claim_runs("bench", Room(1))
        taken = (time.perf_counter() - begun) * 1000
        assert len(claims) == 1 and connection.in_atomic_block
        transaction.set_rollback(True)
    return taken
