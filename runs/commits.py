"""Every write of the engine: one short transaction, opened by a fence that only the run's present holder passes.

All functions here are synchronous and run on a database thread. A run that another worker has claimed meanwhile, or
that has ended, raises `LeaseLost` before anything is written. What the context knows of run and steps follows what
has been committed. A node whose result no domain listens to and that left no large bytes is one statement.
"""

import logging
from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.db import InterfaceError, OperationalError, transaction
from django.utils import timezone

from core.storage import BlobStore
from runs.attempts import Attempt
from runs.blobs import require_bytes
from runs.claims import Claim
from runs.context import RunContext
from runs.errors import AttemptFailed, LeaseLost, PutOff
from runs.grounds import Ended
from runs.models import Blob, MetricResult, Run, RunError, Step, StepOutputLink, StepPayload
from runs.policy import Decisions, Retry, worker_lost
from runs.recording import WHY_LIMIT, ArtifactDraft
from runs.registry import FinishHandler, NodeOutput, find_output, finishers
from runs.rows import (
    closed_step,
    draft_payload,
    error_row,
    keep_attempt,
    measured_latency,
    metric_rows,
    milliseconds,
    put_evidence,
    summarised,
    totals,
    unanswered,
)
from runs.signatures import error_signature
from runs.writing import Writing, atomic_for

logger = logging.getLogger(__name__)


def begin_nodes(context: RunContext, decisions: Decisions) -> None:
    """Begin nodes and skip others; one that was already running when its worker died counts a new attempt."""
    now, writing = timezone.now(), Writing(context.claim)
    lost = [key for key in decisions.begin if _counts_as_lost(context, key)]
    writing.insert(RunError, [error_row(context, key, worker_lost()) for key in lost])
    if unknown := unanswered(context, lost):
        writing.add_to_run(cost_unknown=unknown)
    _go_on(writing, context, decisions, now)
    with atomic_for(several=decisions.over and bool(finishers(context.run.pipeline_slug))):
        writing.send()
        if decisions.over:
            _tell_completed(context)
    for key in lost:
        context.steps[key].attempt += 1
    _gone_on(context, decisions, now)


def save_reply(context: RunContext, attempt: Attempt, drafts: list[ArtifactDraft], store: BlobStore) -> None:
    """Keep whom an attempt asks, and the answer when it arrives, so that a node claimed again does not ask twice."""
    writing, call = Writing(context.claim), attempt.recording.call
    if call is not None:
        writing.change_step(context.steps[attempt.node_key].id, vendor=call.vendor, model=call.model)
    put_evidence(writing, context, attempt, drafts)
    with atomic_for(several=_large(drafts)):
        require_bytes(store, writing.send())
    attempt.recording.saved.update(drafts)


def commit_node(context: RunContext, attempt: Attempt, ended: Ended, decisions: Decisions, store: BlobStore) -> None:
    """Write a node's result and what follows from it, all of it or nothing; with the last node the run is completed."""
    payload, now = draft_payload(context, attempt, store), timezone.now()
    summary, writing = summarised(context, attempt, now), Writing(context.claim)
    writing.change_run(summary=summary.to_json())
    writing.add_to_run(**totals(attempt))
    columns = closed_step(context, attempt, Step.Status.COMPLETED, now)
    columns["latency_ms"] = measured_latency(context, ended, columns["latency_ms"])
    writing.change_step(context.steps[attempt.node_key].id, **columns)
    _go_on(writing, context, decisions, now, ended=1)
    writing.insert(StepPayload, [payload])
    drafts = _put_results(writing, context, attempt)
    hears = context.recorded is None and find_output(context.run.pipeline_slug, attempt.node_key) is not None
    told = decisions.over and bool(finishers(context.run.pipeline_slug))
    with atomic_for(several=_large(drafts) or hears or told):
        require_bytes(store, writing.send())
        if hears:
            _tell_output(context, attempt)
        if decisions.over:
            _tell_completed(context)
    context.run.summary = summary
    _note_cost(context, attempt)
    _has_ended(context, attempt.node_key, ended)
    _gone_on(context, decisions, now)


def commit_failed_attempt(
    context: RunContext, attempt: Attempt, failure: AttemptFailed, store: BlobStore, retry: Retry
) -> None:
    """Log a failed attempt with its evidence and cost, and let the step rest until the next one.

    The step is not running meanwhile, so that a worker that takes the run over does not count this attempt as lost.
    """
    keep_attempt(context, attempt, store)
    step, writing = context.steps[attempt.node_key], Writing(context.claim)
    writing.add_to_run(**totals(attempt))
    writing.insert(RunError, [error_row(context, attempt.node_key, failure, attempt)])
    number, route = attempt.number + 1, attempt.route + 1 if retry.next_route else attempt.first_route
    retries = step.retries + (retry.counts and not retry.next_route)
    columns = {"status": Step.Status.PENDING, "attempt": number, "route": route, "retries": retries}
    writing.rest_step(step.id, retry.wait_s, **columns)
    drafts = _put_results(writing, context, attempt)
    with atomic_for(several=_large(drafts)):
        require_bytes(store, writing.send())
    step.status, step.attempt, step.route, step.retries = Step.Status.PENDING, number, route, retries
    _note_cost(context, attempt)


def put_off_node(context: RunContext, node_key: str, put_off: PutOff) -> None:
    """Let a node rest whose attempt could not begin; nothing was asked, so nothing is counted."""
    step, writing = context.steps[node_key], Writing(context.claim)
    writing.rest_step(step.id, put_off.wait_s, status=Step.Status.PENDING, why=put_off.why[:WHY_LIMIT])
    writing.send()
    step.status = Step.Status.PENDING


def commit_failure(
    context: RunContext,
    attempt: Attempt,
    failure: AttemptFailed,
    store: BlobStore,
    *,
    ended: Ended | None = None,
    decisions: Decisions | None = None,
) -> None:
    """Fail the node; with `decisions` the run goes on without it and is degraded, else the run has failed, too."""
    step, payload, now = context.steps[attempt.node_key], draft_payload(context, attempt, store), timezone.now()
    summary, writing = summarised(context, attempt, now), Writing(context.claim)
    writing.add_to_run(**totals(attempt))
    columns = closed_step(context, attempt, Step.Status.FAILED, now)
    columns["latency_ms"] = measured_latency(context, ended, columns["latency_ms"])
    writing.change_step(step.id, error_code=failure.code, **columns)
    if decisions is None:
        writing.change_run(**_error(attempt, failure), **_ending(context, Run.Status.FAILED, now))
        writing.cancel_other_steps(step.id)
    else:
        summary.degraded = [*summary.degraded, attempt.node_key]
        writing.change_run(degraded=True)
        _go_on(writing, context, decisions, now, ended=1)
    writing.change_run(summary=summary.to_json())
    writing.insert(StepPayload, [payload])
    writing.insert(RunError, [error_row(context, attempt.node_key, failure, attempt)])
    drafts = _put_results(writing, context, attempt)
    over = decisions is None or decisions.over
    with atomic_for(several=_large(drafts) or (over and bool(finishers(context.run.pipeline_slug)))):
        require_bytes(store, writing.send())
        if decisions is None:
            _tell_failed(context.run.pipeline_slug, context.run.id)
        elif decisions.over:
            _tell_completed(context)
    context.run.summary = summary
    _note_cost(context, attempt)
    step.status = Step.Status.FAILED
    if decisions is None:
        context.run.status = Run.Status.FAILED
    else:
        _has_ended(context, attempt.node_key, ended or Ended(Step.Status.FAILED))
        _gone_on(context, decisions, now)


def _error(attempt: Attempt, failure: AttemptFailed) -> dict[str, Any]:
    """What the run's row says of the attempt that ended it."""
    failed = attempt.gate.failed_keys if attempt.gate else ()
    stage, code, message = attempt.node_key, failure.code, failure.message
    return {
        "error_stage": stage,
        "error_code": code,
        "error_message": message,
        "error_retryable": failure.retryable,
        "error_signature": error_signature(stage=stage, code=code, message=message, failed_metrics=failed),
    }


def _go_on(writing: Writing, context: RunContext, decisions: Decisions, now: datetime, *, ended: int = 0) -> None:
    """Add what follows: nodes that begin, nodes that are skipped, and with the last one the end of the run."""
    for key in decisions.begin:
        step = context.steps[key]
        lost = _counts_as_lost(context, key)
        columns = {"status": Step.Status.RUNNING, "started_at": now, "attempt": step.attempt + lost, "due_at": None}
        if lost or step.has_begun:  # what an earlier attempt has asked is in its error
            columns |= {"vendor": "", "model": ""}
        writing.change_step(step.id, **columns)
    for key, skip in decisions.skips.items():
        columns = {"status": Step.Status.SKIPPED, "finished_at": now, "why": skip.why, "reasons": skip.reasons}
        writing.change_step(context.steps[key].id, **columns)
    if ended + len(decisions.skips):
        writing.add_to_run(steps_done=ended + len(decisions.skips))
    if decisions.begin:
        writing.change_run(phase=decisions.begin[0])
    if decisions.over:
        writing.change_run(**_ending(context, Run.Status.COMPLETED, now))


def _counts_as_lost(context: RunContext, key: str) -> bool:
    """Whether a node that begins was in a lost worker's hands; a replay's attempts are numbered as the original's."""
    return context.steps[key].status == Step.Status.RUNNING and context.recorded is None


def _gone_on(context: RunContext, decisions: Decisions, now: datetime) -> None:
    """What the context knows after what follows is committed."""
    for key in decisions.begin:
        context.steps[key].status, context.steps[key].started_at = Step.Status.RUNNING, now
    for key in decisions.skips:
        _has_ended(context, key, Ended(Step.Status.SKIPPED))
    if decisions.over:
        context.run.status = Run.Status.COMPLETED


def _note_cost(context: RunContext, attempt: Attempt) -> None:
    """A call whose cost nobody knows counts as what was expected of it, as far as the run's budget goes."""
    expected, call = context.expected_usd.pop(attempt.node_key, Decimal(0)), attempt.recording.call
    if call is not None and call.answered_from:
        context.run.cost_usd += expected if call.cost_usd is None else call.cost_usd


def _has_ended(context: RunContext, node_key: str, ended: Ended) -> None:
    context.steps[node_key].status = ended.status
    context.ended[node_key] = ended


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
    run.error_signature = error_signature(stage=stage, code=code, message=message)
    run.cost_unknown += run.steps.asking().count()
    run.save()
    still_open = run.steps.filter(status__in=(Step.Status.PENDING, Step.Status.RUNNING))
    blamed = still_open.filter(node_key=stage).exclude(node_key="").first()
    if blamed is not None:
        blamed.status, blamed.finished_at, blamed.error_code = Step.Status.FAILED, now, code
        blamed.latency_ms = milliseconds(blamed.started_at, now)
        blamed.save(update_fields=["status", "finished_at", "error_code", "latency_ms"])
    if blamed is not None or not run.errors.filter(stage=stage, code=code, message=message).exists():
        _note_error(run, blamed, stage=stage, code=code, message=message, retryable=retryable)
    still_open.update(status=Step.Status.CANCELLED)
    _tell_failed(run.pipeline_slug, run.id)


def fail_doomed(context: RunContext, key: str) -> None:
    """End a run one of whose nodes had failed for good when its worker was lost, as that node's attempt would have."""
    step = context.steps[key]
    error = RunError.objects.filter(step=step.id).order_by("-id").first()
    what = (error.code, error.message, error.retryable) if error else ("worker_lost", worker_lost().message, True)
    fail_run(context.claim, stage=key, code=what[0], message=what[1], retryable=what[2])


def _note_error(run: Run, blamed: Step | None, *, stage: str, code: str, message: str, retryable: bool) -> None:
    RunError.objects.create(
        run=run,
        step=blamed,
        stage=stage,
        attempt=blamed.attempt if blamed else 1,
        code=code,
        message=message,
        retryable=retryable,
    )


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
