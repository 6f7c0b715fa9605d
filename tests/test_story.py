"""The whole story in a browser: a shopper gets a picture, an operator opens the run that made it."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from django.contrib.auth import get_user_model
from django.core.management import call_command
from playwright.sync_api import Browser, Page, expect

from prep.models import ProductAsset
from runs.models import Run, Worker
from storefront.demo_catalog import load_catalog
from storefront.demo_shop import ensure_demo_key, ensure_demo_shop, prepare_products, seed_products
from tests.browser import launch_browser
from tests.workers import Cluster, wait_until

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.xdist_group("workers")]
SECOND = 1000


@pytest.fixture
def demo(live_server: object, files_of_its_own: Path) -> Iterator[str]:
    """The demo shop with its sofa ready, served by a real web server, with real workers."""
    call_command("publish_pipelines", verbosity=0)
    shop = ensure_demo_shop()
    ensure_demo_key(shop, [live_server.url])
    sofa = next(asset for asset in seed_products(shop) if asset.handle == "halden-sofa")
    assert prepare_products([sofa]) == []
    get_user_model().objects.create_superuser("operator", password="correct horse battery")
    cluster = Cluster(files_of_its_own, DJANGO_SETTINGS_MODULE="config.settings")
    wait_until(lambda: Worker.objects.count() >= 2, "two workers report")
    yield live_server.url
    cluster.kill()


@pytest.fixture
def browser(demo: str) -> Iterator[Browser]:
    """Started after the shop: Playwright keeps an event loop in this thread, where nothing can run inline."""
    with launch_browser() as running:
        yield running


def watched(browser: Browser) -> tuple[Page, list[str]]:
    """A page, and everything that it complains about (a violation of the content security policy is an error)."""
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    troubles: list[str] = []
    page.on("console", lambda line: troubles.append(line.text) if line.type == "error" else None)
    page.on("pageerror", lambda error: troubles.append(str(error)))
    return page, troubles


def make_picture(page: Page, base: str) -> None:
    """From the shop's front page to the finished picture."""
    page.goto(f"{base}/demo/")
    page.get_by_role("link", name="Halden").first.click()
    page.get_by_role("button", name="See it in your room").click()
    page.get_by_role("checkbox").check()
    room = load_catalog().rooms[0].photo_path
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="Choose a photo").click()
    chooser.value.set_files(room)
    page.get_by_role("button", name="Show").first.click()
    expect(page.get_by_role("heading", name="Here it is")).to_be_visible(timeout=90 * SECOND)


def missing_pictures(page: Page) -> list[str]:
    """Pictures in view that are not there."""
    broken = "i => i.checkVisibility() && i.loading !== 'lazy' && !(i.complete && i.naturalWidth)"
    return list(page.evaluate(f"[...document.images].filter({broken}).map(i => i.src)"))


def test_from_a_photo_to_the_picture_and_to_the_run_that_made_it(browser: Browser, demo: str) -> None:
    page, troubles = watched(browser)
    make_picture(page, demo)
    expect(page.get_by_text("Shown true to size: 213 x 91 x 84 cm")).to_be_visible()
    run = Run.objects.get(pipeline_slug="composite")
    assert run.status == Run.Status.COMPLETED
    assert run.input["room"]["f35_mm"], "the camera's focal length came with the photo"
    assert [step.status for step in run.steps.all()] == ["completed"] * 4

    page.goto(f"{demo}/admin/")
    page.get_by_label("Username").fill("operator")
    page.get_by_label("Password").fill("correct horse battery")
    page.get_by_role("button", name="Log in").click()
    page.goto(f"{demo}/admin/runs/run/")
    page.get_by_role("link", name="Halden").first.click()
    page.wait_for_url(f"**/admin/runs/run/{run.id}/change/**")
    page.get_by_role("button", name="Open all").click()
    for text in ("Timeline", "facts", "placement", "select", "composite", "What it was asked", "What it answered"):
        expect(page.get_by_text(text).filter(visible=True).first).to_be_visible()
    why = run.steps.get(node_key="select").why[:60]
    expect(page.get_by_text(why).filter(visible=True).first).to_be_visible()
    page.wait_for_load_state("networkidle")
    assert missing_pictures(page) == []
    assert troubles == []


def test_a_product_that_is_not_ready_says_so_and_a_failed_run_offers_another_try(browser: Browser, demo: str) -> None:
    page, _ = watched(browser)
    asset = ProductAsset.objects.get(handle="marlow-chair")
    page.goto(f"{demo}/demo/products/{asset.handle}/")
    page.get_by_role("button", name="See it in your room").click()
    expect(page.get_by_role("dialog")).to_contain_text("being prepared", timeout=10 * SECOND)
