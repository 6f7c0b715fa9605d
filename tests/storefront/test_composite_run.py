"""The `composite` pipeline as one function, with its dependencies injected."""

import io
from collections import Counter
from dataclasses import replace

import pytest
from PIL import Image

from monitor.asked import read_sent, sent_messages
from monitor.run_page import read_run_page
from prep.models import ProductAsset
from prep.services import prepare_inline
from prompts.services import create_override
from runs.inline import default_deps
from runs.models import Artifact, Run
from storefront.answers import error_of
from storefront.demo_catalog import load_catalog
from storefront.execution import CompositeParams, execute_composite_run
from storefront.photos import store_room_photo
from storefront.room_photo import RoomPhoto
from storefront.services import Tap
from storefront.stages import _nowhere
from tests.factories import ShopFactory, encoded
from tests.prep.test_prep_pipeline import demo_asset
from tests.runs.engine import ScriptedVendor
from vendors.base import Call, Reply
from vendors.local.vendor import LocalVendor
from vendors.routes import Route, Routes

pytestmark = pytest.mark.django_db


@pytest.fixture
def chair(published: None) -> ProductAsset:
    asset = demo_asset(ShopFactory(), "marlow-chair")
    prepare_inline(asset, trigger="test")
    assert asset.is_ready, asset.prep_error
    return asset


def room(asset: ProductAsset, index: int = 0) -> RoomPhoto:
    return store_room_photo(shop=asset.shop, content=load_catalog().rooms[index].photo_path.read_bytes())


def test_every_stage_leaves_its_story(chair: ProductAsset) -> None:
    run = execute_composite_run(CompositeParams(chair, room(chair), Tap(0.5, 0.8)))
    assert run.status == Run.Status.COMPLETED, run.error_message
    steps = {step.node_key: step for step in run.steps.select_related("payload")}
    assert steps["placement"].payload.variables["tap"] == {"x": 0.5, "y": 0.8}
    select = steps["select"]
    assert select.type == "filter" and select.candidates_in > select.candidates_out >= 1
    assert select.drop_ratio == pytest.approx(1 - select.candidates_out / select.candidates_in)
    assert select.reasons and select.why.startswith("Kept ")
    assert select.payload.ir["tap_obeyed"] is True
    assert all(step.ir_valid for step in steps.values())
    assert run.metrics.filter(step=steps["composite"], passed=True).count() >= 8
    assert run.summary["prompt_versions"] == {"placement": "v3", "composite": "v2"}
    assert set(run.summary["pictures"]) == {"room", "product_photo", "cutout", "result"}
    kept = set(Artifact.objects.filter(run=run).values_list("step__node_key", "role", "name"))
    assert {
        ("placement", "image", "regions"),
        ("placement", "image", "candidates"),
        ("select", "image", "verdicts"),
        ("composite", "result", "result"),
        ("composite", "image", "product_mask"),
    } <= kept
    page = read_run_page(run)
    assert " was put on the floor, " in page.headline
    sent = read_sent(steps["placement"], 1)
    parts = [part for message in sent_messages(sent or {}) for part in message.parts if part.name]
    assert {"tap.x", "facts.title"} <= {part.name for part in parts}
    assert "0.5" in {part.text for part in parts if part.name == "tap.x"}


def test_a_tap_decides_where_it_stands(chair: ProductAsset) -> None:
    places = []
    for x in (0.3, 0.7):
        run = execute_composite_run(CompositeParams(chair, room(chair, 0), Tap(x, 0.85)))
        assert run.status == Run.Status.COMPLETED, run.error_message
        places.append(run.steps.get(node_key="select").payload.ir["selected"]["contact"]["x"])
    assert places[0] < 0.5 < places[1]


def test_an_edited_prompt_shows_its_effect_without_any_key(chair: ProductAsset) -> None:
    before = execute_composite_run(CompositeParams(chair, room(chair)))
    create_override(
        shop=chair.shop,
        prompt_name="placement",
        template="---\nparams:\n  prefer: left\n---\n",
        reason="too far right",
        created_by="operator",
    )
    after = execute_composite_run(CompositeParams(chair, room(chair)))
    x = [run.steps.get(node_key="select").payload.ir["selected"]["contact"]["x"] for run in (before, after)]
    assert x[1] < x[0]
    assert after.steps.get(node_key="placement").prompt_source == "override"


class Spoiler(LocalVendor):
    """Our own engine, spoiled where a route asks for it: it makes the product half as large again as it is."""

    async def call(self, call: Call) -> Reply:
        if not call.params.get("spoil"):
            return await super().call(call)
        place = call.variables["placement"]
        box, middle = place["box"], place["contact"]["x"]
        larger = {
            "x0": middle - (middle - box["x0"]) * 1.5,
            "x1": middle + (box["x1"] - middle) * 1.5,
            "y0": box["y1"] - (box["y1"] - box["y0"]) * 1.5,
            "y1": box["y1"],
        }
        return await super().call(replace(call, variables={**call.variables, "placement": {**place, "box": larger}}))


def routed(*composite: Route, **vendors: object) -> dict[str, object]:
    local = Route("local", "local-1")
    tasks = dict.fromkeys(("cutout", "facts", "placement"), (local,))
    return {"vendors": {"local": Spoiler(), **vendors}, "routes": Routes({**tasks, "composite": composite})}


SPOILED, SOUND = Route("local", "local-1", {"spoil": True}), Route("local", "local-1")


def test_a_picture_that_is_not_true_to_size_never_reaches_a_shopper(chair: ProductAsset) -> None:
    run = execute_composite_run(CompositeParams(chair, room(chair)), default_deps(**routed(SPOILED)))
    assert (run.status, run.error_code, run.error_stage) == (Run.Status.FAILED, "gate_rejected", "composite")
    assert "scale_error" in run.error_message
    assert run.error_retryable is False, "our own engine would make the same picture again"
    assert run.error_signature.startswith("composite: gate_rejected: ")
    assert "its size is off by" in read_run_page(run).headline
    assert Artifact.objects.filter(run=run, role="result").exists(), "staff can look at the rejected picture"


def test_after_a_rejected_picture_the_next_route_is_tried(chair: ProductAsset) -> None:
    run = execute_composite_run(CompositeParams(chair, room(chair)), default_deps(**routed(SPOILED, SOUND)))
    assert run.status == Run.Status.COMPLETED
    step = run.steps.get(node_key="composite")
    assert (step.attempt, step.vendor) == (2, "local")
    assert run.errors.get().code == "gate_rejected"
    assert set(run.metrics.values_list("attempt", flat=True)) == {1, 2}


def test_a_model_that_answers_without_a_picture_fails_the_run(chair: ProductAsset) -> None:
    given = default_deps(**routed(Route("scripted", "s-1"), scripted=ScriptedVendor([{"sorry": True}])))
    run = execute_composite_run(CompositeParams(chair, room(chair)), given)
    assert (run.status, run.error_code) == (Run.Status.FAILED, "vendor_bad_response")


def test_a_room_without_free_floor_is_refused_in_words_for_a_shopper(chair: ProductAsset) -> None:
    import numpy as np

    wall = encoded(np.full((720, 960, 3), 200, np.uint8))
    photo = store_room_photo(shop=chair.shop, content=wall)
    run = execute_composite_run(CompositeParams(chair, photo))
    assert (run.status, run.error_code) == (Run.Status.FAILED, "no_placement")
    assert "try a photo that shows more of the free floor" in run.error_message
    assert error_of(run)["retryable"] is False, "no other spot in this photo would do"


@pytest.mark.parametrize(
    ("mount", "wanted"),
    [
        ("floor", "the free floor"),
        ("wall", "the free wall"),
        ("ceiling", "the ceiling"),
        ("tabletop", "table or shelf"),
    ],
)
def test_a_refusal_names_what_the_product_needs(mount: str, wanted: str) -> None:
    failure = _nowhere(Counter(out_of_frame=3), "out_of_frame", mount, tapped=False)
    assert wanted in str(failure)


def test_nothing_but_the_product_and_its_shadow_is_touched(chair: ProductAsset) -> None:
    given = room(chair)
    run = execute_composite_run(CompositeParams(chair, given))
    changed = run.metrics.get(key="outside_changed_share")
    assert changed.passed is True and changed.value < 0.01
    with Image.open(io.BytesIO(read(run, "result"))) as picture:
        assert picture.size == (given.blob.width, given.blob.height)
        assert not picture.getexif()


def read(run: Run, name: str) -> bytes:
    from core.storage import BlobStore

    return BlobStore().read_key(run.artifacts.get(name=name, role="result").blob.storage_key)


def test_a_selection_that_keeps_nothing_still_tells_what_it_dropped_and_why(chair: ProductAsset) -> None:
    import numpy as np

    photo = store_room_photo(shop=chair.shop, content=encoded(np.full((720, 960, 3), 200, np.uint8)))
    step = execute_composite_run(CompositeParams(chair, photo)).steps.get(node_key="select")
    assert step.status == "failed" and step.candidates_out == 0 and step.drop_ratio == (1 if step.candidates_in else 0)
    assert len(step.payload.ir["rejected"]) == step.candidates_in
    assert sum(step.reasons.values()) == step.candidates_in
    assert step.why.startswith("Dropped all")
    assert Artifact.objects.filter(step=step, name="verdicts").exists()
