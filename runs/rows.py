"""The rows of one attempt: step, payload, artifacts, metrics, links, errors. For use inside a fenced transaction."""

import math
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.db.models import F
from django.db.models.functions import Coalesce
from django.utils import timezone

from core.canonical import canonical_json, json_hash
from core.storage import BlobStore
from runs.attempts import Attempt
from runs.blobs import draft_blob, write_blobs
from runs.context import RunContext
from runs.errors import AttemptFailed
from runs.models import Artifact, Blob, MetricResult, RunError, Step, StepOutputLink, StepPayload
from runs.recording import ArtifactDraft
from runs.registry import NodeOutput, find_output, find_stage
from runs.summary import RunSummary

INLINE_LIMIT = 32 * 1024
PREVIEW = 1024


def close_step(context: RunContext, step: Step, attempt: Attempt, status: str) -> None:
    recording = attempt.recording
    step.status, step.finished_at = status, timezone.now()
    step.latency_ms = milliseconds(step.started_at, step.finished_at)
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


def draft_payload(context: RunContext, attempt: Attempt, store: BlobStore) -> StepPayload:
    """The payload row, unsaved; what is too large for it is in the store already and among the attempt's artifacts.

    Not for use inside a transaction: nobody shall wait for the store while the run's row is locked.
    """
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
    step = context.steps[attempt.node_key]
    return StepPayload(step=step, truncated=truncated, thinking_removed=thinking, **fields)


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


def write_artifacts(context: RunContext, step: Step, attempt: int, drafts: list[ArtifactDraft]) -> dict[str, Blob]:
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


def write_metrics(context: RunContext, step: Step, attempt: Attempt) -> None:
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


def write_output(context: RunContext, step: Step, attempt: Attempt, blobs: dict[str, Blob]) -> None:
    handler = find_output(context.run.pipeline_slug, attempt.node_key)
    if handler is None:
        return
    links = handler(NodeOutput(context.run, step, attempt.ir, blobs))
    StepOutputLink.objects.bulk_create(
        StepOutputLink(run=context.run, step=step, target_type=kind, target_id=str(target)) for kind, target in links
    )


def write_error(context: RunContext, step: Step, failure: AttemptFailed, attempt: Attempt | None = None) -> None:
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


def summarised(context: RunContext, attempt: Attempt) -> RunSummary:
    """The run's summary with this node in it; kept on the context for the next one."""
    summary = RunSummary.from_json(context.run.summary)
    recording, key = attempt.recording, attempt.node_key
    latency = milliseconds(context.steps[key].started_at, timezone.now())
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


def totals(attempt: Attempt) -> dict[str, Any]:
    """Tokens and cost of this attempt added to the run's; unknown stays unknown."""
    call, changes = attempt.recording.call, {}
    for name, nothing in (("tokens_in", 0), ("tokens_out", 0), ("cost_usd", Decimal(0))):
        value = getattr(call, name) if call else None
        if value is not None:
            changes[name] = Coalesce(F(name), nothing) + value
    return changes


def milliseconds(start: datetime | None, end: datetime) -> int | None:
    return None if start is None else max(0, round((end - start).total_seconds() * 1000))
