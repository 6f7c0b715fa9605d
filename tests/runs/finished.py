"""A composite that has ended, with the rows that its nodes leave, and without the work of making them."""

import copy
from typing import Any

from django.utils import timezone

from core.canonical import canonical_json, json_hash
from core.pictures import unbind_pictures
from prompts.library import library
from runs.blobs import store_blob
from runs.models import Artifact, Blob, Run, Step, StepPayload
from tests.factories import FACTS, CompositeFactory, room_jpeg
from tests.irschemas.examples import PLACEMENT

GEOMETRY = {"horizon_y": 0.4, "roll_deg": 0.0, "pitch_deg": 8.0, "camera_height_m": 1.5, "confidence": 0.9}
PLACE = {**PLACEMENT, "px_per_m": 120.0, "distance_m": 3.2, "yaw_deg": 0.0}


def finished_composite(**given: Any) -> Run:
    """A completed composite of a ready product: facts from the cache, placement and composite asked of `local`."""
    run = CompositeFactory(**given).run
    regions = store_blob(shop=run.shop, content=room_jpeg(64, 48, seed=3), media_type="image/png")
    result = store_blob(
        shop=run.shop, content=room_jpeg(seed=7), media_type="image/jpeg", retention=Blob.Retention.SHOPPER
    )
    facts = copy.deepcopy(FACTS)
    answers = {
        "facts": facts,
        "placement": {"room": {**GEOMETRY, "regions": regions.to_json()}, "candidates": [PLACE], "params": {}},
        "select": {"selected": PLACE, "shortlist": [PLACE["id"]], "rejected": [], "tap_obeyed": None},
        "composite": {"result": result.to_json(), "product_mask": None, "source": "local", "notes": []},
    }
    asked = {
        "placement": {"facts": facts, "room": GEOMETRY, "tap": run.input["tap"], "cutout_aspect": 1.5},
        "composite": {"facts": facts, "placement": PLACE, "room": GEOMETRY},
    }
    for step in run.steps.all():
        _end(step, answers[step.node_key], asked.get(step.node_key))
    _keep(run.steps.get(node_key="placement"), "regions", regions)
    _keep(run.steps.get(node_key="composite"), "result", result, Artifact.Role.RESULT)
    Run.objects.filter(pk=run.pk).update(status=Run.Status.COMPLETED, finished_at=timezone.now(), latency_ms=1500)
    run.refresh_from_db()
    return run


def _end(step: Step, answer: dict[str, Any], variables: dict[str, Any] | None) -> None:
    columns: dict[str, Any] = {"status": Step.Status.COMPLETED, "latency_ms": 400, "output_sha256": json_hash(answer)}
    if step.type == Step.Type.FILTER:
        columns |= {"candidates_in": 1, "candidates_out": 1, "drop_ratio": 0.0}
    if variables:
        prompt = library().production(step.node_key)
        columns |= {"vendor": "local", "model": "local-1", "prompt_name": prompt.name, "prompt_source": "library"}
        columns |= {"prompt_version": prompt.version, "prompt_sha256": prompt.sha256, "cost_usd": 0}
        sent = canonical_json({"template": prompt.template, "params": {}, "messages": []})
        blob = store_blob(shop=step.shop, content=sent, media_type="application/json")
        _keep(step, "prompt", blob, Artifact.Role.PROMPT)
    Step.objects.filter(pk=step.pk).update(**columns)
    StepPayload.objects.create(step=step, ir=unbind_pictures(answer), variables=variables or {})


def _keep(step: Step, name: str, blob: Blob, role: str = Artifact.Role.IMAGE) -> None:
    Artifact.objects.create(run_id=step.run_id, step=step, name=name, role=role, blob=blob)
