"""What the errors of OpenAI, OpenRouter, vLLM and Ollama mean: four shapes of body, one set of meanings.

Sources: OpenAI, Error codes and Rate limits in headers; OpenRouter, Errors and Debugging; vLLM, `ErrorResponse`;
Ollama, OpenAI compatibility.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from vendors.base import (
    BadResponse,
    KeyRefused,
    QuotaExhausted,
    RateLimited,
    Refused,
    Rejected,
    TimedOut,
    Unavailable,
    VendorError,
)
from vendors.exchange import Exchange, number, retry_after

USED_UP = frozenset({"insufficient_quota", "billing_hard_limit_reached", "billing_not_active", "quota_exceeded"})
DECLINED = frozenset({
    "content_policy_violation", "content_filter", "moderation_blocked", "image_content_policy_violation", "safety",
})  # fmt: skip
BAD_KEY = frozenset(
    {"invalid_api_key", "account_deactivated", "invalid_organization", "unsupported_country_region_territory"}
)
# "6m0s", "1.5s", "20ms": OpenAI's x-ratelimit-reset-requests and -tokens.
PIECE = re.compile(r"(\d+(?:\.\d+)?)(ms|h|m|s)")
SECONDS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}


@dataclass(frozen=True, slots=True)
class Said:
    """An error body in one shape: what was said, and the words that programs go by."""

    message: str
    words: frozenset[str] = frozenset()
    status: int | None = None
    category: str = ""


def said_in(body: Any) -> Said | None:
    """The error that a body tells, whichever server wrote it; None when it tells none.

    OpenAI: `{"error": {message, type, param, code}}`. OpenRouter: `{"error": {code, message, metadata}}` with a status
    as code. vLLM: the same, or flat `{"object": "error", message, type, code}`. Ollama: `{"error": "text"}`. FastAPI:
    `{"detail": ...}`.
    """
    if not isinstance(body, Mapping):
        return None
    error = body.get("error")
    if isinstance(error, str) and error:
        return Said(error[:400])
    if not isinstance(error, Mapping):
        if body.get("object") != "error" and "detail" not in body:
            return None
        error = body if "detail" not in body else {"message": str(body["detail"])}
    metadata = error.get("metadata")
    metadata = metadata if isinstance(metadata, Mapping) else {}
    reasons = metadata.get("reasons") or (["moderation"] if metadata.get("flagged_input") else None)
    words = {str(error.get(name)) for name in ("code", "type", "status") if error.get(name)}
    words |= {str(metadata["error_type"])} if metadata.get("error_type") else set()
    code = error.get("code")
    return Said(
        " ".join(str(error.get("message") or "no message").split())[:400],
        frozenset(words),
        code if isinstance(code, int) and 400 <= code < 600 else None,
        ", ".join(map(str, reasons))[:200] if isinstance(reasons, list) else "",
    )


def failure(service: str, exchange: Exchange, said: Said, **known: Any) -> VendorError:
    """An error body as our error; one inside a 200 counts as what its own code says."""
    status = said.status if exchange.status == 200 and said.status else exchange.status
    words = "/".join(sorted(word for word in said.words if not word.isdigit()))
    text = f"{service} answered {status} {words}".rstrip() + f": {said.message}"
    if said.words & DECLINED or said.category:
        return Refused(text, category=said.category or sorted(said.words & DECLINED)[0], **known)
    if said.words & USED_UP or status == 402:
        return QuotaExhausted(text, **known)
    if said.words & BAD_KEY:
        return KeyRefused(text, **known)
    return by_status(status, text, exchange, **known)


def by_status(status: int, text: str, exchange: Exchange, **known: Any) -> VendorError:
    """An error of which nothing but the status is known."""
    if status in (401, 403):
        return KeyRefused(text, **known)
    if status == 402:
        return QuotaExhausted(text, **known)
    if status == 429:
        return RateLimited(text, retry_after_s=wait(exchange.headers), **known)
    if status in (408, 504):
        return TimedOut(text, **known)
    if status >= 500:
        return Unavailable(text, retry_after_s=retry_after(exchange.headers), **known)
    if 200 <= status < 300:
        return BadResponse(text, **known)
    return Rejected(text, **known)


def unfinished(service: str, reason: str, message: Mapping[str, Any], **known: Any) -> VendorError | None:
    """What `finish_reason` and `refusal` say went wrong, or None where nothing did."""
    refusal = message.get("refusal")
    if isinstance(refusal, str) and refusal:
        return Refused(f"{service} declined to answer: {' '.join(refusal.split())[:300]}", category="refusal", **known)
    if reason == "content_filter":
        return Refused(f"{service} declined to answer (content_filter).", category=reason, **known)
    if reason == "length":
        return BadResponse(f"{service}'s answer was cut off at its greatest length (length).", **known)
    if reason not in ("stop", "eos", "end_turn"):
        return BadResponse(f"{service} did not finish its answer ({reason or 'no finish reason'}).", **known)
    return None


def wait(headers: Mapping[str, str]) -> float | None:
    """Seconds to wait: `Retry-After`, else until the used-up one of OpenAI's buckets is filled again."""
    asked = retry_after(headers)
    if asked is not None:
        return asked
    resets = [
        duration(headers.get(f"x-ratelimit-reset-{bucket}", ""))
        for bucket in ("requests", "tokens")
        if number(headers.get(f"x-ratelimit-remaining-{bucket}")) == 0
    ]
    known = [seconds for seconds in resets if seconds is not None]
    return max(known) if known else None


def duration(text: str) -> float | None:
    """Seconds of a duration such as `6m0s`."""
    pieces = PIECE.findall(text)
    if not pieces or "".join(amount + unit for amount, unit in pieces) != text:
        return None
    return sum(float(amount) * SECONDS[unit] for amount, unit in pieces)
