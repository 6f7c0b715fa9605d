"""A call as Gemini's `generateContent` takes it. Source: Gemini API reference, `models.generateContent`."""

import io
import math
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field

from vendors.base import Call, Image, Message, Rejected
from vendors.params import Params
from vendors.schemas import for_gemini
from vendors.wire import Picture

PICTURE_TASKS = ("composite",)
MEDIA_TYPES = ("image/png", "image/jpeg", "image/webp", "image/heic", "image/heif")
RATIOS = (
    "1:1", "1:4", "1:8", "2:3", "3:2", "3:4", "4:1", "4:3", "4:5", "5:4", "8:1", "9:16", "16:9", "21:9",
)  # fmt: skip
# A room within this share of a ratio is asked for in that ratio; any other shape is the model's to keep.
NEAR = 0.02
MAX_SEED = 2**31 - 1


class GeminiParams(Params):
    """What a route may set: thinking, the answer's length, and of a picture its size and shape."""

    thinking_level: Literal["minimal", "low", "medium", "high"] | None = None
    max_output_tokens: Annotated[int, Field(ge=1, le=65_536)] | None = None
    image_size: Literal["512", "1K", "2K", "4K"] | None = None
    aspect_ratio: Literal[RATIOS] | None = None  # type: ignore[valid-type]


def request_body(call: Call, params: GeminiParams) -> dict[str, Any]:
    """The request's JSON, pictures in their places.

    Raises:
        Rejected: a picture of a kind that the service does not take, or nothing is asked.
    """
    body: dict[str, Any] = {}
    system = [{"text": message.text} for message in call.messages if message.role == "system"]
    if system:
        body["systemInstruction"] = {"parts": system}
    body["contents"] = _contents([message for message in call.messages if message.role != "system"], call.images)
    body["generationConfig"] = _config(call, params)
    return body


def _contents(messages: list[Message], images: tuple[Image, ...]) -> list[dict[str, Any]]:
    """The turns; the pictures stand at the beginning of the first, each after a line with its role."""
    if not messages or messages[0].role != "user":
        raise Rejected("Gemini needs a user message first; the prompt has none.")
    contents: list[dict[str, Any]] = []
    for message in messages:
        parts: list[dict[str, Any]] = [] if contents else _pictures(images)
        contents.append({"role": message.role, "parts": [*parts, {"text": message.text}]})
    return contents


def _pictures(images: tuple[Image, ...]) -> list[dict[str, Any]]:
    parts: list[dict[str, Any]] = []
    for image in images:
        if image.media_type not in MEDIA_TYPES:
            raise Rejected(f"Gemini does not take the picture {image.role}: it is {image.media_type}.")
        parts.append({"text": f'Picture "{image.role}":'})
        parts.append({"inlineData": {"mimeType": image.media_type, "data": Picture(image)}})
    return parts


def _config(call: Call, params: GeminiParams) -> dict[str, Any]:
    config: dict[str, Any] = {}
    if call.task in PICTURE_TASKS:
        config["responseModalities"] = ["IMAGE"]
        shape = params.aspect_ratio or ratio_of(call.image("room"))
        picture = {"aspectRatio": shape, "imageSize": params.image_size}
        config |= {"imageConfig": found} if (found := _given(picture)) else {}
    elif call.response_schema is not None:
        config["responseMimeType"] = "application/json"
        config["responseJsonSchema"] = for_gemini(call.response_schema)
    if params.thinking_level:
        config["thinkingConfig"] = {"thinkingLevel": params.thinking_level.upper()}
    seed = None if call.seed is None else call.seed & MAX_SEED
    return config | _given({"maxOutputTokens": params.max_output_tokens, "seed": seed})


def _given(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


def ratio_of(image: Image | None) -> str | None:
    """The aspect ratio that a picture has, if it is one that the service knows."""
    if image is None:
        return None
    from PIL import Image as Pictures  # a worker that asks nobody for pictures does without

    try:
        with Pictures.open(io.BytesIO(image.content)) as picture:
            shape = picture.width / picture.height
    except (OSError, ValueError, Pictures.DecompressionBombError):  # whoever made it will say so
        return None

    def distance(ratio: str) -> float:
        width, height = ratio.split(":")
        return abs(math.log(shape * int(height) / int(width)))

    best = min(RATIOS, key=distance)
    return best if distance(best) <= NEAR else None
