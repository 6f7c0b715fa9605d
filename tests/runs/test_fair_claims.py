"""Claims: fair between shops and between shoppers and bulk work, capped exactly, and cheap however long the queue."""

import asyncio
import json
import threading
from collections import Counter
from datetime import timedelta
from pathlib import Path

import pytest
from django.db import connection, transaction
from django.utils import timezone

from core.ids import new_id
from runs import claims
from runs.claims import Claim, Room, beat, claim_runs, room_of
from runs.database_thread import DatabaseThread
from runs.groups import Member, start_group
from runs.models import PipelineVersion, Run, Worker
from runs.services import start_run
from shops.models import Shop
from tests.factories import ShopFactory
from tests.runs.engine import chain, publish
from tests.workers import Cluster, wait_until

BULK = 10


def waiting(count: int, shop: Shop | None = None, priority: int = 0) -> None:
    """Due runs, written at once: claims do not look at steps."""
    publish("noops", *chain("noop@1"))
    version = PipelineVersion.objects.select_related("pipeline").get(pipeline__slug="noops", active=True)
    Run.objects.bulk_create(
        Run(
            pipeline=version.pipeline, pipeline_version=version, pipeline_slug="noops", shop=shop, input={},
            input_sha256="0" * 64, priority=priority,
        )
        for _ in range(count)
    )  # fmt: skip


def shops_of(taken: list[Claim]) -> Counter[object]:
    return Counter(Run.objects.filter(id__in=[claim.run_id for claim in taken]).values_list("shop_id", flat=True))


@pytest.mark.django_db
def test_shops_take_turns_whatever_their_numbers() -> None:
    big, *small = [ShopFactory() for _ in range(4)]
    waiting(30, big)
    for shop in small:
        waiting(5, shop)
    assert shops_of(claim_runs("w", 8)) == {shop.pk: 2 for shop in [big, *small]}
    assert shops_of(claim_runs("w", 4)) == {shop.pk: 1 for shop in [big, *small]}, "what they have in hand counts"


@pytest.mark.django_db
def test_a_shop_with_much_in_hand_waits_behind_one_with_nothing() -> None:
    big, small = ShopFactory(), ShopFactory()
    waiting(10, big)
    claim_runs("w1", 5)
    waiting(2, small)
    assert shops_of(claim_runs("w2", 2)) == {small.pk: 2}


@pytest.mark.django_db
def test_a_shop_never_has_more_in_hand_than_its_cap_and_other_shops_are_served(settings: object) -> None:
    settings.RUNS_PER_SHOP = 3
    big, small = ShopFactory(), ShopFactory()
    waiting(10, big)
    waiting(1, small)
    assert shops_of(claim_runs("w", 100)) == {big.pk: 3, small.pk: 1}
    assert claim_runs("w", 100) == []
    Run.objects.filter(pk=Run.objects.filter(shop=big, status="running").first().pk).update(status="completed")
    assert shops_of(claim_runs("w", 100)) == {big.pk: 1}, "a place that is free again is filled again"


@pytest.mark.django_db
def test_where_there_are_few_places_a_shop_may_fill_three_quarters_of_them() -> None:
    beat("w1", "host", 1, 0, 4)
    beat("w2", "host", 2, 0, 4)
    beat("gone", "host", 3, 0, 100)
    Worker.objects.filter(name="gone").update(beat_at=timezone.now() - timedelta(minutes=1))
    big, small = ShopFactory(), ShopFactory()
    waiting(20, big)
    assert len(claim_runs("w1", 4) + claim_runs("w2", 4)) == 6
    waiting(2, small)
    assert shops_of(claim_runs("w2", 2)) == {small.pk: 2}


@pytest.mark.django_db
def test_bulk_work_leaves_a_part_of_its_shops_cap_to_shoppers(settings: object) -> None:
    settings.RUNS_PER_SHOP = 4
    shop = ShopFactory()
    waiting(10, shop, BULK)
    assert len(claim_runs("w", 100)) == 3
    waiting(5, shop)
    assert [claim.bulk for claim in claim_runs("w", 100)] == [False]


@pytest.mark.django_db
def test_runs_without_a_shop_have_no_cap(settings: object) -> None:
    settings.RUNS_PER_SHOP = 2
    waiting(5)
    assert len(claim_runs("w", 100)) == 5


@pytest.mark.django_db(transaction=True)
def test_the_cap_holds_exactly_when_many_workers_claim_at_once(settings: object) -> None:
    settings.RUNS_PER_SHOP = 7
    shop = ShopFactory()
    waiting(60, shop)
    start, taken = threading.Barrier(6), []

    def worker(name: str) -> None:
        start.wait()
        for _ in range(4):
            taken.extend(claim_runs(name, 2))
        connection.close()

    threads = [threading.Thread(target=worker, args=(f"w{n}",)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({claim.run_id for claim in taken}) == len(taken) == 7
    assert Run.objects.filter(shop=shop, status="running").count() == 7


@pytest.mark.django_db
def test_bulk_work_stays_within_what_the_worker_gives_it_and_gets_its_least() -> None:
    waiting(10, ShopFactory(), BULK)
    assert len(claim_runs("w", Room(8, bulk_least=0, bulk_most=2))) == 2
    waiting(20, ShopFactory())
    assert Counter(claim.bulk for claim in claim_runs("w", Room(4, bulk_least=1, bulk_most=4))) == {True: 1, False: 3}


def held(shoppers: int, bulk: int) -> list[Claim]:
    return [Claim(claims.NOBODY, 1, "w", bulk=n < bulk) for n in range(shoppers + bulk)]


def test_a_worker_keeps_a_quarter_for_shoppers_and_a_place_for_bulk_work() -> None:
    assert room_of(8, []) == Room(8, bulk_least=1, bulk_most=6)
    assert room_of(8, held(0, 6)) == Room(2, bulk_least=0, bulk_most=0)
    assert room_of(8, held(7, 0)) == Room(1, bulk_least=1, bulk_most=6)
    assert room_of(8, held(6, 1)) == Room(1, bulk_least=0, bulk_most=5)


def test_a_worker_with_one_place_gives_it_to_bulk_work_now_and_then() -> None:
    assert [room_of(1, [], turn).bulk_least for turn in range(8)] == [0] * 7 + [1]
    assert room_of(1, []).bulk_most == 1, "where no shopper waits it may do bulk work at any turn"


@pytest.mark.django_db
def test_neither_class_starves_the_other_on_a_busy_worker() -> None:
    shop = ShopFactory()
    waiting(40, shop, BULK)
    mine: list[Claim] = claim_runs("w", room_of(4, []))
    assert Counter(claim.bulk for claim in mine) == {True: 3}, "one place stays free"
    waiting(40, shop)
    mine += claim_runs("w", room_of(4, mine))
    assert Counter(claim.bulk for claim in mine) == {True: 3, False: 1}, "a shopper begins at once"
    for _ in range(6):  # whatever ends, the other class gets on
        gone = mine.pop(0)
        Run.objects.filter(pk=gone.run_id).update(status="completed")
        mine += claim_runs("w", room_of(4, mine))
        assert len(mine) == 4
    assert Counter(claim.bulk for claim in mine) == {True: 1, False: 3}


@pytest.mark.django_db
@pytest.mark.parametrize("analysed", ["before", "after"])
def test_a_claim_reads_what_it_may_take_and_not_the_queue(analysed: str) -> None:
    """Also with the statistics of an empty queue, which is when a queue grows fastest."""
    shops = [ShopFactory() for _ in range(5)]
    waiting(1)
    with connection.cursor() as cursor:
        if analysed == "before":
            cursor.execute("ANALYZE runs_run")
        for shop in shops:
            waiting(1000, shop)
        if analysed == "after":
            cursor.execute("ANALYZE runs_run")
        cursor.execute(claims.LOCK, [claims.CLAIM_LOCK])
        cursor.execute(f"EXPLAIN (ANALYZE, FORMAT JSON) {claims.CLAIM}", claims._claim_values("w", Room(10, 1, 8), 40))
        claim = cursor.fetchone()[0]
        cursor.execute(f"EXPLAIN (ANALYZE, FORMAT JSON) {claims.PROBE}")
        probe = cursor.fetchone()[0]
    assert rows_read(claim) < 400
    assert rows_read(probe) <= 2


def rows_read(explained: object) -> int:
    """Rows that scans of tables brought up, by PostgreSQL's own count."""
    plan = json.loads(explained) if isinstance(explained, str) else explained

    def count(node: dict) -> int:
        own = 0
        if "Relation Name" in node or node["Node Type"] == "Bitmap Index Scan":
            dropped = node.get("Rows Removed by Filter", 0) + node.get("Rows Removed by Index Recheck", 0)
            own = round((node["Actual Rows"] + dropped) * node["Actual Loops"])
        return own + sum(count(child) for child in node.get("Plans", []))

    return count(plan[0]["Plan"])


@pytest.mark.django_db(transaction=True)
def test_a_run_that_somebody_has_locked_is_passed_over_for_the_next_one() -> None:
    shop = ShopFactory()
    waiting(3, shop)
    first, *others = Run.objects.order_by("due_at", "id")
    locked, done = threading.Event(), threading.Event()

    def hold() -> None:
        with transaction.atomic():
            Run.objects.select_for_update().get(pk=first.pk)
            locked.set()
            done.wait(30)
        connection.close()

    holder = threading.Thread(target=hold)
    holder.start()
    locked.wait(30)
    try:
        assert {claim.run_id for claim in claim_runs("w", 2)} == {run.pk for run in others}
    finally:
        done.set()
        holder.join()


@pytest.mark.django_db
def test_a_run_that_was_cancelled_or_whose_lease_was_renewed_meanwhile_is_not_taken() -> None:
    waiting(1)
    Run.objects.update(status="cancelled")
    assert claim_runs("w", 5) == []
    waiting(1)
    (claim,) = claim_runs("w", 5)
    Run.objects.filter(pk=claim.run_id).update(lease_until=timezone.now() - timedelta(seconds=1))
    assert claims.renew_leases([claim]) == {claim.run_id}
    assert claim_runs("w", 5) == []


def test_a_claim_goes_ahead_of_other_database_work() -> None:
    thread, busy, order = DatabaseThread(), threading.Event(), []

    async def scene() -> None:
        held = asyncio.ensure_future(thread(busy.wait, 30))
        others = [asyncio.ensure_future(thread(order.append, number)) for number in range(3)]
        await asyncio.sleep(0)
        claim = asyncio.ensure_future(thread.first(order.append, "claim"))
        await asyncio.sleep(0)
        busy.set()
        await asyncio.gather(held, claim, *others)

    thread.start()
    try:
        asyncio.run(scene())
    finally:
        thread.close()
    assert order == ["claim", 0, 1, 2]


@pytest.mark.django_db(transaction=True)
@pytest.mark.xdist_group("workers")
def test_a_shopper_begins_while_bulk_work_keeps_the_workers_busy(files_of_its_own: Path, tmp_path: Path) -> None:
    publish("marking", {"key": "a", "step": "marking@1", "params": {"seconds": 60}})
    members = [Member(ShopFactory(), {"folder": str(tmp_path)}) for _ in range(12)]
    cluster = Cluster(files_of_its_own, WORKERS="1", RUNS_IN_FLIGHT="4")
    try:
        wait_until(lambda: Worker.objects.exists(), "the worker reports")
        start_group(pipeline="marking", members=members, group_id=new_id())
        begun = Run.objects.filter(status="running")
        wait_until(lambda: begun.count() == 3, "bulk work has its share of the worker's places")
        shopper = start_run(pipeline="marking", shop=ShopFactory(), input={"folder": str(tmp_path)})
        wait_until(lambda: begun.filter(pk=shopper.pk).exists(), "the shopper's run begins")
        assert begun.filter(priority=10).count() == 3
    finally:
        cluster.kill()
