"""The cutout by a service's matte: judged by our own signs, with our own engine as the next route."""

import cv2
import numpy as np
import pytest

from imaging.photo import encode_jpeg, encode_png
from prep.models import ProductAsset
from prep.services import prepare_inline, save_asset
from runs.inline import default_deps
from runs.models import Run
from tests.factories import ShopFactory
from tests.imaging.scenes import studio_sofa
from tests.runs.engine import ScriptedVendor
from vendors.base import Image, KeyRefused, Reply
from vendors.local.vendor import LocalVendor
from vendors.routes import Route, Routes

pytestmark = pytest.mark.django_db


@pytest.fixture
def sofa(published: None) -> ProductAsset:
    picture = encode_jpeg(small_photo()[0])
    return save_asset(shop=ShopFactory(), product_id="1", title="Sofa 200 x 90 x 80 cm", picture=picture)


def small_photo() -> tuple[np.ndarray, np.ndarray]:
    """A sofa on a grey sweep (350, 450, 3), and its true matte."""
    photo, truth = studio_sofa()
    matte = cv2.GaussianBlur(truth.astype(np.float32) * 255, (0, 0), 1.2)
    return tuple(cv2.resize(each, (450, 350), interpolation=cv2.INTER_AREA) for each in (photo, matte.astype(np.uint8)))


def matte() -> np.ndarray:
    return small_photo()[1]


def answered(matte: np.ndarray, uncertainty: float | None = 0.1) -> Reply:
    return Reply(
        "segment-v1", data={"uncertainty": uncertainty}, images=(Image("matte", encode_png(matte), "image/png"),)
    )


def prepared(asset: ProductAsset, answer: Reply | Exception, *, last: bool = False) -> Run:
    service = ScriptedVendor([answer], name="photoroom", tasks=("cutout",))
    own = Route("local", "local-1")
    asked = Route("photoroom", "segment-v1", {}, ("vendor_key_refused",))
    routes = Routes({"cutout": (asked,) if last else (asked, own), "facts": (own,)})
    deps = default_deps(vendors={"photoroom": service, "local": LocalVendor()}, routes=routes)  # type: ignore[dict-item]
    return prepare_inline(asset, trigger="test", deps=deps)


def test_a_matte_that_follows_the_photo_is_taken(sofa: ProductAsset) -> None:
    run = prepared(sofa, answered(matte()))
    assert run.status == Run.Status.COMPLETED, run.error_message
    step = run.steps.select_related("payload").get(node_key="cutout")
    assert (step.vendor, step.attempt) == ("photoroom", 1)
    assert step.why.startswith("The service's outline follows the photo's edges")
    assert step.payload.reasoning["signals"]["uncertainty"] == 0.1
    assert sofa.is_ready and sofa.cutout.media_type == "image/png"


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (lambda: answered(matte(), 0.9), "cutout_rejected"),
        (lambda: answered(np.roll(matte(), 20, 1)), "cutout_rejected"),
        (lambda: answered(matte()[:300]), "vendor_bad_response"),
        (lambda: Reply("segment-v1", data={}), "vendor_bad_response"),
        (lambda: KeyRefused("PhotoRoom does not accept the API key."), "vendor_key_refused"),
    ],
    ids=["unsure", "shifted", "of another size", "no picture", "key refused"],
)
def test_whatever_is_wrong_with_it_leaves_the_work_to_our_own_engine(sofa: ProductAsset, answer, code: str) -> None:  # type: ignore[no-untyped-def]
    run = prepared(sofa, answer())
    assert run.status == Run.Status.COMPLETED, run.error_message
    step = run.steps.get(node_key="cutout")
    assert (step.vendor, step.attempt) == ("local", 2)
    assert run.errors.get().code == code


def test_without_another_route_the_merchant_hears_why(sofa: ProductAsset) -> None:
    run = prepared(sofa, answered(matte(), 0.9), last=True)
    assert (run.status, run.error_code) == (Run.Status.FAILED, "cutout_rejected")
    assert "not sure what the product is" in sofa.prep_error and "plain background" in sofa.prep_error
    assert run.artifacts.filter(role="result", name="cutout").exists(), "staff can look at the refused one"


def test_a_merchants_own_transparency_is_taken_without_asking_anybody(published: None) -> None:
    picture = encode_png(np.dstack(small_photo()))
    own = save_asset(shop=ShopFactory(), product_id="own", title="Sofa 200 x 90 x 80 cm", picture=picture)
    run = prepared(own, KeyRefused("never asked"))
    assert run.status == Run.Status.COMPLETED, run.error_message
    step = run.steps.get(node_key="cutout")
    assert (step.vendor, step.attempt, step.why) == ("", 1, "Kept the merchant's own transparency.")
