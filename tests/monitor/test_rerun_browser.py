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
    assert operator.trouble() == []
