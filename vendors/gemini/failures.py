"""What Gemini's errors mean.

Sources: Gemini API, Troubleshooting; google.rpc.Status, ErrorInfo, QuotaFailure and RetryInfo (googleapis,
`google/rpc/error_details.proto`).
"""

import re
from collections.abc import Mapping
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

NAME = "Gemini"
DURATION = re.compile(r"(\d+(?:\.\d+)?)s")
KEY_REASONS = ("API_KEY", "ACCESS_TOKEN", "SERVICE_DISABLED", "BILLING_DISABLED", "CONSUMER_")
# Finish reasons by meaning; a word that is not here is one that we cannot judge.
FINISHED = "STOP"
CUT = "MAX_TOKENS"
DECLINED = frozenset({
    "SAFETY", "RECITATION", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII", "IMAGE_SAFETY", "IMAGE_PROHIBITED_CONTENT",
    "IMAGE_RECITATION",
})  # fmt: skip
UNSPEAKABLE = "LANGUAGE"
FAILED = frozenset({
    "FINISH_REASON_UNSPECIFIED", "OTHER", "IMAGE_OTHER", "NO_IMAGE", "MALFORMED_RESPONSE", "MALFORMED_FUNCTION_CALL",
    "UNEXPECTED_TOOL_CALL", "TOO_MANY_TOOL_CALLS", "MISSING_THOUGHT_SIGNATURE",
})  # fmt: skip


def failure(exchange: Exchange, error: Mapping[str, Any], **known: Any) -> VendorError:
    """An error body's `error` as our error; one inside a 200 counts as what its own code says."""
    code = error.get("code")
    status = exchange.status if exchange.status != 200 or not isinstance(code, int) else code
    word = str(error.get("status") or "")
    said = " ".join(str(error.get("message") or "no message").split())[:400]
    text = f"{NAME} answered {status} {word}".rstrip() + f": {said}"
    details = _objects(error.get("details"))
    reason = next((str(detail.get("reason")) for detail in details if detail.get("reason")), "")
    if status in (401, 403) or word == "FAILED_PRECONDITION" or reason.startswith(KEY_REASONS):
        return KeyRefused(text, **known)
    if status == 429 or word == "RESOURCE_EXHAUSTED":
        used_up = _daily_quota(details)
        if used_up:
            return QuotaExhausted(f"{text} (used up for today: {used_up})", **known)
        return RateLimited(text, retry_after_s=_wait(details, exchange.headers), **known)
    return by_status(status, text, exchange, **known)


def by_status(status: int, text: str, exchange: Exchange, **known: Any) -> VendorError:
    """An error of which nothing but the status is known."""
    if status in (401, 403):
        return KeyRefused(text, **known)
    if status == 429:
        return RateLimited(text, retry_after_s=retry_after(exchange.headers), **known)
    if status in (408, 504):
        return TimedOut(text, **known)
    if status >= 500:
        return Unavailable(text, retry_after_s=retry_after(exchange.headers), **known)
    if 200 <= status < 300:
        return BadResponse(text, **known)
    return Rejected(text, **known)


def blocked(reason: str, **known: Any) -> VendorError:
    """A question that was not answered at all, by `promptFeedback.blockReason`."""
    return Refused(f"{NAME} declined the question ({reason}).", category=reason, **known)


def unfinished(reason: str, message: str, **known: Any) -> VendorError | None:
    """What a candidate's `finishReason` says went wrong, or None where nothing did."""
    more = f": {' '.join(message.split())[:300]}" if message else "."
    if reason == FINISHED:
        return None
    if reason in DECLINED:
        return Refused(f"{NAME} declined to answer ({reason}){more}", category=reason, **known)
    if reason == UNSPEAKABLE:
        return Rejected(f"{NAME} does not speak the language that was asked for{more}", **known)
    if reason == CUT:
        return BadResponse(f"{NAME}'s answer was cut off at its greatest length (MAX_TOKENS){more}", **known)
    word = reason or "no finish reason"
    return BadResponse(f"{NAME} did not finish its answer ({word}){more}", **known)


def _daily_quota(details: list[Mapping[str, Any]]) -> str:
    """The name of a quota that is used up until tomorrow, if one is."""
    for detail in details:
        for violation in _objects(detail.get("violations")):
            name = str(violation.get("quotaId") or "")
            if "PerDay" in name:
                return name
    return ""


def _wait(details: list[Mapping[str, Any]], headers: Mapping[str, str]) -> float | None:
    """Seconds from `google.rpc.RetryInfo.retryDelay` ("45.837906927s"), else from the headers."""
    for detail in details:
        found = DURATION.fullmatch(str(detail.get("retryDelay") or ""))
        if found:
            return number(found[1])
    return retry_after(headers)


def _objects(value: Any) -> list[Mapping[str, Any]]:
    """The objects of a list; nothing for what is none."""
    return [item for item in value if isinstance(item, Mapping)] if isinstance(value, list) else []
