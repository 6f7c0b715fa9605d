"""Composites that are cancelled, and forks of them that only staff see."""

from pathlib import Path

import pytest

from monitor.dashboard import read_dashboard
from runs.blobs import store_blob
from runs.cancelling import cancel_run
from runs.changes import Changes
from runs.claims import claim_runs
from runs.errors import BlobsExpired
from runs.models import Artifact, Run
from runs.registry import NodeOutput
from runs.rerunning import rerun_run
from shops.models import Usage
from storefront.endings import delete_composite
from storefront.models import CompositeRun
from storefront.outputs import composite_ended, picture_made
from tests.factories import CompositeFactory, room_jpeg
from tests.storefront.doors import Page, fail, finish

pytestmark = pytest.mark.django_db


def used(composite: CompositeRun) -> int:
    return Usage.objects.get(shop=composite.shop).composites


def seen(composite: CompositeRun) -> dict:
    page = Page.of(composite.shop)
    return page.get(f"composites/{composite.pk}?visitor={composite.visitor}").json()["data"]


def test_a_cancelled_picture_says_so_kindly_and_counts_no_more(door: Path) -> None:
    composite = CompositeFactory()
    assert used(composite) == 1
    cancel_run(composite.pk, by="ada", reason="secret words of the staff")
    assert used(composite) == 0
    answer = seen(composite)
    assert (answer["status"], answer["error"]["code"], answer["error"]["retryable"]) == ("failed", "cancelled", True)
    assert "secret" not in str(answer) and "start again" in answer["message"]
    cancel_run(composite.pk, by="bob")
    assert used(composite) == 0, "it is given back once"


@pytest.mark.parametrize("claimed", [False, True])
def test_a_shopper_who_deletes_a_picture_in_the_making_stops_its_run(door: Path, claimed: bool) -> None:
    composite = CompositeFactory()
    if claimed:
        claim_runs("w", 1)
    page = Page.of(composite.shop)
    assert page.delete(f"composites/{composite.pk}?visitor={composite.visitor}").status_code == 204
    run = Run.objects.get(pk=composite.pk)
    assert (run.status, run.error_code) == ("cancelled", "cancelled")
    assert "the shopper" in run.error_message
    assert used(composite) == 0
    assert not Artifact.objects.filter(run=run, blob__media_type="image/jpeg").exists()
    assert page.delete(f"composites/{composite.pk}?visitor={composite.visitor}").status_code == 204, "again is fine"


def test_a_finished_picture_stays_counted_when_it_is_deleted(door: Path) -> None:
    composite = CompositeFactory()
    finish(composite)
    delete_composite(composite=composite)
    assert (Run.objects.get(pk=composite.pk).status, used(composite)) == ("completed", 1)


def test_a_fork_is_shown_to_no_shopper_and_counts_in_no_figure(door: Path) -> None:
    composite = CompositeFactory()
    fail(composite, "vendor_unavailable")
    before = used(composite)
    fork = rerun_run(composite.run, by="ada")
    page = Page.of(composite.shop)
    assert page.get(f"composites/{fork.pk}?visitor={composite.visitor}").status_code == 404
    assert not Run.objects.shoppers().filter(pk=fork.pk).exists()
    cancel_run(fork.pk, by="ada")
    assert used(composite) == before, "nothing was counted, so nothing is given back"
    assert seen(composite)["error"]["code"] == "vendor_unavailable"


def test_what_staff_try_out_replaces_no_shoppers_picture_and_is_in_no_answer(door: Path) -> None:
    composite = CompositeFactory()
    shown = finish(composite)
    before, counted = seen(composite), used(composite)
    trial = rerun_run(composite.run, by="ada", changes=Changes(input={"tap": {"x": 0.3, "y": 0.8}}))
    other = store_blob(shop=composite.shop, content=room_jpeg(seed=8), media_type="image/jpeg")
    trial.refresh_from_db()
    assert picture_made(NodeOutput(trial, trial.steps.get(node_key="composite"), {}, {"result": other})) == []
    Run.objects.filter(pk=trial.pk).update(status="completed")
    composite_ended(Run.objects.get(pk=trial.pk))
    composite.refresh_from_db()
    after = seen(composite)
    same = ("status", "placement", "dimensions_text", "remaining_refinements", "error")
    assert [after[name] for name in same] == [before[name] for name in same]
    assert composite.result == shown and used(composite) == counted
    page = Page.of(composite.shop)
    for verb, body in (("refine", {"hint": "left"}), ("feedback", {"verdict": "up"})):
        body = {**body, "visitor": composite.visitor}
        assert page.post(f"composites/{trial.pk}/{verb}", body).status_code == 404
    assert page.delete(f"composites/{trial.pk}?visitor={composite.visitor}").status_code == 404
    assert list(Run.objects.shoppers()) == [composite.run]
    today = read_dashboard()
    assert (today.today.total, today.today.completed, [run for run, _ in today.gallery]) == (1, 1, [composite.run])


def test_deleted_pictures_cannot_be_gone_on_with(door: Path) -> None:
    composite, twin = CompositeFactory(), None
    twin = CompositeFactory(asset=composite.asset)  # the same photo: the bytes are still there, for another shopper
    fail(composite, "vendor_unavailable")
    delete_composite(composite=composite)
    assert twin.run.artifacts.get(name="room").blob is not None
    with pytest.raises(BlobsExpired):
        rerun_run(composite.run, by="ada")
    assert not Run.objects.filter(parent=composite.run).exists()


def test_a_deletion_ends_the_forks_and_takes_their_pictures(door: Path) -> None:
    composite = CompositeFactory()
    fail(composite, "vendor_unavailable")
    fork = rerun_run(composite.run, by="ada")
    assert fork.artifacts.get(name="room").blob is not None
    delete_composite(composite=composite)
    fork.refresh_from_db()
    assert fork.status == "cancelled"
    assert fork.artifacts.get(name="room").blob is None
