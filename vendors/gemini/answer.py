"""Gemini's answer as a reply: text, JSON and pictures out of the parts, thinking removed, tokens in their buckets."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from vendors.base import BadResponse, Call, Image, Rejected, Reply, Usage, VendorError
from vendors.exchange import Exchange
from vendors.gemini import failures
from vendors.gemini.request import PICTURE_TASKS
from vendors.wire import Answer, NotJson, kind_of, parse, read_count, read_json

RESULT = "result"


@dataclass(slots=True)
class _Seen:
    """What an answer's parts held, and the answer as it is kept."""

    texts: list[str] = field(default_factory=list)
    images: list[Image] = field(default_factory=list)
    thought: bool = False
    broken: str = ""


def read_reply(exchange: Exchange, call: Call) -> Reply:
    """The reply that an exchange came to.

    Raises:
        VendorError: by meaning, with the exchange and what it has cost.
    """
    try:
        answer = parse(exchange.body, ("data",))
    except NotJson as error:
        raise _unreadable(exchange, str(error)) from error
    body = answer.value
    if not isinstance(body, dict):
        raise _unreadable(exchange, "it is not a JSON object")
    seen = _Seen()
    kept = _kept(body, answer, seen)
    known: dict[str, Any] = {"request": exchange.request, "response": exchange.response(kept), "model": call.model}
    if isinstance(body.get("error"), Mapping):
        raise failures.failure(exchange, body["error"], **known)
    if exchange.status != 200:
        raise failures.by_status(exchange.status, f"Gemini answered {exchange.status}.", exchange, **known)
    known |= {"usage": usage_of(body, seen), "response_id": _text(body.get("responseId"))}
    failed = _failure(body, seen, call, known)
    if failed is not None:
        raise failed
    text = "".join(seen.texts) if seen.texts else None
    return Reply(
        **known,
        model_version=_text(body.get("modelVersion")) or "",
        text=text,
        data=_data(text) if call.response_schema is not None else None,
        images=tuple(seen.images),
        finish_reason=_reason(_candidate(body)),
        thinking_removed=seen.thought,
        latency_ms=exchange.latency_ms,
    )


def read_models(exchange: Exchange) -> frozenset[str]:
    """The names in a list of models, of those that answer questions.

    Raises:
        VendorError: by meaning.
    """
    known = {"request": exchange.request, "response": exchange.response(exchange.shown())}
    try:
        body = parse(exchange.body).value
    except NotJson as error:
        raise _unreadable(exchange, str(error)) from error
    if isinstance(body, dict) and isinstance(body.get("error"), Mapping):
        raise failures.failure(exchange, body["error"], **known)
    listed = body.get("models") if isinstance(body, dict) and exchange.status == 200 else None
    if not isinstance(listed, list):
        raise failures.by_status(
            exchange.status, f"Gemini answered {exchange.status} without models.", exchange, **known
        )
    asked = [item for item in listed if "generateContent" in item.get("supportedGenerationMethods", ())]
    return frozenset(str(item.get("name", "")).removeprefix("models/") for item in asked)


def _unreadable(exchange: Exchange, why: str) -> VendorError:
    kept = exchange.response(exchange.shown())
    kind = exchange.headers.get("content-type", "no content type").split(";")[0]
    text = f"Gemini answered {exchange.status} with something that is not JSON ({kind}): {why}."
    if exchange.status == 403 and exchange.body:  # a firewall's page about this request, which is no word about our key
        return Rejected(text[:500], request=exchange.request, response=kept)
    return failures.by_status(exchange.status, text[:500], exchange, request=exchange.request, response=kept)


def _failure(body: Mapping[str, Any], seen: _Seen, call: Call, known: Mapping[str, Any]) -> VendorError | None:
    feedback = body.get("promptFeedback")
    if isinstance(feedback, Mapping) and feedback.get("blockReason"):
        return failures.blocked(str(feedback["blockReason"]), **known)
    candidate = _candidate(body)
    if not candidate:
        return BadResponse("Gemini answered without a candidate.", **known)
    unfinished = failures.unfinished(_reason(candidate), str(candidate.get("finishMessage") or ""), **known)
    if unfinished is not None:
        return unfinished
    if seen.broken:
        return BadResponse(f"Gemini's answer cannot be read: {seen.broken}.", **known)
    if call.task in PICTURE_TASKS and not seen.images:
        return BadResponse("Gemini answered without a picture.", **known)
    if call.task not in PICTURE_TASKS and not seen.texts:
        return BadResponse("Gemini answered without a text.", **known)
    return None


def _candidate(body: Mapping[str, Any]) -> Mapping[str, Any]:
    candidates = body.get("candidates")
    first = candidates[0] if isinstance(candidates, list) and candidates else None
    return first if isinstance(first, Mapping) else {}


def _reason(candidate: Mapping[str, Any]) -> str:
    return str(candidate.get("finishReason") or "")


def _kept(value: Any, answer: Answer, seen: _Seen) -> Any:
    """The answer without thinking and with pictures named by hash; notes texts and pictures of the parts it meets."""
    if isinstance(value, list):
        return [_kept(item, answer, seen) for item in value]
    if not isinstance(value, dict):
        return value
    kept: dict[str, Any] = {}
    for key, item in value.items():
        if key == "thoughtSignature":
            seen.thought = True
        elif key == "parts" and isinstance(item, list):
            kept[key] = [part for part in (_kept_part(part, answer, seen) for part in item) if part is not None]
        else:
            kept[key] = _kept(item, answer, seen)
    return kept


def _kept_part(part: Any, answer: Answer, seen: _Seen) -> Any:
    """One part as it is kept; None for one that is thinking."""
    if not isinstance(part, dict):
        seen.broken = "a part is not an object"
        return part
    if part.get("thought") is True:
        seen.thought = True
        return None
    data = part.get("inlineData")
    if isinstance(data, dict):
        image = _image(data, answer, seen)
        rest = {key: item for key, item in part.items() if key != "inlineData"}
        named = {"$image": RESULT, "sha256": image.sha256} if image else None
        shown = {**{key: item for key, item in data.items() if key != "data"}, "data": named}
        return {**_kept(rest, answer, seen), "inlineData": shown}
    if isinstance(part.get("text"), str):
        seen.texts.append(part["text"])
    return _kept(part, answer, seen)


def _image(data: Mapping[str, Any], answer: Answer, seen: _Seen) -> Image | None:
    try:
        content = answer.picture(str(data["data"]))
    except (KeyError, ValueError):
        seen.broken = "a picture is not base64"
        return None
    kind = kind_of(content)
    if kind is None:  # whatever it is called: it would be kept, and shown, as that
        seen.broken = "a picture is neither PNG, JPEG nor WebP"
        return None
    image = Image(RESULT, content, kind)
    seen.images.append(image)
    return image


def _data(text: str | None) -> Any:
    """The answer as JSON, or None where it is none."""
    try:
        return read_json(text or "")
    except NotJson:
        return None


def _text(value: Any) -> str | None:
    return value[:200] if isinstance(value, str) else None


def usage_of(body: Mapping[str, Any], seen: _Seen | None = None) -> Usage:
    """Tokens in exclusive buckets from `usageMetadata`.

    The prompt's count includes the cached ones, the candidates' those of pictures; thoughts are apart. The wire leaves
    zeros out: a count that is missing is zero where the total says so, and else unknown.
    """
    given = body.get("usageMetadata")
    pictures = len(seen.images) if seen else 0
    if not isinstance(given, Mapping):
        return Usage(images=pictures or None)
    names = ("promptTokenCount", "candidatesTokenCount", "thoughtsTokenCount", "toolUsePromptTokenCount")
    counts = {name: read_count(given.get(name)) for name in (*names, "cachedContentTokenCount")}
    whole = read_count(given.get("totalTokenCount"))
    if whole is not None and whole == sum(counts[name] or 0 for name in names):
        counts |= {name: 0 for name in names if counts[name] is None}
    cached = counts["cachedContentTokenCount"]
    asked = _sum(counts["promptTokenCount"], counts["toolUsePromptTokenCount"])
    answered, drawn = counts["candidatesTokenCount"], _modality(given.get("candidatesTokensDetails"), "IMAGE")
    if drawn is None and pictures and answered is not None:
        drawn = answered if seen and not seen.texts else None
    split = answered is not None and (drawn is not None or not pictures)
    return Usage(
        tokens_in=None if asked is None else max(0, asked - (cached or 0)),
        tokens_out=max(0, (answered or 0) - (drawn or 0)) if split else None,
        tokens_cached=0 if cached is None and asked is not None else cached,
        tokens_thinking=counts["thoughtsTokenCount"],
        tokens_image=(drawn or 0) if split else None,
        images=pictures,
    )


def _sum(first: int | None, second: int | None) -> int | None:
    return None if first is None else first + (second or 0)


def _modality(details: Any, name: str) -> int | None:
    """Tokens of one modality, or None where the details do not say."""
    if not isinstance(details, list):
        return None
    counts = [read_count(item.get("tokenCount")) or 0 for item in details if isinstance(item, Mapping)
              and item.get("modality") == name]  # fmt: skip
    return sum(counts) or None
