"""What passes between us and a model service, as evidence and in figures: the one place where a call is captured.

A request is kept as it was sent, in its order, without the headers that hold a key and with pictures named by role and
hash: with their bytes it is the body again, byte for byte (`vendors.wire.as_sent`). An answer is kept as the JSON that
arrived, without thinking parts, pictures named likewise; what is no JSON is kept as text. What is too large is cut, and
says so.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from core.canonical import canonical_json
from runs.errors import AttemptFailed
from runs.models import Artifact
from runs.recording import ArtifactDraft, ModelCall, Recorder
from runs.redaction import redact_secrets, remove_thinking
from vendors.base import RateLimited, Refused, Reply, TimedOut, VendorError
from vendors.prices import Cost, Prices
from vendors.records import reply_from_record, reply_to_record

MAX_KEPT = 2 * 2**20  # bytes of a request or an answer, pictures not counted
LONGEST_KEPT = 4096  # characters of each text in one that is larger
PREVIEW = 64 * 1024

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
    if record.tokens_in is not None:
        record.tokens_in += usage.tokens_in_image or 0
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
    for name, role in (("request", Artifact.Role.REQUEST), ("response", Artifact.Role.RESPONSE)):
        body[name], content = _kept(body[name])
        drafts.append(draft(role, name, content, "application/json"))
    recorded = canonical_json(body)
    drafts.append(draft(Artifact.Role.REPLY, key, recorded, "application/json"))
    pictures = {image.sha256: image.content for image in images}
    return reply_from_record(json.loads(recorded), pictures.__getitem__), drafts


def capture_error(error: VendorError, recorder: Recorder) -> AttemptFailed:
    """A vendor's error as a failed attempt, its request and response captured as fully as a good one's."""
    for role, name, value in (
        (Artifact.Role.REQUEST, "request", error.request),
        (Artifact.Role.RESPONSE, "response", error.response),
    ):
        if value:
            content = _kept(remove_thinking(redact_secrets(value))[0])[1]
            recorder.artifact(name, content, "application/json", role=role)
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


def _kept(value: Any) -> tuple[Any, bytes]:
    """A request or an answer as it is kept, and its bytes in the order of the wire; what is too large is cut."""
    content = _wire_json(value)
    if len(content) <= MAX_KEPT:
        return value, content
    short = {"truncated": {"bytes": len(content)}, **_shortened(value)}
    if len(shown := _wire_json(short)) > MAX_KEPT:
        short = {"truncated": {"bytes": len(content)}, "preview": content[:PREVIEW].decode(errors="replace")}
        shown = _wire_json(short)
    return short, shown


def _shortened(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _shortened(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_shortened(item) for item in value]
    if isinstance(value, str) and len(value) > LONGEST_KEPT:
        return f"{value[:LONGEST_KEPT]}… [truncated: {len(value) - LONGEST_KEPT:,} more characters]"
    return value


def _wire_json(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode(errors="replace")
