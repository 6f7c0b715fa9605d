"""Composites by an image model behind Gemini's wire format: aligned, measured, restored, judged, and what follows."""

import io
import re
from collections.abc import Iterator

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from core.storage import BlobStore
from prep.models import ProductAsset
from prep.services import prepare_inline
from runs.inline import default_deps
from runs.models import Run
from storefront.demo_catalog import load_catalog
from storefront.execution import CompositeParams, execute_composite_run
from storefront.photos import store_room_photo
from storefront.room_photo import RoomPhoto
from storefront.services import Tap
from tests.factories import ShopFactory
from tests.prep.test_prep_pipeline import demo_asset
from tests.storefront.painters import Painter, finished, pictures_in, repapered, sent_back, squared
from tests.vendor_servers import gemini as wire
from tests.vendor_servers.server import VendorServer
from vendors.gemini.vendor import GeminiVendor
from vendors.local.vendor import LocalVendor
from vendors.routes import Route, Routes

pytestmark = pytest.mark.django_db
PAINTS = {"good": finished, "repaperer": repapered, "squarer": squared, "idler": sent_back}


@pytest.fixture(scope="module")
def painter() -> Iterator[tuple[Painter, str]]:
    account = Painter(models=dict.fromkeys(PAINTS, "picture"), paints=PAINTS)
    with VendorServer(account.answer) as server:
        yield account, server.url


@pytest.fixture
def chair(published: None) -> ProductAsset:
    asset = demo_asset(ShopFactory(), "marlow-chair")
    prepare_inline(asset, trigger="test")
    assert asset.is_ready, asset.prep_error
    return asset


def demo_room(asset: ProductAsset) -> RoomPhoto:
    return store_room_photo(shop=asset.shop, content=load_catalog().rooms[0].photo_path.read_bytes())


def composed(asset: ProductAsset, url: str, *models: str) -> tuple[Run, RoomPhoto]:
    """A run whose composite is asked of these models in order, and of our own engine last."""
    local, room = Route("local", "local-1"), demo_room(asset)
    tasks = dict.fromkeys(("cutout", "facts", "placement"), (local,))
    asked = tuple(Route("gemini", model, {}, ("vendor_bad_response",)) for model in models)
    vendors = {"local": LocalVendor(), "gemini": GeminiVendor(wire.KEY, url)}
    deps = default_deps(vendors=vendors, routes=Routes({**tasks, "composite": (*asked, local)}))  # type: ignore[arg-type]
    return execute_composite_run(CompositeParams(asset, room, Tap(0.5, 0.8)), deps), room


def picture(run: Run, name: str, role: str = "image") -> NDArray[np.uint8]:
    content = BlobStore().read_key(run.artifacts.get(name=name, role=role, step__node_key="composite").blob.storage_key)
    with Image.open(io.BytesIO(content)) as found:
        return np.asarray(found)


def test_a_models_picture_is_brought_back_into_exactly_the_photo(chair: ProductAsset, painter) -> None:  # type: ignore[no-untyped-def]
    account, url = painter
    account.asked.clear()
    run, photo = composed(chair, url, "good")
    assert run.status == Run.Status.COMPLETED, [run.error_message, *run.errors.values_list("message", flat=True)]
    step = run.steps.select_related("payload").get(node_key="composite")
    assert (step.vendor, step.model, step.attempt) == ("gemini", "good", 1)
    assert list(pictures_in(account.asked[0])) == ["room", "cutout", "guide"], "in this order, and no label map"

    ir = step.payload.ir
    assert (ir["source"], ir["product_mask"]) == ("model", None)
    repaint = ir["repaint"]
    assert repaint["shift_px"] == pytest.approx(4, abs=1) and repaint["residual_px"] < 0.6
    assert repaint["tone"] < -3 and repaint["drift"] < repaint["raw_drift"]
    assert re.search(r"^good's picture was off by [34] px and \d+ levels darker; .* put back there", step.why)

    with Image.open(io.BytesIO(BlobStore().read_key(photo.blob.storage_key))) as stored:
        room = np.asarray(stored.convert("RGB")).astype(int)
    result, raw, kept = picture(run, "result", "result"), picture(run, "raw"), picture(run, "kept")
    assert result.shape == room.shape and raw.shape != room.shape
    away = cv2.dilate((kept > 0).astype(np.uint8), np.ones((17, 17))) == 0
    assert np.abs(result - room)[away].max() <= 12, "nothing but what JPEG does"
    assert np.abs(picture(run, "aligned").astype(int) - room)[away].mean() > np.abs(result - room)[away].mean()

    metrics = {row.key: row for row in run.metrics.all()}
    assert metrics["outside_drift"].value == pytest.approx(repaint["drift"]), "measured before the room was put back"
    assert metrics["guide_change"].value > 2 and metrics["frame_residual"].passed and metrics["tone_shift"].passed
    assert metrics["product_ssim"].passed is None, "not asked of a model"


def test_pictures_that_are_not_good_enough_move_on_and_our_own_comes_last(chair: ProductAsset, painter) -> None:  # type: ignore[no-untyped-def]
    run, _ = composed(chair, painter[1], "squarer", "repaperer", "idler")
    assert run.status == Run.Status.COMPLETED, [run.error_message, *run.errors.values_list("message", flat=True)]
    step = run.steps.select_related("payload").get(node_key="composite")
    assert (step.vendor, step.attempt) == ("local", 4)
    assert step.payload.ir["source"] == "local"
    assert step.payload.ir["notes"] == ["our own composite, in place of an image model's"]
    assert step.why.startswith("Our own composite, after 3 attempts")
    errors = list(run.errors.order_by("attempt"))
    assert [error.code for error in errors] == ["picture_refused", "gate_rejected", "gate_rejected"]
    assert "is cropped: it shows" in errors[0].message and "outside_" in errors[1].message
    assert "guide_change" in errors[2].message
    raws = run.artifacts.filter(name="raw", step__node_key="composite")
    assert list(raws.order_by("attempt").values_list("attempt", flat=True)) == [1, 2, 3]
    assert run.artifacts.filter(name="result", role="result", attempt__in=(2, 3)).count() == 2, "rejected ones stay"
