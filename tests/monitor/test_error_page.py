"""Errors by what makes them alike: counted, dated, and a step from their runs."""

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from runs.models import Run
from tests.factories import ShopFactory
from tests.monitor.factories import RunFactory

pytestmark = pytest.mark.django_db
URL = "/admin/errors/"


def failed(signature: str = "facts: timeout: took # s", hours: float = 0.5, **values: Any) -> Run:
    stage, code, *_ = signature.split(": ")
    made = {"status": "failed", "error_stage": stage, "error_code": code, "error_signature": signature}
    return RunFactory(created_at=timezone.now() - timedelta(hours=hours), **{**made, **values})


def groups(console: Client, **query: Any) -> dict[str, Any]:
    return {group.signature: group for group in console.get(URL, query).context["errors"].groups}


def test_failures_that_are_alike_are_one_line_with_number_shops_and_dates(console: Client) -> None:
    first, shop = failed(hours=70), ShopFactory()
    failed(hours=5, shop=shop)
    last = failed(hours=1, shop=shop)
    failed("composite: gate_rejected: contact_gap, seam", hours=2)
    RunFactory()
    found = groups(console)
    timeout = found["facts: timeout: took # s"]
    assert (timeout.number, timeout.shops, timeout.is_new) == (2, 1, False)
    assert (timeout.first, timeout.last, timeout.latest) == (first.created_at, last.created_at, last)
    assert timeout.pattern == "took # s"
    gate = found["composite: gate_rejected: contact_gap, seam"]
    assert (gate.number, gate.is_new, gate.pattern) == (1, True, "contact_gap, seam")
    assert list(found) == [timeout.signature, gate.signature]
    assert groups(console, range="7d")[timeout.signature].number == 3


def test_a_message_that_is_alike_in_all_of_them_is_told_once(console: Client) -> None:
    dark = "The photo is too dark."
    failed(f"select: no_placement: {dark}", error_message=dark)
    failed("facts: timeout: took # s", error_message="took 31 s")
    page = console.get(URL).content.decode()
    assert (page.count(dark), page.count("took 31 s")) == (1, 1)


def test_the_bars_say_when_it_was(console: Client) -> None:
    for hours in (0.5, 0.6, 12.5):
        failed(hours=hours)
    [group] = groups(console).values()
    assert {place: bar.number for place, bar in enumerate(group.bars) if bar.number} == {11: 1, 23: 2}
    assert [bar.height for bar in group.bars if bar.number] == [50.0, 100.0]


def test_runs_of_staff_count_only_where_they_are_asked_for_and_one_shop_is_one_shops(console: Client) -> None:
    shop = ShopFactory()
    failed(mode="fork", shop=shop)
    assert groups(console) == {}
    assert "Nothing failed." in console.get(URL).content.decode()
    assert [group.number for group in groups(console, reruns="yes").values()] == [1]
    failed()
    assert [group.number for group in groups(console, reruns="yes", shop=str(shop.pk)).values()] == [1]


def test_a_kind_leads_to_its_runs_and_its_last_run_knows_the_list(console: Client) -> None:
    run = failed("facts: x: <b>&#")
    page = console.get(URL).content.decode()
    assert "<b>&#" not in page
    link = "/admin/runs/run/?range=24h&amp;mode=live&amp;signature=facts%3A%20x%3A%20%3Cb%3E%26%23"
    assert link in page
    rows = console.get(link.replace("&amp;", "&")).context["list"].rows
    assert [row.run for row in rows] == [run]
    inner = f"/admin/runs/run/{run.pk}/change/?_changelist_filters=range%3D24h%26mode%3Dlive%26signature%3Dfacts%253A"
    assert inner in page


def test_queries_do_not_grow_with_the_kinds(console: Client) -> None:
    failed()
    with CaptureQueriesContext(connection) as one:
        console.get(URL)
    for number in range(5):
        failed(f"stage: code: {'x' * number}")
    with CaptureQueriesContext(connection) as six:
        console.get(URL)
    assert len(six) == len(one) <= 7


def test_nonsense_in_the_address_is_left_out(console: Client) -> None:
    failed()
    assert len(groups(console, range="1000y", shop="x' OR 1=1")) == 1


def test_who_may_not_see_runs_gets_no_errors_and_no_entry(client: Client) -> None:
    client.force_login(User.objects.create_user("staff", is_staff=True))
    assert client.get(URL).status_code == 403
    assert URL not in client.get("/admin/").content.decode()
