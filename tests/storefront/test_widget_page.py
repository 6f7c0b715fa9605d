"""The widget's weight, its small screen, its access for all, and the words it shares with the server."""

import gzip
import re
from pathlib import Path

import pytest
from playwright.sync_api import expect

from shops.models import Shop
from storefront.consent import consent_text
from tests.storefront.fake_api import FakeApi
from tests.storefront.shop_pages import HOME, PRODUCT_PAGE, STATIC
from tests.storefront.shopper import Shopper
from tests.storefront.test_widget_errors import CODES, IN_RUNS

pytest_plugins = ("tests.storefront.widget_fixtures",)

TEMPLATES = Path(__file__).resolve().parents[2] / "templates" / "storefront"
CONTRACT_CODES = set(
    """
    signature_invalid key_invalid shop_inactive not_found product_not_ready duplicate_nonce upload_expired
    photo_too_large photo_unsupported photo_corrupt photo_too_many_pixels photo_too_small photo_animated
    consent_required validation quota_exceeded throttled gate_rejected vendor_unavailable temporarily_unavailable
    """.split()  # noqa: SIM905 (a list of twenty words reads better)
)


def gzipped(path: Path) -> int:
    """Its size on the wire."""
    return len(gzip.compress(path.read_bytes(), 9))


def test_the_widget_weighs_at_most_ten_kilobytes() -> None:
    assert sum(gzipped(path) for path in STATIC.glob("seeit-*")) <= 10_000


def test_the_button_weighs_less_than_one_kilobyte() -> None:
    assert gzipped(STATIC / "seeit-button.js") < 1000


def test_every_code_of_the_contract_is_tested_in_the_browser() -> None:
    assert {row[0] for row in CODES} | {row[0] for row in IN_RUNS} == CONTRACT_CODES


def test_every_code_of_the_contract_has_words() -> None:
    words = (STATIC / "seeit-words.js").read_text()
    assert [code for code in CONTRACT_CODES if not re.search(rf"^  {code}:", words, re.MULTILINE)] == []


@pytest.mark.parametrize("template", sorted(TEMPLATES.glob("*.html")), ids=lambda path: path.name)
def test_no_page_of_the_shop_carries_script_or_style(template: Path) -> None:
    html = template.read_text()
    assert re.search(r"<style|\sstyle=|\son\w+=|javascript:|<script(?![^>]*\ssrc=)", html) is None


@pytest.mark.parametrize("path", [HOME, PRODUCT_PAGE, "/demo/products/terra-forms-print/", "/demo/products/nothing/"])
def test_the_shops_pages_keep_their_policy_and_fit_a_small_phone(walker: Shopper, path: str) -> None:
    walker.visit(path)
    assert _overflow(walker) <= 0


def test_the_box_says_what_the_server_keeps_the_hash_of(shopper: Shopper) -> None:
    shopper.open()
    said = shopper.page.locator(".consent").inner_text().replace("\xa0", " ").strip()
    assert said == consent_text(Shop(name="Nordhem & Co"))


def test_every_view_fits_a_phone_of_320_pixels(walker: Shopper, api: FakeApi) -> None:
    walker.open()
    expect(walker.button("Take a photo")).to_be_visible()
    assert _overflow(walker) <= 0
    walker.agree().press("Living room").sees("Tap where it should stand")
    walker.room.tap()
    assert _overflow(walker) <= 0
    api.held.clear()
    walker.press("Show it in my room").sees("Making your picture")
    assert _overflow(walker) <= 0
    api.held.set()
    walker.sees("Here it is")
    assert _overflow(walker) <= 0
    walker.press("Delete my photo").sees("Your photo is deleted")
    assert _overflow(walker) <= 0


def test_everything_to_tap_on_a_phone_is_44_pixels_high(walker: Shopper) -> None:
    walker.open().agree().press("Living room").sees("Tap where it should stand").press("Show it in my room")
    walker.sees("Here it is")
    small = walker.page.locator("dialog").evaluate(
        "box => [...box.querySelectorAll('button, a, input, [role=slider]')].filter(each => each.offsetHeight > 0"
        " && each.type !== 'checkbox' && each.offsetHeight < 44).map(each => each.textContent)"
    )
    assert small == []


def test_the_camera_is_offered_where_there_is_one(shopper: Shopper, walker: Shopper) -> None:
    shopper.open()
    expect(shopper.button("Take a photo")).to_be_hidden()
    walker.open().agree()
    with walker.page.expect_file_chooser() as chooser:
        walker.press("Take a photo")
    assert chooser.value.element.get_attribute("capture") is not None
    assert chooser.value.element.get_attribute("accept") == "image/jpeg,image/png,image/webp"


def test_nothing_turns_for_those_who_want_no_motion(shopper: Shopper, api: FakeApi) -> None:
    api.held.clear()
    shopper.ask().sees("Making your picture")
    current, turning = (
        shopper.page.locator("[aria-current]"),
        "each => getComputedStyle(each, '::before').animationName",
    )
    expect(current).to_have_text("Reading the product's real size")
    assert current.evaluate(turning) == "turn"
    shopper.page.emulate_media(reduced_motion="reduce")
    assert current.evaluate(turning) == "none"


def test_every_control_has_a_name(shopper: Shopper) -> None:
    shopper.ask().sees("Here it is")
    tree = shopper.page.locator("dialog").aria_snapshot()
    assert tree.startswith('- dialog "See it in your room Halden 3-Seater Velvet Sofa"')
    assert re.findall(r"- (?:button|link|slider|checkbox)(?=[:\n]|$)", tree) == []


def test_a_theme_cannot_restyle_the_dialog(shopper: Shopper) -> None:
    shopper.open()
    shopper.page.evaluate(
        "() => { const sheet = new CSSStyleSheet();"
        " sheet.replaceSync('dialog, button, section { display: none !important }');"
        " document.adoptedStyleSheets = [sheet]; }"
    )
    expect(shopper.button("Choose a photo")).to_be_visible()


def _overflow(shopper: Shopper) -> int:
    """How many pixels stick out on the right, of the page and of the dialog."""
    wide = "each => each.scrollWidth - each.clientWidth"
    dialog = shopper.page.locator("dialog[open]").evaluate_all(f"all => all.map({wide})")
    return max(int(each) for each in [shopper.page.locator("html").evaluate(wide), *dialog])
