"""Replays: a new run of the same pipeline version, every model call of which is answered from the original's recording.

A replay shows that the original's captured input leads to its result. It is no shopper's, counts in no shop's figures,
asks no model, fetches nothing, and changes nothing but its own rows.
"""

from collections.abc import Iterable
from typing import TypeVar

from django.conf import settings
from django.db import models, transaction
from django.utils import timezone

from core.canonical import json_hash
from core.pictures import BLOB_KEY, picture_refs
from runs.cancelling import cancel_run
from runs.claims import inline_lease
from runs.context import RunContext
from runs.errors import BlobsExpired, NotReproducible, PipelineInvalid, RunActive, StageMissing
from runs.messages import send_hint
from runs.models import Artifact, Blob, Run, Step, StepPayload
from runs.recorded import RecordedRun, came_with_fork, load_recorded, taken_over
from runs.registry import find_stage, fork_handlers
from runs.summary import RunSummary

M = TypeVar("M", bound=models.Model)
BEHIND_SHOPPERS = 1
NEEDED = (Artifact.Role.INPUT, Artifact.Role.RULES, Artifact.Role.REPLY)
TAKEN_OVER = (
    "pipeline", "pipeline_version", "pipeline_slug", "shop", "subject_type", "subject_id", "subject_label",
    "environment", "fork_changes", "fork_node",
)  # fmt: skip
OWN = ("id", "run", "seq", "step", "created_at")


def start_replay(run: Run, *, by: str, inline_owner: str | None = None) -> Run:
    """Start the replay of a run that has ended; a replay's own replay is one of its original.

    By the workers, behind all shoppers, unless an `inline_owner` executes it.

    Raises:
        RunActive: it has not ended.
        NotReproducible: it was not executed by this engine, or not everything it depended on was kept.
        StageMissing: this release lacks a stage of its pipeline.
        BlobsExpired: what it was given or answered has been deleted.
        core.errors.SeeItError: whatever the domain says.
    """
    with transaction.atomic():
        original = Run.objects.select_for_update(of=("self",)).select_related("shop").get(pk=original_of(run).pk)
        recorded = _read(original)
        inputs = _inputs(original)
        replay = _replay_row(original, recorded, by, inline_owner)
        replay.save(force_insert=True)
        _write_steps(replay, recorded)
        Artifact.objects.bulk_create(_artifact(replay, None, item) for item in inputs)
        for handler in fork_handlers(replay.pipeline_slug):
            handler(original, replay)
        if inline_owner is None:
            send_hint(replay.pk)
    return replay


def original_of(run: Run) -> Run:
    """The run that a replay replays; any other run itself."""
    while run.mode == Run.Mode.RECORDED and run.parent is not None:
        run = run.parent
    return run


def _read(original: Run) -> RecordedRun:
    """The original as it was recorded, if it is all there."""
    if not original.is_over:
        raise RunActive()
    if original.pipeline_version_id is None:
        raise NotReproducible("This run was not executed here: it was reported by another program, steps and all.")
    try:
        recorded = load_recorded(original.pk)
    except PipelineInvalid as error:
        raise StageMissing("This release lacks a stage of the run's pipeline.", details=error.details) from error
    _require_evidence(original)
    _require_rules(recorded)
    return recorded


def _require_evidence(original: Run) -> None:
    gone = original.artifacts.filter(role__in=NEEDED, blob__isnull=True).order_by("id").first()
    if gone is not None:
        when = f" on {gone.deleted_at:%Y-%m-%d}" if gone.deleted_at else ""
        raise BlobsExpired(f"The {gone.role} {gone.name[:40]} of this run was deleted{when}; without it, no replay.")


def _require_rules(recorded: RecordedRun) -> None:
    """Every step that went by a prompt, a schema or a model has kept by which."""
    for key in recorded.rank:
        step = recorded.steps[key]
        went_by_some = step.vendor or step.prompt_name or step.ir_schema_id
        kept = recorded.attempt(key, step.attempt).of_role(Artifact.Role.RULES)
        if went_by_some and not kept and hasattr(step, "payload") and not taken_over(step):
            raise NotReproducible(
                f"The step {key} was made by a release that did not keep the prompt, schema and routes it went by."
            )


def _inputs(original: Run) -> list[Artifact]:
    """The run's inputs, locked until the replay refers to them."""
    inputs = list(original.artifacts.filter(step=None, role=Artifact.Role.INPUT).select_related("blob"))
    needed = {ref[BLOB_KEY] for ref in picture_refs(original.input)}
    used = needed | {item.blob.sha256 for item in inputs if item.blob is not None}
    kept = Blob.objects.kept().filter(shop=original.shop, sha256__in=used).select_for_update(no_key=True).order_by("pk")
    missing = needed - {blob.sha256 for blob in kept}
    if missing:
        raise BlobsExpired(details={"missing": sorted(missing)})
    return inputs


def _replay_row(original: Run, recorded: RecordedRun, by: str, inline_owner: str | None) -> Run:
    known = RunSummary.from_json(original.summary)
    copied = _copied(recorded)
    summary = RunSummary(title=known.title, product_type=known.product_type)
    summary.pictures = {
        item.name: item.blob.sha256
        for item in original.artifacts.filter(step=None, role=Artifact.Role.INPUT).select_related("blob")
        if item.blob is not None
    }
    replay = Run(
        **{name: getattr(original, name) for name in TAKEN_OVER},
        parent=original,
        mode=Run.Mode.RECORDED,
        trigger=f"reproduced by {by}"[:63],
        input=original.input,
        input_sha256=json_hash(original.input),
        summary=summary.to_json(),
        priority=max(original.priority, BEHIND_SHOPPERS),
        release=settings.RELEASE[:63],
        steps_expected=len(recorded.dag.nodes),
        steps_done=len(copied),
    )
    if inline_owner:
        now = timezone.now()
        replay.status, replay.token, replay.starts = Run.Status.RUNNING, 1, 1
        (replay.lease_owner, replay.lease_until), replay.started_at = inline_lease(now), now
    return replay


def _copied(recorded: RecordedRun) -> list[str]:
    """Nodes whose answer a fork had taken over at its start: they were never executed in the original either."""
    return [key for key, step in recorded.steps.items() if came_with_fork(step)]


def _write_steps(replay: Run, recorded: RecordedRun) -> None:
    copied = set(_copied(recorded))
    steps = {
        key: _copy(recorded.steps[key], run=replay, seq=seq) if key in copied else _planned(replay, recorded, seq, key)
        for seq, key in enumerate(recorded.dag.order, start=1)
    }
    Step.objects.bulk_create(steps.values())
    payloads = {key: recorded.steps[key].payload for key in copied if hasattr(recorded.steps[key], "payload")}
    StepPayload.objects.bulk_create(_copy(payload, step=steps[key]) for key, payload in payloads.items())
    evidence = [
        _artifact(replay, steps[key], item)
        for (key, _), attempt in recorded.attempts.items()
        if key in copied
        for item in attempt.artifacts
    ]
    Artifact.objects.bulk_create(evidence)


def _planned(replay: Run, recorded: RecordedRun, seq: int, key: str) -> Step:
    name = recorded.dag.nodes[key].step
    stage = find_stage(name)
    return Step(
        run=replay,
        shop_id=replay.shop_id,
        pipeline_slug=replay.pipeline_slug,
        environment=replay.environment,
        node_key=key,
        name=name.split("@")[0],
        type=stage.type if stage else Step.Type.ANALYSIS,
        seq=seq,
    )


def _artifact(replay: Run, step: Step | None, item: Artifact) -> Artifact:
    names = ("attempt", "role", "name", "blob", "deleted_at")
    return Artifact(run=replay, step=step, **{name: getattr(item, name) for name in names})


def _copy(row: M, **changes: object) -> M:
    """A new, unsaved row like another one, without what was the other one's alone."""
    names: Iterable[str] = [column.attname for column in row._meta.concrete_fields if column.name not in OWN]
    return type(row)(**{**{name: getattr(row, name) for name in names}, **changes})


def end_as_recorded(context: RunContext) -> None:
    """End a replay where its original was ended from outside: cancelled, or given up after too many starts."""
    from runs.commits import fail_run

    assert context.recorded is not None
    original = context.recorded.run
    if original.status == Run.Status.CANCELLED:
        cancel_run(context.run.id, by="the replay", reason=original.error_message)
        context.run.status = Run.Status.CANCELLED
        return
    what = {"code": original.error_code, "message": original.error_message, "stage": original.error_stage}
    fail_run(context.claim, **what, retryable=bool(original.error_retryable))
    context.run.status = Run.Status.FAILED
