"""Steering in a real browser: dialogs by keyboard, bars that move, drafts that are drawn as one types."""

from typing import Any

import pytest
from django.utils import timezone
from playwright.sync_api import Browser, expect

from core.ids import new_id
from runs.models import PipelineVersion, Run
from runs.services import publish_dag, start_run
from tests.factories import ShopFactory
from tests.monitor.factories import RunFactory
from tests.monitor.test_console_browser import PIPELINE, Operator

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_run_is_cancelled_by_keyboard_alone_and_the_page_shows_it(
    live_server: Any,
    session: str,
    chromium: Browser,
) -> None:
    publish_dag("composite", PIPELINE)
    run = start_run(pipeline="composite", shop=ShopFactory(), input={}, title="Halden sofa")
    operator = Operator(chromium, live_server.url, session, "desk", "light")
    page = operator.opens(f"/admin/runs/run/{run.pk}/change/")
    page.get_by_role("button", name="Cancel…").focus()
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("Cancel this run?")
    expect(page.get_by_label("Reason, kept with the run")).to_be_focused()
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    page.keyboard.press("Enter")
    Run.objects.filter(pk=run.pk).update(updated_at=timezone.now(), phase="facts")
    page.keyboard.type("the shop asked")
    expect(page.get_by_label("Reason, kept with the run")).to_have_value("the shop asked")
    page.keyboard.press("Enter")
    expect(page.locator("#headline")).to_contain_text("by operator: the shop asked")
    expect(page.locator("#notice")).to_have_text("The run is cancelled.")
    expect(dialog).to_be_hidden()
    expect(page.get_by_role("link", name="Re-run from facts")).to_be_visible()
    assert operator.trouble() == []


def test_a_groups_bar_moves_and_then_rests(live_server: Any, session: str, chromium: Browser) -> None:
    group_id = new_id()
    runs = [RunFactory(status="pending", run_group_id=group_id) for _ in range(4)]
    operator = Operator(chromium, live_server.url, session, "desk", "light")
    page = operator.opens(f"/admin/runs/run/group/{group_id}/")
    bar = page.get_by_role("progressbar")
    expect(bar).to_have_attribute("aria-valuenow", "0")
    ended = {"status": "completed", "started_at": timezone.now(), "finished_at": timezone.now()}
    Run.objects.filter(pk=runs[0].pk).update(**ended)
    expect(bar).to_have_attribute("aria-valuenow", "1")
    expect(page.locator(".part-completed").first).to_have_attribute("width", "25.0%")
    Run.objects.filter(run_group_id=group_id).update(**ended)
    expect(bar).to_have_attribute("aria-valuenow", "4")
    expect(page.locator("#group[hx-trigger]")).to_have_count(0)
    assert operator.trouble() == []


def test_a_draft_is_drawn_as_one_types_and_published_after_a_look(
    live_server: Any,
    session: str,
    chromium: Browser,
) -> None:
    version, _ = publish_dag("composite", PIPELINE)
    operator = Operator(chromium, live_server.url, session, "desk", "light")
    page = operator.opens(f"/admin/runs/pipeline/{version.pipeline_id}/edit/")
    expect(page.locator("#check g.node")).to_have_count(3)
    document = page.get_by_label("Document")
    text = document.input_value()
    document.fill(text.replace("select@1", "selecting@1"))
    expect(page.locator("#check")).to_contain_text("there is no stage selecting@1")
    expect(page.locator("#check g.node-missing")).to_have_count(1)
    document.fill(text.replace('"retries": 2', '"retries": 3'))
    expect(page.locator("#check")).to_contain_text("facts: retries 2 → 3.")
    publish_dag("composite", {"nodes": PIPELINE["nodes"][:2]}, published_by="berta")
    page.get_by_role("button", name="Publish…").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("by berta was published after you began")
    dialog.get_by_role("button", name="Publish").click()  # the browser asks for the tick first
    assert PipelineVersion.objects.count() == 2
    dialog.get_by_role("checkbox").check()
    dialog.get_by_role("button", name="Publish").click()
    page.wait_for_url("**/change/")
    expect(page.get_by_text("composite v3 is active.")).to_be_visible()
    assert PipelineVersion.objects.get(active=True).number == 3
    assert operator.trouble() == []
