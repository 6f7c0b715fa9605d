"""Many shoppers at the same moment, and connections that break off."""

import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.db import connection
from django.test import Client

from runs.models import Run
from shops.models import Usage
from storefront.models import CompositeRun, Upload
from tests.factories import CompositeFactory, room_jpeg
from tests.storefront.doors import Page, a_page, code_of, finish

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("door")]
CROWD = 8


def at_once(work: Callable[[int], Any], times: int = CROWD) -> list[Any]:
    """The same work on as many threads, each with its own database connection."""

    def one(number: int) -> Any:
        try:
            return work(number)
        finally:
            connection.close()

    with ThreadPoolExecutor(times) as pool:
        return list(pool.map(one, range(times)))


def test_of_many_who_bring_a_photo_to_one_address_one_is_taken() -> None:
    page, _ = a_page()
    photo = room_jpeg()
    url = page.post("uploads", {"content_type": "image/jpeg", "bytes": len(photo)}).json()["data"]["url"]
    answers = at_once(lambda _: Client().put(url, photo, "image/jpeg").status_code)
    assert sorted(answers) == [204] + [410] * (CROWD - 1)


def test_the_same_request_many_times_at_once_is_one_picture() -> None:
    page, asset = a_page()
    upload_id = page.upload(room_jpeg())
    answers = at_once(lambda _: page.ask(asset, upload_id, n="k-1").json()["data"]["id"])
    assert len(set(answers)) == 1
    assert Run.objects.count() == CompositeRun.objects.count() == 1
    assert Usage.objects.get().composites == 1


def test_of_many_pictures_at_once_exactly_the_quota_is_started() -> None:
    page, asset = a_page(quota_daily=3)
    upload_id = page.upload(room_jpeg())
    answers = at_once(lambda _: page.ask(asset, upload_id).status_code)
    assert sorted(answers) == [202] * 3 + [402] * (CROWD - 3)
    assert Run.objects.count() == 3


def test_of_many_pictures_at_once_exactly_the_pace_is_started() -> None:
    page, asset = a_page(composites_per_minute=3)
    upload_id = page.upload(room_jpeg())
    answers = at_once(lambda _: page.ask(asset, upload_id).status_code)
    assert sorted(answers) == [202] * 3 + [429] * (CROWD - 3)


def test_the_same_photo_from_many_shoppers_at_once_is_stored_once() -> None:
    page, asset = a_page()
    answers = at_once(lambda _: page.post_photo(asset, room_jpeg()).status_code)
    assert answers == [202] * CROWD
    assert len(set(CompositeRun.objects.values_list("room", flat=True))) == 1


def test_changing_and_deleting_at_once_leaves_no_picture_behind(door: Path) -> None:
    composite = CompositeFactory.create()
    page, query = Page.of(composite.shop), f"?visitor={composite.visitor}"
    finish(composite)
    address = f"composites/{composite.pk}"

    def work(number: int) -> int:
        if number:
            return page.post(f"{address}/refine{query}", {"hint": "left"}).status_code
        return page.delete(f"{address}{query}").status_code

    answers = at_once(work)
    assert answers[0] == 204
    assert set(answers[1:]) <= {202, 404, 410}
    page.delete(f"{address}{query}")
    assert not [path for path in door.rglob("*") if path.name == composite.room_sha256]


def send_half(live_url: str, path: str, body: bytes, headers: dict[str, str]) -> bytes:
    """A request whose body breaks off in the middle; returns what the server says to it."""
    target = urlsplit(live_url)
    head = "".join(f"{name}: {value}\r\n" for name, value in {"Host": target.netloc, **headers}.items())
    method = "PUT" if path.startswith("/u/") else "POST"
    with socket.create_connection((target.hostname, target.port), timeout=10) as plug:
        plug.sendall(f"{method} {path} HTTP/1.1\r\n{head}Content-Length: {len(body)}\r\n\r\n".encode())
        plug.sendall(body[: len(body) // 2])
        plug.shutdown(socket.SHUT_WR)
        answer = b""
        while part := plug.recv(65536):
            answer += part
        return answer


def test_half_a_photo_stores_nothing_and_may_be_sent_again(live_server: Any, door: Path) -> None:
    page, _ = a_page()
    before = list(door.rglob("*"))
    photo = room_jpeg()
    url = page.post("uploads", {"content_type": "image/jpeg", "bytes": len(photo)}).json()["data"]["url"]
    path = urlsplit(url).path
    answer = send_half(live_server.url, path, photo, {"Content-Type": "image/jpeg"})
    assert b" 400 " in answer.split(b"\r\n")[0]
    assert b"upload_incomplete" in answer
    assert list(door.rglob("*")) == before
    assert Upload.objects.get().used_at is None
    assert page.put(path, photo).status_code == 204


def test_half_a_form_starts_nothing(live_server: Any, door: Path) -> None:
    page, asset = a_page()
    before = list(door.rglob("*"))
    photo = room_jpeg()
    parts = [
        b'--b\r\nContent-Disposition: form-data; name="product_id"\r\n\r\n' + asset.product_id.encode(),
        b'\r\n--b\r\nContent-Disposition: form-data; name="consent"\r\n\r\ntrue',
        b'\r\n--b\r\nContent-Disposition: form-data; name="room_photo"; filename="r.jpg"\r\n\r\n' + photo,
        b"\r\n--b--\r\n",
    ]
    headers = {
        "Content-Type": "multipart/form-data; boundary=b",
        "Authorization": f"Bearer {page.key}",
        "Origin": page.origin,
    }
    answer = send_half(live_server.url, "/proxy/v1/composites", b"".join(parts), headers)
    assert answer.split(b" ")[1][:1] == b"4"
    assert list(door.rglob("*")) == before
    assert not Run.objects.exists()


def test_when_the_database_goes_away_a_page_is_told_to_try_again() -> None:
    page, asset = a_page()
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        (pid,) = cursor.fetchone()
    at_once(lambda _: end_connection(pid), times=1)
    response = page.get(f"products/{asset.product_id}")
    connection.close()
    assert code_of(response) == (503, "temporarily_unavailable")
    assert response.json()["error"]["retryable"] is True
    assert page.get(f"products/{asset.product_id}").status_code == 200


def end_connection(pid: int) -> None:
    """What a restart of the database does to one of its connections."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(%s)", [pid])
