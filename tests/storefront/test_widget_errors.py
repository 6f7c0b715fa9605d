"""What the widget says when something goes wrong, and what it offers to do: every code of the contract."""

from collections import deque

import pytest
from playwright.sync_api import Route, expect

from tests.storefront.fake_api import PRODUCT, REFERENCE, Answer, FakeApi
from tests.storefront.shopper import Shopper, jpeg

pytest_plugins = ("tests.storefront.widget_fixtures",)

BREAK = "See It is taking a short break"
RETRY, PHOTO, NOTHING = "Try again", "Choose another photo", None

# code, HTTP status, the request that is answered so, what the shopper reads, and the first thing offered
CODES = [
    ("signature_invalid", 401, "POST uploads", "Previews are not available here", NOTHING),
    ("key_invalid", 401, "POST composites", "Previews are not available here", NOTHING),
    ("shop_inactive", 403, "POST uploads", "Previews are not available here", NOTHING),
    ("not_found", 404, "GET composites", "This picture is no longer here", PHOTO),
    ("product_not_ready", 409, "POST composites", "This product is still being prepared", RETRY),
    ("duplicate_nonce", 409, "POST composites", "Please send that once more", RETRY),
    ("upload_expired", 410, "PUT put", "Please send that once more", RETRY),
    ("photo_too_large", 413, "POST uploads", "This photo is too large", PHOTO),
    ("photo_unsupported", 415, "PUT put", "We cannot read this kind of file", PHOTO),
    ("photo_corrupt", 422, "PUT put", "This photo seems to be damaged", PHOTO),
    ("photo_too_many_pixels", 422, "POST composites", "This photo is too large", PHOTO),
    ("photo_too_small", 422, "PUT put", "This photo is too small", PHOTO),
    ("photo_animated", 422, "POST composites", "This picture moves", PHOTO),
    ("consent_required", 422, "POST composites", "We need your permission first", PHOTO),
    ("validation", 422, "POST composites", "That did not work", PHOTO),
    ("quota_exceeded", 402, "POST composites", "The shop has used up its previews", NOTHING),
    ("throttled", 429, "POST composites", "That was a little fast", RETRY),
    ("temporarily_unavailable", 503, "POST uploads", BREAK, RETRY),
    ("temporarily_unavailable", 200, "POST composites", BREAK, RETRY),
]
IN_RUNS = [
    ("gate_rejected", "That picture was not good enough to show", RETRY),
    ("vendor_unavailable", BREAK, RETRY),
]


@pytest.mark.parametrize(("code", "status", "asked", "heading", "offer"), CODES)
def test_every_code_has_its_sentence_and_its_way_out(
    shopper: Shopper, api: FakeApi, code: str, status: int, asked: str, heading: str, offer: str | None
) -> None:
    api.instead[asked] = deque([Answer.error(status, code)])
    shopper.ask().sees(heading)
    offers = {name for name in (RETRY, PHOTO) if shopper.page.get_by_role("button", name=name).is_visible()}
    assert offers == {None: set(), RETRY: {RETRY, PHOTO}, PHOTO: {PHOTO}}[offer]
    expect(shopper.page.locator("dialog")).not_to_contain_text("server says")


@pytest.mark.parametrize(("code", "heading", "offer"), IN_RUNS)
def test_a_failed_run_may_be_tried_again_as_a_new_one(
    shopper: Shopper, api: FakeApi, code: str, heading: str, offer: str
) -> None:
    api.run_error = {"code": code, "message": "for staff", "retryable": True}
    shopper.ask().sees(heading)
    expect(shopper.page.get_by_text(f"Reference {REFERENCE}")).to_be_visible()
    api.run_error = None
    shopper.press(offer).sees("Tap where it should stand").press("Show it in my room").sees("Here it is")
    first, second = api.sent("POST", "composites")
    assert first.headers["idempotency-key"] != second.headers["idempotency-key"]


def test_a_change_that_fails_leaves_the_picture_that_was_there(shopper: Shopper, api: FakeApi) -> None:
    shopper.ask().sees("Here it is").press("Move it")
    shopper.room.click()
    api.run_error = {"code": "gate_rejected", "message": "for staff", "retryable": True}
    shopper.press("Show it in my room").sees("That picture was not good enough to show").press("Back")
    shopper.sees("Here it is").press("Yes")
    expect(shopper.button("Yes")).to_have_attribute("aria-pressed", "true")
    assert len(api.sent("POST", "composites/run0/feedback")) == 1


def test_an_unknown_code_is_told_in_the_servers_words(shopper: Shopper, api: FakeApi) -> None:
    api.run_error = {"code": "no_placement", "message": "There is no free floor in this photo.", "retryable": True}
    shopper.ask().sees("That did not work")
    expect(shopper.page.get_by_text("There is no free floor in this photo.")).to_be_visible()
    expect(shopper.button(RETRY)).to_be_visible()
    expect(shopper.button(PHOTO)).to_be_visible()


@pytest.mark.parametrize(
    "answer",
    [
        Answer(503, b"<h1>Service Unavailable</h1>", "text/html"),
        Answer(200, b"<html>a theme's page</html>", "text/html"),
        Answer(200, b'{"unexpected": true}'),
        Answer(502, b""),
    ],
    ids=["503", "a page", "other JSON", "nothing"],
)
def test_whatever_is_not_our_json_is_a_short_break(shopper: Shopper, api: FakeApi, answer: Answer) -> None:
    api.instead["POST composites"] = deque([answer])
    shopper.ask().sees(BREAK).press(RETRY).sees("Here it is")


def test_a_lost_answer_is_asked_for_again_with_the_same_key_and_without_a_second_upload(
    shopper: Shopper, api: FakeApi
) -> None:
    def lose(route: Route) -> None:
        route.fetch()
        route.abort()

    shopper.page.route("**/proxy/v1/composites", lose, times=1)
    shopper.ask().sees(BREAK).press(RETRY).sees("Here it is")
    first, second = api.sent("POST", "composites")
    assert first.headers["idempotency-key"] == second.headers["idempotency-key"]
    assert len(api.uploads) == 1
    assert len(api.by_key) == 1


def test_without_a_network_the_photo_is_kept_for_the_retry(shopper: Shopper, api: FakeApi) -> None:
    shopper.ready()
    shopper.page.context.set_offline(True)
    shopper.press("Show it in my room").sees(BREAK)
    shopper.page.context.set_offline(False)
    shopper.press(RETRY).sees("Here it is")


def test_a_throttled_shopper_sees_the_seconds_go_by_and_may_then_retry(shopper: Shopper, api: FakeApi) -> None:
    shopper.page.clock.install()
    api.instead["POST composites"] = deque([Answer.error(429, "throttled", retry_after=3)])
    shopper.ask().sees("That was a little fast")
    expect(shopper.button("Try again in 3 s")).to_be_disabled()
    shopper.page.clock.run_for(1000)
    expect(shopper.button("Try again in 2 s")).to_be_disabled()
    shopper.page.clock.run_for(2000)
    expect(shopper.button(RETRY)).to_be_enabled()


def test_two_missed_polls_do_not_end_the_wait(shopper: Shopper, api: FakeApi) -> None:
    api.instead["GET composites"] = deque([Answer(502, b"bad gateway", "text/plain")] * 2)
    shopper.ask().sees("Here it is")


def test_after_four_missed_polls_a_retry_watches_the_same_run(shopper: Shopper, api: FakeApi) -> None:
    api.instead["GET composites"] = deque([Answer(502, b"bad gateway", "text/plain")] * 4)
    shopper.ask().sees(BREAK).press(RETRY).sees("Here it is")
    assert len(api.sent("POST", "composites")) == 1


def test_a_picture_that_does_not_arrive_is_fetched_again(shopper: Shopper, api: FakeApi) -> None:
    api.instead["GET pictures"] = deque([Answer.error(410, "link_expired")])
    shopper.ask().sees(BREAK).press(RETRY).sees("Here it is")


@pytest.mark.parametrize(
    ("status", "heading"),
    [
        ("preparing", "This product is still being prepared"),
        ("unavailable", "This product cannot be shown in a room yet"),
    ],
)
def test_whether_a_product_can_be_shown_is_told_after_the_tap(
    shopper: Shopper, api: FakeApi, status: str, heading: str
) -> None:
    api.product_status = status
    shopper.visit().press("See it in your room").sees(heading)
    shopper.page.keyboard.press("Escape")
    api.product_status = "ready"
    shopper.press("See it in your room").sees("Show us your room")
    assert len(api.sent("GET", f"products/{PRODUCT}")) == 2


def test_an_unknown_product_cannot_be_shown(shopper: Shopper, api: FakeApi) -> None:
    api.instead["GET products"] = deque([Answer.error(404, "not_found")])
    shopper.visit().press("See it in your room").sees("This product cannot be shown in a room yet")
    expect(shopper.button(PHOTO)).to_be_hidden()


@pytest.mark.parametrize(
    ("content", "kind", "heading"),
    [
        (b"ftypheic", "image/heic", "We cannot read this kind of file"),
        (b"%PDF-1.7", "application/pdf", "We cannot read this kind of file"),
        (b"\xff\xd8 not a photo", "image/jpeg", "This photo seems to be damaged"),
    ],
)
def test_a_file_that_is_no_photo_is_refused_before_it_is_sent(
    shopper: Shopper, api: FakeApi, content: bytes, kind: str, heading: str
) -> None:
    shopper.open().agree().give(content, "file", kind).sees(heading).press(PHOTO).give(jpeg())
    shopper.sees("Tap where it should stand")
    assert api.uploads == {}


def test_a_photo_above_the_announced_limit_is_not_sent(shopper: Shopper, api: FakeApi) -> None:
    api.max_bytes = 1000
    shopper.ask().sees("This photo is too large")
    assert api.uploads["upload0"]["data"] is None


def test_a_lost_opinion_is_said_to_be_lost(shopper: Shopper, api: FakeApi) -> None:
    shopper.ask().sees("Here it is")
    api.instead["POST composites"] = deque([Answer(503, b"", "text/plain")])
    shopper.press("Yes")
    expect(shopper.heard).to_have_text("That did not reach us. Please try again.")
    expect(shopper.button("Yes")).to_have_attribute("aria-pressed", "false")


def test_a_widget_that_does_not_load_says_so_on_the_button_and_loads_on_the_next_tap(
    shopper: Shopper, api: FakeApi
) -> None:
    script = api.pages.pop("/static/storefront/seeit-widget.js")
    shopper.visit().press("See it in your room")
    broken = shopper.button("See It is taking a short break. Tap to try again.")
    expect(broken).to_be_visible()
    api.pages["/static/storefront/seeit-widget.js"] = script
    broken.click()
    shopper.sees("Show us your room")
    shopper.page.keyboard.press("Escape")
    expect(shopper.button("See it in your room")).to_be_focused()
