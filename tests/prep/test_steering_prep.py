"""Prep that is cancelled, run again, or started for many products at once."""

import io

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from prep.errors import AlreadyComplete
from prep.models import PrepJob, ProductAsset
from prep.services import move_asset, prepare_asset, prepare_inline, prepare_many, save_asset
from runs.bundles.packing import pack_run
from runs.bundles.unpacking import import_bundle
from runs.cancelling import cancel_run
from runs.changes import Changes
from runs.groups import group_progress
from runs.inline import default_deps, execute_inline
from runs.models import Run
from runs.rerunning import rerun_run
from tests.factories import ProductAssetFactory, ShopFactory
from tests.prep.test_prep_pipeline import demo_asset
from tests.runs.engine import ScriptedVendor
from vendors.base import Unavailable
from vendors.local.vendor import LocalVendor
from vendors.routes import Route, Routes

pytestmark = pytest.mark.django_db
Status = ProductAsset.PrepStatus


@pytest.fixture
def sofa(published: None) -> ProductAsset:
    return demo_asset(ShopFactory(), "halden-sofa")


@pytest.mark.parametrize("status", [Status.QUEUED, Status.PROCESSING])
def test_a_cancelled_prep_leaves_no_product_in_preparation(sofa: ProductAsset, status: str) -> None:
    job = prepare_asset(sofa)
    ProductAsset.objects.filter(pk=sofa.pk).update(prep_status=status)
    assert cancel_run(job.run_id, by="ada", reason="wrong photo")
    sofa.refresh_from_db()
    assert (sofa.prep_status, sofa.prep_error) == (Status.FAILED, "Cancelled by ada: wrong photo")
    assert prepare_asset(sofa).run.status == "pending", "it can be prepared again"


def failed_at_facts(asset: ProductAsset) -> Run:
    """Fetched and cut out, and then the model for the facts was away."""
    away = ScriptedVendor([Unavailable("away")])
    local = (Route("local", "local-1"),)
    routes = Routes({"cutout": local, "facts": (Route("scripted", "s"),)})
    given = default_deps(vendors={"local": LocalVendor(), "scripted": away}, routes=routes)
    run = prepare_inline(asset, trigger="test", deps=given)
    assert (run.status, run.error_stage, asset.prep_status) == ("failed", "facts", Status.FAILED)
    return run


def test_a_failed_prep_goes_on_where_it_failed_and_makes_the_product_ready(sofa: ProductAsset) -> None:
    run = failed_at_facts(sofa)
    fork = rerun_run(run, by="ada", inline_owner="inline")
    sofa.refresh_from_db()
    assert sofa.prep_status == Status.QUEUED
    assert sofa.jobs.order_by("-id").first().run_id == fork.pk
    fork = execute_inline(fork)
    sofa.refresh_from_db()
    assert (fork.status, sofa.prep_status, sofa.prep_error) == ("completed", Status.READY, "")
    assert sofa.cutout is not None and sofa.extracted_facts["dimensions_m"]["width"] == 2.1336
    assert fork.steps.exclude(reused_from=None).count() == 2


def test_what_staff_try_out_on_a_product_changes_nothing_of_it(sofa: ProductAsset) -> None:
    prepare_inline(sofa, trigger="test")
    before, run = ProductAsset.objects.values().get(pk=sofa.pk), sofa.jobs.get().run
    changes = Changes(input={"merchant_overrides": {"mount": "wall"}})
    fork = execute_inline(rerun_run(run, by="ada", changes=changes, inline_owner="inline"))
    assert fork.steps.get(node_key="facts").payload.ir["mount"] == "wall"
    chosen = Changes(routes={"facts": "local/local-1"})
    broken = rerun_run(run, from_node="fetch", by="ada", changes=chosen, inline_owner="inline")
    assert execute_inline(broken, default_deps(vendors={}, routes=Routes({}))).status == "failed"
    assert ProductAsset.objects.values().get(pk=sofa.pk) == before
    assert sofa.jobs.count() == 1


def test_a_product_that_was_changed_since_has_to_be_prepared_again(sofa: ProductAsset) -> None:
    run = failed_at_facts(sofa)
    save_asset(shop=sofa.shop, product_id=sofa.product_id, title="Another sofa")
    execute_inline(rerun_run(run, by="ada", inline_owner="inline"))
    sofa.refresh_from_db()
    assert sofa.prep_status == Status.UNPREPARED


def test_of_two_operators_one_runs_a_prep_again(sofa: ProductAsset) -> None:
    run = failed_at_facts(sofa)
    rerun_run(run, by="ada")
    with pytest.raises(AlreadyComplete):
        rerun_run(run, by="bob")
    assert Run.objects.filter(parent=run).count() == 1 and sofa.jobs.count() == 2


def test_many_products_are_started_in_a_number_of_statements_that_does_not_grow(published: None) -> None:
    shop = ShopFactory()
    few, many = ([ProductAssetFactory(shop=shop) for _ in range(count)] for count in (5, 40))
    with CaptureQueriesContext(connection) as five:
        prepare_many(few, trigger="test")
    with CaptureQueriesContext(connection) as forty:
        group = prepare_many(many, trigger="test")
    assert len(forty) == len(five)
    assert (group.started, group.skipped) == (40, 0)
    assert group_progress(group.group_id).pending == 40
    assert all(asset.jobs.get().run.run_group_id == group.group_id for asset in many)


def test_a_product_that_somebody_else_prepares_is_not_started_twice(sofa: ProductAsset) -> None:
    other = ProductAssetFactory(shop=sofa.shop)
    move_asset(sofa.pk, Status.QUEUED)
    group = prepare_many([sofa, other], trigger="test")
    assert (group.started, group.skipped) == (1, 1)
    assert not sofa.jobs.exists()


def test_the_console_leads_to_the_groups_page(published: None) -> None:
    assets = [ProductAssetFactory(), ProductAssetFactory()]
    client = Client()
    client.force_login(User.objects.create_superuser("operator"))
    chosen = [str(asset.pk) for asset in assets]
    body = {"action": "prepare_selected", "_selected_action": chosen}
    page = client.post("/admin/prep/productasset/", body, follow=True).content.decode()
    group = Run.objects.values_list("run_group_id", flat=True).distinct().get()
    assert f'href="/admin/runs/run/group/{group}/"' in page


def test_a_fork_of_an_imported_prep_run_is_staffs_and_touches_no_product(sofa: ProductAsset) -> None:
    """Not even one whose id it names: whoever made the bundle has chosen that."""
    run = failed_at_facts(sofa)
    bundle = b"".join(pack_run(run))
    PrepJob.objects.all().delete()
    Run.objects.filter(pk=run.pk).delete()
    before = ProductAsset.objects.values().get(pk=sofa.pk)
    imported, created = import_bundle(io.BytesIO(bundle), by="ada")
    assert created and imported.subject_id == str(sofa.pk)
    for start in (None, "cutout"):
        fork = execute_inline(rerun_run(imported, from_node=start, by="ada", inline_owner="inline"))
        assert (fork.status, fork.is_trial, fork.shop) == ("completed", True, None), fork.error_message
        assert fork.steps.get(node_key="facts").payload.ir["dimensions_m"]["width"] == 2.1336
    assert ProductAsset.objects.values().get(pk=sofa.pk) == before
    assert not PrepJob.objects.exists()
    sofa.refresh_from_db()
    assert execute_inline(prepare_asset(sofa, inline_owner="inline").run).status == "completed", "it can be prepared"
