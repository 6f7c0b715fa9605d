"""Forks: a new run that takes over what an earlier one had finished, and goes on from one of its nodes."""

from collections.abc import Mapping
from typing import Any, TypeVar

from django.conf import settings
from django.db import models, transaction
from django.utils import timezone

from core.canonical import json_hash
from irschemas.services import active_schemas
from runs.changes import Changes
from runs.claims import inline_lease
from runs.edits import PICTURES, check_changes
from runs.errors import BlobsExpired
from runs.fork_plan import ForkPlan, plan_fork
from runs.json_changes import json_changes
from runs.messages import send_hint
from runs.models import Artifact, Blob, Run, Step, StepPayload
from runs.recording import WHY_LIMIT
from runs.registry import find_stage, fork_handlers
from runs.summary import RunSummary
from vendors.base import Vendor

M = TypeVar("M", bound=models.Model)
# What a step has cost was paid by the run that it was executed in; when it ran is that run's story, too.
NOT_TAKEN_OVER = (
    "id", "run", "seq", "step", "reused_from", "created_at", "started_at", "finished_at", "latency_ms",
    "call_ms", "tokens_in", "tokens_out", "tokens_cached", "tokens_thinking", "tokens_image",
    "cost_usd", "cost_source",
)  # fmt: skip


def rerun_run(
    run: Run,
    *,
    from_node: str | None = None,
    by: str,
    changes: Changes | None = None,
    inline_owner: str | None = None,
    vendors: Mapping[str, Vendor] | None = None,
) -> Run:
    """Start a fork of a finished run: from `from_node`, by default from what `changes` concern or where it failed.

    Nodes that neither depend on `from_node` nor are concerned by a change are taken over with their answers and
    evidence, by reference: they are not executed and cost nothing again. The others are executed, by the workers unless
    an `inline_owner` does it, with `changes` and with what the original itself was given differently. An edited answer
    becomes a step of type `human`. The domain is asked inside the transaction and may refuse. The original is not
    touched. `vendors` are those that may be asked, by default the installation's.

    Raises:
        RunActive: it has not ended.
        NotRerunnable: it was not executed here, or its inputs were not kept.
        StageMissing: this release lacks a stage of its pipeline.
        NodeUnknown: its pipeline has no node `from_node`.
        ChangesInvalid: a change is not valid, or nothing looks at it.
        BlobsExpired: a picture that the fork would need is gone.
        core.errors.SeeItError: whatever the domain says.
    """
    with transaction.atomic():
        locked = Run.objects.select_for_update(of=("self",)).select_related("pipeline_version", "shop", "pipeline")
        parent = locked.get(pk=run.pk)
        plan = plan_fork(parent, from_node=from_node, changes=changes)
        changes = check_changes(plan, vendors)
        evidence = _evidence(plan)
        fork = _fork_row(plan, changes, evidence, by, inline_owner)
        _require_blobs(fork, plan, changes, evidence)
        fork.save(force_insert=True)
        _write_steps(fork, plan, changes, evidence, by)
        for handler in fork_handlers(fork.pipeline_slug):
            handler(parent, fork)
        if inline_owner is None:
            send_hint(fork.pk)
    return fork


def _fork_row(plan: ForkPlan, changes: Changes, evidence: list[Artifact], by: str, inline_owner: str | None) -> Run:
    parent = plan.parent
    taken_over = (
        "pipeline", "pipeline_version", "pipeline_slug", "shop", "subject_type", "subject_id", "subject_label",
        "environment", "priority",
    )  # fmt: skip
    given = {**parent.input, **changes.input}
    merged = changes.over(Changes.from_json(parent.fork_changes), executed=plan.executed)
    fork = Run(
        **{name: getattr(parent, name) for name in taken_over},
        parent=parent,
        fork_node=plan.node,
        fork_changes=merged.to_json(),
        run_group_id=None if merged else parent.run_group_id,  # a trial takes nobody's place in a group
        mode=Run.Mode.FORK,
        trigger=f"rerun by {by}"[:63],
        input=given,
        input_sha256=json_hash(given),
        summary=_summary(plan, evidence).to_json(),
        release=settings.RELEASE[:63],
        steps_expected=len(plan.dag.nodes),
        steps_done=len(plan.reused) + len(changes.answers),
    )
    if inline_owner:
        now = timezone.now()
        fork.status, fork.token, fork.starts = Run.Status.RUNNING, 1, 1
        (fork.lease_owner, fork.lease_until), fork.started_at = inline_lease(now), now
    return fork


def _summary(plan: ForkPlan, evidence: list[Artifact]) -> RunSummary:
    """The parent's summary as far as it holds: without times, and without what is made again."""
    known, reused = RunSummary.from_json(plan.parent.summary), plan.reused
    kept = RunSummary(title=known.title, product_type=known.product_type)
    kept.prompt_versions = {key: value for key, value in known.prompt_versions.items() if key in reused}
    kept.models = {key: value for key, value in known.models.items() if key in reused}
    kept.pictures = {
        artifact.name: artifact.blob.sha256
        for artifact in evidence
        if artifact.blob is not None and artifact.role in (Artifact.Role.INPUT, Artifact.Role.RESULT)
    }
    return kept


def _evidence(plan: ForkPlan) -> list[Artifact]:
    """What the fork refers to: the run's inputs, and what the good attempts of steps that stay had recorded.

    Replies are left out: they spare a call to the run that made it, and the fork makes none of these. Of a step whose
    answer is edited the pictures stay, for the edited answer may name them; what the model said goes.
    """
    good = {step.pk: step.attempt for step in plan.reused.values()}
    edited = {plan.steps[key].pk: plan.steps[key].attempt for key in plan.changes.answers if key in plan.steps}
    artifacts = plan.parent.artifacts.select_related("blob").exclude(role=Artifact.Role.REPLY)
    return [
        artifact
        for artifact in artifacts
        if (artifact.step_id is None and artifact.role == Artifact.Role.INPUT)
        or (artifact.step_id is not None and good.get(artifact.step_id) == artifact.attempt)
        or (artifact.step_id is not None and edited.get(artifact.step_id) == artifact.attempt and _is_picture(artifact))
    ]


def _is_picture(artifact: Artifact) -> bool:
    is_image = artifact.blob is not None and artifact.blob.media_type.startswith("image/")
    return is_image and artifact.role in PICTURES


def _require_blobs(fork: Run, plan: ForkPlan, changes: Changes, evidence: list[Artifact]) -> None:
    """Every picture that input and kept answers name is still there, and stays until the fork refers to it."""
    answers = [step.payload.ir for step in plan.reused.values() if step.status == Step.Status.COMPLETED]
    needed = pictures_in([fork.input, answers, list(changes.answers.values())])
    used = needed | {artifact.blob.sha256 for artifact in evidence if artifact.blob is not None}
    kept = Blob.objects.kept().filter(shop=fork.shop, sha256__in=used).select_for_update(no_key=True).order_by("pk")
    missing = needed - {blob.sha256 for blob in kept}
    if missing:
        raise BlobsExpired(details={"missing": sorted(missing)})


def pictures_in(value: Any) -> set[str]:
    """Hashes of all pictures that a JSON value names."""
    if isinstance(value, Mapping):
        named = value.get("$blob")
        own = {named} if isinstance(named, str) else set()
        return own.union(*(pictures_in(item) for item in value.values()))
    if isinstance(value, list):
        return set().union(*(pictures_in(item) for item in value))
    return set()


def _write_steps(fork: Run, plan: ForkPlan, changes: Changes, evidence: list[Artifact], by: str) -> None:
    """The planned steps, those that stay with payload and evidence, and the run's inputs."""
    steps = {key: _step_row(fork, plan, seq, key) for seq, key in enumerate(plan.dag.order, start=1)}
    payloads = [_copy(step.payload, step=steps[key]) for key, step in plan.reused.items() if hasattr(step, "payload")]
    payloads += [_answer_by_hand(steps[key], plan, answer, by) for key, answer in changes.answers.items()]
    Step.objects.bulk_create(steps.values())
    StepPayload.objects.bulk_create(payloads)
    stays = {*plan.reused, *changes.answers}
    taker = {step.pk: steps[key] for key, step in plan.steps.items() if key in stays}
    Artifact.objects.bulk_create(
        Artifact(
            run=fork,
            step=taker[artifact.step_id] if artifact.step_id else None,
            attempt=artifact.attempt if artifact.step_id is None or taker[artifact.step_id].reused_from_id else 1,
            role=artifact.role,
            name=artifact.name,
            blob=artifact.blob,
            deleted_at=artifact.deleted_at,
        )
        for artifact in evidence
    )


def _step_row(fork: Run, plan: ForkPlan, seq: int, key: str) -> Step:
    known = plan.reused.get(key)
    if known is not None:
        return _copy(known, run=fork, seq=seq, reused_from_id=known.reused_from_id or known.pk)
    name = plan.dag.nodes[key].step
    stage = find_stage(name)
    return Step(
        run=fork,
        shop_id=fork.shop_id,
        pipeline_slug=fork.pipeline_slug,
        environment=fork.environment,
        node_key=key,
        name=name.split("@")[0],
        type=stage.type if stage else Step.Type.ANALYSIS,
        seq=seq,
    )


def _answer_by_hand(step: Step, plan: ForkPlan, answer: Any, by: str) -> StepPayload:
    """Complete a step with what a person wrote, and say who and what was changed; gives its payload."""
    known, stage, now = plan.steps.get(step.node_key), find_stage(plan.dag.nodes[step.node_key].step), timezone.now()
    before = known.payload.ir if known is not None and hasattr(known, "payload") else None
    differences = json_changes(before, answer)
    told = "; ".join(str(change) for change in differences) or "nothing differs"
    schema = active_schemas([stage.target]).get(stage.target) if stage else None
    step.type, step.status, step.latency_ms = Step.Type.HUMAN, Step.Status.COMPLETED, 0
    step.started_at = step.finished_at = now
    step.why = f"Edited by {by}: {told}."[:WHY_LIMIT]
    step.output_sha256 = json_hash(answer)
    if schema is not None:
        step.ir_schema_id, step.ir_valid = schema.id, True
    edited = {"by": by, "step": str(known.pk) if known else None, "changes": [item.to_json() for item in differences]}
    return StepPayload(step=step, ir=answer, reasoning={"edited": edited})


def _copy(row: M, **changes: Any) -> M:
    """A new, unsaved row like another one, without what was the other one's alone."""
    names = [column.attname for column in row._meta.concrete_fields if column.name not in NOT_TAKEN_OVER]
    return type(row)(**{**{name: getattr(row, name) for name in names}, **changes})
