"""Facts as the pipelines pass them on: the merchant's word wins, the cache is used while its prompt holds."""

import pytest

from core.errors import Invalid
from prep.facts import check_overrides, merge_overrides, size_text
from prep.models import ProductAsset
from prep.services import prepare_inline
from prompts.services import create_override
from runs.models import Run
from storefront.demo_catalog import load_catalog
from storefront.execution import CompositeParams, execute_composite_run
from storefront.photos import store_room_photo
from tests.factories import FACTS, ShopFactory
from tests.prep.test_prep_pipeline import demo_asset


def test_overrides_win_and_say_where_they_come_from() -> None:
    merged = merge_overrides(
        FACTS | {"dimension_sources": dict.fromkeys(("width", "depth", "height"), "text")},
        {"dimensions_m": {"width": 3.0}, "mount": "wall"},
    )
    assert merged["dimensions_m"] == {"width": 3.0, "depth": 0.91, "height": 0.84}
    assert merged["dimension_sources"] == {"width": "merchant", "depth": "text", "height": "text"}
    assert merged["mount"] == "wall"
    assert FACTS["mount"] == "floor", "what was extracted stays as it was"


@pytest.mark.parametrize(
    "overrides",
    [
        {"dimensions_m": {"width": -1}},
        {"dimensions_m": {"width": 200}},
        {"mount": "roof"},
        {"colour": "red"},
        {"title": ""},
        {"dimensions_m": {"breadth": 1}},
    ],
)
def test_overrides_out_of_range_are_refused_at_the_door(overrides: dict) -> None:
    with pytest.raises(Invalid) as refused:
        check_overrides(overrides)
    assert "Merchant overrides" in refused.value.message


def test_sizes_read_as_a_shopper_reads_them() -> None:
    assert size_text(FACTS) == "213 x 91 x 84 cm"
    assert size_text({"dimensions_m": {"width": 0.7, "depth": None, "height": 0.95}}) == "W 70 x H 95 cm"
    assert size_text({"dimensions_m": {"width": None, "depth": None, "height": None}}) == ""


@pytest.fixture
def chair(db: None, published: None) -> ProductAsset:
    asset = demo_asset(ShopFactory(), "marlow-chair")
    prepare_inline(asset, trigger="test")
    assert asset.is_ready
    return asset


def picture_of(asset: ProductAsset) -> Run:
    room = store_room_photo(shop=asset.shop, content=load_catalog().rooms[0].photo_path.read_bytes())
    return execute_composite_run(CompositeParams(asset, room))


def test_prepared_facts_are_used_while_their_prompt_holds(chair: ProductAsset) -> None:
    step = picture_of(chair).steps.get(node_key="facts")
    assert step.payload.reasoning["used_cache"] is True
    assert "prepared facts" in step.why
    assert step.vendor == "", "no model was asked"


def test_another_prompt_extracts_anew_and_the_run_says_so(chair: ProductAsset) -> None:
    create_override(
        shop=chair.shop,
        prompt_name="facts_extraction",
        template="Read the product {{ title }}.",
        reason="a trial",
        created_by="tester",
    )
    step = picture_of(chair).steps.get(node_key="facts")
    assert step.payload.reasoning["used_cache"] is False
    assert step.why.startswith("Extracted the facts anew (prepared with prompt v2")
    assert (step.vendor, step.prompt_source) == ("local", "override")


def test_a_merchants_size_changes_the_picture(chair: ProductAsset) -> None:
    before = picture_of(chair)
    chair.merchant_overrides = {"dimensions_m": {"width": 0.37, "depth": 0.4, "height": 0.41}}
    chair.save()
    after = picture_of(chair)
    heights = [run.steps.get(node_key="select").payload.ir["selected"] for run in (before, after)]
    boxes = [place["box"]["y1"] - place["box"]["y0"] for place in heights]
    per_metre = [box / place["px_per_m"] for box, place in zip(boxes, heights, strict=True)]
    assert per_metre[1] == pytest.approx(per_metre[0] / 2, rel=0.1)
    assert after.steps.get(node_key="facts").payload.ir["dimension_sources"]["width"] == "merchant"
