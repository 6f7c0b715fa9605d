"""Every write of the engine: one short transaction, opened by a fence that only the run's present holder passes.

All functions here are synchronous and run on a database thread. A run that another worker has claimed meanwhile, or
that has ended, raises `LeaseLost` before anything is written.
"""

import math
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import F
from django.utils import timezone

from core.canonical import canonical_json, json_hash
from core.storage import BlobStore
from runs.attempts import Attempt
from runs.blobs import draft_blob, write_blobs
from runs.claims import Claim
from runs.context import RunContext
from runs.errors import AttemptFailed, LeaseLost
from runs.models import Artifact, Blob, MetricResult, Run, RunError, Step, StepOutputLink, StepPayload
from runs.recording import ArtifactDraft
from runs.registry import NodeOutput, find_output, find_stage, finishers
from runs.summary import RunSummary

INLINE_LIMIT = 32 * 1024
PREVIEW = 1024


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
        _write_error(context, step, AttemptFailed("worker_lost", text, retryable=True))
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
    _write_artifacts(context, context.steps[attempt.node_key], attempt.number, drafts)


@transaction.atomic
def commit_node(context: RunContext, attempt: Attempt, next_keys: list[str], store: BlobStore) -> None:
    """Write a node's result, all of it or nothing; with the last node the run is completed.

    `next_keys` are the nodes that begin now.
    """
    step = context.steps[attempt.node_key]
    last = len(context.irs) + 1 == len(context.dag.nodes)
    summary = _summarised(context, attempt)
    changes: dict[str, Any] = {"summary": summary.to_json(), "steps_done": F("steps_done") + 1}
    changes |= _totals(context, attempt)
    if next_keys:
        changes["phase"] = next_keys[0]
    if last:
        changes |= _ending(context, Run.Status.COMPLETED)
    fence(context.claim, **changes)
    _close_step(context, step, attempt, Step.Status.COMPLETED)
    _write_payload(context, step, attempt, store)
    blobs = _write_artifacts(context, step, attempt.number, attempt.recording.artifacts)
    _write_metrics(context, step, attempt)
    _write_output(context, step, attempt, blobs)
    _start(context, next_keys)
    if last:
        _finished(context)


@transaction.atomic
def commit_failed_attempt(context: RunContext, attempt: Attempt, failure: AttemptFailed, *, route: int) -> None:
    """Log a failed attempt with its evidence and cost, and move the step on to the next attempt."""
    fence(context.claim, **_totals(context, attempt))
    step = context.steps[attempt.node_key]
    _write_error(context, step, failure, attempt)
    _write_artifacts(context, step, attempt.number, attempt.recording.artifacts)
    _write_metrics(context, step, attempt)
    step.attempt, step.route = attempt.number + 1, route
    step.save(update_fields=["attempt", "route"])


@transaction.atomic
def commit_failure(context: RunContext, attempt: Attempt, failure: AttemptFailed, store: BlobStore) -> None:
    """Fail the node and with it the run."""
    step = context.steps[attempt.node_key]
    summary = _summarised(context, attempt)
    changes = _totals(context, attempt) | _ending(context, Run.Status.FAILED) | {"summary": summary.to_json()}
    fence(
        context.claim,
        error_stage=attempt.node_key,
        error_code=failure.code,
        error_message=failure.message,
        error_retryable=failure.retryable,
        **changes,
    )
    step.error_code = failure.code
    _close_step(context, step, attempt, Step.Status.FAILED)
    _write_payload(context, step, attempt, store)
    _write_error(context, step, failure, attempt)
    _write_artifacts(context, step, attempt.number, attempt.recording.artifacts)
    _write_metrics(context, step, attempt)
    context.run.steps.filter(status__in=(Step.Status.PENDING, Step.Status.RUNNING)).exclude(id=step.id).update(
        status=Step.Status.CANCELLED
    )
    _finished(context)


@transaction.atomic
def fail_run(claim: Claim, *, stage: str, code: str, message: str, retryable: bool) -> None:
    """End a run that no attempt can be blamed for: parked after too many starts, or its pipeline is gone."""
    now = timezone.now()
    fence(
        claim,
        status=Run.Status.FAILED,
        error_stage=stage,
        error_code=code,
        error_message=message,
        error_retryable=retryable,
        finished_at=now,
        lease_until=None,
    )
    run = Run.objects.select_related("shop").get(id=claim.run_id)
    RunError.objects.create(run=run, stage=stage or run.phase, code=code, message=message, retryable=retryable)
    run.steps.filter(status__in=(Step.Status.PENDING, Step.Status.RUNNING)).update(status=Step.Status.CANCELLED)
    for handler in finishers(run.pipeline_slug):
        handler(run)


def _ending(context: RunContext, status: str) -> dict[str, Any]:
    now = timezone.now()
    run = context.run
    run.status, run.finished_at = status, now
    run.latency_ms = _milliseconds(run.created_at, now)
    return {"status": status, "finished_at": now, "latency_ms": run.latency_ms, "lease_until": None}


def _finished(context: RunContext) -> None:
    """Tell the domain, inside this transaction, from the run as it now stands in the database."""
    handlers = finishers(context.run.pipeline_slug)
    if handlers:
        context.run.refresh_from_db()
    for handler in handlers:
        handler(context.run)


def _milliseconds(start: datetime | None, end: datetime) -> int | None:
    return None if start is None else max(0, round((end - start).total_seconds() * 1000))


def _totals(context: RunContext, attempt: Attempt) -> dict[str, Any]:
    """Tokens and cost of this attempt added to the run's; unknown stays unknown."""
    call = attempt.recording.call
    run, changes = context.run, {}
    for name in ("tokens_in", "tokens_out", "cost_usd"):
        value = getattr(call, name) if call else None
        if value is not None:
            total = (getattr(run, name) or 0) + value
            setattr(run, name, total)
            changes[name] = total
    return changes


def _summarised(context: RunContext, attempt: Attempt) -> RunSummary:
    """The run's summary with this node in it; kept on the context for the next one."""
    summary = RunSummary.from_json(context.run.summary)
    recording, key = attempt.recording, attempt.node_key
    latency = _milliseconds(context.steps[key].started_at, timezone.now())
    if latency is not None:
        summary.latencies[key] = latency
    if recording.prompt:
        summary.prompt_versions[key] = recording.prompt.version
    if recording.call:
        summary.models[key] = f"{recording.call.vendor}/{recording.call.model}"
    for draft in recording.artifacts:
        if draft.role == Artifact.Role.RESULT:
            summary.pictures[draft.name] = draft.blob.sha256
    context.run.summary = summary.to_json()
    return summary


def _close_step(context: RunContext, step: Step, attempt: Attempt, status: str) -> None:
    recording = attempt.recording
    step.status, step.finished_at = status, timezone.now()
    step.latency_ms = _milliseconds(step.started_at, step.finished_at)
    step.attempt, step.route = attempt.number, attempt.route
    for name in ("why", "candidates_in", "candidates_out", "drop_ratio", "reasons", "confidence", "score"):
        setattr(step, name, getattr(recording, name))
    stage = find_stage(context.dag.nodes[attempt.node_key].step)
    if status == Step.Status.COMPLETED and stage and stage.type == Step.Type.FILTER and step.drop_ratio is None:
        raise AttemptFailed("filter_uncounted", f"The filter {step.name} did not say how many candidates it dropped.")
    if recording.prompt:
        step.prompt_name, step.prompt_version = recording.prompt.name, recording.prompt.version
        step.prompt_sha256, step.prompt_source = recording.prompt.sha256, recording.prompt.source
    if recording.call:
        for name in (
            "vendor",
            "model",
            "tokens_in",
            "tokens_out",
            "tokens_cached",
            "tokens_thinking",
            "cost_usd",
            "cost_source",
        ):
            setattr(step, name, getattr(recording.call, name))
    if attempt.schema:
        step.ir_schema_id = attempt.schema.id
    if attempt.validation:
        step.ir_valid, step.ir_error_count = attempt.validation.passed, attempt.validation.error_count
    step.input_sha256 = attempt.input_sha256
    step.output_sha256 = json_hash(attempt.ir) if status == Step.Status.COMPLETED else ""
    step.save()


def _write_payload(context: RunContext, step: Step, attempt: Attempt, store: BlobStore) -> None:
    recording = attempt.recording
    fields: dict[str, Any] = {
        "params": attempt.params,
        "input": attempt.bindings,
        "output": attempt.ir,
        "ir": attempt.ir,
        "variables": recording.variables,
        "reasoning": _reasoning(attempt),
        "validation_errors": [error.to_json() for error in attempt.validation.errors] if attempt.validation else [],
    }
    truncated: list[str] = []
    for name, value in fields.items():
        body = canonical_json(value)
        # A node's answer is its memory: it stays whole in its row, so that a claimed run can go on from it.
        if name == "ir" or len(body) <= INLINE_LIMIT:
            continue
        draft = draft_blob(store, context.owner, body, "application/json")
        recording.artifacts.append(ArtifactDraft(str(Artifact.Role.PAYLOAD), name, draft))
        fields[name] = {"truncated": True, "bytes": len(body), "preview": body[:PREVIEW].decode(errors="replace")}
        truncated.append(name)
    if fields["output"] == fields["ir"]:
        fields["output"] = None
    thinking = bool(recording.call and recording.call.thinking_removed)
    StepPayload(step=step, truncated=truncated, thinking_removed=thinking, **fields).save(force_insert=True)


def _reasoning(attempt: Attempt) -> dict[str, Any]:
    call = attempt.recording.call
    facts = dict(attempt.recording.reasoning)
    if call:
        facts["call"] = {
            "answered_from": call.answered_from,
            "finish_reason": call.finish_reason,
            "response_id": call.response_id,
            "latency_ms": call.latency_ms,
            "idempotency_key": call.idempotency_key,
        }
    return facts


def _write_artifacts(context: RunContext, step: Step, attempt: int, drafts: list[ArtifactDraft]) -> dict[str, Blob]:
    """Rows for an attempt's evidence; what a saved reply has written already is left as it is."""
    if not drafts:
        return {}
    run = context.run
    blobs = write_blobs(run.shop_id, [draft.blob for draft in drafts], Blob.Retention.EVIDENCE)
    Artifact.objects.bulk_create(
        [
            Artifact(
                run=run, step=step, attempt=attempt, role=draft.role, name=draft.name, blob=blobs[draft.blob.sha256]
            )
            for draft in drafts
        ],
        ignore_conflicts=True,
    )
    return {draft.name: blobs[draft.blob.sha256] for draft in drafts}


def _write_metrics(context: RunContext, step: Step, attempt: Attempt) -> None:
    if attempt.gate is None:
        return
    MetricResult.objects.bulk_create(
        MetricResult(
            run=context.run,
            step=step,
            attempt=attempt.number,
            profile_key=attempt.profile,
            key=result.key,
            value=_finite(result.value),
            passed=result.passed,
            threshold=result.threshold,
            must_pass=result.must_pass,
            unit=result.unit,
            details=dict(result.details or {}),
        )
        for result in attempt.gate.results
    )


def _finite(value: float | bool | None) -> float | None:
    return None if value is None or not math.isfinite(value) else float(value)


def _write_output(context: RunContext, step: Step, attempt: Attempt, blobs: dict[str, Blob]) -> None:
    handler = find_output(context.run.pipeline_slug, attempt.node_key)
    if handler is None:
        return
    links = handler(NodeOutput(context.run, step, attempt.ir, blobs))
    StepOutputLink.objects.bulk_create(
        StepOutputLink(run=context.run, step=step, target_type=kind, target_id=str(target)) for kind, target in links
    )


def _write_error(context: RunContext, step: Step, failure: AttemptFailed, attempt: Attempt | None = None) -> None:
    call = attempt.recording.call if attempt else None
    RunError.objects.create(
        run=context.run,
        step=step,
        stage=step.node_key,
        attempt=attempt.number if attempt else step.attempt,
        code=failure.code,
        message=failure.message,
        retryable=failure.retryable,
        vendor=call.vendor if call else "",
        model=call.model if call else "",
        latency_ms=call.latency_ms if call else None,
        tokens_in=call.tokens_in if call else None,
        tokens_out=call.tokens_out if call else None,
        cost_usd=call.cost_usd if call else None,
        details=failure.details,
    )
