"""The widget from the first tap to the picture, in a real browser."""

import io

import pytest
from PIL import Image
from playwright.sync_api import expect

from tests.storefront.fake_api import KEY, PRODUCT, REFERENCE, VISITOR, FakeApi
from tests.storefront.shop_pages import HOME, PRODUCT_PAGE
from tests.storefront.shopper import Shopper, jpeg

pytest_plugins = ("tests.storefront.widget_fixtures",)


def test_before_the_tap_a_product_page_loads_nothing_of_ours_but_the_button(shopper: Shopper, api: FakeApi) -> None:
    shopper.visit()
    ours = {request.path for request in api.requests if "seeit" in request.path or "/proxy/" in request.path}
    assert ours == {"/static/storefront/seeit-button.js"}
    shopper.visit(HOME)
    assert "seeit-widget" not in " ".join(request.path for request in api.requests)


def test_a_shopper_sees_the_product_in_the_room(shopper: Shopper, api: FakeApi) -> None:
    photo = jpeg()
    shopper.ask(photo).sees("Here it is")
    composite = api.sent("POST", "composites")[0]
    assert composite.json == {
        "product_id": PRODUCT,
        "upload_id": "upload0",
        "consent": True,
        "n": composite.headers["idempotency-key"],
    }
    assert composite.headers["authorization"] == f"Bearer {KEY}"
    assert api.uploads["upload0"]["data"] == photo
    assert {request.query["visitor"][0] for request in api.sent("GET", "composites/run0")} == {VISITOR}
    expect(shopper.page.get_by_text("Shown true to size: 213 × 91 × 84 cm")).to_be_visible()
    expect(shopper.page.get_by_text("approximate")).to_be_hidden()
    expect(shopper.page.get_by_text(f"Reference {REFERENCE}")).to_be_visible()
    expect(shopper.page.get_by_alt_text("Your room with Halden 3-Seater Velvet Sofa")).to_be_visible()


def test_the_download_is_the_picture(shopper: Shopper, api: FakeApi) -> None:
    shopper.ask().sees("Here it is")
    with shopper.page.expect_download() as download:
        shopper.page.get_by_role("link", name="Download").click()
    assert download.value.suggested_filename == "see-it.jpg"
    assert download.value.path().read_bytes() == api.result_jpeg


def test_an_estimated_size_is_called_approximate(shopper: Shopper, api: FakeApi) -> None:
    api.dimensions_text = "about 213 × 91 × 84 cm, partly estimated"
    shopper.ask().sees("Here it is")
    expect(shopper.page.get_by_text("The size is approximate")).to_be_visible()


def test_no_photo_is_asked_for_before_the_box_is_ticked(shopper: Shopper, api: FakeApi) -> None:
    choosers: list[object] = []
    shopper.page.on("filechooser", lambda chooser: choosers.append(chooser))
    shopper.open()
    expect(shopper.page.get_by_role("checkbox")).not_to_be_checked()
    shopper.press("Choose a photo").press("Bedroom")
    expect(shopper.page.get_by_role("alert")).to_have_text("Please tick the box first.")
    expect(shopper.page.get_by_role("checkbox")).to_be_focused()
    assert choosers == []
    assert api.sent("POST", "uploads") == []


def test_the_mark_is_set_by_a_click_dragged_and_sent_as_fractions(shopper: Shopper, api: FakeApi) -> None:
    shopper.ready()
    box = shopper.room.bounding_box()
    assert box is not None
    expect(shopper.mark).to_be_hidden()
    shopper.room.click(position={"x": box["width"] * 0.3, "y": box["height"] * 0.6})
    expect(shopper.mark).to_be_visible()
    shopper.mark.hover()
    shopper.page.mouse.down()
    shopper.page.mouse.move(box["x"] + box["width"] * 0.4, box["y"] + box["height"] * 0.75)
    shopper.page.mouse.move(box["x"] + box["width"] * 0.5, box["y"] + box["height"] * 0.8)
    shopper.page.mouse.up()
    expect(shopper.heard).to_have_text("Mark at 50% from left, 80% from top")
    shopper.press("Show it in my room").sees("Here it is")
    assert api.sent("POST", "composites")[0].json["tap"] == pytest.approx({"x": 0.5, "y": 0.8}, abs=0.01)


def test_the_mark_follows_the_arrow_keys_and_stays_in_the_photo(shopper: Shopper, api: FakeApi) -> None:
    shopper.ready()
    shopper.room.focus()
    for key in ("ArrowUp", "ArrowRight", "Shift+ArrowDown", "Shift+ArrowDown", "Shift+ArrowDown", "Shift+ArrowDown"):
        shopper.page.keyboard.press(key)
    expect(shopper.heard).to_have_text("Mark at 52% from left, 100% from top")
    shopper.press("Show it in my room").sees("Here it is")
    assert api.sent("POST", "composites")[0].json["tap"] == pytest.approx({"x": 0.52, "y": 1})


def test_the_mark_goes_with_delete_or_the_button(shopper: Shopper, api: FakeApi) -> None:
    shopper.ready()
    shopper.room.click()
    shopper.room.press("Delete")
    expect(shopper.mark).to_be_hidden()
    expect(shopper.heard).to_have_text("Mark removed")
    shopper.room.click()
    shopper.press("Remove mark")
    expect(shopper.mark).to_be_hidden()
    expect(shopper.room).to_be_focused()
    shopper.press("Show it in my room").sees("Here it is")
    assert "tap" not in api.sent("POST", "composites")[0].json


def test_the_stages_are_shown_and_told_as_the_run_reports_them(shopper: Shopper, api: FakeApi) -> None:
    api.phases = [("placement_generating", "select")]
    api.held.clear()
    shopper.ask().sees("Making your picture")
    current = shopper.page.locator("[aria-current=step]")
    expect(current).to_have_text("Choosing the best one")
    expect(shopper.heard).to_have_text("Choosing the best one")
    expect(shopper.page.locator("li.done")).to_have_text(
        ["Sending your photo", "Reading the product's real size", "Looking for good spots in your room"]
    )
    expect(shopper.page.get_by_text("seconds so far")).to_be_hidden()
    api.held.set()
    shopper.sees("Here it is")


def test_after_ten_seconds_the_wait_is_counted(shopper: Shopper, api: FakeApi) -> None:
    shopper.page.clock.install()
    api.held.clear()
    shopper.ask().sees("Making your picture")
    expect(shopper.page.locator("[aria-current=step]")).to_have_text("Reading the product's real size")
    shopper.page.clock.run_for(12_000)
    expect(shopper.page.get_by_text("12 seconds so far")).to_be_visible()


def test_a_sample_room_does_for_a_photo(shopper: Shopper, api: FakeApi) -> None:
    shopper.open().agree().press("Bedroom").sees("Tap where it should stand").press("Show it in my room")
    shopper.sees("Here it is")
    room = Image.open(io.BytesIO(api.uploads["upload0"]["data"]))
    assert room.getexif()[0x0112] == 6
    assert room.getexif().get_ifd(0x8769)[0xA405] == 26


@pytest.mark.parametrize("order", ["<", ">"])
def test_a_large_photo_is_sent_smaller_with_its_focal_length_and_nothing_else(
    shopper: Shopper, api: FakeApi, order: str
) -> None:
    exif = Image.Exif()
    exif.endian = order
    exif[0x0112] = 6
    exif[0x010F] = "Maker"
    exif.get_ifd(0x8769)[0xA405] = 26
    exif.get_ifd(0x8825)[2] = (48.0, 8.0, 0.0)
    shopper.ask(jpeg(4000, 3000, exif=exif.tobytes())).sees("Here it is")
    sent = Image.open(io.BytesIO(api.uploads["upload0"]["data"]))
    assert (sent.format, sent.size) == ("JPEG", (1920, 2560))
    assert dict(sent.getexif()).keys() == {0x8769}
    assert sent.getexif().get_ifd(0x8769) == {0xA405: 26}


def test_the_slider_shows_the_room_before_and_after(shopper: Shopper, api: FakeApi) -> None:
    shopper.ask().sees("Here it is")
    slider = shopper.page.get_by_role("slider", name="Before and after")
    expect(slider).to_have_value("25")
    slider.press("ArrowRight")
    slider.press("End")
    expect(slider).to_have_value("100")
    after = shopper.page.get_by_alt_text("Your room with Halden 3-Seater Velvet Sofa")
    expect(after).to_have_css("clip-path", "inset(0px 0px 0px 100%)")


def test_feedback_is_sent_and_may_be_changed(shopper: Shopper, api: FakeApi) -> None:
    shopper.ask().sees("Here it is").press("Yes")
    expect(shopper.button("Yes")).to_have_attribute("aria-pressed", "true")
    expect(shopper.heard).to_have_text("Thank you for telling us.")
    shopper.press("No")
    expect(shopper.button("No")).to_have_attribute("aria-pressed", "true")
    expect(shopper.button("Yes")).to_have_attribute("aria-pressed", "false")
    assert [request.json["verdict"] for request in api.sent("POST", "composites/run0/feedback")] == ["up", "down"]


def test_move_it_asks_for_another_spot_in_the_same_photo(shopper: Shopper, api: FakeApi) -> None:
    api.remaining = 1
    shopper.ask().sees("Here it is").press("Move it").sees("Tap where it should stand")
    expect(shopper.button("Show it in my room")).to_be_disabled()
    shopper.room.click()
    shopper.press("Show it in my room").sees("Here it is")
    assert api.sent("POST", "composites/run0/refine")[0].json["tap"] == pytest.approx({"x": 0.5, "y": 0.5}, abs=0.01)
    assert len(api.uploads) == 1
    expect(shopper.button("Move it")).to_be_hidden()


def test_delete_my_photo_deletes_every_picture_made_from_it(shopper: Shopper, api: FakeApi) -> None:
    shopper.ask().sees("Here it is").press("Move it")
    shopper.room.click()
    shopper.press("Show it in my room").sees("Here it is")
    shopper.press("Delete my photo").sees("Your photo is deleted")
    assert api.runs == {}
    expect(shopper.page.locator("seeit-widget img[src^='blob:']")).to_have_count(0)


def test_stopping_the_wait_deletes_the_photo(shopper: Shopper, api: FakeApi) -> None:
    api.held.clear()
    shopper.ask().sees("Making your picture")
    expect(shopper.page.locator("[aria-current=step]")).to_have_text("Reading the product's real size")
    shopper.press("Stop and delete my photo").sees("Your photo is deleted")
    assert api.runs == {}


def test_the_visitor_is_remembered_on_the_next_visit(shopper: Shopper, api: FakeApi) -> None:
    shopper.ask().sees("Here it is")
    shopper.ask().sees("Here it is")
    first, second = api.sent("POST", "composites")
    assert "visitor" not in first.json
    assert second.json["visitor"] == VISITOR


def test_closed_and_opened_again_it_is_as_it_was_left(shopper: Shopper, api: FakeApi) -> None:
    shopper.ask().sees("Here it is")
    shopper.page.keyboard.press("Escape")
    expect(shopper.button("See it in your room")).to_be_focused()
    shopper.press("See it in your room").sees("Here it is")
    assert len(api.sent("GET", f"products/{PRODUCT}")) == 1


def test_all_of_it_works_by_keyboard_alone(shopper: Shopper, api: FakeApi) -> None:
    page = shopper.visit(PRODUCT_PAGE).page
    page.on("filechooser", lambda chooser: None)  # the browser has to hand choosers over well before the key is pressed
    shopper.button("See it in your room").focus()
    page.keyboard.press("Enter")
    shopper.sees("Show us your room")
    page.keyboard.press("Tab")
    page.keyboard.press("Space")
    expect(page.get_by_role("checkbox")).to_be_checked()
    page.keyboard.press("Tab")
    with page.expect_file_chooser() as chooser:
        page.keyboard.press("Enter")
    chooser.value.set_files({"name": "room.jpg", "mimeType": "image/jpeg", "buffer": jpeg()})
    shopper.sees("Tap where it should stand")
    for key in ("Tab", "ArrowDown", "ArrowLeft", "Tab", "Enter"):
        page.keyboard.press(key)
    shopper.sees("Here it is")
    assert api.sent("POST", "composites")[0].json["tap"] == pytest.approx({"x": 0.48, "y": 0.7})
    for key in ("Tab", "ArrowRight", "Tab", "Tab", "Tab", "Tab", "Space"):
        page.keyboard.press(key)
    expect(shopper.button("Yes")).to_have_attribute("aria-pressed", "true")
    page.keyboard.press("Escape")
    expect(shopper.button("See it in your room")).to_be_focused()
