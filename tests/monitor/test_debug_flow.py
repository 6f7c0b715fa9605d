"""From the complaint "the lamp floats, yesterday about 5 pm" to a verified patch, in at most eight clicks."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.core.management import call_command
from playwright.sync_api import Browser

from monitor.compare import read_compare
from prompts.models import PromptOverride
from runs.models import Run
from tests.browser import launch_browser
from tests.debugflow import Complaint, DebugFlow, worker_nearby
from tests.monitor.test_console_browser import Operator

pytestmark = pytest.mark.django_db(transaction=True)
SHOTS = os.environ.get("SHOTS", "")
MOST_CLICKS = 8


@pytest.fixture
def complaint(files_of_its_own: Path) -> Complaint:
    """Made before the browser starts: Playwright's loop lets nothing run inline in this thread."""
    call_command("publish_pipelines", verbosity=0)
    return Complaint.arises()


@pytest.fixture
def browser(complaint: Complaint) -> Iterator[Browser]:
    with launch_browser() as running, worker_nearby():
        yield running


def test_from_a_complaint_to_a_verified_patch_in_eight_clicks(
    complaint: Complaint, live_server: object, session: str, browser: Browser
) -> None:
    operator = Operator(browser, live_server.url, session, "desk", "light")  # type: ignore[attr-defined]

    def look(name: str) -> None:
        if SHOTS:
            operator.page.wait_for_load_state("networkidle")
            operator.page.screenshot(path=Path(SHOTS) / f"{name}.png", full_page=True)

    flow = DebugFlow(operator.page, live_server.url, look)  # type: ignore[attr-defined]
    flow.whole(complaint)
    print(f"{len(flow.clicks)} clicks: {flow.clicks}; {sum(flow.seconds.values()):.1f} s: {flow.seconds}")

    assert len(flow.clicks) <= MOST_CLICKS
    live = PromptOverride.objects.for_shop(complaint.shop).open().get()
    complaint.earlier.refresh_from_db()
    fork = Run.objects.get(parent=complaint.run)
    assert (live.source_run, live.created_by, complaint.earlier.revoked_by) == (fork.pk, "operator", "operator")
    assert [step.node_key for step in fork.steps.filter(reused_from=None)] == ["composite"]
    newest = Run.objects.shoppers().latest("id")
    step = newest.steps.get(node_key="composite")
    assert (step.prompt_source, step.prompt_version) == ("override", live.version_label)
    better = {pair.row.result.key for pair in read_compare(complaint.run, newest).better}
    assert "contact_shadow" in better, "the lamp stands"
    assert SHOTS or operator.trouble() == [], "taking pictures adds a style, which the policy refuses"
