"""The rows of one attempt, made from what it recorded: step, payload, artifacts, metrics, errors."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from django.utils import timezone

from core.canonical import Encoded, canonical_json, sha256_hex
from core.storage import BlobStore
from runs.attempts import Attempt
from runs.blobs import draft_blob, draft_row
from runs.context import RunContext
from runs.errors import AttemptFailed
from runs.grounds import Ended, finite, metric_values
from runs.models import Artifact, Blob, MetricResult, RunError, Step, StepPayload
from runs.recording import ArtifactDraft
from runs.registry import find_stage
from runs.summary import RunSummary
from runs.writing import Row, Writing, artifact_row, new_row
from vendors.prices import FREE

INLINE_LIMIT = 32 * 1024
PREVIEW = 1024
RECORDED = ("candidates_in", "candidates_out", "drop_ratio", "confidence", "score")
CALL_COLUMNS = (
    "vendor",
    "model",
    "tokens_in",
    "tokens_out",
    "tokens_cached",
    "tokens_thinking",
    "tokens_image",
    "cost_usd",
    "cost_source",
)


def closed_step(context: RunContext, attempt: Attempt, status: str, now: datetime) -> dict[str, Any]:
    """The columns of a step that ends with this attempt.

    Raises:
        AttemptFailed: a filter that has not said how many candidates it dropped.
    """
    recording, step = attempt.recording, context.steps[attempt.node_key]
    completed = status == Step.Status.COMPLETED
    stage = find_stage(context.dag.nodes[attempt.node_key].step)
    if completed and stage and stage.type == Step.Type.FILTER and recording.drop_ratio is None:
        raise AttemptFailed("filter_uncounted", f"The filter {stage.name} did not say how many candidates it dropped.")
    columns: dict[str, Any] = {
        "status": status,
        "finished_at": now,
        "latency_ms": milliseconds(step.started_at, now),
        "attempt": attempt.number,
        "route": attempt.route,
        "why": recording.why,
        "candidates_in": recording.candidates_in,
        "candidates_out": recording.candidates_out,
        "drop_ratio": recording.drop_ratio,
        "reasons": recording.reasons,
        "confidence": recording.confidence,
        "score": recording.score,
        "ir_schema_id": attempt.schema.id if attempt.schema else None,
        "ir_valid": attempt.validation.passed if attempt.validation else None,
        "ir_error_count": attempt.validation.error_count if attempt.validation else 0,
        "input_sha256": attempt.input_sha256,
        "cache_key": attempt.cache_key,
        "reused_from_id": attempt.reused_from,
        "output_sha256": sha256_hex(attempt.ir_body) if completed else "",
    }
    if recording.prompt:
        used = recording.prompt
        columns |= {"prompt_name": used.name, "prompt_version": used.version}
        columns |= {"prompt_sha256": used.sha256, "prompt_source": used.source}
    if recording.call:
        columns |= {name: getattr(recording.call, name) for name in CALL_COLUMNS}
        columns["call_ms"] = recording.call.latency_ms
    return columns


def ended_by(context: RunContext, attempt: Attempt, status: str, error_code: str = "") -> Ended:
    """How a node ends with this attempt, as conditions see it."""
    recording, validation = attempt.recording, attempt.validation
    cost = recording.call.cost_usd if recording.call else None
    columns = {
        "attempt": attempt.number,
        "latency_ms": milliseconds(context.steps[attempt.node_key].started_at, timezone.now()),
        "cost_usd": None if cost is None else float(cost),
        "ir_valid": validation.passed if validation else None,
        "ir_error_count": validation.error_count if validation else 0,
        "reused": attempt.reused_from is not None,
        "error_code": error_code,
    }
    columns |= {name: getattr(recording, name) for name in RECORDED}
    if context.recorded is not None:
        columns |= context.recorded.columns(attempt.node_key)
    results = attempt.gate.results if attempt.gate else ()
    measured = metric_values((result.key, result.value, result.passed, result.must_pass) for result in results)
    return Ended(status, attempt.ir if status == Step.Status.COMPLETED else None, measured, columns)


def measured_latency(context: RunContext, ended: Ended | None, latency_ms: int | None) -> int | None:
    """The latency that the conditions behind this node have seen, so that what is stored explains what was decided."""
    return latency_ms if ended is None or context.recorded is not None else ended.columns.get("latency_ms", latency_ms)


def draft_payload(context: RunContext, attempt: Attempt, store: BlobStore) -> Row:
    """The payload's row; what is too large for it is in the store then and among the attempt's artifacts.

    Not for use inside a transaction: nobody shall wait for the store while the run's row is locked.
    """
    _keep_rules(context, attempt, store)
    recording = attempt.recording
    errors = [error.to_json() for error in attempt.validation.errors] if attempt.validation else []
    bodies: dict[str, Encoded | None] = {
        "params": attempt.params_body,
        "input": attempt.bindings_body,
        "output": None,  # as the IR; reports from elsewhere have another
        "ir": attempt.ir_body,
        "variables": Encoded(canonical_json(recording.variables)),
        "reasoning": Encoded(canonical_json(_reasoning(attempt))),
        "validation_errors": Encoded(canonical_json(errors)),
    }
    truncated: list[str] = []
    for name, body in bodies.items():
        # A node's answer is its memory: it stays whole in its row, so that a claimed run can go on from it.
        if name == "ir" or body is None or len(body) <= INLINE_LIMIT:
            continue
        recording.keep(Artifact.Role.PAYLOAD, name, draft_blob(store, context.owner, body, "application/json"))
        shown = {"truncated": True, "bytes": len(body), "preview": body[:PREVIEW].decode(errors="replace")}
        bodies[name] = Encoded(canonical_json(shown))
        truncated.append(name)
    return new_row(
        StepPayload,
        step_id=context.steps[attempt.node_key].id,
        truncated=truncated,
        thinking_removed=bool(recording.call and recording.call.thinking_removed),
        **bodies,
    )


def keep_attempt(context: RunContext, attempt: Attempt, store: BlobStore) -> None:
    """Keep what a failed attempt said and answered as evidence of that attempt: the next one has the step's payload.

    Not for use inside a transaction, as `draft_payload`.
    """
    _keep_rules(context, attempt, store)
    recording, validation = attempt.recording, attempt.validation
    said = {
        "ir": attempt.ir,
        "validation_errors": [error.to_json() for error in validation.errors] if validation else [],
        "reasoning": _reasoning(attempt),
        "variables": recording.variables,
        "why": recording.why,
        "reasons": recording.reasons,
        **{name: getattr(recording, name) for name in RECORDED},
    }
    kept = {name: value for name, value in said.items() if value not in (None, "", [], {})}
    if kept:
        body = canonical_json({"attempt": attempt.number, **kept})
        recording.keep(Artifact.Role.PAYLOAD, "attempt", draft_blob(store, context.owner, body, "application/json"))


def _keep_rules(context: RunContext, attempt: Attempt, store: BlobStore) -> None:
    record = attempt.rules.to_record() if attempt.rules else None
    if record is not None:
        draft = draft_blob(store, context.owner, canonical_json(record), "application/json")
        attempt.recording.keep(Artifact.Role.RULES, "rules", draft)


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


def put_evidence(writing: Writing, context: RunContext, attempt: Attempt, drafts: Iterable[ArtifactDraft]) -> None:
    """Add an attempt's artifacts and their blobs to what is written."""
    drafts = list(drafts)
    unique = {draft.blob.sha256: draft.blob for draft in drafts}
    # By hash, so that two runs that store the same bytes lock their rows in the same order.
    blobs = [draft_row(unique[sha256], context.run.shop_id, Blob.Retention.EVIDENCE) for sha256 in sorted(unique)]
    run_id, step_id = context.run.id, context.steps[attempt.node_key].id
    writing.insert_evidence(
        blobs,
        [artifact_row(run_id, step_id, attempt.number, draft.role, draft.name, draft.blob.sha256) for draft in drafts],
    )


def metric_rows(context: RunContext, attempt: Attempt) -> list[Row]:
    """What the attempt's quality gate measured."""
    if attempt.gate is None:
        return []
    return [
        new_row(
            MetricResult,
            run_id=context.run.id,
            step_id=context.steps[attempt.node_key].id,
            attempt=attempt.number,
            profile_key=attempt.profile,
            profile_revision=context.profiles[attempt.profile].revision,
            key=result.key,
            value=finite(result.value),
            passed=result.passed,
            threshold=result.threshold,
            must_pass=result.must_pass,
            unit=result.unit,
            details=dict(result.details or {}),
        )
        for result in attempt.gate.results
    ]


def error_row(context: RunContext, node_key: str, failure: AttemptFailed, attempt: Attempt | None = None) -> Row:
    """A failed attempt; without `attempt` the one that a lost worker was at."""
    call, step = attempt.recording.call if attempt else None, context.steps[node_key]
    asked = {} if attempt else dict(step.asked or {})
    details = dict(failure.details)
    if step.started_at:
        details["started_at"] = step.started_at.isoformat()
    told = {"kind": failure.kind, "retry_after_s": failure.retry_after_s}
    details |= {name: value for name, value in told.items() if value}
    if asked:
        details["answered"] = asked["answered"]
    return new_row(
        RunError,
        run_id=context.run.id,
        step_id=step.id,
        stage=node_key,
        attempt=attempt.number if attempt else step.attempt,
        code=failure.code,
        message=failure.message + _what_it_had_asked(asked),
        retryable=failure.retryable,
        vendor=call.vendor if call else asked.get("vendor", ""),
        model=call.model if call else asked.get("model", ""),
        latency_ms=call.latency_ms if call else None,
        tokens_in=call.tokens_in if call else None,
        tokens_out=call.tokens_out if call else None,
        cost_usd=call.cost_usd if call else None,
        cost_source=call.cost_source if call else "",
        details=details,
    )


def _what_it_had_asked(asked: Mapping[str, Any]) -> str:
    """What a lost attempt may have cost: an answer that is kept counts where it is used, any other is unknown."""
    if not asked:
        return ""
    whom = f" It had asked {asked['vendor']}/{asked['model']}: "
    kept = "the answer is kept, and the next attempt uses it at no further cost."
    return whom + (kept if asked["answered"] else "no answer had arrived, so what it cost is unknown.")


def summarised(context: RunContext, attempt: Attempt, now: datetime) -> RunSummary:
    """The run's summary with this node in it."""
    summary = context.run.summary.copy()
    recording, key = attempt.recording, attempt.node_key
    latency = milliseconds(context.steps[key].started_at, now)
    if latency is not None:
        summary.latencies[key] = latency
    if recording.prompt:
        summary.prompt_versions[key] = recording.prompt.version
    if recording.call:
        summary.models[key] = f"{recording.call.vendor}/{recording.call.model}"
    if attempt.fell_back_from:
        summary.fallbacks[key] = attempt.fell_back_from
    if attempt.validation and attempt.schema:
        summary.validation[key] = {
            "schema_id": str(attempt.schema.id),
            "version": attempt.schema.version,
            "passed": attempt.validation.passed,
            "error_count": attempt.validation.error_count,
        }
    for draft in recording.artifacts:
        if draft.role == Artifact.Role.RESULT:
            summary.pictures[draft.name] = draft.blob.sha256
    return summary


def totals(attempt: Attempt) -> dict[str, Any]:
    """Tokens and cost of this attempt, to be added to the run's; a call of unknown cost is counted as such."""
    call = attempt.recording.call
    if call is None:
        return {}
    known = {name: getattr(call, name) for name in ("tokens_in", "tokens_out", "cost_usd")}
    known["cost_unknown"] = 1 if call.cost_unknown else None
    return {name: value for name, value in known.items() if value is not None}


def unanswered(context: RunContext, node_keys: Iterable[str]) -> int:
    """How many of these nodes had asked somebody who may bill it when their worker was lost, and had no answer."""
    asked = [context.steps[key].asked for key in node_keys]
    return sum(bool(facts) and not facts["answered"] and facts["vendor"] not in FREE for facts in asked if facts)


def milliseconds(start: datetime | None, end: datetime) -> int | None:
    """Whole milliseconds between two moments, at least 0; None without a start."""
    return None if start is None else max(0, round((end - start).total_seconds() * 1000))
