"""The compare page in a browser: ways of looking by key, a run that is followed, a patch that was overtaken."""

import re
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone
from playwright.sync_api import Browser, expect

from prompts.library import library
from prompts.models import PromptOverride
from prompts.services import create_override
from runs.models import Artifact, Run, Step
from tests.factories import room_jpeg
from tests.monitor.factories import StepFactory, blob, composite_run
from tests.monitor.test_console_browser import Operator

pytestmark = pytest.mark.django_db(transaction=True)
TEXT = library().production("composite").template.replace("shadow: 1.0", "shadow: 0.8")


def original_and_fork() -> tuple[Run, Run]:
    """A composite, and one forked from it with another prompt that is still at work on its picture."""
    before = composite_run()
    changes = {"prompts": {"composite": {"template": TEXT}}}
    at_work = {"status": "running", "phase": "composite", "lease_until": timezone.now() + timedelta(minutes=5)}
    after = composite_run(shop=before.shop, parent=before, mode="fork", fork_changes=changes, **at_work)
    made = blob(after, room_jpeg(seed=8), "image/jpeg")
    Artifact.objects.filter(run=after, name="result").update(blob=made)
    StepFactory(run=before, node_key="facts", payload={"ir": {"dimensions_m": {"width": 2.0}}})
    StepFactory(run=after, node_key="facts", payload={"ir": {"dimensions_m": {"width": 1.5}}})
    Step.objects.filter(run=before, node_key="composite").update(prompt_name="composite", prompt_version="v2",
                                                                 prompt_source="library")  # fmt: skip
    return before, after


def test_two_runs_are_looked_at_followed_shared_and_patched_from_despite_a_colleague(
    live_server: Any, session: str, chromium: Browser
) -> None:
    before, after = original_and_fork()
    operator = Operator(chromium, live_server.url, session, "desk", "light")
    page = operator.opens(f"/admin/runs/run/{before.pk}/compare/{after.pk}/")
    expect(page.locator("#verdict")).to_contain_text("B is not over")
    expect(page.get_by_role("button", name="Patch ")).to_have_count(0)

    page.keyboard.press("2")
    page.get_by_label("result: A on the left, B on the right").fill("30")
    clip = page.locator("#pair-result .half-b")
    assert clip.evaluate("e => getComputedStyle(e).clipPath") == "inset(0px 0px 0px 30%)"
    Run.objects.filter(pk=after.pk).update(status="completed", lease_until=None, updated_at=timezone.now())
    expect(page.get_by_role("button", name="Patch ")).to_be_visible()
    expect(page.locator("#view-slide")).to_be_checked()
    assert clip.evaluate("e => getComputedStyle(e).clipPath") == "inset(0px 0px 0px 30%)", "kept across the update"
    expect(page.locator("#compare[hx-trigger]")).to_have_count(0)

    page.keyboard.press("3")
    assert clip.evaluate("e => getComputedStyle(e).animationName") == "blink"
    page.keyboard.press("4")
    expect(page.locator("#pair-result .difference")).to_contain_text("of the picture differs visibly")
    expect(page).to_have_url(re.compile(r"\?view=diff$"))  # the link that is shared opens like this
    expect(page.locator("#answer-facts")).to_contain_text("dimensions_m.width2.0 m1.5 m−0.5 m (−25 %)")

    ada = create_override(
        shop=before.shop, prompt_name="composite", template="{{ facts.title }}", reason="Sale", created_by="ada"
    )
    page.keyboard.press("p")
    dialog = page.get_by_role("dialog")
    page.keyboard.type("It floats")
    page.keyboard.press("Enter")
    expect(dialog.get_by_role("alert")).to_contain_text("ada has patched composite for this shop")
    dialog.get_by_role("button", name="Patch", exact=True).click()  # the browser asks for the tick first
    assert PromptOverride.objects.open().get() == ada
    dialog.get_by_label("I have seen that; go over it").check()
    dialog.get_by_role("button", name="Patch", exact=True).click()
    expect(page.locator("#patch-composite")).to_contain_text("gets this composite prompt")
    expect(page.get_by_role("button", name="Patch ")).to_have_count(0)
    page.get_by_role("button", name="Revoke").click()
    expect(page.locator("#patch-composite")).to_contain_text("gets the library's composite prompt")
    assert not PromptOverride.objects.open().exists()

    page.keyboard.press("x")
    page.wait_for_url(f"**/admin/runs/run/{after.pk}/compare/{before.pk}/?view=diff")
    expected = [text for text in operator.trouble() if "409" not in text]
    assert expected == []


def test_it_fits_a_phone_in_the_dark(live_server: Any, session: str, chromium: Browser) -> None:
    before, after = original_and_fork()
    Run.objects.filter(pk=after.pk).update(status="completed")
    operator = Operator(chromium, live_server.url, session, "phone", "dark")
    for path in (f"/admin/runs/run/{before.pk}/compare/{after.pk}/", "/admin/prompts/promptoverride/drift/"):
        operator.opens(path)
        assert operator.trouble() == []
