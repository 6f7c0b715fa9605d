"""Every write of the engine: one short transaction, opened by a fence that only the run's present holder passes.

All functions here are synchronous and run on a database thread. A run that another worker has claimed meanwhile, or
that has ended, raises `LeaseLost` before anything is written. What the context knows of run and steps follows what
has been committed. A node whose result no domain listens to and that left no large bytes is one statement.
"""

import logging
from collections.abc import Iterable
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import InterfaceError, OperationalError, transaction
from django.utils import timezone

from core.storage import BlobStore
from runs.attempts import Attempt
from runs.blobs import require_bytes
from runs.claims import Claim
from runs.context import RunContext
from runs.errors import AttemptFailed, LeaseLost
from runs.models import Blob, MetricResult, Run, RunError, Step, StepOutputLink, StepPayload
from runs.recording import ArtifactDraft
from runs.registry import FinishHandler, NodeOutput, find_output, finishers
from runs.rows import (
    closed_step,
    draft_payload,
    error_row,
    metric_rows,
    milliseconds,
    put_evidence,
    summarised,
    totals,
)
from runs.writing import Writing, atomic_for

logger = logging.getLogger(__name__)


def begin_nodes(context: RunContext, keys: Iterable[str]) -> None:
    """Mark nodes as being worked on; one that was already running when its worker died counts a new attempt."""
    keys = list(keys)
    now, writing = timezone.now(), Writing(context.claim)
    writing.change_run(phase=keys[0])
    lost = [key for key in keys if context.steps[key].status == Step.Status.RUNNING]
    text = "The worker that held this run ended while it worked on this node."
    failure = AttemptFailed("worker_lost", text, retryable=True)
    writing.insert(RunError, [error_row(context, key, failure) for key in lost])
    for key in keys:
        step = context.steps[key]
        attempt = step.attempt + (key in lost)
        writing.change_step(step.id, status=Step.Status.RUNNING, started_at=now, attempt=attempt)
    with atomic_for(several=False):
        writing.send()
    for key in keys:
        step = context.steps[key]
        step.status, step.started_at, step.attempt = Step.Status.RUNNING, now, step.attempt + (key in lost)


def save_reply(context: RunContext, attempt: Attempt, drafts: list[ArtifactDraft], store: BlobStore) -> None:
    """Keep a model's answer the moment it arrives, so that a node claimed again does not ask twice."""
    writing = Writing(context.claim)
    put_evidence(writing, context, attempt, drafts)
    with atomic_for(several=_large(drafts)):
        require_bytes(store, writing.send())
    attempt.recording.saved.update(drafts)


def commit_node(context: RunContext, attempt: Attempt, next_keys: list[str], store: BlobStore) -> None:
    """Write a node's result, all of it or nothing; with the last node the run is completed.

    `next_keys` are the nodes that begin now.
    """
    payload, now = draft_payload(context, attempt, store), timezone.now()
    last = len(context.irs) + 1 == len(context.dag.nodes)
    summary, writing = summarised(context, attempt, now), Writing(context.claim)
    writing.change_run(summary=summary.to_json())
    writing.add_to_run(steps_done=1, **totals(attempt))
    if next_keys:
        writing.change_run(phase=next_keys[0])
    if last:
        writing.change_run(**_ending(context, Run.Status.COMPLETED, now))
    writing.change_step(context.steps[attempt.node_key].id, **closed_step(context, attempt, Step.Status.COMPLETED, now))
    for key in next_keys:
        writing.change_step(context.steps[key].id, status=Step.Status.RUNNING, started_at=now)
    writing.insert(StepPayload, [payload])
    drafts = _put_results(writing, context, attempt)
    hears = find_output(context.run.pipeline_slug, attempt.node_key) is not None
    with atomic_for(several=_large(drafts) or hears or (last and bool(finishers(context.run.pipeline_slug)))):
        require_bytes(store, writing.send())
        if hears:
            _tell_output(context, attempt)
        if last:
            _tell_completed(context)
    context.run.summary = summary
    context.steps[attempt.node_key].status = Step.Status.COMPLETED
    if last:
        context.run.status = Run.Status.COMPLETED
    for key in next_keys:
        context.steps[key].status, context.steps[key].started_at = Step.Status.RUNNING, now


def commit_failed_attempt(
    context: RunContext, attempt: Attempt, failure: AttemptFailed, store: BlobStore, *, route: int
) -> None:
    """Log a failed attempt with its evidence and cost, and move the step on to the next attempt."""
    writing = Writing(context.claim)
    writing.add_to_run(**totals(attempt))
    writing.insert(RunError, [error_row(context, attempt.node_key, failure, attempt)])
    writing.change_step(context.steps[attempt.node_key].id, attempt=attempt.number + 1, route=route)
    drafts = _put_results(writing, context, attempt)
    with atomic_for(several=_large(drafts)):
        require_bytes(store, writing.send())
    step = context.steps[attempt.node_key]
    step.attempt, step.route = attempt.number + 1, route


def commit_failure(context: RunContext, attempt: Attempt, failure: AttemptFailed, store: BlobStore) -> None:
    """Fail the node and with it the run."""
    step, payload, now = context.steps[attempt.node_key], draft_payload(context, attempt, store), timezone.now()
    summary, writing = summarised(context, attempt, now), Writing(context.claim)
    writing.change_run(
        summary=summary.to_json(),
        error_stage=attempt.node_key,
        error_code=failure.code,
        error_message=failure.message,
        error_retryable=failure.retryable,
        **_ending(context, Run.Status.FAILED, now),
    )
    writing.add_to_run(**totals(attempt))
    writing.change_step(step.id, error_code=failure.code, **closed_step(context, attempt, Step.Status.FAILED, now))
    writing.cancel_other_steps(step.id)
    writing.insert(StepPayload, [payload])
    writing.insert(RunError, [error_row(context, attempt.node_key, failure, attempt)])
    drafts = _put_results(writing, context, attempt)
    with atomic_for(several=_large(drafts) or bool(finishers(context.run.pipeline_slug))):
        require_bytes(store, writing.send())
        _tell_failed(context.run.pipeline_slug, context.run.id)
    context.run.summary, context.run.status = summary, Run.Status.FAILED
    step.status = Step.Status.FAILED


@transaction.atomic
def fail_run(claim: Claim, *, code: str, message: str, retryable: bool, stage: str = "") -> None:
    """End a run without an attempt's evidence: parked after too many starts, or its pipeline is gone.

    `stage` is the node to blame, by default the one that the run was at; its step has failed, the other open ones are
    cancelled.
    """
    run = Run.objects.select_for_update().filter(id=claim.run_id, token=claim.token, status=Run.Status.RUNNING).first()
    if run is None:
        raise LeaseLost()
    now, stage = timezone.now(), stage or run.phase
    run.status, run.finished_at, run.updated_at, run.lease_until = Run.Status.FAILED, now, now, None
    run.latency_ms = milliseconds(run.created_at, now)
    run.error_stage, run.error_code, run.error_message, run.error_retryable = stage, code, message, retryable
    run.save()
    still_open = run.steps.filter(status__in=(Step.Status.PENDING, Step.Status.RUNNING))
    blamed = still_open.filter(node_key=stage).exclude(node_key="").first()
    if blamed is not None:
        blamed.status, blamed.finished_at, blamed.error_code = Step.Status.FAILED, now, code
        blamed.latency_ms = milliseconds(blamed.started_at, now)
        blamed.save(update_fields=["status", "finished_at", "error_code", "latency_ms"])
    RunError.objects.create(
        run=run,
        step=blamed,
        stage=stage,
        attempt=blamed.attempt if blamed else 1,
        code=code,
        message=message,
        retryable=retryable,
    )
    still_open.update(status=Step.Status.CANCELLED)
    _tell_failed(run.pipeline_slug, run.id)


def _put_results(writing: Writing, context: RunContext, attempt: Attempt) -> list[ArtifactDraft]:
    """Add what an attempt left behind, however it ended: the evidence not yet saved, and what was measured."""
    drafts = [draft for draft in attempt.recording.artifacts if draft not in attempt.recording.saved]
    put_evidence(writing, context, attempt, drafts)
    writing.insert(MetricResult, metric_rows(context, attempt))
    return drafts


def _large(drafts: Iterable[ArtifactDraft]) -> bool:
    """Whether any bytes are in the store, where a deletion may have met them."""
    return any(draft.blob.storage_key for draft in drafts)


def _ending(context: RunContext, status: str, now: datetime) -> dict[str, Any]:
    latency = milliseconds(context.run.created_at, now)
    return {"status": status, "finished_at": now, "latency_ms": latency, "lease_until": None}


def _tell_output(context: RunContext, attempt: Attempt) -> None:
    """Let the domain write its rows for a node's result, inside this transaction, and link what it made."""
    handler = find_output(context.run.pipeline_slug, attempt.node_key)
    if handler is None:
        return
    step = Step.objects.select_related("run").get(id=context.steps[attempt.node_key].id)
    drafts = attempt.recording.artifacts
    rows = Blob.objects.filter(artifacts__step=step, artifacts__attempt=attempt.number).defer("body").distinct()
    known = {row.sha256: row for row in rows}
    blobs = {draft.name: known[draft.blob.sha256] for draft in drafts}
    links = handler(NodeOutput(step.run, step, attempt.ir, blobs))
    StepOutputLink.objects.bulk_create(
        StepOutputLink(run=step.run, step=step, target_type=kind, target_id=str(target)) for kind, target in links
    )


def _tell_failed(pipeline_slug: str, run_id: UUID) -> None:
    """Tell the domain that a run has failed. A handler that raises keeps no run from ending; its rows are undone."""
    for handler, run in _listeners(pipeline_slug, run_id):
        try:
            with transaction.atomic():
                handler(run)
        except (OperationalError, InterfaceError):
            raise
        except Exception:
            logger.exception("finish handler failed", extra={"run": str(run_id), "pipeline": pipeline_slug})


def _tell_completed(context: RunContext) -> None:
    """Tell the domain, inside this transaction."""
    for handler, run in _listeners(context.run.pipeline_slug, context.run.id):
        handler(run)


def _listeners(pipeline_slug: str, run_id: UUID) -> list[tuple[FinishHandler, Run]]:
    """Who wants to hear of a run's end, and the run as it now stands in the database."""
    handlers = finishers(pipeline_slug)
    if not handlers:
        return []
    run = Run.objects.select_related("shop").get(id=run_id)
    return [(handler, run) for handler in handlers]
