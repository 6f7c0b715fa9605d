"""Replays and bundles from the console and over the API."""

import io
import zipfile
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission, User
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from playwright.sync_api import Browser, expect

import tests.engineapp.policy_stages  # noqa: F401 - registers the test stages
from monitor.spending import spend_by_shop
from runs.blobs import store_blob
from runs.bundles.packing import pack_run
from runs.bundles.unpacking import import_bundle
from runs.inline import execute_inline
from runs.models import Run, StepPayload
from runs.replaying import start_replay
from shops.models import Shop
from shops.services import issue_api_key
from tests.factories import ShopFactory, room_jpeg
from tests.monitor.test_console_browser import Operator
from tests.runs.engine import ScriptedVendor, chain, deps, publish, run_inline
from vendors.base import Image, Reply

pytestmark = pytest.mark.django_db


def recorded_run(shop: Shop | None = None) -> Run:
    """A run of two model calls, one of which drew a picture."""
    shop = shop or ShopFactory()
    photo = store_blob(shop=shop, content=room_jpeg(320, 240), media_type="image/jpeg", retention="shopper")
    publish("p", *chain("asking@1", "picturing@1"))
    drawn = Reply("m-1", data={"x": 0.41}, images=(Image("result", room_jpeg(200, 150, seed=3), "image/jpeg"),))
    run = run_inline("p", {"room": {"photo": photo.to_json()}, "question": "Where?"}, deps(ScriptedVendor([drawn])),
                     shop=shop, pictures={"room": photo}, title="Halden sofa")  # fmt: skip
    assert run.status == "completed", run.error_message
    return run


def replayed(run: Run) -> Run:
    return execute_inline(start_replay(run, by="operator", inline_owner="test"), deps())


def page_of(client: Client, run: Run) -> str:
    return client.get(f"/admin/runs/run/{run.pk}/change/").content.decode()


@pytest.fixture
def reader(db: None) -> Client:
    """Somebody who may look at runs, and nothing else."""
    user = User.objects.create_user("reader", password="a-long-password-1", is_staff=True)
    user.user_permissions.add(Permission.objects.get(codename="view_run"))
    client = Client()
    client.force_login(user)
    return client


def test_a_run_is_reproduced_from_its_page(console: Client) -> None:
    run = recorded_run()
    assert "reproduce-dialog" in page_of(console, run)
    answer = console.post(f"/admin/runs/run/{run.pk}/reproduce/")
    replay = Run.objects.get(parent=run)
    assert (answer.status_code, answer["HX-Redirect"]) == (204, f"/admin/runs/run/{replay.pk}/change/")
    assert (replay.mode, replay.status, replay.trigger) == ("recorded", "pending", "reproduced by operator")
    assert LogEntry.objects.get().change_message == f"Reproduced as {replay.pk}"
    assert 'id="verdict"' not in page_of(console, replay)


def test_the_verdict_stands_on_the_replays_page_and_on_the_originals(console: Client) -> None:
    run = recorded_run()
    replay = replayed(run)
    shown = page_of(console, replay)
    assert "hashes met" in shown and "A replay of" in shown and "Run again as" not in page_of(console, run)
    assert "Reproduced</span>" in page_of(console, run)
    StepPayload.objects.filter(step__run=run, step__node_key="a").update(ir={"answer": {"x": "<b>0.9</b>"}})
    worse = page_of(console, replayed(run))
    assert "Not reproduced: 1 of" in worse and "$.answer.x" in worse and "&lt;b&gt;0.9&lt;/b&gt;" in worse


def test_who_may_only_look_gets_the_bundle_and_no_buttons(reader: Client) -> None:
    run = recorded_run()
    shown = page_of(reader, run)
    assert "reproduce-dialog" not in shown and "Download bundle" in shown
    assert reader.post(f"/admin/runs/run/{run.pk}/reproduce/").status_code == 403
    assert reader.get("/admin/runs/run/import/").status_code == 403
    answer = reader.get(f"/admin/evidence/runs/{run.pk}/bundle.zip")
    assert answer["Content-Disposition"] == f'attachment; filename="run-{run.pk}.zip"'
    assert b"".join(answer.streaming_content) == b"".join(pack_run(run))
    without = b"".join(reader.get(f"/admin/evidence/runs/{run.pk}/bundle.zip?photos=no").streaming_content)
    assert not [name for name in zipfile.ZipFile(io.BytesIO(without)).namelist() if name.endswith(".jpg")]
    Run.objects.filter(pk=run.pk).update(status="pending")
    assert reader.get(f"/admin/evidence/runs/{run.pk}/bundle.zip").status_code == 409


def test_a_bundle_is_imported_in_the_console_and_opens_there(console: Client) -> None:
    run = recorded_run()
    body = b"".join(pack_run(run))
    Run.objects.all().delete()
    spoilt = SimpleUploadedFile("run.zip", body[:-500])
    answer = console.post("/admin/runs/run/import/", {"bundle": spoilt})
    assert answer.status_code == 422 and b"bundle_unreadable" in answer.content and not Run.objects.exists()
    answer = console.post("/admin/runs/run/import/", {"bundle": SimpleUploadedFile("run.zip", body)})
    assert answer["Location"] == f"/admin/runs/run/{run.pk}/change/"
    shown = page_of(console, run)
    assert "Imported by operator" in shown and run.subject_label in shown
    assert "Import a bundle" in console.get("/admin/runs/run/").content.decode()
    assert replayed(Run.objects.get()).status == "completed"


def test_what_a_run_has_cost_elsewhere_is_no_spending_here(console: Client) -> None:
    run = recorded_run()
    Run.objects.filter(pk=run.pk).update(cost_usd="0.25", cost_unknown=0)
    run.refresh_from_db()
    body, now = b"".join(pack_run(run)), run.created_at
    assert spend_by_shop(now)[0].cost_usd == Decimal("0.25")
    Run.objects.all().delete()
    imported, _ = import_bundle(io.BytesIO(body), by="anna")
    assert imported.cost_usd == Decimal("0.25")
    assert spend_by_shop(now) == []
    assert console.get("/admin/models/").status_code == 200


def bearer(plain: str) -> dict[str, Any]:
    return {"headers": {"Authorization": f"Bearer {plain}", "Accept": "application/zip"}}


def test_the_api_gives_a_bundle_to_a_key_that_may_monitor(client: Client) -> None:
    run = recorded_run()
    url = f"/api/monitoring/runs/{run.pk}/bundle"
    monitor, ingest = (issue_api_key(name="x", scopes=[scope], shop=None).plain for scope in ("monitor", "ingest"))
    answer = client.get(url, **bearer(monitor))
    assert (answer.status_code, answer["Content-Type"]) == (200, "application/zip")
    assert b"".join(answer.streaming_content) == b"".join(pack_run(run))
    for refused, status, code in (
        (client.get(url), 401, "not_authenticated"),
        (client.get(url, **bearer(ingest)), 401, "key_invalid"),
        (client.get("/api/monitoring/runs/01JD8Q4Y4ZP1V6C3K9M2N5R7ST/bundle", **bearer(monitor)), 404, "not_found"),
        (client.get("/api/monitoring/runs/nonsense/bundle", **bearer(monitor)), 404, "not_found"),
    ):
        body = refused.json()
        assert (refused.status_code, body["ok"], body["error"]["code"]) == (status, False, code)
        assert refused["X-Request-ID"] == body["error"]["request_id"]
    Run.objects.filter(pk=run.pk).update(status="running", lease_until=run.created_at)
    assert client.get(url, **bearer(monitor)).json()["error"]["code"] == "run_active"
    answers = [client.get(url, **bearer(monitor)).status_code for _ in range(40)]
    assert 429 in answers


@pytest.fixture
def told(transactional_db: None) -> tuple[Run, Run]:
    """A run, and the replay of another that is not what it was; both before a browser's loop is in this thread."""
    run, other = recorded_run(), recorded_run()
    StepPayload.objects.filter(step__run=other, step__node_key="a").update(ir={"answer": {"x": 0.9}})
    return run, replayed(other)


@pytest.mark.django_db(transaction=True)
def test_in_a_browser(told: tuple[Run, Run], live_server: Any, session: str, chromium: Browser, tmp_path: Path) -> None:
    run, worse = told
    operator = Operator(chromium, live_server.url, session, "desk", "light")
    page = operator.opens(f"/admin/runs/run/{run.pk}/change/")
    page.get_by_role("button", name="Reproduce…").click()
    expect(page.get_by_role("dialog")).to_contain_text("nobody is asked")
    page.get_by_role("dialog").get_by_role("button", name="Reproduce").click()
    expect(page.get_by_text("A replay of")).to_be_visible()
    with page.expect_download() as download:
        operator.opens(f"/admin/runs/run/{run.pk}/change/").get_by_role("link", name="Download bundle").click()
    bundle = tmp_path / "run.zip"
    download.value.save_as(bundle)
    Run.objects.filter(parent=run).delete()
    Run.objects.filter(pk=run.pk).delete()
    operator.opens("/admin/runs/run/import/").set_input_files("#id_bundle", bundle)
    page.get_by_role("button", name="Import").click()
    expect(page.get_by_text("Imported by operator")).to_be_visible()
    operator.opens(f"/admin/runs/run/{worse.pk}/change/")
    expect(page.locator("#verdict")).to_contain_text("Not reproduced: 1 of")
    operator.takes("phone", "dark")
    expect(page.locator("#verdict")).to_be_visible()
    assert operator.trouble() == []
