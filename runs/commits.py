"""Every write of the engine: one short transaction, opened by a fence that only the run's present holder passes.

All functions here are synchronous and run on a database thread. A run that another worker has claimed meanwhile, or
that has ended, raises `LeaseLost` before anything is written.
"""

import logging
from collections.abc import Iterable
from typing import Any

from django.db import InterfaceError, OperationalError, transaction
from django.db.models import F
from django.utils import timezone

from runs.attempts import Attempt
from runs.claims import Claim
from runs.context import RunContext
from runs.errors import AttemptFailed, LeaseLost
from runs.models import Run, RunError, Step, StepPayload
from runs.recording import ArtifactDraft
from runs.registry import finishers
from runs.rows import (
    close_step,
    milliseconds,
    summarised,
    totals,
    write_artifacts,
    write_error,
    write_metrics,
    write_output,
)

logger = logging.getLogger(__name__)


def fence(claim: Claim, **changes: Any) -> None:
    """Change the run if the claim still holds, locking its row until the transaction ends.

    Raises:
        LeaseLost: another token holds the run, or it has ended.
    """
    held = Run.objects.filter(id=claim.run_id, token=claim.token, status=Run.Status.RUNNING)
    if not held.update(updated_at=timezone.now(), **changes):
        raise LeaseLost()


@transaction.atomic
def begin_nodes(context: RunContext, keys: Iterable[str]) -> None:
    """Mark nodes as being worked on; one that was already running when its worker died counts a new attempt."""
    keys = list(keys)
    fence(context.claim, phase=keys[0])
    lost = [key for key in keys if context.steps[key].status == Step.Status.RUNNING]
    for key in lost:
        step = context.steps[key]
        text = "The worker that held this run ended while it worked on this node."
        write_error(context, step, AttemptFailed("worker_lost", text, retryable=True))
        step.attempt += 1
        step.save(update_fields=["attempt"])
    _start(context, keys)


def _start(context: RunContext, keys: list[str]) -> None:
    if not keys:
        return
    now = timezone.now()
    Step.objects.filter(id__in=[context.steps[key].id for key in keys]).update(
        status=Step.Status.RUNNING, started_at=now
    )
    for key in keys:
        context.steps[key].status, context.steps[key].started_at = Step.Status.RUNNING, now


@transaction.atomic
def save_reply(context: RunContext, attempt: Attempt, drafts: list[ArtifactDraft]) -> None:
    """Keep a model's answer the moment it arrives, so that a node claimed again does not ask twice."""
    fence(context.claim)
    write_artifacts(context, context.steps[attempt.node_key], attempt.number, drafts)


@transaction.atomic
def commit_node(context: RunContext, attempt: Attempt, next_keys: list[str], payload: StepPayload) -> None:
    """Write a node's result, all of it or nothing; with the last node the run is completed.

    `next_keys` are the nodes that begin now.
    """
    step = context.steps[attempt.node_key]
    last = len(context.irs) + 1 == len(context.dag.nodes)
    summary = summarised(context, attempt)
    changes: dict[str, Any] = {"summary": summary.to_json(), "steps_done": F("steps_done") + 1}
    changes |= totals(attempt)
    if next_keys:
        changes["phase"] = next_keys[0]
    if last:
        changes |= _ending(context, Run.Status.COMPLETED)
    fence(context.claim, **changes)
    close_step(context, step, attempt, Step.Status.COMPLETED)
    payload.save(force_insert=True)
    blobs = write_artifacts(context, step, attempt.number, attempt.recording.artifacts)
    write_metrics(context, step, attempt)
    write_output(context, step, attempt, blobs)
    _start(context, next_keys)
    if last:
        _finished(context)


@transaction.atomic
def commit_failed_attempt(context: RunContext, attempt: Attempt, failure: AttemptFailed, *, route: int) -> None:
    """Log a failed attempt with its evidence and cost, and move the step on to the next attempt."""
    fence(context.claim, **totals(attempt))
    step = context.steps[attempt.node_key]
    write_error(context, step, failure, attempt)
    write_artifacts(context, step, attempt.number, attempt.recording.artifacts)
    write_metrics(context, step, attempt)
    step.attempt, step.route = attempt.number + 1, route
    step.save(update_fields=["attempt", "route"])


@transaction.atomic
def commit_failure(context: RunContext, attempt: Attempt, failure: AttemptFailed, payload: StepPayload) -> None:
    """Fail the node and with it the run."""
    step = context.steps[attempt.node_key]
    summary = summarised(context, attempt)
    changes = totals(attempt) | _ending(context, Run.Status.FAILED) | {"summary": summary.to_json()}
    fence(
        context.claim,
        error_stage=attempt.node_key,
        error_code=failure.code,
        error_message=failure.message,
        error_retryable=failure.retryable,
        **changes,
    )
    step.error_code = failure.code
    close_step(context, step, attempt, Step.Status.FAILED)
    payload.save(force_insert=True)
    write_error(context, step, failure, attempt)
    write_artifacts(context, step, attempt.number, attempt.recording.artifacts)
    write_metrics(context, step, attempt)
    context.run.steps.filter(status__in=(Step.Status.PENDING, Step.Status.RUNNING)).exclude(id=step.id).update(
        status=Step.Status.CANCELLED
    )
    context.run.refresh_from_db()
    _failed(context.run)


@transaction.atomic
def fail_run(claim: Claim, *, code: str, message: str, retryable: bool, stage: str = "") -> None:
    """End a run without an attempt's evidence: parked after too many starts, or its pipeline is gone.

    `stage` is the node to blame, by default the one that the run was at.
    """
    now = timezone.now()
    fence(
        claim,
        status=Run.Status.FAILED,
        error_stage=stage or F("phase"),
        error_code=code,
        error_message=message,
        error_retryable=retryable,
        finished_at=now,
        lease_until=None,
    )
    run = Run.objects.select_related("shop").get(id=claim.run_id)
    RunError.objects.create(run=run, stage=run.error_stage, code=code, message=message, retryable=retryable)
    run.steps.filter(status__in=(Step.Status.PENDING, Step.Status.RUNNING)).update(status=Step.Status.CANCELLED)
    _failed(run)


def _ending(context: RunContext, status: str) -> dict[str, Any]:
    now = timezone.now()
    run = context.run
    run.status, run.finished_at = status, now
    run.latency_ms = milliseconds(run.created_at, now)
    return {"status": status, "finished_at": now, "latency_ms": run.latency_ms, "lease_until": None}


def _failed(run: Run) -> None:
    """Tell the domain that a run has failed. A handler that raises keeps no run from ending; its rows are undone."""
    for handler in finishers(run.pipeline_slug):
        try:
            with transaction.atomic():
                handler(run)
        except (OperationalError, InterfaceError):
            raise
        except Exception:
            logger.exception("finish handler failed", extra={"run": str(run.id), "pipeline": run.pipeline_slug})


def _finished(context: RunContext) -> None:
    """Tell the domain, inside this transaction, from the run as it now stands in the database."""
    handlers = finishers(context.run.pipeline_slug)
    if handlers:
        context.run.refresh_from_db()
    for handler in handlers:
        handler(context.run)
