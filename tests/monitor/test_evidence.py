"""Pictures and downloads: small, safe, cached, and gone when they are gone."""

import io
import json
from pathlib import Path

import pytest
from django.contrib.auth.models import Permission, User
from django.core.files.storage import storages
from django.test import Client
from PIL import Image

from core.storage import THUMBNAIL_SIZES, BlobStore
from runs.blobs import delete_pictures
from runs.models import Artifact, Blob
from tests.factories import cutout_png, encoded, room_jpeg
from tests.monitor.factories import RunFactory, StepFactory, artifact, blob, composite_run

pytestmark = pytest.mark.django_db


def thumbnail(console: Client, stored: Blob, size: int = 320) -> Image.Image:
    answer = console.get(f"/admin/evidence/pictures/{stored.pk}/{size}/")
    assert answer.status_code == 200
    return Image.open(io.BytesIO(answer.content))


def test_a_thumbnail_is_at_most_320_px_and_keeps_its_proportions(console: Client) -> None:
    small = thumbnail(console, blob(RunFactory(), room_jpeg(1600, 900), "image/jpeg"))
    assert small.size == (320, 180)
    assert small.format == "WEBP"


def test_a_small_picture_is_not_blown_up_and_transparency_stays(console: Client) -> None:
    small = thumbnail(console, blob(RunFactory(), cutout_png(120, 80)))
    assert small.size == (120, 80)
    assert small.convert("RGBA").getpixel((0, 0))[3] == 0


def test_a_label_map_can_be_seen(console: Client) -> None:
    labels = Image.new("L", (100, 100), 0)
    labels.paste(5, (50, 0, 100, 100))
    out = io.BytesIO()
    labels.save(out, "PNG")
    small = thumbnail(console, blob(RunFactory(), out.getvalue())).convert("L")
    assert small.getpixel((80, 50)) > 200 > 50 > small.getpixel((20, 50))


def test_a_thumbnail_is_made_once_and_kept_by_the_browser(console: Client) -> None:
    stored = blob(RunFactory(), room_jpeg(), "image/jpeg")
    first = console.get(f"/admin/evidence/pictures/{stored.pk}/320/")
    assert "immutable" in first["Cache-Control"]
    assert "private" in first["Cache-Control"]
    assert "no-" not in first["Cache-Control"] and "max-age=0" not in first["Cache-Control"]
    key = BlobStore.thumbnail_key(stored.storage_key, 320)
    storages["blobs"].delete(stored.storage_key)
    assert storages["blobs"].exists(key)
    assert console.get(f"/admin/evidence/pictures/{stored.pk}/320/").content == first.content


def test_deleting_a_shoppers_picture_deletes_its_thumbnails(
    console: Client, files_of_its_own: Path, django_capture_on_commit_callbacks: object
) -> None:
    run = composite_run()
    room = Blob.objects.get(sha256=run.summary["pictures"]["room"])
    for size in THUMBNAIL_SIZES:
        thumbnail(console, room, size)
    assert len(list(files_of_its_own.glob("thumbs/**/" + room.sha256))) == 2
    with django_capture_on_commit_callbacks(execute=True):  # type: ignore[operator]
        delete_pictures(run)
    assert list(files_of_its_own.glob("**/" + room.sha256)) == []
    assert console.get(f"/admin/evidence/pictures/{room.pk}/320/").status_code == 404


def test_bytes_that_are_gone_are_said_to_be_gone(console: Client) -> None:
    stored = blob(RunFactory(), room_jpeg(), "image/jpeg")
    storages["blobs"].delete(stored.storage_key)
    for path in ("", "320/"):
        answer = console.get(f"/admin/evidence/pictures/{stored.pk}/{path}")
        assert answer.status_code == 410
        assert "no-store" in answer["Cache-Control"]


@pytest.mark.parametrize("content", [b"not a picture", encoded(__import__("numpy").zeros((4, 4, 3), "uint8"), "GIF")])
def test_what_is_no_known_picture_has_no_thumbnail(console: Client, content: bytes) -> None:
    run = RunFactory()
    values = {"sha256": "a" * 64, "size": 1, "media_type": "image/png", "storage_key": "blobs/x/y"}
    stored = Blob.objects.create(shop=run.shop, **values)
    storages["blobs"].save("blobs/x/y", io.BytesIO(content))
    assert console.get(f"/admin/evidence/pictures/{stored.pk}/320/").status_code == 404


def test_other_sizes_are_not_offered(console: Client) -> None:
    stored = blob(RunFactory(), room_jpeg(), "image/jpeg")
    assert console.get(f"/admin/evidence/pictures/{stored.pk}/4000/").status_code == 404


def test_a_picture_is_shown_in_a_sandbox_of_its_own(console: Client) -> None:
    content = room_jpeg()
    answer = console.get(f"/admin/evidence/pictures/{blob(RunFactory(), content, 'image/jpeg').pk}/")
    assert answer.content == content
    assert answer["Content-Type"] == "image/jpeg"
    assert answer["Content-Security-Policy"] == "default-src 'none'; sandbox; frame-ancestors 'none'"
    assert answer["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize("media_type", ["text/html", "image/svg+xml", "application/octet-stream", "application/pdf"])
def test_whatever_a_browser_could_execute_is_only_a_download(console: Client, media_type: str) -> None:
    run = RunFactory()
    body = b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>"
    stored = Blob.objects.create(shop=run.shop, sha256="b" * 64, size=len(body), media_type=media_type,
                                 storage_key="blobs/x/z")  # fmt: skip
    storages["blobs"].save("blobs/x/z", io.BytesIO(body))
    item = Artifact.objects.create(run=run, name="../../page\r\nX: y", blob=stored, role="image")
    assert console.get(f"/admin/evidence/pictures/{stored.pk}/").status_code == 404
    answer = console.get(f"/admin/evidence/artifacts/{item.pk}/")
    assert answer["Content-Type"] == "application/octet-stream"
    assert answer["Content-Disposition"].startswith("attachment; filename=")
    assert "/" not in answer["Content-Disposition"]
    assert "sandbox" in answer["Content-Security-Policy"]
    assert answer.content == body


def test_a_raw_answer_is_downloaded_byte_for_byte(console: Client) -> None:
    run = RunFactory()
    item = artifact(run, "response", {"b": 1, "a": "é"}, role="response")
    answer = console.get(f"/admin/evidence/artifacts/{item.pk}/")
    assert answer.content == '{"a":"é","b":1}'.encode()
    assert answer["Content-Type"] == "application/json"


def test_a_deleted_artifact_is_gone(console: Client) -> None:
    item = Artifact.objects.create(run=RunFactory(), name="room", role="input", blob=None)
    assert console.get(f"/admin/evidence/artifacts/{item.pk}/").status_code == 410


def test_payload_fields_and_input_are_downloads(console: Client) -> None:
    step = StepFactory(payload={"ir": {"a": [1, 2]}}, run__input={"tap": None})
    assert json.loads(console.get(f"/admin/evidence/steps/{step.pk}/ir.json").content) == {"a": [1, 2]}
    assert json.loads(console.get(f"/admin/evidence/runs/{step.run_id}/input.json").content) == {"tap": None}
    assert console.get(f"/admin/evidence/steps/{step.pk}/step_id.json").status_code == 404


@pytest.mark.parametrize("who", ["nobody", "customer", "clerk"])
def test_only_staff_who_may_view_runs_see_evidence(who: str) -> None:
    run = composite_run()
    step = run.steps.first()
    client = Client()
    users = {
        "customer": User.objects.create_user("customer"),
        "clerk": User.objects.create_user("clerk", is_staff=True),
    }
    if who in users:
        client.force_login(users[who])
    stored = Blob.objects.first()
    item = Artifact.objects.first()
    paths = [f"pictures/{stored.pk}/", f"pictures/{stored.pk}/320/", f"artifacts/{item.pk}/",
             f"steps/{step.pk}/ir.json", f"steps/{step.pk}/asked/1/", f"steps/{step.pk}/body/", f"runs/{run.pk}/live/",
             f"runs/{run.pk}/input.json"]  # fmt: skip
    assert {client.get(f"/admin/evidence/{path}").status_code for path in paths} <= {302, 403}


def test_a_reader_without_other_rights_may_read(db: None) -> None:
    reader = User.objects.create_user("reader", is_staff=True)
    reader.user_permissions.add(Permission.objects.get(codename="view_run"))
    client = Client()
    client.force_login(reader)
    run = composite_run()
    assert client.get(f"/admin/runs/run/{run.pk}/change/").status_code == 200
    assert client.get("/admin/").status_code == 200


@pytest.mark.parametrize("path", ["pictures/nonsense/", "artifacts/01ARZ3NDEKTSV4RRFFQ69G5FAV/", "runs/x/live/"])
def test_what_never_was_is_not_found(console: Client, path: str) -> None:
    assert console.get(f"/admin/evidence/{path}").status_code == 404
