"""Five hundred stored answers held against a schema, beside plain jsonschema."""

import copy
import json
import time
from collections.abc import Callable
from typing import Any

from jsonschema import Draft202012Validator

from bench.figures import MEDIAN, Figure, Section, percentile
from bench.scratch import scratch_database
from core.ids import new_id
from irschemas.activation import review_activation
from irschemas.models import IRSchema
from irschemas.services import create_schema, get_active_for_target
from irschemas.stored import LOOK_BACK, stored_answers
from runs.models import Run, Step, StepPayload
from runs.services import publish_dag, start_run

TARGET, CANDIDATES, TIMES = "stage:placement", 24, 7
TARGET_MS = 2000
OTHERS = 20_000


def measure(title: str) -> Section:
    """The whole review before an activation, when all answers fit and when all fail, and its two halves."""
    how = (
        f"{LOOK_BACK} answers of `placement` with {CANDIDATES} candidates each are stored among {OTHERS:,} steps. "
        "A review reads them, holds them against a draft that all of them fit, or that all of them fail in every "
        f"candidate, and groups what fails; the median of {TIMES}. Plain jsonschema only validates the same answers in "
        "memory, without reading, counting or wording."
    )
    with scratch_database("schemas"):
        active = get_active_for_target(TARGET)
        if active is None:
            raise RuntimeError("The library's schema is not in force.")
        size = _store_answers(active)
        loose, tight = (_draft(active, change) for change in (_loosen, _tighten))
        answers = [answer.ir for answer in stored_answers(TARGET)]
        fits, fails = (_median_ms(lambda row=row: _review(row)) for row in (loose, tight))  # type: ignore[misc]
        plain_fits, plain_fails = (_plain_ms(row, answers) for row in (loose, tight))
        read = _median_ms(lambda: stored_answers(TARGET))
    section = Section(title, how)
    section.figures = [
        Figure("review, all 500 fit, p50", fits, "ms", "plain jsonschema", plain_fits, TARGET_MS),
        Figure("review, all 500 fail, p50", fails, "ms", "plain jsonschema", plain_fails, TARGET_MS),
        Figure("of it reading the answers, p50", read, "ms"),
    ]
    section.notes = [f"An answer has {size / 1024:.0f} KiB as JSON."]
    return section


def _store_answers(active: IRSchema) -> int:
    """Answers of completed steps among many others; the size of one in bytes."""
    answer = _answer()
    publish_dag(
        "bench", {"dag_version": 1, "nodes": [{"key": "wait", "step": "bench_wait@1", "params": {"seconds": 1.0}}]}
    )
    run = start_run(pipeline="bench", shop=None, input={})
    Run.objects.filter(pk=run.pk).update(status=Run.Status.COMPLETED)
    known = {"run": run, "pipeline_slug": "bench", "environment": "bench", "type": "llm", "status": "completed"}
    every = OTHERS // LOOK_BACK
    steps = [
        Step(id=new_id(), node_key=f"n{number}", name="placement" if number % every == 0 else "other", seq=number,
             ir_schema=active if number % every == 0 else None, **known)
        for number in range(OTHERS)
    ]  # fmt: skip
    Step.objects.bulk_create(steps, batch_size=2000)
    mine = [step for step in steps if step.name == "placement"]
    StepPayload.objects.bulk_create([StepPayload(step=step, ir=answer) for step in mine], batch_size=100)
    return len(json.dumps(answer))


def _answer() -> dict[str, Any]:
    """A placement with as many candidates as the local engine finds in a large room."""
    place = {
        "mount": "floor", "box": {"x0": 0.21, "y0": 0.43, "x1": 0.62, "y1": 0.81}, "contact": {"x": 0.41, "y": 0.8},
        "px_per_m": 311.5, "distance_m": 3.2, "yaw_deg": -12.0, "confidence": 0.84, "why": "Free floor by the wall.",
    }  # fmt: skip
    room = {
        "horizon_y": 0.42, "roll_deg": 0.5, "pitch_deg": 8.1, "camera_height_m": 1.5, "confidence": 0.9,
        "focal_px_per_width": 0.8,
        "regions": {"$blob": "ab" * 32, "media_type": "image/png", "width": 640, "height": 480},
    }  # fmt: skip
    return {"room": room, "candidates": [{"id": f"p{number:02}", **place} for number in range(CANDIDATES)]}


def _draft(active: IRSchema, change: Callable[[dict[str, Any]], None]) -> IRSchema:
    schema = copy.deepcopy(active.schema)
    change(schema)
    return create_schema(target=TARGET, name="Bench", schema=schema)


def _loosen(schema: dict[str, Any]) -> None:
    schema["properties"]["candidates"]["maxItems"] += 1


def _tighten(schema: dict[str, Any]) -> None:
    schema["$defs"]["placement"]["properties"]["confidence"]["maximum"] = 0.5


def _review(row: IRSchema) -> None:
    tried = review_activation(row).revalidation
    if tried.checked != LOOK_BACK or tried.failed not in (0, LOOK_BACK):
        raise RuntimeError(f"{tried.failed} of {tried.checked} failed.")


def _plain_ms(row: IRSchema, answers: list[Any]) -> float:
    validator = Draft202012Validator(row.schema)
    return _median_ms(lambda: [list(validator.iter_errors(answer)) for answer in answers])


def _median_ms(work: Callable[[], Any]) -> float:
    work()
    taken = []
    for _ in range(TIMES):
        begun = time.perf_counter()
        work()
        taken.append((time.perf_counter() - begun) * 1000)
    return percentile(taken, MEDIAN)
