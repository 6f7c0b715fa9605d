"""`IR_VALIDATION_MODE` at the engine: off, log, enforce, and pipelines that pin their own."""

import json
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as django_settings

from irschemas.services import activate_schema, create_schema
from runs.models import Run
from tests.irschemas.examples import closed
from tests.runs.engine import ScriptedVendor, chain, deps, publish, run_inline

pytestmark = pytest.mark.django_db
ANSWER = closed({"answer": {"type": "integer", "minimum": 10}, "picture": {"type": "null"}})
OUTCOMES = {"off": ("completed", None, 0), "log": ("completed", False, 1), "enforce": ("failed", False, 1)}


@pytest.fixture(autouse=True)
def schema() -> Any:
    """What an answer has to look like; 3 is too little."""
    return activate_schema(schema_id=create_schema(target="stage:asking", name="Asking", schema=ANSWER).pk)


def outcome(slug: str) -> tuple[str, bool | None, int]:
    """How a run with a bad answer ends, whether it was found invalid, and how many findings it keeps."""
    run = run_inline(slug, given=deps(ScriptedVendor([3])))
    step = run.steps.get()
    assert (run.error_code == "ir_invalid") is (run.status == Run.Status.FAILED)
    assert len(step.payload.validation_errors) == step.ir_error_count
    return run.status, step.ir_valid, step.ir_error_count


@pytest.mark.parametrize("mode", OUTCOMES)
def test_a_pipeline_that_pins_nothing_follows_the_setting(settings: Any, schema: Any, mode: str) -> None:
    settings.IR_VALIDATION_MODE = mode
    publish("open", *chain("asking@1"))
    assert outcome("open") == OUTCOMES[mode]
    run = Run.objects.get()
    assert run.steps.get().ir_schema_id == schema.pk
    found = {"schema_id": str(schema.pk), "version": 1, "passed": False, "error_count": 1}
    assert run.summary["validation"] == ({} if mode == "off" else {"a": found})


@pytest.mark.parametrize("pinned", OUTCOMES)
def test_what_a_pipeline_pins_wins_over_the_setting(settings: Any, pinned: str) -> None:
    settings.IR_VALIDATION_MODE = "off" if pinned == "enforce" else "enforce"
    publish("pinned", *chain("asking@1"), ir_mode=pinned)
    assert outcome("pinned") == OUTCOMES[pinned]


@pytest.mark.parametrize("file", ["storefront/pipelines/composite.json", "prep/pipelines/prep.json"])
def test_our_own_pipelines_pin_enforce(file: str) -> None:
    document = json.loads((Path(django_settings.BASE_DIR) / file).read_text())
    modes = {node.get("ir_mode", document["defaults"]["ir_mode"]) for node in document["nodes"]}
    assert modes == {"enforce"}
