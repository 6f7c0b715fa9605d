"""From a complaint to the prompt behind it, in a real browser and mostly by keyboard."""

import re
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone
from playwright.sync_api import Browser, Page, expect

from irschemas.models import MetricDefinition
from prompts.library import library
from prompts.selection import complete_edit, library_selection, render_selection
from runs.models import Run, Step
from tests.factories import ShopFactory
from tests.monitor.factories import MetricFactory, RunErrorFactory, RunFactory, artifact, composite_run
from tests.monitor.test_console_browser import Operator

pytestmark = pytest.mark.django_db(transaction=True)
NAME = "facts_extraction"
VARIABLES = {"title": "Otto floor lamp", "description": "A lamp of 160 cm.", "product_type": "Lamps", "tags": ["oak"]}
FAILED = {"status": "failed", "error_stage": "composite", "error_code": "gate_rejected", "error_retryable": True,
          "error_signature": "composite: gate_rejected: contact_gap, on_support"}  # fmt: skip


def asked(step: Step, old: str = "", new: str = "") -> None:
    """Record a step's prompt, edited where it is said."""
    current = library().production(NAME)
    edited = complete_edit(NAME, current.template.replace(old, new)) if old else None
    selection = edited or library_selection(NAME, current.version)
    rendered = render_selection(selection, VARIABLES)
    Step.objects.filter(pk=step.pk).update(
        prompt_name=NAME, prompt_version=selection.version, prompt_source="override" if old else "library"
    )
    step.payload.variables = VARIABLES
    step.payload.save()
    sent = {
        "template": selection.template,
        "messages": [{"role": message.role, "text": message.text} for message in rendered.messages],
        "filled": [[part.message, part.start, part.end, part.name] for part in rendered.segments],
    }
    artifact(step.run, "prompt", sent, step=step, role="prompt")


def lamp() -> Run:
    """A lamp that floats, asked with the shop's own prompt, after a good run and before another failure."""
    shop = ShopFactory(name="Halden Living")
    good = composite_run(shop=shop, subject_label="Otto floor lamp")
    asked(good.steps.get(node_key="placement"))
    message = "The quality gate rejected the result."
    run = composite_run(shop=shop, subject_label="Otto floor lamp", error_message=message, **FAILED)
    asked(run.steps.get(node_key="placement"), "do not fill them", "NEVER fill them")
    step = run.steps.get(node_key="composite")
    Step.objects.filter(pk=step.pk).update(status="failed", error_code="gate_rejected", attempt=2)
    step.refresh_from_db()
    rows = {"on_support": (0.2, 0.85, "higher"), "contact_gap": (0.31, 0.12, "lower"), "seam": (1.2, 4.0, "lower")}
    for key, (value, threshold, direction) in rows.items():
        MetricDefinition.objects.get_or_create(key=key, defaults={"name": key, "direction": direction, "unit": "share"})
        MetricFactory(step=step, key=key, value=value, threshold=threshold, must_pass=True, unit="share",
                      passed=value <= threshold if direction == "lower" else value >= threshold)  # fmt: skip
    RunErrorFactory(step=step, attempt=1, code="vendor_timeout", vendor="gemini", model="g-flash")
    RunErrorFactory(step=step, attempt=2, code="gate_rejected", message=message)
    again = RunFactory(shop=shop, subject_label="Otto floor lamp", error_message=message, **FAILED)
    late = {"status": "failed", "error_stage": "facts", "error_code": "timeout", "error_message": "It took 120 s.",
            "error_signature": "facts: timeout: It took # s."}  # fmt: skip
    for hours in (20, 2, 1):
        RunFactory(created_at=timezone.now() - timedelta(hours=hours), **late)
    assert again.pk > run.pk > good.pk
    return run


def keys(page: Page, *pressed: str) -> None:
    page.wait_for_load_state()  # a page that is not wired yet takes no key
    for key in pressed:
        page.keyboard.press(key)


def test_from_the_shoppers_code_to_the_prompt_that_was_at_fault(
    live_server: Any, session: str, chromium: Browser
) -> None:
    run = lamp()
    operator = Operator(chromium, live_server.url, session, "desk", "light")
    page = operator.opens("/admin/runs/run/")
    keys(page, "/")
    expect(page.locator("[name=q]")).to_be_focused()
    page.keyboard.type(run.reference.lower())
    keys(page, "Enter")
    expect(page.locator("#headline")).to_contain_text("it seems to float: its foot is off by 31 % of its height")
    expect(page.locator("#headline")).to_contain_text("the gate failed on_support (20 %, at least 85 % is required)")
    expect(page.locator("#alike")).to_contain_text("2 runs failed like this one")
    keys(page, "?")
    sheet = page.get_by_role("dialog", name="Keyboard shortcuts")
    expect(sheet).to_contain_text("jump to the failing step")
    keys(page, "Escape")
    expect(sheet).to_be_hidden()
    jumped_to = page.locator("details.step:has(#node-composite)")
    keys(page, "f")
    expect(page).to_have_url(re.compile(f"#{jumped_to.get_attribute('id')}$"))
    expect(jumped_to.locator("summary").first).to_be_focused()
    keys(page, "g", "p")
    placement = page.locator(".step", has=page.locator("#node-placement"))
    expect(placement.locator(".filled", has_text="Otto floor lamp").first).to_have_attribute("title", "title")
    placement.get_by_role("tab", name="Against the library").click()
    expect(placement.locator("[data-panel=library] ins").first).to_have_text("NEVER")
    placement.get_by_role("tab", name="Against the last good run").click()
    expect(placement.locator("[data-panel=good] del").first).to_have_text("do not")
    expect(placement.locator("[data-panel=library]")).to_be_hidden()
    for size, scheme in (("phone", "dark"), ("desk", "dark")):
        operator.takes(size, scheme)
        assert operator.trouble() == []


def test_the_list_and_the_errors_are_walked_and_narrowed_by_keyboard(
    live_server: Any, session: str, chromium: Browser
) -> None:
    run = lamp()
    operator = Operator(chromium, live_server.url, session, "desk", "light")
    page = operator.opens("/admin/errors/")
    expect(page.locator(".error-group")).to_have_count(2)
    keys(page, "j", "j", "Enter")
    expect(page.locator(".chips")).to_contain_text("Failed alike composite: gate_rejected: contact_gap, on_support")
    keys(page, "j", "j", "o")
    expect(page).to_have_url(re.compile(rf"/run/{run.pk}/change/\?_changelist_filters="))
    keys(page, "k")
    expect(page).not_to_have_url(re.compile(str(run.pk)))
    keys(page, "j")
    expect(page).to_have_url(re.compile(str(run.pk)))
    keys(page, "u")
    expect(page.locator(".runs tbody tr")).to_have_count(2)
    page.get_by_label("When").fill("90 minutes ago")
    keys(page, "Enter")
    expect(page.locator("#list-scope")).to_contain_text("to")
    expect(page.get_by_text("No run matches.")).to_be_visible()
    page.get_by_role("link", name="Without Failed alike").click()
    expect(page.locator(".runs tbody tr")).to_have_count(2)
    for size, scheme in (("phone", "dark"), ("desk", "dark")):
        operator.takes(size, scheme)
        assert operator.trouble() == []
