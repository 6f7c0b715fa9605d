"""What an image model answers when it is asked to finish a composite: good pictures as models send them, and bad ones.

The good ones are renders of the truth, sent back as models do: in a size of their own, encoded anew, a little shifted,
zoomed, tilted, in another tone, with other noise. The bad ones are broken first (`bench.breaking`), or are pictures
that nobody should have sent: another shape, bars, a crop, another room, the guide or the room as they were.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from bench.breaking import KINDS, Picture

Pixels = NDArray[np.uint8]
Matrix = NDArray[np.float64]
SIDE = 1024
BROKEN = ("floating", "twice too large", "half as large", "recoloured", "duplicated", "room altered", "shadowless")


@dataclass(frozen=True, eq=False)
class Answer:
    """One encoded answer; `matrix` (3, 3) leads from the photo's pixels to its own where it shows the photo."""

    kind: str
    good: bool
    content: bytes
    matrix: Matrix


@dataclass(frozen=True)
class Manner:
    """How a model sends a picture: the long side (px; None keeps it), a map in shares of the photo, tone, encoding."""

    side: int | None = None
    shift: tuple[float, float] = (0.0, 0.0)
    zoom: float = 1.0
    tilt: tuple[float, float] = (0.0, 0.0)
    gains: tuple[float, float, float] = (1.0, 1.0, 1.0)
    lift: float = 0.0
    noise: float = 0.0
    format: str = "JPEG"
    quality: int = 90


MANNERS = {
    "encoded anew": Manner(),
    "smaller": Manner(side=SIDE, quality=85),
    "shifted": Manner(shift=(0.004, -0.003), zoom=1.008),
    "tilted": Manner(side=SIDE, tilt=(0.010, 0.006)),
    "darker and warmer": Manner(gains=(0.97, 0.94, 0.89), lift=2.0),
    "noisy": Manner(side=SIDE, noise=4.0, format="WEBP", quality=80),
    "all of it": Manner(SIDE, (-0.005, 0.003), 1.01, (0.004, 0.004), (0.95, 0.96, 0.93), 4.0, 2.5, "JPEG", 85),
}
ALL = MANNERS["all of it"]


def good_answers(truth: Picture) -> Iterator[Answer]:
    """The render in every manner of sending it."""
    for kind, manner in MANNERS.items():
        yield sent(kind, truth.pixels, manner, good=True)


def bad_answers(room: Pixels, truth: Picture, guide: Pixels, other: Pixels) -> Iterator[Answer]:
    """One picture of each kind that no shopper may see; `other` is another room's photo."""
    for kind in BROKEN:
        yield sent(kind, KINDS[kind](room, truth).pixels, ALL)
    yield sent("room unchanged", room, ALL)
    yield sent("guide unchanged", guide, MANNERS["smaller"])
    height, width = room.shape[:2]
    size = width, height
    yield sent("another room", np.asarray(cv2.resize(other, size), np.uint8), MANNERS["smaller"])
    squeezed = cv2.resize(truth.pixels, (round(width * 0.8), height), interpolation=cv2.INTER_AREA)
    yield sent("squeezed", np.asarray(squeezed, np.uint8), MANNERS["smaller"])
    bars = cv2.copyMakeBorder(truth.pixels, height // 8, height // 8, 0, 0, cv2.BORDER_CONSTANT, value=(12, 12, 12))
    yield sent("letterboxed", np.asarray(bars, np.uint8), MANNERS["smaller"])
    yield (
        sent("cropped to a square", truth.pixels[:, (width - height) // 2 : (width + height) // 2], Manner())
        if (width > height)
        else sent("cropped to a square", truth.pixels[(height - width) // 2 : (height + width) // 2], Manner())
    )


def sent(kind: str, pixels: Pixels, manner: Manner, *, good: bool = False) -> Answer:
    """A picture as a model sends it."""
    height, width = pixels.shape[:2]
    scale = 1.0 if manner.side is None else manner.side / max(height, width)
    size = round(width * scale), round(height * scale)
    matrix = _resizing(size[0] / width, size[1] / height) @ _bent(manner, width, height)
    soft = cv2.GaussianBlur(pixels, (0, 0), 0.35 / scale) if scale < 0.8 else pixels
    moved = cv2.warpPerspective(soft, matrix, size, flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT)
    toned = moved.astype(np.float32) * np.array(manner.gains, np.float32) + manner.lift
    if manner.noise:
        toned += np.random.default_rng(11).normal(0.0, manner.noise, toned.shape)
    out = BytesIO()
    Image.fromarray(np.clip(np.rint(toned), 0, 255).astype(np.uint8)).save(out, manner.format, quality=manner.quality)
    return Answer(kind, good, out.getvalue(), matrix)


def _resizing(across: float, below: float) -> Matrix:
    return np.array([[across, 0.0, (across - 1.0) / 2], [0.0, below, (below - 1.0) / 2], [0.0, 0.0, 1.0]])


def _bent(manner: Manner, width: int, height: int) -> Matrix:
    """The small move in the photo's own pixels: zoom about the middle, shift, and a tilt of the far corners."""
    x, y = width / 2, height / 2
    right, down = manner.shift[0] * width, manner.shift[1] * height
    zoom = np.array(
        [[manner.zoom, 0, x - manner.zoom * x + right], [0, manner.zoom, y - manner.zoom * y + down], [0, 0, 1]]
    )
    tilt = np.eye(3)
    tilt[2, :2] = manner.tilt[0] / width, manner.tilt[1] / height
    tilt[0, 2], tilt[1, 2] = 0.4 * manner.tilt[0] * x, 0.4 * manner.tilt[1] * y
    return zoom @ tilt


__all__ = ["MANNERS", "Answer", "Manner", "bad_answers", "good_answers", "sent"]
