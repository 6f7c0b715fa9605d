"""Image models for tests, in Gemini's wire format: they finish the guide that they are sent, each in its own way."""

import base64
from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tests.vendor_servers import gemini as wire
from tests.vendor_servers.server import Request, Response

Pixels = NDArray[np.uint8]
Paint = Callable[[Pixels, Pixels], Pixels]


@dataclass
class Painter(wire.Gemini):
    """An account whose picture models answer with `paint(room, guide)`, by model."""

    paints: Any = None

    def answer(self, request: Request) -> Response:
        refused = self._refusal(request)
        if refused is not None:
            return refused
        body, model = request.json, wire.PATH.fullmatch(request.path)[1]  # type: ignore[index]
        self.asked.append(body)
        pictures = pictures_in(body)
        out = BytesIO()
        Image.fromarray(self.paints[model](pictures["room"], pictures["guide"])).save(out, "JPEG", quality=88)
        return Response(wire.picture_answer(model, "image/jpeg", out.getvalue(), asked=body, number=len(self.asked)))


def pictures_in(body: Any) -> dict[str, Pixels]:
    """The pictures of a question by the role that is written before each."""
    found, role = {}, ""
    for part in body["contents"][0]["parts"]:
        if "inlineData" in part:
            with Image.open(BytesIO(base64.b64decode(part["inlineData"]["data"]))) as picture:
                found[role] = np.asarray(picture.convert("RGB"))
        else:
            role = part["text"].removeprefix('Picture "').removesuffix('":')
    return found


def finished(room: Pixels, guide: Pixels) -> Pixels:
    """Good work: the product a little darker to one side, all of it 3 px off, cooler, and in a size of its own."""
    own = (np.abs(guide.astype(np.int16) - room).max(axis=2) > 12).astype(np.uint8)
    softly = cv2.GaussianBlur(cv2.morphologyEx(own, cv2.MORPH_CLOSE, np.ones((21, 21))).astype(np.float32), (0, 0), 12)
    across = np.linspace(0.72, 0.92, room.shape[1], dtype=np.float32)[None, :]
    light = (1.0 - softly * (1.0 - across))[..., None] * np.array([0.95, 0.96, 0.98])
    shifted = np.roll(np.clip(guide * light, 0, 255).astype(np.uint8), (-2, 3), (0, 1))
    return np.asarray(cv2.resize(shifted, None, fx=0.9, fy=0.9, interpolation=cv2.INTER_AREA), np.uint8)


def repapered(room: Pixels, guide: Pixels) -> Pixels:
    """Good work on the product, and a picture on the wall that was never there."""
    out = finished(room, guide)
    height, width = out.shape[:2]
    cv2.rectangle(
        out, (int(0.05 * width), int(0.04 * height)), (int(0.4 * width), int(0.28 * height)), (196, 96, 60), -1
    )
    return out


def squared(room: Pixels, guide: Pixels) -> Pixels:
    """The middle of it only, as a square."""
    height, width = guide.shape[:2]
    side = min(height, width)
    return guide[(height - side) // 2 : (height + side) // 2, (width - side) // 2 : (width + side) // 2]


def sent_back(room: Pixels, guide: Pixels) -> Pixels:
    """No work at all."""
    return guide
