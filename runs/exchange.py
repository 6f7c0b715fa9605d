"""What passes between us and a model service, as evidence and in figures: the one place where a call is captured."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

from core.canonical import canonical_json
from runs.errors import AttemptFailed
from runs.models import Artifact
from runs.recording import ArtifactDraft, ModelCall, Recorder
from runs.redaction import redact_secrets, remove_thinking
from vendors.base import RateLimited, Refused, Reply, TimedOut, VendorError
from vendors.prices import Cost, Prices
from vendors.records import reply_from_record, reply_to_record

Draft = Callable[[str, str, bytes, str], ArtifactDraft]


def note_reply(record: ModelCall, reply: Reply, prices: Prices, at: datetime) -> Reply:
    """Note what an answer took; returns it with its cost, so that its recording knows that, too."""
    cost = prices.cost(record.vendor, record.model, reply, at)
    _note(record, reply, cost)
    record.finish_reason = reply.finish_reason
    return reply if cost is None else replace(reply, cost_usd=float(cost.usd), cost_source=cost.source)


def note_recorded(record: ModelCall, reply: Reply) -> None:
    """Note what a recorded answer took when it was given: its cost was kept with it."""
    _note(record, reply, Prices().cost(record.vendor, record.model, reply, datetime.min))
    record.finish_reason = reply.finish_reason


def note_error(record: ModelCall, error: VendorError, prices: Prices, at: datetime) -> None:
    """Note what an error took: it may have come after an answer that is paid for."""
    _note(record, error, prices.cost(record.vendor, record.model, error, at))


def _note(record: ModelCall, outcome: Reply | VendorError, cost: Cost | None) -> None:
    usage = outcome.usage
    record.model = outcome.model or record.model
    record.tokens_in, record.tokens_out = usage.tokens_in, usage.tokens_out
    record.tokens_cached, record.tokens_thinking = usage.tokens_cached, usage.tokens_thinking
    record.tokens_image = usage.tokens_image
    record.cost_usd, record.cost_source = (cost.usd, cost.source) if cost is not None else (None, "")
    record.response_id = outcome.response_id


def capture_reply(reply: Reply, key: str, record: ModelCall, draft: Draft) -> tuple[Reply, list[ArtifactDraft]]:
    """Put the raw exchange and the parsed reply into the store; gives the reply as any replay will see it."""
    body, images = reply_to_record(reply)
    drafts = [draft(Artifact.Role.IMAGE, image.role, image.content, image.media_type) for image in images]
    body, thought = remove_thinking(redact_secrets(body))
    record.thinking_removed = body["thinking_removed"] = reply.thinking_removed or thought
    recorded = canonical_json(body)
    for role, name, content in (
        (Artifact.Role.REQUEST, "request", canonical_json(body["request"])),
        (Artifact.Role.RESPONSE, "response", canonical_json(body["response"])),
        (Artifact.Role.REPLY, key, recorded),
    ):
        drafts.append(draft(role, name, content, "application/json"))
    pictures = {image.sha256: image.content for image in images}
    return reply_from_record(json.loads(recorded), pictures.__getitem__), drafts


def capture_error(error: VendorError, recorder: Recorder) -> AttemptFailed:
    """A vendor's error as a failed attempt, its request and response captured as fully as a good one's."""
    for role, name, value in (
        (Artifact.Role.REQUEST, "request", error.request),
        (Artifact.Role.RESPONSE, "response", error.response),
    ):
        if value:
            recorder.artifact(name, remove_thinking(redact_secrets(value))[0], role=role)
    kind = {RateLimited: "rate_limit", TimedOut: "timeout"}.get(type(error), "vendor")
    details = {"category": error.category} if isinstance(error, Refused) and error.category else None
    return AttemptFailed(
        error.code,
        error.message,
        kind=kind,
        retryable=error.retryable,
        retry_after_s=error.retry_after_s,
        details=details,
    )
