"""The debug flow in a browser: clicks, and the machine's share of the time, from a complaint to a verified patch."""

from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.contrib.auth import get_user_model
from django.test import Client

from bench.figures import MEDIAN, Figure, Section, percentile
from bench.processes import running_web, running_workers
from bench.scratch import scratch_database

if TYPE_CHECKING:
    from playwright.sync_api import Browser

TIMES = 3
CLICKS_TARGET, SECONDS_TARGET = 8, 60
STAGES = {
    "1-found": "the run is found",
    "2-understood": "its page is open",
    "3-edited": "the prompt is edited and checked",
    "4-compared": "run again and compared",
    "5-patched": "the shop is patched",
    "6-verified": "the shop's next run has used it",
}


def measure(title: str) -> Section:
    """The scripted story several times, each on a database of its own, with real workers and a real web server."""
    how = (
        f"Headless Chromium, gunicorn, two workers, the `local` vendor, {TIMES} times, each on a fresh database with "
        "a small photo of a room: “customer of the demo shop says the lamp floats, yesterday about 5 pm”. The script "
        "types and clicks without pause and waits for what a person would wait for, so the time is the machine's; the "
        "shopper's next picture, by which the patch is verified, is part of it. The script is that of the browser test "
        "(`tests/debugflow.py`)."
    )
    flows = [_told(number) for number in range(TIMES)]
    whole = [sum(flow.seconds.values()) for flow in flows]
    section = Section(title, how)
    section.figures = [
        Figure("clicks from complaint to verified patch", max(len(flow.clicks) for flow in flows), "",
               target=CLICKS_TARGET),
        Figure("machine time, p50", percentile(whole, MEDIAN), "s", target=SECONDS_TARGET),
    ]  # fmt: skip
    for stage, words in STAGES.items():
        taken = percentile([flow.seconds[stage] for flow in flows], MEDIAN)
        section.figures.append(Figure(f"until {words}, p50", taken, "s", "the whole", percentile(whole, MEDIAN)))
    section.notes = [f"Clicks: {', '.join(flows[0].clicks)}."]
    return section


def _told(number: int) -> Any:
    story = import_module("tests.debugflow")
    with scratch_database(f"debugflow_{number}"):
        complaint = story.Complaint.arises()
        client = Client()
        client.force_login(get_user_model().objects.create_superuser("bench", password=None))
        session = client.cookies[settings.SESSION_COOKIE_NAME].value
        with running_workers(), running_web() as base, _browser() as browser:
            context = browser.new_context(viewport={"width": 1440, "height": 900})
            context.add_cookies([{"name": settings.SESSION_COOKIE_NAME, "value": session, "url": base}])
            flow = story.DebugFlow(context.new_page(), base)
            flow.whole(complaint)
            return flow


@contextmanager
def _browser() -> Iterator["Browser"]:
    from tests.browser import launch_browser

    with launch_browser() as browser:
        yield browser
