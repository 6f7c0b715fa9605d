"""The run list: what it finds, what it says, what it costs."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from core.ids import Ulid
from runs.models import Run
from tests.factories import ShopFactory
from tests.monitor.factories import MetricFactory, RunErrorFactory, RunFactory, StepFactory, composite_run

pytestmark = pytest.mark.django_db
URL = "/admin/runs/run/"


def titles(console: Client, **query: Any) -> list[str]:
    page = console.get(URL, query, follow=True)
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
        {"metric": "contact_gap"},
        {"mode": "fork"},
        {"degraded": "yes"},
        {"signature": "facts: timeout: took # s"},
    ],
)
def test_every_filter_narrows_to_what_it_names(console: Client, query: dict[str, str]) -> None:
    run = RunFactory(
        subject_label="Velvet chair", status="failed", pipeline_slug="other", subject_id="the-product", mode="fork",
        degraded=True, error_signature="facts: timeout: took # s",
    )  # fmt: skip
    step = StepFactory(run=run, model="gemini-9", prompt_name="placement", prompt_version="v9")
    RunErrorFactory(step=step, code="vendor_refused")
    MetricFactory(step=step, key="contact_gap", passed=False)
    other = StepFactory(
        run=RunFactory(subject_label="Another", error_signature="x"), model="local-1", prompt_name="placement",
        prompt_version="v3",
    )  # fmt: skip
    MetricFactory(step=other, key="contact_gap", passed=True)
    assert titles(console, **query) == ["Velvet chair"]


def test_the_shop_filter_shows_one_shop(console: Client) -> None:
    shop = ShopFactory()
    RunFactory(subject_label="Theirs")
    RunFactory(subject_label="Ours", shop=shop)
    assert titles(console, shop=str(shop.pk)) == ["Ours"]


SPELLINGS: list[Callable[[Run], str]] = [
    lambda run: str(run.pk),
    lambda run: f"  {str(run.pk).lower()} ",
    lambda run: run.pk.hex,
    lambda run: run.reference,
    lambda run: run.reference.lower().replace("-", " "),
    lambda run: str(run.pk)[:21],
    lambda run: f"…{str(run.pk)[-8:]}",
]


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_a_pasted_id_or_reference_leads_to_the_page_of_its_run(console: Client, spelling: Any) -> None:
    run, _ = RunFactory(created_at=timezone.now() - timedelta(days=90)), RunFactory()
    answer = console.get(URL, {"q": spelling(run), "status": "failed"})
    assert answer.status_code == 302
    assert answer.url == f"{URL}{run.pk}/change/"


def test_a_pasted_steps_id_leads_to_its_place_and_an_errors_to_its_run(console: Client) -> None:
    step = StepFactory()
    error = RunErrorFactory(step=step)
    assert console.get(URL, {"q": str(step.pk)}).url == f"{URL}{step.run_id}/change/#step-{step.pk}"
    assert console.get(URL, {"q": str(error.pk)}).url == f"{URL}{step.run_id}/change/"


def test_a_beginning_that_several_share_lists_them_whatever_their_age(console: Client) -> None:
    first = RunFactory(subject_label="First", created_at=timezone.now() - timedelta(days=40))
    RunFactory(subject_label="Second", id=Ulid(int=first.pk.int + 1))
    page = console.get(URL, {"q": str(first.pk)[:20]})
    assert [row.run.subject_label for row in page.context["list"].rows] == ["Second", "First"]
    assert "whose id begins with" in page.content.decode()


def test_a_mistyped_reference_is_told_as_such(console: Client) -> None:
    code = RunFactory().reference
    wrong = code[:-1] + ("0" if code[-1] != "0" else "1")
    page = console.get(URL, {"q": wrong}).content.decode()
    assert "looks like a reference code, but one of its characters is wrong" in page


@time_machine.travel("2026-11-21T16:30:00Z", tick=False)
def test_about_five_yesterday_is_a_window_in_the_readers_zone_that_stays_what_it_was(console: Client) -> None:
    for hour in (14, 15, 16, 17):
        RunFactory(subject_label=f"{hour} UTC", created_at=datetime(2026, 11, 20, hour, 30, tzinfo=UTC))
    console.cookies["console_zone"] = "Europe%2FBerlin"
    settled = console.get(URL, {"around": "yesterday about 5 pm", "within": "1h"})
    assert (settled.status_code, settled.url) == (302, "?around=2026-11-20+17%3A00%2B01%3A00&within=1h")
    page = console.get(URL + settled.url)
    assert [row.run.subject_label for row in page.context["list"].rows] == ["16 UTC", "15 UTC"]
    assert "Fri 20 Nov 2026, 16:00 to 18:00 Europe/Berlin" in page.content.decode()
    console.cookies["console_zone"] = "America%2FNew_York"
    elsewhere = console.get(URL + settled.url, follow=True)
    assert [row.run.subject_label for row in elsewhere.context["list"].rows] == ["16 UTC", "15 UTC"]
    assert "Fri 20 Nov 2026, 10:00 to 12:00 America/New_York" in elsewhere.content.decode()


@time_machine.travel("2026-11-21T16:30:00Z", tick=False)
def test_from_and_to_and_whole_days_are_windows_too(console: Client) -> None:
    for day in (17, 18, 19, 20):
        RunFactory(subject_label=f"{day}", created_at=datetime(2026, 11, day, 12, tzinfo=UTC))
    assert titles(console, **{"from": "2026-11-18", "to": "2026-11-19"}) == ["19", "18"]
    assert titles(console, around="2026-11-17") == ["17"]
    assert titles(console, to="2026-11-18 11:00+00:00") == ["17"]


def test_a_time_that_is_none_says_how_to_say_it(console: Client) -> None:
    RunFactory(subject_label="Here")
    page = console.get(URL, {"around": "gestern <b>"})
    assert [row.run.subject_label for row in page.context["list"].rows] == ["Here"]
    assert "“gestern &lt;b&gt;” is no time. Say it as" in page.content.decode()


@pytest.mark.parametrize("zone", ["Mars/Olympus", "../../etc/passwd", "%00", "Europe", ""])
def test_a_zone_that_is_none_is_utc(console: Client, zone: str) -> None:
    console.cookies["console_zone"] = zone
    assert "Fri 20 Nov 2026, 00:00 to 24:00 UTC" in console.get(URL, {"around": "2026-11-20"}).content.decode()


def test_filters_in_use_are_shown_each_with_its_way_out(console: Client) -> None:
    RunFactory(status="failed")
    page = console.get(URL, {"status": "failed", "signature": "a: b: c", "range": "all"})
    chips = {chip.label: (chip.value, chip.without) for chip in page.context["list"].question.chips}
    assert chips == {
        "Status": ("Failed", "signature=a%3A+b%3A+c&range=all"), "Failed alike": ("a: b: c", "status=failed&range=all"),
    }  # fmt: skip


def test_older_and_newer_walk_the_list_that_one_came_from(console: Client) -> None:
    runs = [RunFactory(status=status) for status in ("failed", "completed", "failed", "failed")]
    back = "?_changelist_filters=status%3Dfailed"
    assert f"{URL}{runs[2].pk}/change/{back}" in console.get(URL, {"status": "failed"}).content.decode()
    page = console.get(f"{URL}{runs[2].pk}/change/{back}").content.decode()
    assert f"{URL}{runs[2].pk}/older/{back}" in page
    assert f'href="{URL}?status=failed"' in page
    assert console.get(f"{URL}{runs[2].pk}/older/{back}").url == f"{URL}{runs[0].pk}/change/{back}"
    assert console.get(f"{URL}{runs[2].pk}/newer/{back}").url == f"{URL}{runs[3].pk}/change/{back}"
    assert console.get(f"{URL}{runs[2].pk}/older/").url == f"{URL}{runs[1].pk}/change/"
    end = console.get(f"{URL}{runs[0].pk}/older/{back}", follow=True)
    assert end.context["run"] == runs[0]
    assert "There is no older run in this list." in end.content.decode()


def test_who_may_not_see_runs_gets_no_list_and_no_neighbours(client: Client) -> None:
    run = RunFactory()
    client.force_login(User.objects.create_user("staff", is_staff=True))
    for address in (URL, f"{URL}{run.pk}/older/", f"{URL}{run.pk}/newer/"):
        assert client.get(address).status_code == 403


def test_a_value_that_makes_no_sense_is_ignored_and_said(console: Client) -> None:
    RunFactory(subject_label="Here")
    page = console.get(URL, {"status": "exploded", "before": "not an id"})
    assert [row.run.subject_label for row in page.context["list"].rows] == ["Here"]
    assert "(status is left out)" in page.content.decode()


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


def test_a_list_reads_no_payload_no_input_and_no_bytes(console: Client) -> None:
    composite_run()
    RunFactory(status="failed", error_signature="a: b: c")
    for address in (URL, f"{URL}?metric=seam&error=x&prompt=a:b&model=m", "/admin/errors/?range=30d"):
        with CaptureQueriesContext(connection) as queries:
            page = console.get(address).content.decode()
        asked = " ".join(query["sql"] for query in queries)
        for heavy in ("runs_steppayload", '"runs_run"."input",', '"runs_blob"."body"', '"runs_artifact"'):
            assert heavy not in asked
        assert "/1280/" not in page


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
