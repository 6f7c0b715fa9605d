"""The run list: what it finds, what it says, what it costs."""

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from runs.models import Run
from tests.factories import ShopFactory
from tests.monitor.factories import RunErrorFactory, RunFactory, StepFactory, composite_run

pytestmark = pytest.mark.django_db
URL = "/admin/runs/run/"


def titles(console: Client, **query: Any) -> list[str]:
    page = console.get(URL, query)
    return [row.run.subject_label for row in page.context["list"].rows]


def test_the_newest_runs_of_the_last_day_come_first_and_the_page_says_so(console: Client) -> None:
    RunFactory(subject_label="Old", created_at=timezone.now() - timedelta(hours=25))
    RunFactory(subject_label="First")
    RunFactory(subject_label="Second")
    assert titles(console) == ["Second", "First"]
    assert "last 24 hours" in console.get(URL).content.decode()
    assert titles(console, range="all") == ["Second", "First", "Old"]


def test_nothing_found_in_a_day_offers_all_time(console: Client) -> None:
    RunFactory(created_at=timezone.now() - timedelta(days=3))
    page = console.get(URL).content.decode()
    assert "No run matches" in page
    assert "Look in all time" in page


@pytest.mark.parametrize(
    "query",
    [
        {"status": "failed"},
        {"pipeline": "other"},
        {"product": "the-product"},
        {"model": "gemini-9"},
        {"prompt": "placement:v9"},
        {"error": "vendor_refused"},
        {"q": "VELVET"},
    ],
)
def test_every_filter_narrows_to_what_it_names(console: Client, query: dict[str, str]) -> None:
    run = RunFactory(subject_label="Velvet chair", status="failed", pipeline_slug="other", subject_id="the-product")
    step = StepFactory(run=run, model="gemini-9", prompt_name="placement", prompt_version="v9")
    RunErrorFactory(step=step, code="vendor_refused")
    StepFactory(run=RunFactory(subject_label="Another"), model="local-1", prompt_name="placement", prompt_version="v3")
    assert titles(console, **query) == ["Velvet chair"]


def test_the_shop_filter_shows_one_shop(console: Client) -> None:
    shop = ShopFactory()
    RunFactory(subject_label="Theirs")
    RunFactory(subject_label="Ours", shop=shop)
    assert titles(console, shop=str(shop.pk)) == ["Ours"]


def test_until_looks_back_from_another_moment(console: Client) -> None:
    RunFactory(subject_label="Long ago", created_at=timezone.now() - timedelta(days=10))
    RunFactory(subject_label="Now")
    moment = timezone.now() - timedelta(days=10) + timedelta(minutes=5)
    assert titles(console, range="1h", until=moment.strftime("%Y-%m-%dT%H:%M")) == ["Long ago"]


@pytest.mark.parametrize("spelling", [str, lambda pasted: str(pasted).lower(), lambda pasted: pasted.hex])
def test_a_pasted_run_id_leads_to_its_page(console: Client, spelling: Any) -> None:
    run = RunFactory(created_at=timezone.now() - timedelta(days=90))
    answer = console.get(URL, {"q": spelling(run.pk)})
    assert answer.status_code == 302
    assert answer.url == f"{URL}{run.pk}/change/"


def test_a_value_that_makes_no_sense_is_ignored_and_said(console: Client) -> None:
    RunFactory(subject_label="Here")
    page = console.get(URL, {"status": "exploded", "before": "not an id"})
    assert [row.run.subject_label for row in page.context["list"].rows] == ["Here"]
    assert "not understood: status" in page.content.decode()


def test_pages_go_by_key_in_both_directions(console: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("monitor.run_list.PAGE_SIZE", 2)
    for number in range(5):
        RunFactory(subject_label=f"Run {number}")
    first = console.get(URL).context["list"].page
    second = console.get(f"{URL}?{first.older_query}").context["list"].page
    third = console.get(f"{URL}?{second.older_query}").context["list"].page
    back = console.get(f"{URL}?{third.newer_query}").context["list"].page
    shown = [[run.subject_label for run in page.rows] for page in (first, second, third, back)]
    assert shown == [["Run 4", "Run 3"], ["Run 2", "Run 1"], ["Run 0"], ["Run 2", "Run 1"]]
    assert first.newer_query == third.older_query == ""


def test_queries_do_not_grow_with_the_list_and_nothing_is_counted(console: Client) -> None:
    composite_run()
    with CaptureQueriesContext(connection) as one:
        console.get(URL)
    for _ in range(4):
        composite_run()
    with CaptureQueriesContext(connection) as five:
        console.get(URL)
    assert len(five) == len(one) <= 12
    assert not [query["sql"] for query in five if "COUNT(" in query["sql"].upper()]


def test_what_is_not_known_is_never_a_zero(console: Client) -> None:
    RunFactory(latency_ms=None, cost_usd=None)
    page = console.get(URL).content.decode()
    assert page.count('<span class="unknown">unknown</span>') == 2
    assert "$0" not in page


def test_pictures_are_thumbnails_and_deleted_ones_say_so(console: Client) -> None:
    run = composite_run()
    page = console.get(URL).content.decode()
    assert page.count("/320/") == 3
    run.summary["pictures"]["room"] = "f" * 64
    Run.objects.filter(pk=run.pk).update(summary=run.summary)
    page = console.get(URL).content.decode()
    assert page.count("/320/") == 2
    assert "room: picture gone" in page


def test_a_title_cannot_become_markup(console: Client) -> None:
    evil = {"subject_label": "<img src=x onerror=alert(1)>", "error_message": '"><script>'}
    RunFactory(status="failed", error_code="x", **evil)
    page = console.get(URL).content.decode()
    assert "<img src=x" not in page
    assert '"><script>' not in page
