"""The `prep` pipeline on the local vendor: from a merchant's photo to a ready asset."""

import pytest

from core.canonical import sha256_hex
from prep.errors import AlreadyComplete
from prep.models import ProductAsset
from prep.services import move_asset, prepare_asset, prepare_inline, prepare_many, save_asset
from runs.blobs import read_blob
from runs.inline import execute_inline
from runs.models import Artifact, Blob, Run
from shops.models import Shop
from storefront.demo_catalog import load_catalog
from tests.factories import ShopFactory, room_jpeg

pytestmark = pytest.mark.django_db
Status = ProductAsset.PrepStatus


def demo_asset(shop: Shop, handle: str, **changes: object) -> ProductAsset:
    """One of the demo's products in a shop."""
    product = next(each for each in load_catalog().products if each.handle == handle)
    texts = {"title": product.title, "description": product.description_html, "product_type": product.product_type}
    picture = product.photo_path.read_bytes()
    return save_asset(shop=shop, product_id=product.product_id, picture=picture, **{**texts, **changes})


@pytest.fixture
def sofa(published: None) -> ProductAsset:
    return demo_asset(ShopFactory(), "halden-sofa")


def test_a_product_becomes_ready_with_cutout_and_facts(sofa: ProductAsset) -> None:
    run = prepare_inline(sofa, trigger="test")
    assert run.status == Run.Status.COMPLETED, run.error_message
    assert sofa.prep_status == Status.READY
    assert sofa.extracted_facts["dimensions_m"] == {"width": 2.1336, "depth": 0.9144, "height": 0.8382}
    assert sofa.facts_version == "v2" and sofa.extracted_at is not None
    assert sofa.cutout.media_type == "image/png" and sofa.photo is not None
    job = sofa.jobs.get()
    assert (job.status, [op.type for op in job.operations]) == ("completed", ["fetch", "cutout", "facts"])
    assert all(op.status == "completed" and op.latency_ms is not None for op in job.operations)


def test_every_step_keeps_what_went_in_and_what_came_out(sofa: ProductAsset) -> None:
    run = prepare_inline(sofa, trigger="test")
    facts = run.steps.get(node_key="facts")
    assert (facts.prompt_name, facts.prompt_version, facts.prompt_source) == ("facts_extraction", "v2", "library")
    assert (facts.vendor, facts.model) == ("local", "local-1")
    assert facts.ir_valid is True and len(facts.input_sha256) == len(facts.output_sha256) == 64
    assert facts.payload.variables["title"] == sofa.title
    kept = Artifact.objects.select_related("blob").filter(run=run)
    roles = set(kept.values_list("step__node_key", "role"))
    assert {("facts", "prompt"), ("facts", "request"), ("facts", "response"), ("facts", "reply")} <= roles
    assert {("cutout", "request"), ("cutout", "response"), ("cutout", "result"), ("fetch", "image")} <= roles
    for artifact in kept:
        assert sha256_hex(read_blob(artifact.blob)) == artifact.blob.sha256


def test_a_cutout_that_cannot_be_trusted_fails_the_job_and_says_what_to_do(published: None) -> None:
    asset = save_asset(shop=ShopFactory(), product_id="1", title="Lamp", picture=room_jpeg(900, 700))
    run = prepare_inline(asset, trigger="test")
    assert (run.status, run.error_stage, run.error_code) == (Run.Status.FAILED, "cutout", "cutout_rejected")
    assert asset.prep_status == Status.FAILED
    assert "plain background" in asset.prep_error
    assert Artifact.objects.filter(run=run, name="cutout").exists(), "the refused cutout can be looked at"


@pytest.mark.parametrize(("picture", "code"), [(b"not a picture", "photo_unsupported"), (b"", "photo_corrupt")])
def test_a_broken_product_photo_fails_with_its_own_code(published: None, picture: bytes, code: str) -> None:
    asset = save_asset(shop=ShopFactory(), product_id="1", title="Lamp", picture=picture)
    run = prepare_inline(asset, trigger="test")
    assert run.error_code in (code, "photo_unsupported", "photo_corrupt")
    assert asset.prep_status == Status.FAILED


def test_a_product_without_a_photo_fails(published: None) -> None:
    asset = save_asset(shop=ShopFactory(), product_id="1", title="Lamp")
    assert prepare_inline(asset, trigger="test").error_code == "source_missing"


def test_a_ready_product_is_not_prepared_again_unless_asked(sofa: ProductAsset) -> None:
    prepare_inline(sofa, trigger="test")
    with pytest.raises(AlreadyComplete):
        prepare_asset(sofa)
    assert prepare_asset(sofa, again=True).run.status == Run.Status.PENDING


def test_two_operators_at_once_start_one_job(sofa: ProductAsset) -> None:
    prepare_asset(sofa)
    with pytest.raises(AlreadyComplete):
        prepare_asset(sofa, again=True)
    group = prepare_many([sofa], trigger="test")
    assert (group.started, group.skipped) == (0, 1)
    assert sofa.jobs.count() == 1


def test_an_asset_moves_by_compare_and_set(sofa: ProductAsset) -> None:
    assert not move_asset(sofa.id, Status.READY), "an unprepared asset cannot become ready by itself"
    assert move_asset(sofa.id, Status.QUEUED)
    assert not move_asset(sofa.id, Status.QUEUED), "somebody else was faster"


def test_changed_texts_make_a_ready_product_unprepared_and_the_price_does_not(sofa: ProductAsset) -> None:
    prepare_inline(sofa, trigger="test")
    shop = sofa.shop
    assert save_asset(shop=shop, product_id=sofa.product_id, title=sofa.title, price="1.00").is_ready
    changed = save_asset(shop=shop, product_id=sofa.product_id, title="Halden 2-Seater")
    assert changed.prep_status == Status.UNPREPARED


def test_the_same_bytes_of_two_shops_are_two_blobs(published: None) -> None:
    first, second = demo_asset(ShopFactory(), "halden-sofa"), demo_asset(ShopFactory(), "halden-sofa")
    assert first.source.sha256 == second.source.sha256
    assert first.source.storage_key != second.source.storage_key
    assert Blob.objects.filter(sha256=first.source.sha256).count() == 2


def test_a_product_changed_while_it_is_prepared_has_to_be_prepared_again(sofa: ProductAsset) -> None:
    job = prepare_asset(sofa, inline_owner="inline")
    save_asset(shop=sofa.shop, product_id=sofa.product_id, title="Sofa, W 180 cm")
    assert execute_inline(job.run).status == Run.Status.COMPLETED
    sofa.refresh_from_db()
    assert sofa.prep_status == Status.UNPREPARED, "its facts are those of the old text"
    prepare_inline(sofa, trigger="test")
    assert sofa.prep_status == Status.READY
