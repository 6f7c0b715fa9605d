"""Forks: a new run that takes over what an earlier one had finished, and goes on from one of its nodes."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from django.conf import settings
from django.db import models, transaction
from django.utils import timezone

from core.canonical import json_hash
from runs.changes import Changes
from runs.claims import inline_lease
from runs.dag import Dag, published_dag
from runs.errors import (
    BlobsExpired,
    NodeUnknown,
    NotRerunnable,
    PipelineInvalid,
    RunActive,
    StageMissing,
)
from runs.messages import send_hint
from runs.models import Artifact, Blob, Run, Step, StepPayload
from runs.registry import find_stage, fork_handlers
from runs.summary import RunSummary

M = TypeVar("M", bound=models.Model)
REUSABLE = (Step.Status.COMPLETED, Step.Status.SKIPPED)
# What a step has cost was paid by the run that it was executed in; when it ran is that run's story, too.
NOT_TAKEN_OVER = (
    "id", "run", "seq", "step", "reused_from", "created_at", "started_at", "finished_at", "latency_ms",
    "tokens_in", "tokens_out", "tokens_cached", "tokens_thinking", "tokens_image",
    "cost_usd", "cost_source",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Fork:
    """A fork before it is written: the steps it takes over, by node key, and the nodes it executes."""

    parent: Run
    dag: Dag
    node: str
    reused: Mapping[str, Step]


def rerun_run(
    run: Run,
    *,
    from_node: str | None = None,
    by: str,
    changes: Changes | None = None,
    inline_owner: str | None = None,
) -> Run:
    """Start a fork of a finished run: from `from_node`, by default from where it failed, else from its beginning.

    Nodes that do not depend on `from_node` are taken over with their answers and evidence, by reference: they are not
    executed and cost nothing again. The others are executed, by the workers unless an `inline_owner` does it, with
    `changes` and with what the original itself was given differently. The domain is asked inside the transaction and
    may refuse. The original is not touched.

    Raises:
        RunActive: it has not ended.
        NotRerunnable: it was not executed here, or its inputs were not kept.
        StageMissing: this release lacks a stage of its pipeline.
        NodeUnknown: its pipeline has no node `from_node`.
        BlobsExpired: a picture that the fork would need is gone.
        core.errors.SeeItError: whatever the domain says.
    """
    with transaction.atomic():
        locked = Run.objects.select_for_update(of=("self",)).select_related("pipeline_version", "shop", "pipeline")
        parent = locked.get(pk=run.pk)
        plan = _plan(parent, from_node)
        evidence = _evidence(plan)
        fork = _fork_row(plan, evidence, by, changes or Changes(), inline_owner)
        _require_blobs(fork, plan, evidence)
        fork.save(force_insert=True)
        _write_steps(fork, plan, evidence)
        for handler in fork_handlers(fork.pipeline_slug):
            handler(parent, fork)
        if inline_owner is None:
            send_hint(fork.pk)
    return fork


def _plan(parent: Run, from_node: str | None) -> _Fork:
    if not parent.is_over:
        raise RunActive()
    if parent.pipeline_version is None:
        raise NotRerunnable()
    try:
        dag = published_dag(parent.pipeline_version.dag_sha256, parent.pipeline_version.dag)
    except PipelineInvalid as error:
        raise StageMissing(details=error.details) from error
    steps = {step.node_key: step for step in parent.steps.select_related("payload").filter(node_key__in=dag.order)}
    node = from_node or _where_it_failed(parent, dag, steps)
    if node not in dag.nodes:
        raise NodeUnknown(f"This run has no node {node!r}; it has {', '.join(dag.order)}.")
    return _Fork(parent, dag, node, _reusable(dag, node, steps))


def _where_it_failed(parent: Run, dag: Dag, steps: Mapping[str, Step]) -> str:
    """The node to blame, else the first one without an answer, else the first."""
    if parent.error_stage in dag.nodes:
        return parent.error_stage
    open_nodes = [key for key in dag.order if key not in steps or steps[key].status not in REUSABLE]
    return (open_nodes or list(dag.order))[0]


def _reusable(dag: Dag, node: str, steps: Mapping[str, Step]) -> dict[str, Step]:
    """Steps whose decision holds in the fork, too: finished, and after nothing that is executed again."""
    reused: dict[str, Step] = {}
    for key in dag.order:
        step = steps.get(key)
        if step is None or key == node or step.status not in REUSABLE:
            continue
        if all(parent in reused for parent in dag.nodes[key].depends_on):
            reused[key] = step
    return reused


def _fork_row(plan: _Fork, evidence: list[Artifact], by: str, changes: Changes, inline_owner: str | None) -> Run:
    parent = plan.parent
    taken_over = (
        "pipeline", "pipeline_version", "pipeline_slug", "shop", "subject_type", "subject_id", "subject_label",
        "environment", "priority", "run_group_id",
    )  # fmt: skip
    given = {**parent.input, **changes.input}
    fork = Run(
        **{name: getattr(parent, name) for name in taken_over},
        parent=parent,
        fork_node=plan.node,
        fork_changes=changes.over(Changes.from_json(parent.fork_changes)).to_json(),
        mode=Run.Mode.FORK,
        trigger=f"rerun by {by}"[:63],
        input=given,
        input_sha256=json_hash(given),
        summary=_summary(plan, evidence).to_json(),
        release=settings.RELEASE[:63],
        steps_expected=len(plan.dag.nodes),
        steps_done=len(plan.reused),
    )
    if inline_owner:
        now = timezone.now()
        fork.status, fork.token, fork.starts = Run.Status.RUNNING, 1, 1
        (fork.lease_owner, fork.lease_until), fork.started_at = inline_lease(now), now
    return fork


def _summary(plan: _Fork, evidence: list[Artifact]) -> RunSummary:
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


def _evidence(plan: _Fork) -> list[Artifact]:
    """What the fork refers to: the run's inputs, and what the reused steps' good attempts had recorded.

    Replies are left out: they spare a call to the run that made it, and the fork makes none of these.
    """
    good = {step.pk: step.attempt for step in plan.reused.values()}
    artifacts = plan.parent.artifacts.select_related("blob").exclude(role=Artifact.Role.REPLY)
    return [
        artifact
        for artifact in artifacts
        if (artifact.step_id is None and artifact.role == Artifact.Role.INPUT)
        or (artifact.step_id is not None and good.get(artifact.step_id) == artifact.attempt)
    ]


def _require_blobs(fork: Run, plan: _Fork, evidence: list[Artifact]) -> None:
    """Every picture that input and reused answers name is still there, and stays until the fork refers to it."""
    answers = [step.payload.ir for step in plan.reused.values() if step.status == Step.Status.COMPLETED]
    needed = pictures_in([fork.input, answers])
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


def _write_steps(fork: Run, plan: _Fork, evidence: list[Artifact]) -> None:
    """The planned steps, the reused ones with payload and evidence, and the run's inputs."""
    steps = {key: _step_row(fork, plan, seq, key) for seq, key in enumerate(plan.dag.order, start=1)}
    Step.objects.bulk_create(steps.values())
    payloads = {key: step.payload for key, step in plan.reused.items() if hasattr(step, "payload")}
    StepPayload.objects.bulk_create(_copy(payload, step=steps[key]) for key, payload in payloads.items())
    taker = {step.pk: steps[key] for key, step in plan.reused.items()}
    Artifact.objects.bulk_create(
        Artifact(
            run=fork,
            step=taker[artifact.step_id] if artifact.step_id else None,
            attempt=artifact.attempt,
            role=artifact.role,
            name=artifact.name,
            blob=artifact.blob,
            deleted_at=artifact.deleted_at,
        )
        for artifact in evidence
    )


def _step_row(fork: Run, plan: _Fork, seq: int, key: str) -> Step:
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


def _copy(row: M, **changes: Any) -> M:
    """A new, unsaved row like another one, without what was the other one's alone."""
    names = [column.attname for column in row._meta.concrete_fields if column.name not in NOT_TAKEN_OVER]
    return type(row)(**{**{name: getattr(row, name) for name in names}, **changes})
