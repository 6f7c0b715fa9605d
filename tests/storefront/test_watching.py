"""Watching, changing, judging and deleting a picture: its shopper's business alone."""

from datetime import datetime, timedelta
from pathlib import Path

import pytest
import time_machine
from django.core import signing
from django.db import transaction
from django.test import Client
from django.utils import timezone

from core.ids import new_id
from runs.blobs import store_blob
from runs.models import Artifact, Blob, Run
from runs.references import read_reference
from shops.models import Usage
from storefront.endings import settle_composite
from storefront.links import SALT
from storefront.models import CompositeRun, Upload
from tests.factories import CompositeFactory, room_jpeg
from tests.storefront.doors import PLACEMENT, Page, code_of, fail, finish, hold

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("door")]


def made(**asset: object) -> tuple[Page, CompositeRun, str]:
    """A page, a composite on its way, and the query that shows its shopper."""
    composite = CompositeFactory.create(**{f"asset__{name}": value for name, value in asset.items()})
    return Page.of(composite.shop), composite, f"?visitor={composite.visitor}"


def seen(page: Page, composite: CompositeRun, query: str) -> dict[str, object]:
    """The composite as its shopper sees it."""
    return page.get(f"composites/{composite.pk}{query}").json()["data"]  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    ("phase", "status"),
    [
        ("facts", "placement_generating"),
        ("placement", "placement_generating"),
        ("select", "placement_generating"),
        ("composite", "compositing"),
    ],
)
def test_a_picture_in_the_making_says_what_happens(phase: str, status: str) -> None:
    page, composite, query = made()
    assert seen(page, composite, query)["status"] == "pending"
    hold(composite, phase)
    answer = seen(page, composite, query)
    assert (answer["status"], answer["stage"], answer["result"], answer["error"]) == (status, phase, None, None)
    assert answer["message"]


def test_a_finished_picture_has_a_link_a_place_and_a_size() -> None:
    page, composite, query = made()
    finish(composite, picture=room_jpeg(640, 480, seed=9))
    answer = seen(page, composite, query)
    assert set(answer) == {
        "id", "reference", "status", "stage", "message", "result", "placement", "dimensions_text",
        "remaining_refinements", "error",
    }  # fmt: skip
    assert (answer["status"], answer["error"], answer["remaining_refinements"]) == ("completed", None, 3)
    assert answer["placement"] == PLACEMENT
    assert answer["dimensions_text"] == "213 x 91 x 84 cm (width x depth x height)"
    assert (answer["result"]["width"], answer["result"]["height"]) == (640, 480)
    assert answer["result"]["source"] == "local"
    left = datetime.fromisoformat(answer["result"]["expires_at"]) - timezone.now()
    assert timedelta(minutes=9) < left <= timedelta(minutes=10)


def test_an_estimated_size_says_so() -> None:
    page, composite, query = made()
    composite.run.input["prepared_facts"]["facts"]["dimension_sources"]["depth"] = "estimated"
    composite.run.save(update_fields=["input"])
    assert seen(page, composite, query)["dimensions_text"] == (
        "about 213 x 91 x 84 cm (width x depth x height), partly estimated"
    )


@pytest.mark.parametrize(
    ("code", "public", "retryable"),
    [
        ("gate_rejected", "gate_rejected", True),
        ("vendor_timeout", "vendor_unavailable", True),
        ("vendor_unavailable", "vendor_unavailable", True),
        ("no_placement", "no_placement", True),
        ("size_unknown", "size_unknown", False),
        ("stage_crashed", "internal", True),
        ("", "internal", True),
    ],
)
def test_a_failed_picture_tells_its_shopper_why(code: str, public: str, retryable: bool) -> None:
    page, composite, query = made()
    fail(composite, code, "KeyError: 'secret detail'")
    answer = seen(page, composite, query)
    assert (answer["status"], answer["result"]) == ("failed", None)
    assert (answer["error"]["code"], answer["error"]["retryable"]) == (public, retryable)
    assert answer["message"] == answer["error"]["message"]
    assert read_reference(answer["reference"]) == composite.pk.int & (1 << 35) - 1
    assert ("secret detail" in answer["message"]) == (code == "no_placement")


def test_a_failed_picture_is_given_back_to_the_quota_once() -> None:
    _, composite, _ = made()
    assert Usage.objects.get().composites == 1
    fail(composite, "gate_rejected")
    fail(composite, "gate_rejected")
    CompositeFactory.create(asset=composite.asset)
    assert Usage.objects.get().composites == 1


@pytest.mark.parametrize("path", ["", "/refine", "/feedback"])
@pytest.mark.parametrize(
    "who", ["", "?visitor=", "?visitor=x", "?visitor=x:y", "?visitor=%00", "stranger", "neighbour"]
)
def test_anyone_elses_picture_is_not_found(path: str, who: str) -> None:
    page, composite, query = made()
    stranger = CompositeFactory.create(asset=composite.asset)
    neighbour = CompositeFactory.create()
    queries = {"stranger": f"?visitor={stranger.visitor}", "neighbour": f"?visitor={neighbour.visitor}"}
    address = f"composites/{composite.pk}{path}{queries.get(who, who)}"
    body = {"hint": "left", "verdict": "up"}
    assert code_of(page.post(address, body) if path else page.get(address)) == (404, "not_found")
    assert code_of(page.delete(address) if not path else page.post(address, body)) == (404, "not_found")
    other_page = Page.of(neighbour.shop)
    assert code_of(other_page.get(f"composites/{composite.pk}{query}")) == (404, "not_found")
    composite.refresh_from_db()
    assert (composite.deleted_at, composite.feedback_at) == (None, None)


@pytest.mark.parametrize(
    "name", ["nope", "01ARZ3NDEKTSV4RRFFQ69G5FAV", "8ZZZZZZZZZZZZZZZZZZZZZZZZZ", "%00", "é", "0" * 26]
)
def test_a_picture_that_never_was_is_not_found(name: str) -> None:
    page, _, query = made()
    assert code_of(page.get(f"composites/{name}{query}")) == (404, "not_found")


def test_the_link_shows_the_picture_to_whoever_holds_it() -> None:
    page, composite, query = made()
    picture = room_jpeg(seed=9)
    finish(composite, picture=picture)
    response = Client().get(seen(page, composite, query)["result"]["url"])
    assert response.content == picture
    assert response["Content-Type"] == "image/jpeg"
    assert response["Cache-Control"] == "private, no-store"
    assert response["X-Content-Type-Options"] == "nosniff"


def test_a_link_ends_after_ten_minutes() -> None:
    page, composite, query = made()
    finish(composite)
    url = seen(page, composite, query)["result"]["url"]
    with time_machine.travel(timezone.now() + timedelta(minutes=10, seconds=1)):
        assert code_of(Client().get(url)) == (410, "link_expired")


def test_a_tampered_link_shows_nothing() -> None:
    page, composite, query = made()
    finish(composite)
    url = seen(page, composite, query)["result"]["url"]
    head, token = url.rsplit("/", 1)
    assert code_of(Client().get(f"{head}/{token[:-1]}{'A' if token[-1] != 'A' else 'B'}")) == (404, "not_found")
    assert code_of(Client().get(f"{head}/x{token}")) == (404, "not_found")
    other = CompositeFactory.create(asset=composite.asset)
    blob = finish(other, picture=room_jpeg(seed=8))
    swapped = signing.dumps([str(composite.pk), blob.sha256, 2**33], salt=SALT)
    assert code_of(Client().get(f"{head}/{swapped}")) == (404, "not_found")
    elsewhere = signing.dumps([str(other.pk), blob.sha256, 2**33], salt="elsewhere")
    assert code_of(Client().get(f"{head}/{elsewhere}")) == (404, "not_found")


def test_a_change_makes_a_new_picture_from_the_same_photo() -> None:
    page, composite, query = made()
    finish(composite)
    response = page.post(f"composites/{composite.pk}/refine{query}", {"hint": "left"})
    assert response.status_code == 202
    child = CompositeRun.objects.get(pk=_id(response))
    assert (child.parent_id, child.root_id, child.refinement, child.remaining_refinements) == (
        composite.pk, composite.pk, 1, 2,
    )  # fmt: skip
    assert child.run.input["hints"] == {"hint": "left", "previous": PLACEMENT}
    assert child.run.input["room"] == composite.run.input["room"]
    assert Usage.objects.get().composites == 2


def test_a_change_by_tap_is_told_as_a_tap() -> None:
    page, composite, query = made()
    finish(composite)
    response = page.post(f"composites/{composite.pk}/refine{query}", {"tap": {"x": 0.2, "y": 0.8}})
    run = Run.objects.get(pk=_id(response))
    assert (run.input["tap"], run.input["hints"]) == ({"x": 0.2, "y": 0.8}, None)


def test_a_chain_has_three_changes() -> None:
    page, composite, query = made()
    for hint in ("left", "right", "back"):
        finish(composite)
        response = page.post(f"composites/{composite.pk}/refine{query}", {"hint": hint})
        composite = CompositeRun.objects.get(pk=_id(response))
    finish(composite)
    assert seen(page, composite, query)["remaining_refinements"] == 0
    response = page.post(f"composites/{composite.pk}/refine{query}", {"hint": "closer"})
    assert code_of(response) == (409, "refinements_used_up")
    assert Usage.objects.get().composites == 4


def test_a_picture_in_the_making_cannot_be_changed_yet() -> None:
    page, composite, query = made()
    response = page.post(f"composites/{composite.pk}/refine{query}", {"hint": "left"})
    assert code_of(response) == (409, "not_finished")


@pytest.mark.parametrize("body", [{}, {"hint": "up"}, {"hint": None}, {"tap": {"x": 2, "y": 0}}, {"hint": ["left"]}])
def test_a_change_of_nothing_is_refused(body: dict[str, object]) -> None:
    page, composite, query = made()
    finish(composite)
    assert code_of(page.post(f"composites/{composite.pk}/refine{query}", body)) == (422, "validation")


def test_the_same_change_again_is_the_same_picture() -> None:
    page, composite, query = made()
    finish(composite)
    address = f"composites/{composite.pk}/refine{query}"
    ids = {_id(page.post(address, {"hint": "left", "n": "1"})) for _ in range(2)}
    assert len(ids) == 1
    assert code_of(page.post(address, {"hint": "right", "n": "1"})) == (409, "duplicate_nonce")


def test_the_shopper_may_be_named_in_the_body() -> None:
    page, composite, _ = made()
    finish(composite)
    body = {"hint": "left", "visitor": composite.visitor}
    assert page.post(f"composites/{composite.pk}/refine", body).status_code == 202


def test_an_opinion_is_kept_and_may_change() -> None:
    page, composite, query = made()
    address = f"composites/{composite.pk}/feedback{query}"
    assert page.post(address, {"verdict": "up"}).json() == {"ok": True, "data": {"verdict": "up"}}
    page.post(address, {"verdict": "down", "issue": "too_big", "comment": "It floats."})
    composite.refresh_from_db()
    assert (composite.feedback_verdict, composite.feedback_issue, composite.feedback_comment) == (
        "down", "too_big", "It floats.",
    )  # fmt: skip


@pytest.mark.parametrize(
    "body", [{}, {"verdict": "meh"}, {"verdict": "up", "comment": "x" * 2001}, {"verdict": "up", "issue": "\0"}]
)
def test_a_malformed_opinion_is_refused(body: dict[str, str]) -> None:
    page, composite, query = made()
    assert code_of(page.post(f"composites/{composite.pk}/feedback{query}", body)) == (422, "validation")


@pytest.mark.django_db(transaction=True)
def test_a_deleted_picture_is_gone_with_its_photo_and_every_change_of_it(door: Path) -> None:
    page, composite, query = made()
    kept = sorted(path for path in door.rglob("*") if path.is_file() and composite.room_sha256 not in path.name)
    finish(composite)
    child = CompositeRun.objects.get(pk=_id(page.post(f"composites/{composite.pk}/refine{query}", {"hint": "left"})))
    finish(child, picture=room_jpeg(seed=8))
    url = seen(page, child, query)["result"]["url"]
    assert page.delete(f"composites/{child.pk}{query}").status_code == 204
    assert sorted(path for path in door.rglob("*") if path.is_file()) == kept, "only the merchant's pictures stay"
    assert code_of(Client().get(url)) == (404, "not_found")
    for each in (composite, child):
        assert code_of(page.get(f"composites/{each.pk}{query}")) == (404, "not_found")
    assert not Upload.objects.exists()
    assert page.delete(f"composites/{child.pk}{query}").status_code == 204, "again is fine"


@pytest.mark.django_db(transaction=True)
def test_deleting_a_picture_leaves_another_shoppers_with_the_same_photo(door: Path) -> None:
    page, composite, query = made()
    other = CompositeFactory.create(asset=composite.asset)
    page.delete(f"composites/{composite.pk}{query}")
    other.refresh_from_db()
    assert (door / other.room.storage_key).exists()


@pytest.mark.django_db(transaction=True)
def test_a_picture_that_is_finished_after_its_deletion_goes_too(door: Path) -> None:
    page, composite, query = made()
    page.delete(f"composites/{composite.pk}{query}")
    late = finish(composite)
    assert not Blob.objects.filter(pk=late.pk).exists()
    assert not (door / late.storage_key).exists()
    assert not Artifact.objects.filter(run=composite.run, blob__retention=Blob.Retention.SHOPPER).exists()


def a_fork_of(run: Run) -> Run:
    """A run that staff forked from a shopper's, with the same photo."""
    values = {field.attname: getattr(run, field.attname) for field in Run._meta.concrete_fields}
    new = {"id": new_id(), "parent_id": run.pk, "mode": Run.Mode.FORK, "idempotency_key": None, "trigger": "rerun"}
    fork = Run.objects.create(**{**values, **new})
    room = run.artifacts.get(name="room")
    Artifact.objects.create(run=fork, role=room.role, name=room.name, blob=room.blob)
    return fork


@pytest.mark.django_db(transaction=True)
def test_forks_by_staff_lose_the_shoppers_photo_too(door: Path) -> None:
    page, composite, query = made()
    fork = a_fork_of(a_fork_of(composite.run))
    photo = door / composite.room.storage_key
    assert photo.exists()
    page.delete(f"composites/{composite.pk}{query}")
    assert not photo.exists()
    assert fork.artifacts.get().blob is None


@pytest.mark.django_db(transaction=True)
def test_a_fork_that_ends_after_the_deletion_keeps_nothing() -> None:
    page, composite, query = made()
    fork = a_fork_of(composite.run)
    page.delete(f"composites/{composite.pk}{query}")
    late = store_blob(
        shop=composite.shop, content=room_jpeg(seed=5), media_type="image/jpeg", retention=Blob.Retention.SHOPPER
    )
    Artifact.objects.create(run=fork, role=Artifact.Role.RESULT, name="result", blob=late)
    with transaction.atomic():
        settle_composite(run=fork)
    assert not Blob.objects.filter(pk=late.pk).exists()


def _id(response: object) -> str:
    return str(response.json()["data"]["id"])  # type: ignore[attr-defined]
