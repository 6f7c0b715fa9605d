"""A chat completion or an image edit as a reply: text, JSON and pictures, thinking removed, tokens in their buckets."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from vendors.base import BadResponse, Call, Image, Rejected, Reply, Usage, VendorError
from vendors.exchange import Exchange
from vendors.openai import failures
from vendors.openai.request import PICTURE_TASKS, draws
from vendors.schemas import without_nulls
from vendors.wire import MAX_USD, Answer, NotJson, kind_of, parse, read_count, read_json

RESULT = "result"
# Where servers put what a model thought: vLLM and DeepSeek, OpenRouter, newer vLLM.
THINKING = frozenset({"reasoning", "reasoning_content", "reasoning_details", "thinking"})


@dataclass(slots=True)
class _Seen:
    images: list[Image] = field(default_factory=list)
    thought: bool = False
    broken: str = ""


def read_reply(exchange: Exchange, call: Call, service: str) -> Reply:
    """The reply that an exchange came to.

    Raises:
        VendorError: by meaning, with the exchange and what it has cost.
    """
    try:
        answer = parse(exchange.body, ("url", "b64_json"))
    except NotJson as error:
        raise _unreadable(exchange, service, str(error)) from error
    body, seen = answer.value, _Seen()
    kept = _kept(body, answer, seen)
    known: dict[str, Any] = {"request": exchange.request, "response": exchange.response(kept), "model": call.model}
    said = failures.said_in(body)
    if said is not None:
        raise failures.failure(service, exchange, said, **known)
    if exchange.status != 200:
        raise failures.by_status(exchange.status, f"{service} answered {exchange.status}.", exchange, **known)
    if not isinstance(body, dict):
        raise BadResponse(f"{service} answered with JSON that is not an object.", **known)
    usage, cost = usage_of(body, len(seen.images)), _told_cost(body)
    known |= {"usage": usage, "response_id": _text(body.get("id")), "cost_usd": cost}
    known |= {"cost_source": "vendor" if cost is not None else None}
    message, reason = _first_choice(body)
    failed = _failure(call, exchange, service, body, seen, known)
    if failed is not None:
        raise failed
    text = _content(message)
    return Reply(
        **known,
        model_version=_text(body.get("model")) or "",
        text=text,
        data=None if call.response_schema is None else _data(call.response_schema, text),
        images=tuple(seen.images),
        finish_reason=reason,
        thinking_removed=seen.thought,
        latency_ms=exchange.latency_ms,
    )


def read_models(exchange: Exchange, service: str) -> frozenset[str]:
    """The names in a list of models.

    Raises:
        VendorError: by meaning.
    """
    known = {"request": exchange.request, "response": exchange.response(exchange.shown())}
    try:
        body = parse(exchange.body).value
    except NotJson as error:
        raise _unreadable(exchange, service, str(error)) from error
    said = failures.said_in(body)
    if said is not None:
        raise failures.failure(service, exchange, said, **known)
    listed = body.get("data") if isinstance(body, dict) and exchange.status == 200 else None
    if not isinstance(listed, list):
        text = f"{service} answered {exchange.status} without models."
        raise failures.by_status(exchange.status, text, exchange, **known)
    return frozenset(str(item.get("id", "")) for item in listed if isinstance(item, Mapping))


def _unreadable(exchange: Exchange, service: str, why: str) -> VendorError:
    kept = exchange.response(exchange.shown())
    kind = exchange.headers.get("content-type", "no content type").split(";")[0]
    text = f"{service} answered {exchange.status} with something that is not JSON ({kind}): {why}."
    if exchange.status == 403 and exchange.body:  # a firewall's page about this request, which is no word about our key
        return Rejected(text[:500], request=exchange.request, response=kept)
    return failures.by_status(exchange.status, text[:500], exchange, request=exchange.request, response=kept)


def _failure(
    call: Call, exchange: Exchange, service: str, body: Mapping[str, Any], seen: _Seen, known: Mapping[str, Any]
) -> VendorError | None:
    message, reason = _first_choice(body)
    pictures = call.task in PICTURE_TASKS
    if not draws(call):  # an image edit has no choices
        choice = (body.get("choices") or [None])[0] if isinstance(body.get("choices"), list) else None
        if not isinstance(choice, Mapping):
            return BadResponse(f"{service} answered without a choice.", **known)
        said = failures.said_in(choice)
        if said is not None:
            return failures.failure(service, exchange, said, **known)
        unfinished = failures.unfinished(service, reason, message, **known)
        if unfinished is not None:
            return unfinished
    if seen.broken:
        return BadResponse(f"{service}'s answer cannot be read: {seen.broken}.", **known)
    if pictures and not seen.images:
        return BadResponse(f"{service} answered without a picture.", **known)
    if not pictures and not _content(message):
        return BadResponse(f"{service} answered without a text.", **known)
    return None


def _first_choice(body: Mapping[str, Any]) -> tuple[Mapping[str, Any], str]:
    """The first choice's message and finish reason; an image edit has none and is finished."""
    choices = body.get("choices")
    choice = choices[0] if isinstance(choices, list) and choices else None
    if not isinstance(choice, Mapping):
        return {}, "stop"
    message = choice.get("message")
    return message if isinstance(message, Mapping) else {}, str(choice.get("finish_reason") or "")


def _content(message: Mapping[str, Any]) -> str | None:
    """A message's text, written as one or in parts."""
    content = message.get("content")
    if isinstance(content, list):
        texts = [part.get("text") for part in content if isinstance(part, Mapping) and part.get("type") == "text"]
        content = "".join(text for text in texts if isinstance(text, str))
    return content if isinstance(content, str) and content else None


def _kept(value: Any, answer: Answer, seen: _Seen) -> Any:
    """The answer without thinking and with pictures named by hash; notes the pictures that it meets."""
    if isinstance(value, list):
        return [_kept(item, answer, seen) for item in value]
    if not isinstance(value, dict):
        return value
    kept: dict[str, Any] = {}
    for key, item in value.items():
        if key in THINKING:
            seen.thought = seen.thought or bool(item)
        elif _holds_picture(key, item, answer):
            kept[key] = _picture(item, answer, seen)
        else:
            kept[key] = _kept(item, answer, seen)
    return kept


def _holds_picture(key: str, item: Any, answer: Answer) -> bool:
    if not isinstance(item, str):
        return False
    return key == "b64_json" or (key == "url" and (item in answer.lifted or item.startswith("data:")))


def _picture(text: str, answer: Answer, seen: _Seen) -> Any:
    try:
        content = answer.picture(text)
    except ValueError:
        seen.broken = "a picture is not base64"
        return None
    kind = kind_of(content)
    if kind is None:  # whatever it is called: it would be kept, and shown, as that
        seen.broken = "a picture is neither PNG, JPEG nor WebP"
        return None
    image = Image(RESULT, content, kind)
    seen.images.append(image)
    return {"$image": RESULT, "sha256": image.sha256}


def _data(schema: Mapping[str, Any], text: str | None) -> Any:
    """The answer as JSON, or None where it is none."""
    try:
        return without_nulls(schema, read_json(text or ""))
    except NotJson:
        return None


def _text(value: Any) -> str | None:
    return value[:200] if isinstance(value, str) else None


def usage_of(body: Mapping[str, Any], pictures: int = 0) -> Usage:
    """Tokens in exclusive buckets: the wire counts cached ones as input too, and reasoning and pictures as output."""
    given = body.get("usage")
    if not isinstance(given, Mapping):
        return Usage(images=pictures or None)
    asked, answered = (
        _count(given, "prompt_tokens", "input_tokens"),
        _count(given, "completion_tokens", "output_tokens"),
    )
    of_input = _details(given, "prompt_tokens_details", "input_tokens_details")
    of_output = _details(given, "completion_tokens_details", "output_tokens_details")
    cached, thinking = _count(of_input, "cached_tokens"), _count(of_output, "reasoning_tokens")
    drawn = _count(of_output, "image_tokens")
    if drawn is None and pictures and "choices" not in body:
        drawn = answered  # an image edit makes nothing else
    shown = _count(of_input, "image_tokens") if "choices" not in body else None  # an image edit bills them apart
    return Usage(
        tokens_in=None if asked is None else max(0, asked - (cached or 0) - (shown or 0)),
        tokens_out=None if answered is None else max(0, answered - (thinking or 0) - (drawn or 0)),
        tokens_cached=cached,
        tokens_thinking=thinking,
        tokens_image=drawn,
        images=pictures,
        tokens_in_image=shown,
    )


def _details(given: Mapping[str, Any], *names: str) -> Mapping[str, Any]:
    return next((given[name] for name in names if isinstance(given.get(name), Mapping)), dict[str, Any]())


def _count(given: Mapping[str, Any], *names: str) -> int | None:
    for name in names:
        count = read_count(given.get(name))
        if count is not None:
            return count
    return None


def _told_cost(body: Mapping[str, Any]) -> float | None:
    """What the service says the call cost, in US dollars (OpenRouter's `usage.cost`); None for what is no such sum."""
    usage = body.get("usage")
    cost = usage.get("cost") if isinstance(usage, Mapping) else None
    if not isinstance(cost, int | float) or isinstance(cost, bool):
        return None
    return float(cost) if 0 <= cost <= MAX_USD else None
