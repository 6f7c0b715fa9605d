"""Asking for a picture: every refusal by its own code, and nothing started that was not counted."""

import json
from datetime import timedelta
from pathlib import Path

import pytest
import time_machine
from django.db.models import F
from django.utils import timezone

from core.canonical import sha256_hex
from runs.models import Run
from shops.models import RateBucket, Usage
from storefront.consent import consent_hash
from storefront.models import CompositeRun, Upload
from tests.factories import ProductAssetFactory, room_jpeg
from tests.storefront.doors import a_page, code_of
from tests.storefront.photos_for_tests import REFUSED, turned_jpeg

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("door")]


def test_a_composite_by_upload_is_started_counted_and_put_in_line() -> None:
    page, asset = a_page()
    response = page.ask(asset, page.upload(turned_jpeg()), tap={"x": 0.25, "y": 0.75})
    answer = response.json()["data"]
    assert response.status_code == 202
    assert set(answer) == {"id", "status", "visitor", "poll_after_ms"}
    assert (answer["status"], len(answer["id"])) == ("pending", 26)
    run = CompositeRun.objects.get().run
    assert str(run.pk) == answer["id"]
    assert (run.shop, run.pipeline_slug, run.subject_label) == (page.shop, "composite", "Halden sofa")
    assert run.input["tap"] == {"x": 0.25, "y": 0.75}
    assert run.input["room"]["f35_mm"] == 26.0
    assert (run.input["room"]["photo"]["width"], run.input["room"]["photo"]["height"]) == (600, 800)
    assert run.input["cutout"]["$blob"] == asset.cutout.sha256
    assert run.input["prepared_facts"]["facts"] == asset.extracted_facts
    assert set(run.artifacts.values_list("name", flat=True)) == {"room", "cutout"}
    assert Usage.objects.get(shop=page.shop).composites == 1


def test_a_composite_with_its_photo_in_one_form_is_started_too() -> None:
    page, asset = a_page()
    response = page.post_photo(asset, room_jpeg(), tap='{"x": 0.5, "y": 0.5}')
    assert response.status_code == 202
    assert CompositeRun.objects.get().run.input["tap"] == {"x": 0.5, "y": 0.5}


def test_what_the_shopper_agreed_to_and_when_is_kept() -> None:
    page, asset = a_page()
    before = timezone.now()
    page.post_photo(asset, room_jpeg())
    composite = CompositeRun.objects.get()
    assert composite.consent_text_hash == consent_hash(page.shop)
    assert before <= composite.consent_at <= timezone.now()


def test_no_shopper_can_be_named_from_the_row() -> None:
    page, asset = a_page()
    visitor = page.post_photo(asset, room_jpeg()).json()["data"]["visitor"]
    row = str(CompositeRun.objects.values().get())
    assert visitor.split(":")[0] not in row
    assert "127.0.0.1" not in row


@pytest.mark.parametrize("consent", [{}, {"consent": False}, {"consent": None}])
def test_without_consent_nothing_happens(consent: dict[str, object]) -> None:
    page, asset = a_page()
    body = {"product_id": asset.product_id, "upload_id": page.upload(room_jpeg()), **consent}
    assert code_of(page.post("composites", body)) == (422, "consent_required")
    assert code_of(page.post_photo(asset, room_jpeg(), consent="false")) == (422, "consent_required")
    assert not Run.objects.exists()


@pytest.mark.parametrize(
    "tap",
    [
        {"x": 1.2, "y": 0},
        {"x": -0.1, "y": 0},
        {"x": "a", "y": 0},
        {"x": True, "y": 0},
        {"x": 0.5},
        [0.5, 0.5],
        "0.5",
        3,
    ],
)
def test_a_tap_outside_the_photo_is_refused(tap: object) -> None:
    page, asset = a_page()
    assert code_of(page.ask(asset, page.upload(room_jpeg()), tap=tap)) == (422, "validation")


def test_a_tap_that_is_no_number_is_refused() -> None:
    page, asset = a_page()
    body = {"product_id": asset.product_id, "upload_id": page.upload(room_jpeg()), "consent": True}
    text = json.dumps(body)[:-1] + ', "tap": {"x": NaN, "y": 0.5}}'
    assert code_of(page.post("composites", text.encode())) == (400, "validation")


@pytest.mark.parametrize(
    "body",
    [
        {"consent": True},
        {"consent": True, "product_id": "p"},
        {"consent": True, "product_id": "p\0", "upload_id": "x"},
        {"consent": True, "product_id": "\ud800", "upload_id": "x"},
        {"consent": True, "product_id": "p" * 300, "upload_id": "x"},
        {"consent": True, "product_id": ["p"], "upload_id": "x"},
        [],
        "text",
    ],
)
def test_a_malformed_request_is_refused(body: object) -> None:
    page, _ = a_page()
    assert code_of(page.post("composites", body)) == (422, "validation")


def test_a_body_of_an_unknown_kind_is_refused() -> None:
    page, _ = a_page()
    response = page.client.post(
        "/proxy/v1/composites",
        "x",
        "text/plain",
        headers={"Authorization": f"Bearer {page.key}", "Origin": page.origin},
    )
    assert code_of(response) == (415, "unsupported_media_type")


@pytest.mark.parametrize("kind", REFUSED)
def test_a_photo_in_a_form_is_refused_by_its_own_code(kind: str, door: Path) -> None:
    make, status, code = REFUSED[kind]
    page, asset = a_page()
    before = sorted(path for path in door.rglob("*") if path.is_file())
    assert code_of(page.post_photo(asset, make())) == (status, code)
    assert sorted(path for path in door.rglob("*") if path.is_file()) == before
    assert not Run.objects.exists()
    assert not Usage.objects.exists()


def test_an_empty_photo_is_refused() -> None:
    page, asset = a_page()
    assert code_of(page.post_photo(asset, b"")) == (422, "photo_corrupt")


def test_a_photo_over_fifteen_megabytes_is_refused() -> None:
    page, asset = a_page()
    assert code_of(page.post_photo(asset, room_jpeg() + bytes(15 * 2**20 + 100_000))) == (413, "photo_too_large")


def test_an_unknown_product_is_not_found() -> None:
    page, asset = a_page()
    asset.product_id = "nope"
    assert code_of(page.post_photo(asset, room_jpeg())) == (404, "not_found")


def test_another_shops_product_is_not_found() -> None:
    page, _ = a_page()
    assert code_of(page.post_photo(ProductAssetFactory.create(), room_jpeg())) == (404, "not_found")


@pytest.mark.parametrize("prep_status", ["unprepared", "queued", "processing", "failed"])
def test_a_product_that_is_not_ready_is_refused(prep_status: str) -> None:
    page, asset = a_page()
    type(asset).objects.filter(pk=asset.pk).update(prep_status=prep_status)
    assert code_of(page.post_photo(asset, room_jpeg())) == (409, "product_not_ready")


@pytest.mark.parametrize("upload_id", ["nope", "01ARZ3NDEKTSV4RRFFQ69G5FAV", "8ZZZZZZZZZZZZZZZZZZZZZZZZZ", "é" * 26])
def test_an_unknown_upload_is_not_found(upload_id: str) -> None:
    page, asset = a_page()
    assert code_of(page.ask(asset, upload_id)) == (404, "not_found")


def test_another_shops_upload_is_not_found() -> None:
    page, asset = a_page()
    other, _ = a_page()
    assert code_of(page.ask(asset, other.upload(room_jpeg()))) == (404, "not_found")


def test_an_upload_whose_photo_never_came_is_refused() -> None:
    page, asset = a_page()
    announced = page.post("uploads", {"content_type": "image/jpeg", "bytes": 1000}).json()["data"]
    assert code_of(page.ask(asset, announced["upload_id"])) == (422, "validation")


def test_an_upload_is_good_for_ten_minutes() -> None:
    page, asset = a_page()
    upload_id = page.upload(room_jpeg())
    with time_machine.travel(timezone.now() + timedelta(minutes=10, seconds=1)):
        assert code_of(page.ask(asset, upload_id)) == (410, "upload_expired")


def test_one_photo_may_show_two_products() -> None:
    page, asset = a_page()
    other = ProductAssetFactory.create(shop=page.shop)
    upload_id = page.upload(room_jpeg())
    assert [page.ask(product, upload_id).status_code for product in (asset, other)] == [202, 202]


def test_a_used_up_quota_stops_before_any_run() -> None:
    page, asset = a_page(quota_daily=1)
    upload_id = page.upload(room_jpeg())
    assert page.ask(asset, upload_id).status_code == 202
    assert code_of(page.ask(asset, upload_id)) == (402, "quota_exceeded")
    assert Run.objects.count() == CompositeRun.objects.count() == 1


def test_too_many_pictures_have_to_wait() -> None:
    page, asset = a_page(composites_per_minute=2)
    upload_id = page.upload(room_jpeg())
    assert [page.ask(asset, upload_id).status_code for _ in range(2)] == [202, 202]
    response = page.ask(asset, upload_id)
    assert code_of(response) == (429, "throttled")
    assert int(response["Retry-After"]) == 30
    assert response.json()["error"]["retryable"] is True
    RateBucket.objects.update(tat=F("tat") - timedelta(seconds=30))
    assert page.ask(asset, upload_id).status_code == 202


def test_one_impatient_shopper_waits_while_others_do_not() -> None:
    page, asset = a_page(client_composites_per_minute=1)
    upload_id = page.upload(room_jpeg())
    page.ask(asset, upload_id)
    assert code_of(page.ask(asset, upload_id)) == (429, "throttled")
    page.client.defaults["REMOTE_ADDR"] = "198.51.100.7"
    assert page.ask(asset, upload_id).status_code == 202


@pytest.mark.parametrize("how", [{"headers": {"Idempotency-Key": "k-1"}}, {"n": "k-1"}])
def test_the_same_request_again_is_the_same_picture(how: dict[str, object]) -> None:
    page, asset = a_page(client_composites_per_minute=1, quota_daily=1)
    upload_id = page.upload(room_jpeg())
    first, second = (page.ask(asset, upload_id, **how).json()["data"] for _ in range(2))
    assert (first["id"], first["visitor"]) == (second["id"], second["visitor"])
    assert page.ask(asset, upload_id, visitor=first["visitor"], **how).json()["data"]["id"] == first["id"]
    assert Run.objects.count() == 1
    assert Usage.objects.get().composites == 1


def test_the_same_form_again_is_the_same_picture() -> None:
    page, asset = a_page()
    ids = {page.post_photo(asset, room_jpeg(), headers={"Idempotency-Key": "k"}).json()["data"]["id"] for _ in range(2)}
    assert len(ids) == 1
    assert Upload.objects.count() == 1


@pytest.mark.parametrize("change", ["product", "photo", "tap"])
def test_the_same_key_for_something_else_is_refused(change: str) -> None:
    page, asset = a_page()
    upload_id, n = page.upload(room_jpeg()), "k-1"
    page.ask(asset, upload_id, n=n)
    others = {
        "product": lambda: page.ask(ProductAssetFactory.create(shop=page.shop), upload_id, n=n),
        "photo": lambda: page.ask(asset, page.upload(room_jpeg(seed=3)), n=n),
        "tap": lambda: page.ask(asset, upload_id, n=n, tap={"x": 0.1, "y": 0.1}),
    }
    assert code_of(others[change]()) == (409, "duplicate_nonce")


def test_two_shoppers_may_use_the_same_key() -> None:
    page, asset = a_page()
    upload_id = page.upload(room_jpeg())
    one, two = (page.ask(asset, upload_id).json()["data"]["visitor"] for _ in range(2))
    ids = {page.ask(asset, upload_id, n="1", visitor=visitor).json()["data"]["id"] for visitor in (one, two)}
    assert len(ids) == 2


def test_two_shops_may_use_the_same_key() -> None:
    answers = [page.post_photo(asset, room_jpeg(), n="1") for page, asset in (a_page(), a_page())]
    assert [answer.status_code for answer in answers] == [202, 202]
    assert len({answer.json()["data"]["visitor"] for answer in answers}) == 2


def test_a_key_that_is_too_long_is_refused() -> None:
    page, asset = a_page()
    response = page.ask(asset, page.upload(room_jpeg()), headers={"Idempotency-Key": "k" * 256})
    assert code_of(response) == (422, "validation")


def test_the_stored_photo_is_addressed_by_its_own_bytes(door: Path) -> None:
    page, asset = a_page()
    page.post_photo(asset, room_jpeg())
    composite = CompositeRun.objects.select_related("room").get()
    assert sha256_hex((door / composite.room.storage_key).read_bytes()) == composite.room_sha256
