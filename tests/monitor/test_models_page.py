"""The page of models: who answers, how well, what stands in the way, and what it costs."""

from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from monitor.model_routes import ModelsPage, RouteRow
from runs.models import Step
from runs.pace import let_rest
from tests.factories import ShopFactory
from tests.monitor.factories import RunErrorFactory, RunFactory, StepFactory

pytestmark = pytest.mark.django_db
KEY = "AIzaTestKeyOfThisPage"
FLASH = {"vendor": "gemini", "model": "gemini-3.8-flash"}


@pytest.fixture
def with_gemini(settings: Any) -> None:
    settings.VENDORS = {**settings.VENDORS, "GEMINI_API_KEY": KEY}


def read(console: Client) -> tuple[ModelsPage, str]:
    answer = console.get("/admin/models/")
    assert answer.status_code == 200
    return answer.context["models"], answer.content.decode()


def row(page: ModelsPage, task: str, vendor: str) -> RouteRow:
    (found,) = (rows for rows in page.tasks if rows.task == task)
    return next(row for row in found.rows if row.route.vendor == vendor)


def answered(ms: int = 1000, **values: Any) -> Step:
    step: Step = StepFactory(call_ms=ms, **{"cost_usd": Decimal("0.01"), **FLASH, **values})
    Step.objects.filter(pk=step.pk).update(finished_at=timezone.now())
    return step


def test_without_a_key_our_own_engine_answers_and_the_page_says_what_is_missing(console: Client) -> None:
    page, text = read(console)
    assert page.notes == []
    assert "Every task is answered: cutout by local/local-1, facts by local/local-1" in text
    assert row(page, "facts", "gemini").state == "no_key"
    assert "set GEMINI_API_KEY" in text


@pytest.mark.usefixtures("with_gemini")
def test_a_routes_health_is_that_of_its_calls(console: Client) -> None:
    for ms in (1000, 2000, 9000):
        answered(ms)
    RunErrorFactory(step=answered(4000), **FLASH, code="vendor_timeout", latency_ms=60_000, cost_usd=None)
    RunErrorFactory(step=answered(4000), **FLASH, code="gate_rejected", latency_ms=5000, cost_usd=Decimal("0.04"))
    RunErrorFactory(step=StepFactory(), **FLASH, code="worker_lost")
    StepFactory(**FLASH, reused_from=answered(4000), cost_usd=None)  # taken over: nobody was asked
    answered(1, cost_source="recording")
    page, text = read(console)
    health = row(page, "facts", "gemini").health
    assert (health.calls, health.failed, health.calls_hour, health.failed_hour) == (8, 1, 8, 1)
    assert (health.p50_ms, health.error) == (4000, "vendor_timeout")
    assert (health.cost_usd, health.cost_unknown) == (Decimal("0.10"), 1)
    assert row(page, "placement", "gemini").health == health
    assert "facts by gemini/gemini-3.8-flash" in text
    assert "12.5 %" in text
    assert KEY not in text


@pytest.mark.usefixtures("with_gemini")
def test_a_model_that_fails_often_is_said_first(console: Client) -> None:
    for _ in range(3):
        RunErrorFactory(step=StepFactory(), **FLASH, code="vendor_unavailable")
    page, _ = read(console)
    assert page.notes == [
        "gemini/gemini-3.8-flash fails: 3 of 3 calls in the last hour, the latest with vendor_unavailable."
    ]
    assert row(page, "facts", "gemini").state == "poor"


@pytest.mark.usefixtures("with_gemini")
def test_a_service_that_refuses_our_key_is_said_first_and_who_answers_instead(console: Client) -> None:
    let_rest("gemini", 240, "vendor_key_refused")
    page, text = read(console)
    (note,) = page.notes
    assert note.startswith("gemini refuses our key. Set a valid one")
    assert row(page, "facts", "gemini").state == "closed"
    assert "answered by local/local-1" in text


def test_a_task_that_nobody_answers_is_an_alarm(console: Client, settings: Any, tmp_path: Path) -> None:
    settings.MODEL_ROUTES = tmp_path / "models.toml"
    tasks = ("cutout", "facts", "placement", "composite")
    only = "".join(f'[[tasks.{task}]]\nvendor = "local"\nmodel = "local-1"\n' for task in tasks[:3])
    dear = '[[tasks.composite]]\nvendor = "gemini"\nmodel = "<b>new</b>"\nfeature = "new_model"\n'
    settings.MODEL_ROUTES.write_text(only + dear)
    page, text = read(console)
    assert page.notes == ["Nobody answers composite: every run that needs it fails."]
    assert "<b>new</b>" not in text
    assert "no price" in text


def test_what_was_spent_is_told_by_day_and_by_shop_whoever_ran_it(console: Client) -> None:
    shop = ShopFactory()
    RunFactory(shop=shop, cost_usd=Decimal("0.05"))
    RunFactory(shop=shop, cost_usd=Decimal("0.03"), mode="fork", cost_unknown=2)
    RunFactory(shop=shop, cost_usd=Decimal("0.20"), created_at=timezone.now() - timedelta(days=1))
    RunFactory(cost_usd=None)
    page, _ = read(console)
    assert (page.today.runs, page.today.cost_usd, page.today.cost_unknown) == (3, Decimal("0.08"), 2)
    assert (page.days[-2].cost_usd, page.days[-2].height, page.days[-1].height) == (Decimal("0.20"), 100.0, 40.0)
    first, second = page.shops
    assert (first.shop, first.cost_usd, second.cost_usd) == (shop, Decimal("0.08"), None)
    shops_page = console.get(f"/admin/shops/shop/{shop.pk}/change/").content.decode()
    assert "$0.08 + 2 unknown" in shops_page
    assert "$0.28 + 2 unknown" in shops_page


def test_the_page_asks_a_fixed_number_of_questions_and_only_for_readers(console: Client) -> None:
    with CaptureQueriesContext(connection, ) as few:  # fmt: skip
        read(console)
    for _ in range(5):
        answered()
        RunErrorFactory(step=StepFactory(), **FLASH)
    with CaptureQueriesContext(connection) as many:
        read(console)
    assert len(many) <= len(few) + 1  # the shops' names
    User.objects.create_user("guest", password="a-long-password-1", is_staff=True)
    guest = Client()
    guest.login(username="guest", password="a-long-password-1")
    assert guest.get("/admin/models/").status_code == 403
    assert "Models" not in guest.get("/admin/").content.decode()
