"""Google's Gemini API as far as it is used here (`POST /v1beta/models/{model}:generateContent`), as strict as that.

It refuses what the real one refuses, in its words: unknown fields, wrong types, a missing or wrong key, unknown models,
pictures of another kind than they say, schemas with keywords that it does not take, an image model asked for JSON.
`Gemini.answer` is the handler; `texts` and `pictures` are what the model says, in order, the last one again and again.
"""

import base64
import binascii
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic.alias_generators import to_camel

from tests.vendor_servers.server import Request, Response

KEY = "AIzaTestKeyOfTheLoopbackServer0000000000"
TEXT_MODEL, PICTURE_MODEL = "gemini-3.8-flash", "gemini-nano-banana-2.1"
PATH = re.compile(r"/v1beta/models/([A-Za-z0-9._-]+):generateContent")
KEYWORDS = {
    "$id", "$defs", "$ref", "$anchor", "type", "format", "title", "description", "enum", "items", "prefixItems",
    "minItems", "maxItems", "minimum", "maximum", "anyOf", "oneOf", "properties", "additionalProperties", "required",
    "propertyOrdering",
}  # fmt: skip
MAGIC = {"image/png": b"\x89PNG", "image/jpeg": b"\xff\xd8\xff", "image/webp": b"RIFF"}
MAX_BODY = 100 * 2**20
PICTURE_TOKENS = 258 * 5


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, alias_generator=to_camel)


class _InlineData(_Strict):
    mime_type: Literal["image/png", "image/jpeg", "image/webp", "image/heic", "image/heif"]
    data: str

    @model_validator(mode="after")
    def _is_what_it_says(self) -> "_InlineData":
        try:
            content = binascii.a2b_base64(self.data.encode(), strict_mode=True)
        except binascii.Error as error:
            raise ValueError("Base64 decoding failed") from error
        if not content.startswith(MAGIC.get(self.mime_type, b"")):
            raise ValueError("Unable to process input image")
        return self


class _Part(_Strict):
    text: str | None = None
    inline_data: _InlineData | None = None

    @model_validator(mode="after")
    def _one_of(self) -> "_Part":
        if (self.text is None) == (self.inline_data is None):
            raise ValueError("a part must have exactly one initialized field of oneof 'data'")
        return self


class _Content(_Strict):
    role: Literal["user", "model"] = "user"
    parts: list[_Part] = Field(min_length=1)


class _System(_Strict):
    parts: list[_Part] = Field(min_length=1)


class _Thinking(_Strict):
    thinking_level: Literal["MINIMAL", "LOW", "MEDIUM", "HIGH"]


class _Picture(_Strict):
    aspect_ratio: Literal[
        "1:1", "1:4", "1:8", "2:3", "3:2", "3:4", "4:1", "4:3", "4:5", "5:4", "8:1", "9:16", "16:9", "21:9"
    ] | None = None  # fmt: skip
    image_size: Literal["1K", "2K", "4K"] | None = None


class _Config(_Strict):
    response_mime_type: Literal["text/plain", "application/json"] | None = None
    response_json_schema: dict[str, Any] | None = None
    response_modalities: list[Literal["TEXT", "IMAGE"]] | None = None
    image_config: _Picture | None = None
    thinking_config: _Thinking | None = None
    max_output_tokens: int | None = Field(None, ge=1, le=65_536)
    seed: int | None = Field(None, ge=-(2**31), le=2**31 - 1)

    @model_validator(mode="after")
    def _agrees(self) -> "_Config":
        if self.response_json_schema is not None and self.response_mime_type != "application/json":
            raise ValueError("responseJsonSchema is only supported with responseMimeType application/json")
        bad = sorted(set(_keywords(self.response_json_schema or {})) - KEYWORDS)
        if bad:
            raise ValueError(f"response_json_schema: unknown keyword {bad[0]}")
        return self


class _Body(_Strict):
    system_instruction: _System | None = None
    contents: list[_Content] = Field(min_length=1)
    generation_config: _Config = Field(default_factory=lambda: _Config.model_validate({}))


def _keywords(schema: Any) -> list[str]:
    """Every keyword in a schema, names of properties and definitions left out."""
    if not isinstance(schema, Mapping):
        return []
    found = []
    for key, value in schema.items():
        found.append(key)
        inner = value.values() if key in ("properties", "$defs") else value if isinstance(value, list) else [value]
        if key != "enum":
            found += [name for item in inner for name in _keywords(item)]
    return found


@dataclass
class Gemini:
    """One account: what its models say, and what they have been asked."""

    texts: Sequence[Any] = ({"ok": True},)
    pictures: Sequence[tuple[str, bytes]] = ()
    key: str = KEY
    models: Mapping[str, str] = field(default_factory=lambda: {TEXT_MODEL: "text", PICTURE_MODEL: "picture"})
    asked: list[Any] = field(default_factory=list)
    thinks: bool = True

    def answer(self, request: Request) -> Response:
        """Answer a request, or refuse it as the real service would."""
        if request.method == "GET" and request.path == "/v1beta/models":
            return self._listed(request)
        refused = self._refusal(request)
        if refused is not None:
            return refused
        body = request.json
        model = PATH.fullmatch(request.path)[1]  # type: ignore[index]
        self.asked.append(body)
        number = len(self.asked) - 1
        if self.models[model] == "picture":
            return Response(picture_answer(model, *_nth(self.pictures, number), asked=body, number=number))
        text = _nth(self.texts, number)
        return Response(text_answer(model, text, asked=body, number=number, thinks=self.thinks))

    def _listed(self, request: Request) -> Response:
        if request.headers.get("x-goog-api-key") != self.key:
            return INVALID_KEY
        models = [{"name": f"models/{name}", "supportedGenerationMethods": ["generateContent", "countTokens"]}
                  for name in self.models]  # fmt: skip
        embedding = {"name": "models/gemini-embedding-2", "supportedGenerationMethods": ["embedContent"]}
        return Response({"models": [*models, embedding]})

    def _refusal(self, request: Request) -> Response | None:
        found = PATH.fullmatch(request.path)
        if request.method != "POST" or found is None:
            return Response(b"<html><title>Error 404 (Not Found)!!1</title></html>", 404, {"Content-Type": "text/html"})
        if not request.headers.get("x-goog-api-key"):
            text = "Method doesn't allow unregistered callers (callers without established identity)."
            return error(403, "PERMISSION_DENIED", text)
        if request.headers["x-goog-api-key"] != self.key:
            return INVALID_KEY
        if found[1] not in self.models:
            text = f"models/{found[1]} is not found for API version v1beta, or is not supported for generateContent."
            return error(404, "NOT_FOUND", text)
        if request.headers.get("content-type", "").split(";")[0] != "application/json":
            return error(400, "INVALID_ARGUMENT", "Invalid JSON payload received. Unexpected token.")
        if len(request.body) > MAX_BODY:
            return error(400, "INVALID_ARGUMENT", "Request payload size exceeds the limit: 104857600 bytes.")
        return self._bad_body(request, self.models[found[1]])

    def _bad_body(self, request: Request, kind: str) -> Response | None:
        try:
            body = _Body.model_validate_json(request.body)
        except ValidationError as problem:
            return error(400, "INVALID_ARGUMENT", _in_googles_words(problem))
        config = body.generation_config
        if kind == "picture" and (
            config.response_json_schema is not None or config.response_mime_type == "application/json"
        ):
            return error(400, "INVALID_ARGUMENT", "JSON mode is not enabled for this model")
        if kind == "text" and "IMAGE" in (config.response_modalities or ()):
            return error(400, "INVALID_ARGUMENT", "The requested combination of response modalities is not supported.")
        if kind == "text" and config.thinking_config and config.thinking_config.thinking_level == "MINIMAL":
            return error(400, "INVALID_ARGUMENT", "Thinking level MINIMAL is not supported for this model.")
        if kind == "text" and config.image_config is not None:
            return error(400, "INVALID_ARGUMENT", "Image config is not supported for this model.")
        return None


def _nth(answers: Sequence[Any], number: int) -> Any:
    return answers[min(number, len(answers) - 1)]


def _in_googles_words(problem: ValidationError) -> str:
    first = problem.errors(include_url=False)[0]
    *place, last = map(str, first["loc"]) if first["loc"] else ("body",)
    if first["type"] == "extra_forbidden":
        return f"Invalid JSON payload received. Unknown name \"{last}\" at '{'.'.join(place)}': Cannot find field."
    return f"Invalid value at '{'.'.join([*place, last])}': {first['msg']}"


def error(code: int, status: str, message: str, *details: Mapping[str, Any]) -> Response:
    """An error body as the service writes it (`google.rpc.Status`)."""
    body: dict[str, Any] = {"code": code, "message": message, "status": status}
    return Response({"error": body | ({"details": list(details)} if details else {})}, code)


def detail(kind: str, **fields: Any) -> dict[str, Any]:
    """One of an error's details by its type's name, such as `RetryInfo`."""
    return {"@type": f"type.googleapis.com/google.rpc.{kind}", **fields}


INVALID_KEY = error(
    400, "INVALID_ARGUMENT", "API key not valid. Please pass a valid API key.",
    detail("ErrorInfo", reason="API_KEY_INVALID", domain="googleapis.com",
           metadata={"service": "generativelanguage.googleapis.com"}),
)  # fmt: skip


def quota_error(quota: str, retry: str | None = None) -> Response:
    """A 429; `quota` is a quota's id such as `GenerateRequestsPerDayPerProjectPerModel-FreeTier`."""
    violation = {"quotaMetric": "generativelanguage.googleapis.com/generate_content_requests", "quotaId": quota,
                 "quotaDimensions": {"location": "global", "model": TEXT_MODEL}, "quotaValue": "10"}  # fmt: skip
    text = "You exceeded your current quota, please check your plan and billing details."
    details = [detail("QuotaFailure", violations=[violation]), detail("Help", links=[])]
    return error(429, "RESOURCE_EXHAUSTED", text, *details, *([detail("RetryInfo", retryDelay=retry)] if retry else []))


def blocked(reason: str) -> Response:
    """A question that is not answered at all."""
    usage = {"promptTokenCount": 90, "totalTokenCount": 90}
    return Response({"promptFeedback": {"blockReason": reason}, "usageMetadata": usage, "modelVersion": TEXT_MODEL})


def finished(reason: str, *, message: str = "", text: str | None = None) -> Response:
    """An answer that ended for another reason than that it was finished."""
    candidate: dict[str, Any] = {"finishReason": reason, "index": 0}
    candidate |= {"finishMessage": message} if message else {}
    candidate |= {"content": {"role": "model", "parts": [{"text": text}]}} if text is not None else {}
    usage = {"promptTokenCount": 90, "candidatesTokenCount": 10, "totalTokenCount": 100}
    return Response({"candidates": [candidate], "usageMetadata": usage, "modelVersion": TEXT_MODEL, "responseId": "r"})


def text_answer(model: str, text: Any, *, asked: Any = None, number: int = 0, thinks: bool = True) -> dict[str, Any]:
    """A good answer in text; what is not a text goes out as JSON. With a thought in front, as thinking models do."""
    text = text if isinstance(text, str) else json.dumps(text)
    thought = {"text": "**Thinking** about SECRET-THOUGHT", "thought": True}
    parts = [*([thought] if thinks else []), {"text": text, **({"thoughtSignature": "c2ln"} if thinks else {})}]
    prompt, thoughts = prompt_tokens(asked), 64 * thinks
    out = max(1, len(text) // 4)
    usage = {
        "promptTokenCount": prompt, "candidatesTokenCount": out, "totalTokenCount": prompt + out + thoughts,
        "promptTokensDetails": [{"modality": "TEXT", "tokenCount": prompt}],
    } | ({"thoughtsTokenCount": thoughts} if thinks else {})  # fmt: skip
    return _envelope(model, parts, usage, number)


def picture_answer(
    model: str, media_type: str, content: bytes, *, asked: Any = None, number: int = 0
) -> dict[str, Any]:
    """A good answer with one picture."""
    parts = [{"inlineData": {"mimeType": media_type, "data": base64.b64encode(content).decode()},
              "thoughtSignature": "c2ln"}]  # fmt: skip
    prompt = prompt_tokens(asked)
    usage = {
        "promptTokenCount": prompt, "candidatesTokenCount": PICTURE_TOKENS, "totalTokenCount": prompt + PICTURE_TOKENS,
        "candidatesTokensDetails": [{"modality": "IMAGE", "tokenCount": PICTURE_TOKENS}],
    }  # fmt: skip
    return _envelope(model, parts, usage, number)


def prompt_tokens(asked: Any) -> int:
    """What a question costs here: a token for four letters, 1,100 for each picture."""
    if not asked:
        return 90
    parts = [part for content in asked["contents"] for part in content["parts"]]
    parts += asked.get("systemInstruction", {}).get("parts", [])
    return sum(1100 if "inlineData" in part else max(1, len(part["text"]) // 4) for part in parts)


def _envelope(model: str, parts: list[Any], usage: Mapping[str, Any], number: int) -> dict[str, Any]:
    candidate = {"content": {"parts": parts, "role": "model"}, "finishReason": "STOP", "index": 0}
    names = {"modelVersion": f"{model}-001", "responseId": f"resp-{number}"}
    return {"candidates": [candidate], "usageMetadata": usage, **names}
