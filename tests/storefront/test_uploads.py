"""A photo is announced, brought once, and kept for ten minutes."""

from datetime import timedelta
from pathlib import Path

import pytest
import time_machine
from django.db.models import F
from django.utils import timezone
from PIL import Image

from runs.models import Blob
from shops.models import RateBucket, Shop
from storefront.models import Upload
from storefront.photos import max_bytes
from storefront.uploads import forget_expired_uploads
from tests.factories import CompositeFactory, room_jpeg
from tests.storefront.doors import a_page, code_of
from tests.storefront.photos_for_tests import REFUSED, turned_jpeg

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("door")]


def announce(page, photo: bytes) -> str:  # type: ignore[no-untyped-def]
    """The one-time URL for a photo."""
    return str(page.post("uploads", {"content_type": "image/jpeg", "bytes": len(photo)}).json()["data"]["url"])


def stored_files(folder: Path) -> list[Path]:
    """Every file in the picture store."""
    return [path for path in folder.rglob("*") if path.is_file()]


def test_an_announced_photo_gets_a_one_time_address() -> None:
    page, _ = a_page()
    response = page.post("uploads", {"content_type": "image/jpeg", "bytes": 1000})
    answer = response.json()["data"]
    assert response.status_code == 201
    assert set(answer) == {"upload_id", "url", "method", "headers", "expires_at", "max_bytes"}
    assert (answer["method"], answer["headers"], answer["max_bytes"]) == (
        "PUT",
        {"Content-Type": "image/jpeg"},
        max_bytes(),
    )
    assert answer["url"].startswith("http://testserver/u/")
    assert answer["upload_id"] not in answer["url"]


def test_a_photo_is_stored_upright_without_its_metadata_and_its_lens_is_remembered(door: Path) -> None:
    page, _ = a_page()
    photo = turned_jpeg()
    assert page.put(announce(page, photo), photo).status_code == 204
    upload = Upload.objects.get()
    with Image.open(door / upload.blob.storage_key) as image:
        assert image.size == (600, 800)
        assert not image.getexif()
    assert (upload.width, upload.height, upload.f35_mm) == (600, 800, 26.0)
    assert upload.blob.retention == Blob.Retention.SHOPPER


def test_a_large_photo_is_made_smaller() -> None:
    page, _ = a_page()
    photo = room_jpeg(3200, 2400)
    page.put(announce(page, photo), photo)
    assert (Upload.objects.get().width, Upload.objects.get().height) == (2560, 1920)


@pytest.mark.parametrize("kind", REFUSED)
def test_a_file_that_is_no_photo_of_a_room_is_refused_by_its_own_code(kind: str, door: Path) -> None:
    make, status, code = REFUSED[kind]
    page, _ = a_page()
    before, photo = stored_files(door), make()
    assert code_of(page.put(announce(page, photo), photo)) == (status, code)
    assert stored_files(door) == before, "nothing of it stays"
    assert Upload.objects.get().blob is None


def test_a_photo_too_large_is_refused_before_it_is_sent() -> None:
    page, _ = a_page()
    response = page.post("uploads", {"content_type": "image/jpeg", "bytes": max_bytes() + 1})
    assert code_of(response) == (413, "photo_too_large")


@pytest.mark.parametrize("content_type", ["image/heic", "application/pdf", "image/svg+xml", "text/html"])
def test_a_kind_that_we_do_not_open_is_refused_before_it_is_sent(content_type: str) -> None:
    page, _ = a_page()
    response = page.post("uploads", {"content_type": content_type, "bytes": 1000})
    assert code_of(response) == (415, "photo_unsupported")


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"content_type": "image/jpeg"},
        {"content_type": "image/jpeg", "bytes": 0},
        {"content_type": "image/jpeg", "bytes": -5},
        {"content_type": "image/jpeg", "bytes": "many"},
        {"content_type": "a\0b", "bytes": 10},
        {"content_type": "\ud800", "bytes": 10},
        [],
        "text",
        None,
    ],
)
def test_a_malformed_announcement_is_refused(body: object) -> None:
    page, _ = a_page()
    assert code_of(page.post("uploads", body)) == (422, "validation")


def test_a_body_that_is_not_json_is_refused() -> None:
    page, _ = a_page()
    assert code_of(page.post("uploads", b"{")) == (400, "validation")


@pytest.mark.parametrize(("extra", "code"), [(b"x", "photo_too_large"), (None, "upload_size_mismatch")])
def test_a_body_of_another_size_than_announced_is_refused(extra: bytes | None, code: str) -> None:
    page, _ = a_page()
    photo = room_jpeg()
    url = announce(page, photo)
    assert code_of(page.put(url, photo + extra if extra else photo[:-1])) == (413, code)
    assert page.put(url, photo).status_code == 204, "the right one may still come"


def test_a_second_photo_to_the_same_address_is_refused() -> None:
    page, _ = a_page()
    photo = room_jpeg()
    url = announce(page, photo)
    assert page.put(url, photo).status_code == 204
    assert code_of(page.put(url, photo)) == (410, "upload_expired")


def test_after_ten_minutes_the_address_is_closed() -> None:
    page, _ = a_page()
    photo = room_jpeg()
    url = announce(page, photo)
    with time_machine.travel(timezone.now() + timedelta(minutes=10, seconds=1)):
        assert code_of(page.put(url, photo)) == (410, "upload_expired")


def test_an_address_that_we_never_gave_is_closed() -> None:
    page, _ = a_page()
    assert code_of(page.put("/u/" + "A" * 43, room_jpeg())) == (410, "upload_expired")


def test_a_shop_that_left_takes_no_photos() -> None:
    page, _ = a_page()
    photo = room_jpeg()
    url = announce(page, photo)
    Shop.objects.update(status="uninstalled")
    assert code_of(page.put(url, photo)) == (410, "upload_expired")


def test_only_the_token_opens_the_address_and_only_its_hash_is_stored() -> None:
    page, _ = a_page()
    token = announce(page, room_jpeg()).rsplit("/", 1)[1]
    assert token not in str(Upload.objects.values().get())


def test_too_many_announcements_have_to_wait() -> None:
    page, _ = a_page(client_composites_per_minute=1)
    body = {"content_type": "image/jpeg", "bytes": 1000}
    assert [page.post("uploads", body).status_code for _ in range(2)] == [201, 201]
    response = page.post("uploads", body)
    assert code_of(response) == (429, "throttled")
    assert 1 <= int(response["Retry-After"]) <= 60
    RateBucket.objects.update(tat=F("tat") - timedelta(minutes=1))
    assert page.post("uploads", body).status_code == 201


@pytest.mark.django_db(transaction=True)
def test_the_bytes_of_a_forgotten_photo_go_and_those_of_a_composite_stay(door: Path) -> None:
    page, _ = a_page()
    composite = CompositeFactory.create()
    before = stored_files(door)
    page.upload(room_jpeg(seed=1))
    assert len(stored_files(door)) == len(before) + 1
    with time_machine.travel(timezone.now() + timedelta(minutes=11)):
        assert forget_expired_uploads() == 2
    assert sorted(stored_files(door)) == sorted(before)
    composite.refresh_from_db()
    assert composite.room is not None
