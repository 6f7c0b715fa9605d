"""The re-run page in a real browser: a prompt is edited, filled in as one types, and the comparison opens."""

import os
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, expect

from runs.models import Run
from tests.monitor.test_console_browser import Operator
from tests.runs.finished import finished_composite

pytestmark = pytest.mark.django_db(transaction=True)
SHOTS = os.environ.get("SHOTS", "")


def shot(page: Any, name: str) -> None:
    """For people who work on the page: SHOTS=folder keeps what the test sees."""
    if SHOTS:
        page.screenshot(path=Path(SHOTS) / f"{name}.png", full_page=True)


def test_an_edited_prompt_is_three_clicks_from_the_run_page(
    published: None, live_server: Any, session: str, chromium: Browser
) -> None:
    run = finished_composite()
    operator = Operator(chromium, live_server.url, session, "desk", "light")
    page = operator.opens(f"/admin/runs/run/{run.pk}/change/")
    page.locator("#node-placement").click()
    page.get_by_role("link", name="Re-run from here").and_(page.locator(":visible")).click()
    prompt = page.locator("#prompt-placement")
    expect(prompt).to_be_focused()
    shot(page, "page")
    text = prompt.input_value()
    prompt.fill(text.replace("<<user>>", "<<user>>\nMind the {{ nonsense }}.", 1))
    expect(page.locator("#preview-placement")).to_contain_text("the prompt uses `nonsense`")
    expect(page.get_by_role("button", name="Re-run")).to_be_disabled()
    shot(page, "problem")
    prompt.fill(text.replace("<<user>>", "<<user>>\nMind the {{ facts.mount | quote }}.", 1))
    expect(page.locator("#preview-placement mark.filled[title='facts.mount']").first).to_have_text('"floor"')
    expect(page.locator("#preview-placement ins").first).to_contain_text("Mind")
    expect(page.locator("#plan")).to_contain_text("3 nodes run, 1 reused")
    shot(page, "edited")
    page.get_by_role("button", name="Re-run").click()
    page.wait_for_url("**/compare/**")
    fork = Run.objects.get(parent=run)
    assert str(fork.pk) in page.url and list(fork.fork_changes) == ["prompts"]
    assert SHOTS or operator.trouble() == []


def test_a_tap_is_a_click_on_the_picture_and_facts_are_a_form_on_a_phone_too(
    published: None, live_server: Any, session: str, chromium: Browser
) -> None:
    run = finished_composite()
    operator = Operator(chromium, live_server.url, session, "phone", "dark")
    page = operator.opens(f"/admin/runs/run/{run.pk}/rerun/?from=composite")
    page.locator("#edit-input > summary").click()
    picture = page.locator("[data-point=tap]")
    box = picture.bounding_box()
    assert box is not None
    picture.click(position={"x": box["width"] / 4, "y": box["height"] / 2})
    expect(page.locator("[data-marker=tap]")).to_be_visible()
    expect(page.locator("#plan")).to_contain_text("It starts at placement instead of composite: it reads tap.")
    page.locator("#edit-facts > summary").click()
    page.get_by_text("Correct its answer by hand").first.click()
    page.get_by_label("height").first.fill("1.02")
    expect(page.locator("#plan")).to_contain_text("facts.dimensions_m.height 0.84 → 1.02")
    expect(page.locator("#state-facts")).to_have_text("by hand")
    shot(page, "phone-dark")
    Run.objects.filter(pk=run.pk).update(status="running", lease_until="2030-01-01T00:00Z")
    page.get_by_role("button", name="Re-run").click()
    expect(page.locator("#fork-problem")).to_contain_text("This run has not ended yet.")
    Run.objects.filter(pk=run.pk).update(status="completed")
    page.get_by_role("button", name="Re-run").click()
    page.wait_for_url("**/compare/**")
    fork = Run.objects.get(parent=run)
    assert fork.input["tap"] == pytest.approx({"x": 0.25, "y": 0.5}, abs=0.01)
    assert fork.steps.select_related("payload").get(node_key="facts").payload.ir["dimensions_m"]["height"] == 1.02
    expected = [text for text in operator.trouble() if "409" not in text]
    assert SHOTS or expected == []
