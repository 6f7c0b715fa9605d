"""Runs with everything on them, as rows: quicker than the engine, and able to be in any state."""

from datetime import timedelta
from typing import Any

import factory
from django.utils import timezone
from factory.django import DjangoModelFactory

from core.canonical import canonical_json
from runs.blobs import store_blob
from runs.models import Artifact, Blob, MetricResult, Pipeline, Run, RunError, Step, StepPayload
from tests.factories import ShopFactory, cutout_png, room_jpeg


class PipelineFactory(DjangoModelFactory[Pipeline]):
    """A pipeline by slug, made once."""

    class Meta:
        model = Pipeline
        django_get_or_create = ("slug",)

    slug = "composite"


class RunFactory(DjangoModelFactory[Run]):
    """A completed run of a shop."""

    class Meta:
        model = Run

    pipeline = factory.SubFactory(PipelineFactory, slug=factory.SelfAttribute("..pipeline_slug"))
    pipeline_slug = "composite"
    shop = factory.SubFactory(ShopFactory)
    subject_type = "product_asset"
    subject_id = factory.Sequence(lambda n: f"subject-{n}")
    subject_label = factory.Sequence(lambda n: f"Halden sofa {n}")
    status = "completed"
    input = factory.LazyFunction(dict)
    input_sha256 = "0" * 64
    latency_ms = 3200
    steps_expected = 2
    steps_done = 2


class StepFactory(DjangoModelFactory[Step]):
    """A completed model step with its payload."""

    class Meta:
        model = Step
        skip_postgeneration_save = True

    run = factory.SubFactory(RunFactory)
    shop_id = factory.SelfAttribute("run.shop_id")
    pipeline_slug = factory.SelfAttribute("run.pipeline_slug")
    environment = "production"
    node_key = factory.Sequence(lambda n: f"node_{n}")
    name = factory.SelfAttribute("node_key")
    type = "llm"
    seq = factory.Sequence(lambda n: n)
    status = "completed"
    started_at = factory.SelfAttribute("run.created_at")
    finished_at = factory.LazyAttribute(lambda step: step.started_at + timedelta(seconds=1))
    latency_ms = 1000

    @factory.post_generation
    def payload(self: Step, create: bool, extracted: dict[str, Any] | None, **_: Any) -> None:
        """The texts of the step, as given."""
        StepPayload.objects.create(step=self, **(extracted or {"ir": {"answer": 42}}))


class RunErrorFactory(DjangoModelFactory[RunError]):
    """A failed attempt."""

    class Meta:
        model = RunError

    run = factory.SelfAttribute("step.run")
    step = factory.SubFactory(StepFactory)
    stage = factory.SelfAttribute("step.node_key")
    code = "vendor_timeout"
    message = "The model service did not answer in time."
    retryable = True


class MetricFactory(DjangoModelFactory[MetricResult]):
    """A metric of a step's last attempt that passed."""

    class Meta:
        model = MetricResult

    run = factory.SelfAttribute("step.run")
    step = factory.SubFactory(StepFactory)
    attempt = factory.SelfAttribute("step.attempt")
    key = factory.Sequence(lambda n: f"metric_{n}")
    value = 0.5
    threshold = 0.9
    passed = True


def blob(run: Run, content: bytes, media_type: str = "image/png", retention: str = "evidence") -> Blob:
    """Stored bytes of a run's shop."""
    return store_blob(shop=run.shop, content=content, media_type=media_type, retention=retention)


def artifact(run: Run, name: str, content: Any, media_type: str = "image/png", **values: Any) -> Artifact:
    """Evidence of a run: bytes of a type, or any JSON value."""
    if not isinstance(content, bytes):
        content, media_type = canonical_json(content), "application/json"
    return Artifact.objects.create(run=run, name=name, blob=blob(run, content, media_type),
                                   **{"role": "image", **values})  # fmt: skip


def composite_run(**values: Any) -> Run:
    """A composite run with pictures, places and a decision, as the pipeline leaves it."""
    run = RunFactory(**values)
    room, cutout = blob(run, room_jpeg(), "image/jpeg", "shopper"), blob(run, cutout_png())
    result = blob(run, room_jpeg(seed=7), "image/jpeg")
    for name, picture, role in (("room", room, "input"), ("cutout", cutout, "input")):
        Artifact.objects.create(run=run, name=name, blob=picture, role=role)
    place = {"box": {"x0": 0.2, "y0": 0.4, "x1": 0.6, "y1": 0.8}, "contact": {"x": 0.4, "y": 0.8}, "why": "middle"}
    candidates = [{"id": f"c{index}", **place} for index in range(6)]
    geometry = {"horizon_y": 0.4, "roll_deg": 1.5, "pitch_deg": 8.0, "camera_height_m": 1.5, "confidence": 0.9}
    StepFactory(run=run, node_key="placement", payload={"ir": {"room": geometry, "candidates": candidates}})
    StepFactory(
        run=run, node_key="select", type="filter", candidates_in=6, candidates_out=2, drop_ratio=2 / 3,
        reasons={"overlaps_furniture": 3, "out_of_frame": 1}, why="Kept 2 of 6 places.",
        payload={"ir": {"selected": candidates[0], "shortlist": ["c0", "c1"],
                        "rejected": [{"id": f"c{index}", "reason": "overlaps_furniture"} for index in range(2, 6)]}},
    )  # fmt: skip
    step = StepFactory(run=run, node_key="composite", type="image", payload={"ir": {"result": result.to_json()}})
    Artifact.objects.create(run=run, step=step, name="result", blob=result, role="result")
    run.input = {"room": {"photo": room.to_json()}, "cutout": cutout.to_json(), "tap": {"x": 0.4, "y": 0.7}}
    run.summary = {"title": run.subject_label, "latencies": {"placement": 900, "composite": 2000},
                   "pictures": {"room": room.sha256, "cutout": cutout.sha256, "result": result.sha256}}  # fmt: skip
    run.started_at, run.finished_at = run.created_at, timezone.now()
    run.save()
    return run
