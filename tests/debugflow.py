"""The story the console is for, as a script in a browser: from a complaint to a verified patch, its clicks counted.

"Customer of the demo shop says the lamp floats, yesterday about 5 pm." Typing and keys are no clicks; every press of
the mouse is one. Between them the script waits for what a person would wait for, so its time is the machine's.
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.db import connection
from django.db.models import F
from django.utils import timezone
from playwright.sync_api import Locator, Page, expect

from prep.models import ProductAsset
from prompts.models import PromptOverride
from runs.claims import claim_runs
from runs.inline import execute_inline
from runs.models import Run
from shops.models import Shop
from storefront.demo_shop import ensure_demo_shop
from storefront.execution import CompositeParams, execute_composite_run
from storefront.photos import store_room_photo
from tests.lamp import ENOUGH, FAINT, TITLE, faint_shadow, lamp_asset, small_room

PATIENCE_MS = 60_000
Look = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Complaint:
    """What has happened before anybody looks: a lamp that floats, yesterday at five."""

    shop: Shop
    asset: ProductAsset
    run: Run
    earlier: PromptOverride

    @classmethod
    def arises(cls) -> "Complaint":
        """A good picture two days ago, a colleague's patch, and yesterday's picture without a shadow."""
        shop = ensure_demo_shop()
        asset = lamp_asset(shop)
        earlier = faint_shadow(shop)
        run = shoppers_run(asset)
        assert run.status == Run.Status.COMPLETED, run.error_message
        return cls(shop, asset, _happened(run, _yesterday_at_five()), earlier)


def shoppers_run(asset: ProductAsset) -> Run:
    """A shopper's picture of the product, made here and now."""
    room = store_room_photo(shop=asset.shop, content=small_room())
    return execute_composite_run(CompositeParams(asset, room, trigger="storefront"))


def _yesterday_at_five() -> datetime:
    return (timezone.now() - timedelta(days=1)).replace(hour=17, minute=8)


def _happened(run: Run, moment: datetime) -> Run:
    """As if it had been made then: the run and its steps, with the times between them."""
    ago = run.created_at - moment
    for rows, columns in ((Run.objects.filter(pk=run.pk), ("created_at", "started_at", "finished_at")),
                          (run.steps.all(), ("created_at", "started_at", "finished_at"))):  # fmt: skip
        rows.update(**{column: F(column) - ago for column in columns})
    run.refresh_from_db()
    return run


@contextmanager
def worker_nearby() -> Iterator[None]:
    """A worker in a thread of this process: whatever is due is taken and executed, one run after another."""
    over = threading.Event()

    def work() -> None:
        while not over.wait(0.05):
            for claim in claim_runs("nearby", 1):
                execute_inline(Run.objects.get(pk=claim.run_id))
        connection.close()

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def elsewhere(act: Callable[[], object]) -> None:
    """Do something in another thread: Playwright keeps an event loop in this one."""

    def run() -> None:
        act()
        connection.close()

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()


@dataclass
class DebugFlow:
    """Somebody on duty with a browser, signed in, who has been told of a complaint."""

    page: Page
    base: str
    look: Look = lambda name: None
    clicks: list[str] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)

    def click(self, what: Locator, why: str) -> None:
        """One press of the mouse."""
        self.clicks.append(why)
        what.click()

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """A part of the story, timed; what it left on the screen is looked at."""
        begun = time.perf_counter()
        yield
        self.seconds[name] = round(time.perf_counter() - begun, 2)
        self.look(name)

    def find(self, run: Run) -> None:
        """The list, the product's name and about when: the run is there."""
        with self.stage("1-found"):
            self.page.goto(f"{self.base}/admin/runs/run/")
            self.page.keyboard.press("/")
            self.page.keyboard.type("lamp")
            self.page.keyboard.press("Tab")
            self.page.keyboard.type("yesterday 5 pm")
            self.page.keyboard.press("Enter")
            row = self.page.get_by_role("link", name=TITLE).and_(self.page.locator(":visible")).first
            expect(row).to_be_visible()
        with self.stage("2-understood"):
            self.click(row, "open the run")
            self.page.wait_for_url(f"**/admin/runs/run/{run.pk}/change/**")
            expect(self.page.locator("#node-composite")).to_contain_text("composite sha256:")

    def edit(self) -> None:
        """The step that drew the shadow, its prompt, and more of a shadow."""
        with self.stage("3-edited"):
            self.click(self.page.locator("#node-composite"), "open the step")
            again = self.page.get_by_role("link", name="Re-run from here").and_(self.page.locator(":visible"))
            self.click(again, "edit its prompt")
            prompt = self.page.locator("#prompt-composite")
            expect(prompt).to_be_focused()
            prompt.fill(prompt.input_value().replace(f"shadow: {FAINT}", f"shadow: {ENOUGH}"))
            expect(self.page.locator("#plan .fork-changed")).to_contain_text("composite")
            expect(self.page.locator("#plan")).to_contain_text("1 node runs, 3 reused")

    def compare(self) -> None:
        """Run again from there; the comparison follows it to its end."""
        with self.stage("4-compared"):
            self.click(self.page.get_by_role("button", name="Re-run"), "run again")
            self.page.wait_for_url("**/compare/**")
            expect(self.page.locator("#verdict")).to_contain_text("contact shadow", timeout=PATIENCE_MS)
            expect(self.page.locator("#causes")).to_contain_text("prompt")
            self.page.keyboard.press("4")
            expect(self.page.locator("#pair-result .difference")).to_contain_text("of the picture differs visibly")

    def patch(self, reason: str) -> None:
        """The fork's prompt becomes the shop's."""
        with self.stage("5-patched"):
            self.click(self.page.get_by_role("button", name="Patch "), "patch the shop")
            self.page.keyboard.type(reason)
            self.look("5-patching")
            self.click(self.page.get_by_role("dialog").get_by_role("button", name="Patch", exact=True), "confirm")
            expect(self.page.locator("#patch-composite")).to_contain_text("No run has used it yet")

    def verify(self, next_run: Callable[[], object]) -> None:
        """The shop's next run uses it, and the page says so by itself."""
        with self.stage("6-verified"):
            elsewhere(next_run)
            expect(self.page.locator("#uses-composite")).to_contain_text(
                "verified by a shopper's run", timeout=PATIENCE_MS
            )
            self.click(self.page.get_by_role("link", name="compare with A"), "look at the new picture")
            self.page.wait_for_url("**/compare/**")
            expect(self.page.locator("#verdict")).to_contain_text("contact shadow")

    def whole(self, complaint: Complaint) -> None:
        """All of it."""
        self.find(complaint.run)
        self.edit()
        self.compare()
        self.patch("Lamps float: the shadow is back to what it was")
        self.verify(lambda: shoppers_run(complaint.asset))
