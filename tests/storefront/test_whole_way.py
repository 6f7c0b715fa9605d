"""From a shopper's photo to the picture on the phone, with the real engine and the local vendor."""

import io
import mimetypes

import pytest
from django.core.management import call_command
from django.test import Client
from PIL import Image

from prep.models import ProductAsset
from prep.services import prepare_inline, save_asset
from runs.claims import claim_runs
from runs.inline import execute_inline
from runs.models import Run
from storefront.demo_catalog import load_catalog
from storefront.models import CompositeRun
from tests.factories import ShopFactory
from tests.storefront.doors import Page

pytestmark = pytest.mark.django_db(transaction=True)


def a_prepared_product() -> ProductAsset:
    """The demo's sofa in a shop of its own, prepared by the pipeline."""
    call_command("publish_pipelines", verbosity=0)
    product = load_catalog().products[0]
    asset = save_asset(
        shop=ShopFactory.create(),
        product_id=product.product_id,
        title=product.title,
        picture=product.photo_path.read_bytes(),
        media_type=mimetypes.guess_type(product.photo)[0] or "",
        description=product.description_html,
        product_type=product.product_type,
    )
    prepare_inline(asset, trigger="tests")
    asset.refresh_from_db()
    return asset


def work_off() -> Run:
    """What a worker does: claim the next run and execute it."""
    (claim,) = claim_runs("tests", 1)
    return execute_inline(Run.objects.get(pk=claim.run_id))


def test_a_shoppers_photo_becomes_a_picture_of_its_size() -> None:
    asset = a_prepared_product()
    page = Page.of(asset.shop)
    room = load_catalog().rooms[0].photo_path.read_bytes()
    started = page.ask(asset, page.upload(room), tap={"x": 0.5, "y": 0.75}).json()["data"]
    run = work_off()
    assert (run.status, run.error_message) == ("completed", "")
    answer = page.get(f"composites/{started['id']}?visitor={started['visitor']}").json()["data"]
    picture = Image.open(io.BytesIO(Client().get(answer["result"]["url"]).content))
    with Image.open(io.BytesIO(room)) as photo:
        assert picture.size == photo.size == (answer["result"]["width"], answer["result"]["height"])
    assert abs(answer["placement"]["contact"]["x"] - 0.5) < 0.1
    assert answer["dimensions_text"] == "213 x 91 x 84 cm (width x depth x height)"
    assert run.links.get().target_id == started["id"]
    assert CompositeRun.objects.get().result is not None
