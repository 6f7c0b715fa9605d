"""The product's own pipelines come out the same, byte for byte, without any vendor."""

import json
from unittest.mock import patch

import httpx
import pytest
from django.core.management import call_command

from prep.services import prepare_inline
from prompts.services import create_override
from runs.models import Run
from storefront.execution import CompositeParams, execute_composite_run
from storefront.models import CompositeRun
from storefront.services import Tap
from tests.factories import ShopFactory
from tests.prep.test_prep_pipeline import demo_asset
from tests.storefront.test_composite_run import room

pytestmark = pytest.mark.django_db


def reproduce(run: Run, capsys: pytest.CaptureFixture[str]) -> dict[str, object]:
    capsys.readouterr()
    call_command("reproduce", str(run.pk), "--json")
    return dict(json.loads(capsys.readouterr().out.strip().splitlines()[-1]))


def test_prep_and_composite_are_reproduced_whatever_has_changed_since(
    published: None, capsys: pytest.CaptureFixture[str]
) -> None:
    asset = demo_asset(ShopFactory(), "marlow-chair")
    asset.merchant_overrides = {"dimensions_m": {"height": 0.9}}
    asset.save()
    prepared = prepare_inline(asset, trigger="test")
    asset.refresh_from_db()
    run = execute_composite_run(CompositeParams(asset, room(asset), Tap(0.5, 0.8)))
    assert run.status == Run.Status.COMPLETED, run.error_message
    changed = "---\nparams:\n  prefer: left\n---\n"
    create_override(shop=asset.shop, prompt_name="placement", template=changed, reason="test", created_by="test")
    with patch.object(httpx.AsyncClient, "send", side_effect=AssertionError("a call went out")):
        verdicts = [reproduce(prepared, capsys), reproduce(run, capsys)]
    assert [verdict["reproduced"] for verdict in verdicts] == [True, True]
    replay = Run.objects.filter(mode="recorded", parent=run).first()
    assert replay.steps.get(node_key="composite").output_sha256 == run.steps.get(node_key="composite").output_sha256
    assert not CompositeRun.objects.filter(pk=replay.pk).exists()
    before = asset.updated_at
    asset.refresh_from_db()
    assert asset.is_ready and asset.updated_at == before, "the product hears nothing of it"
