"""The vendor `local`: the contract, each task, and calls it cannot work with."""

import asyncio

import numpy as np
import pytest

from imaging.photo import decode
from tests.vendors.contract import DeterministicContract
from tests.vendors.scenes import (
    FACTS,
    composite_call,
    cutout,
    cutout_call,
    facts_call,
    picture,
    placement_call,
    product_photo,
    room_photo,
)
from vendors.base import Call, Image, Rejected
from vendors.local.vendor import LocalVendor


def ask(call):
    return asyncio.run(LocalVendor().call(call))


@pytest.fixture(scope="module")
def placement_reply():
    return ask(placement_call())


@pytest.fixture(scope="module")
def chosen(placement_reply):
    return placement_reply.data["candidates"][0]


class TestContract(DeterministicContract):
    @pytest.fixture
    def vendor(self):
        return LocalVendor()

    @pytest.fixture
    def good_calls(self, chosen):
        return [cutout_call(), facts_call(), placement_call(), composite_call(chosen)]


def test_a_cutout_comes_with_its_place_in_the_photo():
    reply = ask(cutout_call())
    crop = reply.data["crop"]
    assert reply.data["accepted"]
    assert (crop["x0"], crop["y1"]) == pytest.approx((90 / 320, 250 / 320), abs=0.05)
    assert decode(reply.images[0].content).shape[2] == 4


def test_a_refused_cutout_is_an_answer_not_an_error():
    noise = np.random.default_rng(1).integers(0, 256, (320, 320, 3), dtype=np.uint8)
    reply = ask(cutout_call(images=(picture("product", noise),)))
    assert not reply.data["accepted"]
    assert reply.data["warnings"]


def test_a_merchants_own_alpha_is_kept():
    framed = np.zeros((320, 320, 4), np.uint8)
    framed[80:240, 90:230] = cutout()
    reply = ask(cutout_call(images=(picture("product", framed),)))
    assert reply.data["accepted"]
    assert reply.data["signals"]["merchant_alpha"] == 1.0


def test_facts_measure_the_colour_on_the_cutout():
    facts = ask(facts_call()).data
    assert facts["dimensions_m"] == {"width": 0.5, "depth": 0.5, "height": 0.5}
    assert facts["colors"][0] == {"name": "red", "hex": "#b02a30"}


def test_facts_work_without_a_picture_and_with_bare_numbers():
    variables = {"title": "Nightstand", "description": "Dimensions: 22 x 18 x 26", "product_type": "", "tags": []}
    facts = ask(facts_call(variables=variables, images=(), params={"unit_default": "in"})).data
    assert facts["dimensions_m"]["width"] == pytest.approx(0.5588)


def test_candidates_have_the_public_shape(placement_reply):
    keys = {"id", "mount", "box", "contact", "px_per_m", "distance_m", "yaw_deg", "confidence", "why"}
    assert len(placement_reply.data["candidates"]) > 1
    assert all(set(candidate) == keys for candidate in placement_reply.data["candidates"])


def test_placement_obeys_the_params_of_a_prompt(placement_reply):
    few = ask(placement_call(params={"max_candidates": 3})).data["candidates"]
    left = ask(placement_call(params={"prefer": "left"})).data["candidates"][0]
    right = ask(placement_call(params={"prefer": "right"})).data["candidates"][0]
    assert len(few) == 3 < len(placement_reply.data["candidates"])
    assert left["contact"]["x"] < right["contact"]["x"]


def test_a_composite_changes_the_room_only_around_the_product(chosen):
    reply = ask(composite_call(chosen))
    result, mask = (decode(image.content) for image in reply.images)
    assert [image.role for image in reply.images] == ["result", "product_mask"]
    assert result.shape == room_photo().shape
    assert mask.shape == result.shape[:2]
    assert 0 < (mask > 0).mean() < 0.5
    assert {"width": 480, "height": 360}.items() <= reply.data.items()


def test_the_response_keeps_what_the_answer_was_made_from():
    reply = ask(facts_call())
    assert reply.response["working"]["cleaned_text"].startswith("Pila Side Table, red\nWidth: 50 cm")
    assert reply.request["images"][0]["$image"] == "cutout"


BROKEN = Image("product", b"\x89PNG not really", "image/png")
BAD_CALLS = {
    "no picture": lambda: cutout_call(images=()),
    "broken picture": lambda: cutout_call(images=(BROKEN,)),
    "unknown model": lambda: cutout_call(model="local-9"),
    "unknown task": lambda: Call("haiku", "local-1"),
    "title is a number": lambda: facts_call(variables={"title": 7}),
    "tags is a text": lambda: facts_call(variables={"title": "a", "tags": "b"}),
    "cutout without alpha": lambda: facts_call(images=(picture("cutout", product_photo()),)),
    "no variables": lambda: placement_call(variables={}),
    "size unknown": lambda: placement_call(
        variables={**placement_call().variables, "facts": {**FACTS, "dimensions_m": {}}}
    ),
    "size is not a number": lambda: placement_call(
        variables={**placement_call().variables, "facts": {**FACTS, "dimensions_m": {"width": float("nan")}}}
    ),
    "tap outside the photo": lambda: placement_call(
        variables={**placement_call().variables, "tap": {"x": 1.7, "y": 0.5}}
    ),
    "unknown preference": lambda: placement_call(params={"prefer": "upside down"}),
    "scale too large": lambda: placement_call(params={"scale": 40}),
    "regions missing": lambda: placement_call(images=placement_call().images[:1]),
    "placement missing": lambda: composite_call(None),
    "place outside the photo": lambda: composite_call(
        {**ask(placement_call()).data["candidates"][0], "box": {"x0": 1.5, "y0": 1.5, "x1": 1.9, "y1": 1.9},
         "contact": {"x": 1.7, "y": 1.9}}
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD_CALLS)
def test_a_call_that_cannot_be_worked_with_is_rejected_in_one_sentence(name):
    with pytest.raises(Rejected) as caught:
        ask(BAD_CALLS[name]())
    assert "\n" not in caught.value.message
    assert not caught.value.retryable
    assert caught.value.request["model"]
