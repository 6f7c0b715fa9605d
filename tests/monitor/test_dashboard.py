"""The dashboard: today in numbers that are true, and in a fixed number of queries."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
import time_machine
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from monitor.dashboard import read_dashboard
from runs.models import Worker
from tests.monitor.factories import RunFactory, StepFactory, composite_run

pytestmark = pytest.mark.django_db


def test_an_empty_day_says_unknown_and_not_zero(console: Client) -> None:
    today = read_dashboard().today
    assert (today.total, today.success_rate, today.p50_ms, today.cost_usd) == (0, None, None, None)
    page = console.get("/admin/").content.decode()
    assert "no run has ended" in page
    assert "$0" not in page


def test_today_counts_shoppers_runs_only() -> None:
    for latency in (1000, 2000, 9000):
        RunFactory(latency_ms=latency, cost_usd=Decimal("0.04"))
    RunFactory(status="failed", latency_ms=50, cost_usd=None, cost_unknown=2)
    RunFactory(mode="fork", cost_usd=Decimal(5))
    RunFactory(created_at=timezone.now() - timedelta(days=2))
    today = read_dashboard().today
    assert (today.total, today.completed, today.failed) == (4, 3, 1)
    assert today.success_rate == 0.75
    assert (today.p50_ms, today.p95_ms) == (2000, 8300)
    assert (today.cost_usd, today.cost_unknown) == (Decimal("5.12"), 2)  # whoever ran it, it was paid for


def test_the_bars_hold_every_hour_of_the_last_day() -> None:
    RunFactory()
    RunFactory(status="failed")
    RunFactory(created_at=timezone.now() - timedelta(hours=5))
    hours = read_dashboard().hours
    assert len(hours) == 24
    assert (hours[-1].completed, hours[-1].failed, hours[-6].completed) == (1, 1, 1)
    assert hours[-1].completed_height + hours[-1].failed_height == 100


def test_failures_link_to_their_run_with_stage_and_code(console: Client) -> None:
    run = RunFactory(status="failed", error_stage="placement", error_code="no_placement", error_message="No room here.")
    page = console.get("/admin/").content.decode()
    assert f"/admin/runs/run/{run.pk}/change/" in page
    assert "no_placement" in page
    assert "No room here." in page


def test_workers_are_alive_by_their_heartbeat(console: Client) -> None:
    assert "No worker is alive" in console.get("/admin/").content.decode()
    now = timezone.now()
    Worker.objects.create(name="host-1", host="host", pid=1, runs_in_flight=2, started_at=now, beat_at=now)
    Worker.objects.create(name="dead", host="host", pid=2, started_at=now, beat_at=now - timedelta(minutes=2))
    page = console.get("/admin/").content.decode()
    assert "host-1" in page
    assert "2 runs in hand" in page
    assert "dead" not in page


def test_filters_that_dropped_almost_everything_are_shown(console: Client) -> None:
    StepFactory(type="filter", candidates_in=5000, candidates_out=30, drop_ratio=0.994, why="Too strict a category.")
    StepFactory(type="filter", candidates_in=10, candidates_out=5, drop_ratio=0.5, why="An ordinary one.")
    page = console.get("/admin/").content.decode()
    assert "Too strict a category." in page
    assert "An ordinary one." not in page


def test_queries_do_not_grow_with_what_happened(console: Client) -> None:
    composite_run()
    with CaptureQueriesContext(connection) as few:
        console.get("/admin/")
    for _ in range(4):
        composite_run()
        RunFactory(status="failed")
    with CaptureQueriesContext(connection) as many:
        console.get("/admin/")
    assert len(many) == len(few) <= 11


def test_who_may_not_see_runs_gets_no_numbers(db: None) -> None:
    client = Client()
    client.force_login(User.objects.create_user("clerk", is_staff=True))
    page = client.get("/admin/")
    assert page.context["dashboard"] is None
    assert "Nothing here is open to you" in page.content.decode()


@time_machine.travel("2026-11-21T16:50:00Z", tick=False)
@pytest.mark.parametrize("zone", ["UTC", "Asia/Kolkata", "America/New_York"])
def test_hours_and_days_are_counted_alike_in_every_zone(console: Client, zone: str) -> None:
    console.cookies["console_zone"] = zone
    RunFactory(created_at=datetime(2026, 11, 21, 16, 40, tzinfo=UTC))
    RunFactory(created_at=datetime(2026, 11, 21, 15, 10, tzinfo=UTC))
    page = console.get("/admin/")
    assert [hour.total for hour in page.context["dashboard"].hours[-2:]] == [1, 1]


def test_a_tooltip_tells_its_zone(console: Client) -> None:
    console.cookies["console_zone"] = "Asia/Kolkata"
    RunFactory(created_at=timezone.now())
    assert ' IST">' in console.get("/admin/runs/run/").content.decode()
