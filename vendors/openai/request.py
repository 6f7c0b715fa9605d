"""A call as `POST {base}/chat/completions` takes it, and for models that only draw, `POST {base}/images/edits`.

Source: OpenAI API reference, Create chat completion and Create image edit (JSON body); pictures by chat as OpenRouter
documents them (Image generation, `modalities`).
"""

import json
import re
from typing import Annotated, Any, Literal

from pydantic import Field

from vendors.base import Call, Message, Rejected
from vendors.params import Params
from vendors.schemas import for_strict
from vendors.wire import Picture

PICTURE_TASKS = ("composite",)
MEDIA_TYPES = ("image/png", "image/jpeg", "image/webp")
DRAWS = re.compile(r"(gpt|chatgpt)-image-")
ROLES = {"system": "system", "user": "user", "model": "assistant"}
MAX_SEED = 2**31 - 1


class OpenAIParams(Params):
    """What a route may set.

    `response_format` says how the server is asked for JSON: by a strict schema, as any JSON object with the schema in
    words, or in words alone. `length_field` names the answer's greatest length: older servers know `max_tokens`.
    """

    response_format: Literal["json_schema", "json_object", "none"] = "json_schema"
    reasoning_effort: Literal["none", "minimal", "low", "medium", "high", "xhigh"] | None = None
    max_output_tokens: Annotated[int, Field(ge=1, le=200_000)] | None = None
    length_field: Literal["max_completion_tokens", "max_tokens"] = "max_completion_tokens"
    detail: Literal["low", "high", "auto", "original"] | None = None
    image_size: Annotated[str, Field(pattern=r"^(auto|[1-9]\d{2,3}x[1-9]\d{2,3}|[124]K)$")] | None = None
    quality: Literal["low", "medium", "high", "auto"] | None = None
    input_fidelity: Literal["low", "high"] | None = None


def draws(call: Call) -> bool:
    """Whether a call goes to a model that only draws."""
    return call.task in PICTURE_TASKS and bool(DRAWS.match(call.model))


def chat_body(call: Call, params: OpenAIParams) -> dict[str, Any]:
    """The JSON of a chat completion, pictures in their places.

    Raises:
        Rejected: a picture of a kind that the service does not take, or nothing is asked.
    """
    messages = list(call.messages)
    if not any(message.role == "user" for message in messages):
        raise Rejected("A chat completion needs a user message; the prompt has none.")
    schema = call.response_schema
    if schema is not None and params.response_format != "json_schema":
        messages.insert(0, Message("system", _in_words(schema)))
    body: dict[str, Any] = {"model": call.model, "messages": _messages(messages, call, params)}
    if call.task in PICTURE_TASKS:
        body["modalities"] = ["image", "text"]
        body |= {"image_config": {"image_size": params.image_size}} if params.image_size else {}
    elif schema is not None:
        body |= _response_format(call, params)
    optional = {
        params.length_field: params.max_output_tokens,
        "reasoning_effort": params.reasoning_effort,
        "seed": None if call.seed is None else call.seed & MAX_SEED,
    }
    return body | {name: value for name, value in optional.items() if value is not None}


def edit_body(call: Call, params: OpenAIParams) -> dict[str, Any]:
    """The JSON of an image edit: one text, and the pictures in order.

    Raises:
        Rejected: there is no picture, or one of a kind that the service does not take.
    """
    if not call.images:
        raise Rejected(f"The model {call.model} works on pictures; the call has none.")
    listed = [f'Picture {number} is "{image.role}".' for number, image in enumerate(call.images, start=1)]
    texts = [message.text for message in call.messages]
    body: dict[str, Any] = {
        "model": call.model,
        "prompt": "\n\n".join(["\n".join(listed), *texts]),
        "images": [{"image_url": _data_uri(image)} for image in call.images],
        "n": 1,
        "output_format": "png",
    }
    optional = {"size": params.image_size, "quality": params.quality, "input_fidelity": params.input_fidelity}
    return body | {name: value for name, value in optional.items() if value is not None}


def _messages(messages: list[Message], call: Call, params: OpenAIParams) -> list[dict[str, Any]]:
    """The turns; the pictures stand at the beginning of the first question, each after a line with its role."""
    made: list[dict[str, Any]] = []
    pictures = list(call.images)
    for message in messages:
        if message.role != "user" or not pictures:
            made.append({"role": ROLES[message.role], "content": message.text})
            continue
        parts: list[dict[str, Any]] = []
        for image in pictures:
            detail = {"detail": params.detail} if params.detail else {}
            parts.append({"type": "text", "text": f'Picture "{image.role}":'})
            parts.append({"type": "image_url", "image_url": {"url": _data_uri(image), **detail}})
        made.append({"role": "user", "content": [*parts, {"type": "text", "text": message.text}]})
        pictures = []
    return made


def _data_uri(image: Any) -> Picture:
    if image.media_type not in MEDIA_TYPES:
        raise Rejected(f"The picture {image.role} cannot be sent: it is {image.media_type}.")
    return Picture(image, data_uri=True)


def _response_format(call: Call, params: OpenAIParams) -> dict[str, Any]:
    if params.response_format == "none":
        return {}
    if params.response_format == "json_object":
        return {"response_format": {"type": "json_object"}}
    schema = {"name": call.task, "strict": True, "schema": for_strict(call.response_schema or {})}
    return {"response_format": {"type": "json_schema", "json_schema": schema}}


def _in_words(schema: Any) -> str:
    text = json.dumps(schema, ensure_ascii=False, separators=(",", ":"))
    return f"Answer with one JSON value and nothing else, no code fence. It has to follow this JSON Schema:\n{text}"
