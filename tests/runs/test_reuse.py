"""Policy `cache: input_hash`: an earlier answer of the same shop to the same input is taken, and only that."""

from collections.abc import Iterator
from typing import Any

import pytest

from runs.blobs import delete_pictures
from runs.errors import PipelineInvalid
from runs.models import Artifact, Run
from shops.models import Shop
from tests.engineapp.policy_stages import CALLS
from tests.factories import ShopFactory
from tests.runs.engine import ScriptedVendor, deps, publish, run_inline
from tests.runs.test_execute_run import PNG
from vendors.base import Image, Reply, Usage

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def nothing_called() -> Iterator[None]:
    CALLS.clear()
    yield
    CALLS.clear()


def calling(shop: Shop, step: str = "calling@1", input: dict[str, Any] | None = None, **params: Any) -> Run:
    publish("cached", {"key": "a", "step": step, "cache": "input_hash", "params": params})
    return run_inline("cached", input or {"n": 1}, shop=shop)


def test_the_same_input_is_answered_by_the_earlier_step() -> None:
    shop = ShopFactory()
    first, second, third = calling(shop), calling(shop), calling(shop)
    assert CALLS == ["a 1"]
    earlier, step = first.steps.get(), second.steps.get()
    assert (second.status, step.payload.ir, step.output_sha256) == (
        "completed",
        {"called": True},
        earlier.output_sha256,
    )
    assert step.reused_from_id == third.steps.get().reused_from_id == earlier.pk


def test_another_shop_input_version_or_params_are_answered_anew() -> None:
    shop = ShopFactory()
    calling(shop)
    runs = [
        calling(ShopFactory()),
        calling(shop, input={"n": 2}),
        calling(shop, step="calling@2"),
        calling(shop, seconds=0),
    ]
    assert CALLS == ["a 1", "a 1", "a 1", "a v2", "a 1"]
    assert not any(run.steps.get().reused_from_id for run in runs)


def test_without_the_policy_nothing_is_kept_for_later_and_nothing_taken() -> None:
    shop = ShopFactory()
    publish("plain", {"key": "a", "step": "calling@1"})
    for _ in range(2):
        run_inline("plain", {"n": 1}, shop=shop)
    assert CALLS == ["a 1", "a 1"]


def drawn(shop: Shop, vendor: ScriptedVendor) -> Run:
    publish("picturing", {"key": "a", "step": "picturing@1", "cache": "input_hash"})
    return run_inline("picturing", {"subject": "chair"}, deps(vendor), shop=shop)


def drawer() -> ScriptedVendor:
    picture = Image("drawing", PNG, "image/png")
    return ScriptedVendor([Reply(model="m", data=1, images=(picture,), usage=Usage(tokens_in=10), cost_usd=0.25)])


def test_a_reused_answer_keeps_its_words_and_pictures_and_costs_nothing_again() -> None:
    shop, vendor = ShopFactory(), drawer()
    first, second = drawn(shop, vendor), drawn(shop, vendor)
    assert first.status == "completed", first.error_message
    step = second.steps.get()
    assert (len(vendor.calls), step.why, step.drop_ratio, step.reasons) == (1, "It looks well.", 0.6, {"dull": 6})
    assert (float(first.cost_usd), second.cost_usd, second.tokens_in) == (0.25, None, None)
    picture = Artifact.objects.get(run=second, role="result")
    assert picture.blob.sha256 == step.payload.ir["picture"]["$blob"]
    delete_pictures(first)
    assert Artifact.objects.get(pk=picture.pk).blob is not None, "the picture stays as long as a run refers to it"


def test_an_answer_whose_picture_is_gone_is_not_reused() -> None:
    shop, vendor = ShopFactory(), drawer()
    delete_pictures(drawn(shop, vendor))
    assert drawn(shop, vendor).steps.get().reused_from_id is None
    assert len(vendor.calls) == 2


def test_what_acts_outside_is_never_reused() -> None:
    with pytest.raises(PipelineInvalid, match="never reused"):
        publish("outside", {"key": "a", "step": "calling@1", "cache": "input_hash", "side_effects": "external"})
    publish("outside", {"key": "a", "step": "calling@1", "side_effects": "external"}, cache="input_hash")
    shop = ShopFactory()
    for _ in range(2):
        run_inline("outside", {"n": 1}, shop=shop)
    assert CALLS == ["a 1", "a 1"]
