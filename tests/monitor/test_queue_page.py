"""The queue's page: who waits, who works, what holds them back, in a fixed number of queries."""

import re
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from core.ids import new_id
from monitor.queue import QueuePage
from runs.models import Run, Worker
from runs.pace import let_rest, take_slots
from tests.factories import ShopFactory
from tests.monitor.factories import RunFactory
from vendors.routes import Limit

pytestmark = pytest.mark.django_db


def waiting(seconds: float = 0, **values: Any) -> Run:
    return RunFactory(status="pending", due_at=timezone.now() - timedelta(seconds=seconds), **values)


def running(owner: str, **values: Any) -> Run:
    lease = timezone.now() + timedelta(seconds=values.pop("lease", 30))
    return RunFactory(status="running", lease_owner=owner, lease_until=lease, started_at=timezone.now(), **values)


def worker(name: str, **values: Any) -> Worker:
    now = timezone.now()
    return Worker.objects.create(name=name, host="h", pid=1, **{"started_at": now, "beat_at": now, **values})


def read(console: Client) -> tuple[QueuePage, str]:
    answer = console.get("/admin/queue/")
    assert answer.status_code == 200
    return answer.context["queue"], answer.content.decode()


def test_an_empty_queue_says_so_and_that_nobody_works(console: Client) -> None:
    queue, page = read(console)
    assert queue.due == 0
    assert "Nobody waits." in page
    assert "No worker is alive" in page


def test_runs_are_counted_by_class_and_by_what_they_wait_for(console: Client) -> None:
    waiting(90)
    waiting(10)
    waiting(-60)
    waiting(30, priority=10)
    running("w1")
    running("w1", priority=10, lease=-5)
    shoppers, bulk = read(console)[0].classes
    assert (shoppers.due, shoppers.later, shoppers.in_hand, shoppers.silent) == (2, 1, 1, 0)
    assert (bulk.due, bulk.later, bulk.in_hand, bulk.silent) == (1, 0, 0, 1)
    assert shoppers.oldest is not None
    assert timedelta(seconds=85) < timezone.now() - shoppers.oldest < timedelta(seconds=120)


def test_workers_show_what_they_hold_and_lost_ones_are_not_among_them(console: Client) -> None:
    worker("h:alive", runs_in_flight=1, capacity=4)
    worker("h:dead", beat_at=timezone.now() - timedelta(minutes=1))
    held, stray = running("h:alive", phase="placement"), running("h:dead")
    queue, page = read(console)
    assert [(row.worker.name, row.runs, row.share) for row in queue.workers] == [("h:alive", [held], 25.0)]
    assert queue.elsewhere == [stray]
    assert f"/admin/runs/run/{held.pk}/change/" in page
    assert "1 of 4 run in hand" in page


def test_the_shops_with_the_longest_lines_come_first(console: Client) -> None:
    busy, calm = ShopFactory(name="Busy"), ShopFactory(name="Calm")
    for _ in range(3):
        waiting(shop=busy)
    waiting(shop=calm)
    waiting(shop=None)
    queue, page = read(console)
    longest = queue.shops[0]
    assert (longest[0], longest[1]) == (busy, 3)
    assert "without a shop" in page


def test_limits_show_what_is_used_and_who_rests(console: Client) -> None:
    take_slots("gemini", Limit(concurrency=20, per_minute=300), "w1", 3)
    page = read(console)[1]
    assert "3 of 20 calls under way" in page
    assert re.search(r"at most 300 a minute, (27|28|29|30) may begin now", page)  # one comes back every 221 ms
    assert "rests until" not in page
    let_rest("gemini", 60)
    assert "rests until" in read(console)[1]


def test_parked_runs_are_listed_with_their_way_out(console: Client) -> None:
    parked = RunFactory(status="failed", error_code="worker_lost", error_message="Parked: run it again.", starts=5)
    RunFactory(status="failed", error_code="worker_lost", error_stage="facts")
    queue, page = read(console)
    assert queue.parked == [parked]
    assert "Parked: run it again." in page


def test_queries_do_not_grow_with_the_queue(console: Client) -> None:
    counts = []
    for _ in range(2):
        name = f"h:{new_id()}"
        worker(name)
        for _ in range(4):
            waiting(shop=ShopFactory())
            running(name)
        with CaptureQueriesContext(connection) as queries:
            read(console)
        counts.append(len(queries))
    assert counts[0] == counts[1] <= 12


def test_only_readers_of_runs_see_it(db: None) -> None:
    client = Client()
    client.force_login(User.objects.create_user("staff", password="a-long-password-1", is_staff=True))
    assert client.get("/admin/queue/").status_code == 403
    assert "/admin/queue/" not in client.get("/admin/").content.decode()
