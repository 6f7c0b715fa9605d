"""Live overrides that the library has left behind."""

from datetime import timedelta

import pytest
from django.utils import timezone

from prompts.drift import drifted_overrides
from prompts.models import PromptOverride
from prompts.services import create_override
from tests.factories import ShopFactory

pytestmark = pytest.mark.django_db


def patch(**changes: object) -> PromptOverride:
    values = {
        "shop": ShopFactory(),
        "prompt_name": "placement",
        "template": "---\nparams: {prefer: left}\n---\n",
        "reason": "Lamps block doors",
        "created_by": "ada",
        **changes,
    }
    return create_override(**values)  # type: ignore[arg-type]


def test_an_override_of_production_has_not_drifted() -> None:
    patch()
    assert drifted_overrides() == []


def test_an_override_of_an_older_version_has_moved() -> None:
    override = patch(base_version="v2")
    (drift,) = drifted_overrides()
    assert (drift.override, drift.kind, drift.detail) == (override, "moved", "made from v2, production is v3")


def test_an_override_of_a_file_that_was_edited_in_place_is_noticed() -> None:
    override = patch()
    PromptOverride.objects.filter(pk=override.pk).update(base_sha256="0" * 64)
    (drift,) = drifted_overrides()
    assert drift.kind == "edited"


def test_an_override_of_a_version_that_is_gone_is_noticed() -> None:
    override = patch()
    PromptOverride.objects.filter(pk=override.pk).update(base_version="v99")
    (drift,) = drifted_overrides()
    assert (drift.kind, drift.detail) == ("gone", "placement v99 is no longer in the library")


def test_an_override_that_the_library_no_longer_feeds_is_broken() -> None:
    override = patch()
    broken = override.template.replace("{{ facts.mount }}", "{{ facts.mounting }}")
    PromptOverride.objects.filter(pk=override.pk).update(template=broken)
    (drift,) = drifted_overrides()
    assert drift.kind == "broken"
    assert "there is no 'mounting'" in drift.detail


def test_expired_overrides_are_not_reported() -> None:
    patch(base_version="v2")
    assert drifted_overrides(timezone.now() + timedelta(days=4)) == []
