"""A shop's patch in the engine: the next run is asked with it, and none from the second of its expiry on."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from django.utils import timezone

from prompts.library import library
from prompts.services import create_override, revoke_override
from runs.models import Step
from shops.models import Shop
from tests.factories import ShopFactory
from tests.runs.engine import ScriptedVendor, chain, deps, publish, run_inline

pytestmark = pytest.mark.django_db
NAME = "facts_extraction"


@pytest.fixture
def shop() -> Shop:
    publish("story", *chain("prompted@1", retries=0))
    return ShopFactory()


def asked_at(shop: Shop, moment: datetime) -> str:
    """Where the prompt of a run came from that asks its model at this moment."""
    given = replace(deps(ScriptedVendor([{"n": 1}])), clock=lambda: moment)
    run = run_inline("story", given=given, shop=shop)
    return Step.objects.get(run=run).prompt_source


def test_a_patch_is_live_from_the_next_run_to_the_second_of_its_expiry(shop: Shop) -> None:
    now = timezone.now()
    assert asked_at(shop, now) == "library"
    text = library().production(NAME).template.replace("<<user>>", "<<user>>\nMind the units.", 1)
    override = create_override(
        shop=shop, prompt_name=NAME, template=text, reason="Units", created_by="ada",
        expires_at=now + timedelta(minutes=5),
    )  # fmt: skip
    assert asked_at(shop, now) == "override"
    assert asked_at(ShopFactory(), now) == "library"
    assert asked_at(shop, override.expires_at - timedelta(microseconds=1)) == "override"
    assert asked_at(shop, override.expires_at) == "library", "a run under way, too: the model is asked at this moment"
    revoke_override(shop=shop, prompt_name=NAME, revoked_by="grace")
    assert asked_at(shop, now) == "library"
