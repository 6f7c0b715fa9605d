"""OpenAI-compatible chat completions and image edits as far as they are used here, as strict as OpenAI's own.

It refuses unknown fields, wrong types, a missing or wrong key, unknown models, pictures that are none, and schemas that
strict mode does not take. `OpenAI.answer` is the handler; `texts` and `pictures` are what the model says, in order.
"""

import base64
import binascii
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from tests.vendor_servers.server import Request, Response

KEY = "sk-test-key-of-the-loopback-server-000"
TEXT_MODEL, DRAWING_MODEL, CHAT_PICTURE_MODEL = "gpt-6-luna", "gpt-image-2.5-flare", "google/gemini-nano-banana-2.1"
MAGIC = {"image/png": b"\x89PNG", "image/jpeg": b"\xff\xd8\xff", "image/webp": b"RIFF"}
KEYWORDS = {
    "$defs", "$ref", "type", "format", "description", "title", "enum", "const", "items", "minItems", "maxItems",
    "pattern", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "anyOf", "properties",
    "additionalProperties", "required",
}  # fmt: skip


def _check_data_uri(url: str) -> None:
    head, _, data = url.partition(",")
    kind = head.removeprefix("data:").removesuffix(";base64")
    if kind not in MAGIC or not head.startswith("data:") or not head.endswith(";base64"):
        raise ValueError("Expected a base64-encoded data URL with an image MIME type")
    try:
        content = binascii.a2b_base64(data.encode(), strict_mode=True)
    except binascii.Error as error:
        raise ValueError("Invalid base64 image_url.") from error
    if not content.startswith(MAGIC[kind]):
        raise ValueError("You uploaded an unsupported image.")


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class _Url(_Strict):
    url: str
    detail: Literal["low", "high", "auto", "original"] | None = None

    @model_validator(mode="after")
    def _is_a_picture(self) -> "_Url":
        _check_data_uri(self.url)
        return self


class _TextPart(_Strict):
    type: Literal["text"]
    text: str


class _ImagePart(_Strict):
    type: Literal["image_url"]
    image_url: _Url


class _Message(_Strict):
    role: Literal["system", "user", "assistant"]
    content: str | list[Annotated[_TextPart | _ImagePart, Field(discriminator="type")]]


class _JsonSchema(_Strict):
    name: str = Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")
    strict: bool | None = None
    schema_: dict[str, Any] = Field(alias="schema")

    @model_validator(mode="after")
    def _can_be_strict(self) -> "_JsonSchema":
        if self.strict:
            _check_strict(self.schema_, "()")
        return self


class _Format(_Strict):
    type: Literal["text", "json_object", "json_schema"]
    json_schema: _JsonSchema | None = None


class _ImageConfig(_Strict):
    image_size: Literal["1K", "2K", "4K"] | None = None
    aspect_ratio: str | None = None


class _Chat(_Strict):
    model: str
    messages: list[_Message] = Field(min_length=1)
    response_format: _Format | None = None
    max_completion_tokens: int | None = Field(None, ge=1)
    reasoning_effort: Literal["none", "minimal", "low", "medium", "high", "xhigh"] | None = None
    seed: int | None = None
    modalities: list[Literal["image", "text"]] | None = None
    image_config: _ImageConfig | None = None

    @model_validator(mode="after")
    def _says_json(self) -> "_Chat":
        if self.response_format and self.response_format.type == "json_object" and not self._mentions_json():
            raise ValueError("'messages' must contain the word 'json' in some form, to use 'json_object'.")
        return self

    def _mentions_json(self) -> bool:
        return any("json" in str(message.content).lower() for message in self.messages)


class _Edit(_Strict):
    model: str
    prompt: str = Field(min_length=1, max_length=32_000)
    images: list[dict[Literal["image_url"], str]] = Field(min_length=1, max_length=16)
    n: int = Field(1, ge=1, le=10)
    output_format: Literal["png", "jpeg", "webp"] | None = None
    size: str | None = None
    quality: Literal["low", "medium", "high", "auto"] | None = None
    input_fidelity: Literal["low", "high"] | None = None

    @model_validator(mode="after")
    def _are_pictures(self) -> "_Edit":
        for image in self.images:
            _check_data_uri(image["image_url"])
        return self


def _check_strict(schema: Any, place: str) -> None:
    """What strict mode refuses, in OpenAI's words."""
    if not isinstance(schema, Mapping):
        return
    bad = sorted(set(schema) - KEYWORDS)
    if bad:
        raise ValueError(f"Invalid schema for response_format: In context={place}, '{bad[0]}' is not permitted.")
    if "$ref" in schema and set(schema) - {"$ref", "$defs"}:
        raise ValueError(f"Invalid schema for response_format: In context={place}, $ref cannot have keywords.")
    if schema.get("type") == "object" or "properties" in schema:
        if schema.get("additionalProperties") is not False:
            text = "'additionalProperties' is required to be supplied and to be false."
            raise ValueError(f"Invalid schema for response_format: In context={place}, {text}")
        if sorted(schema.get("required", [])) != sorted(schema.get("properties", {})):
            text = "'required' is required to be supplied and to be an array including every key in properties."
            raise ValueError(f"Invalid schema for response_format: In context={place}, {text}")
    for key, value in schema.items():
        inner = value.values() if key in ("properties", "$defs") else value if key == "anyOf" else [value]
        if key in ("properties", "$defs", "anyOf", "items"):
            for item in inner:
                _check_strict(item, f"{place}.{key}")


@dataclass
class OpenAI:
    """One account: what its models say, and what they have been asked."""

    texts: Sequence[Any] = ({"ok": True},)
    pictures: Sequence[tuple[str, bytes]] = ()
    key: str | None = KEY
    models: Sequence[str] = (TEXT_MODEL, DRAWING_MODEL, CHAT_PICTURE_MODEL)
    asked: list[Any] = field(default_factory=list)

    def answer(self, request: Request) -> Response:
        """Answer a request, or refuse it as OpenAI would."""
        allowed = self.key is None or request.headers.get("authorization") == f"Bearer {self.key}"
        if request.method == "GET" and request.path == "/v1/models" and allowed:
            data = [{"id": name, "object": "model", "created": 1, "owned_by": "us"} for name in self.models]
            return Response({"object": "list", "data": data})
        refused = self._refusal(request)
        if refused is not None:
            return refused
        body = request.json
        number = len(self.asked)
        self.asked.append(body)
        if request.path.endswith("/images/edits"):
            return Response(edit_answer(*_nth(self.pictures, number)))
        if "image" in body.get("modalities", ()):
            return Response(chat_answer(body["model"], "Done.", number, pictures=[_nth(self.pictures, number)]))
        return Response(chat_answer(body["model"], _nth(self.texts, number), number))

    def _refusal(self, request: Request) -> Response | None:
        kinds: dict[str, type[_Chat] | type[_Edit]] = {"/v1/chat/completions": _Chat, "/v1/images/edits": _Edit}
        if self.key is not None and request.headers.get("authorization") != f"Bearer {self.key}":
            return INVALID_KEY
        if request.method != "POST" or request.path not in kinds:
            return error(404, f"Invalid URL ({request.method} {request.path})", "invalid_request_error")
        if request.headers.get("content-type", "").split(";")[0] != "application/json":
            return error(400, "you must provide a model parameter", "invalid_request_error")
        try:
            body = kinds[request.path].model_validate_json(request.body)
        except ValidationError as problem:
            first = problem.errors(include_url=False)[0]
            place = ".".join(map(str, first["loc"]))
            said = (
                f"Unrecognized request argument supplied: {place}"
                if first["type"] == "extra_forbidden"
                else first["msg"]
            )
            return error(400, f"{said} ({place})", "invalid_request_error")
        if body.model not in self.models:
            text = f"The model `{body.model}` does not exist or you do not have access to it."
            return error(404, text, "invalid_request_error", "model_not_found")
        return None


def _nth(answers: Sequence[Any], number: int) -> Any:
    return answers[min(number, len(answers) - 1)]


def error(status: int, message: str, kind: str, code: str | None = None, **headers: str) -> Response:
    """An error as OpenAI writes it."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Response({"error": {"message": message, "type": kind, "param": None, "code": code}}, status, named)


INVALID_KEY = error(401, "Incorrect API key provided: sk-wrong.", "invalid_request_error", "invalid_api_key")


def chat_answer(
    model: str, text: Any, number: int = 0, *, pictures: Sequence[tuple[str, bytes]] = (), **message: Any
) -> dict[str, Any]:
    """A good answer; what is not a text goes out as JSON, and with it some thinking that must not be kept."""
    text = text if isinstance(text, str) or text is None else json.dumps(text)
    said = {"role": "assistant", "content": text, "refusal": None, "reasoning_content": "SECRET-THOUGHT", **message}
    if pictures:
        said["images"] = [{"type": "image_url", "image_url": {"url": data_uri(*picture)}} for picture in pictures]
    choice = {"index": 0, "message": said, "finish_reason": "stop", "logprobs": None}
    out = max(1, len(text or "") // 4) + 64
    details = {"cached_tokens": 20, "audio_tokens": 0}
    usage = {
        "prompt_tokens": 100, "completion_tokens": out, "total_tokens": 100 + out, "prompt_tokens_details": details,
        "completion_tokens_details": {"reasoning_tokens": 64, "audio_tokens": 0},
    }  # fmt: skip
    return {"id": f"chatcmpl-{number}", "object": "chat.completion", "created": 1, "model": f"{model}-2026-09-22",
            "choices": [choice], "usage": usage}  # fmt: skip


def edit_answer(media_type: str, content: bytes) -> dict[str, Any]:
    """A good answer of a model that draws."""
    usage = {
        "input_tokens": 900, "input_tokens_details": {"text_tokens": 100, "image_tokens": 800}, "output_tokens": 1056,
        "total_tokens": 1956,
    }  # fmt: skip
    data = {"b64_json": base64.b64encode(content).decode()}
    return {"created": 1, "data": [data], "usage": usage, "output_format": media_type.removeprefix("image/")}


def data_uri(media_type: str, content: bytes) -> str:
    """A picture as chat answers carry it."""
    return f"data:{media_type};base64,{base64.b64encode(content).decode()}"
