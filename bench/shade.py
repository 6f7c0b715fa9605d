"""A product's shadow beside the render's: how much light it takes, how deep, and where."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from imaging.colour import to_linear
from imaging.light import LUMINANCE

Pixels = NDArray[np.uint8]
Float = NDArray[np.float32]
# Light lost that counts as shadow; how far (in boxes: sideways, up, down) one is looked for where the render was whole.
LEAST, AROUND = 0.06, (0.8, 0.3, 0.6)


@dataclass(frozen=True)
class Shade:
    """Ours over the render's light lost, depth of the darkest tenth of each, distance of their middles, overlap."""

    mass: float
    depth: float
    true_depth: float
    away: float
    overlap: float


def compare(
    ours: Pixels,
    our_mask: Pixels,
    true: Pixels,
    true_mask: Pixels,
    room: Pixels,
    box: list[int],
    part: list[int] | None,
) -> Shade | None:
    """Shadows outside both products (masks 0..255); box of the product, `away` in its widths; None without a true one.

    part: where the render was made again; elsewhere it is the room's photo.
    """
    covered = (np.maximum(our_mask, true_mask) > 20).astype(np.uint8)
    free = cv2.dilate(covered, np.ones((5, 5), np.uint8)) == 0
    x0, y0, x1, y1 = part or _around(box, room.shape)
    free[:y0], free[y1:], free[:, :x0], free[:, x1:] = False, False, False, False
    mine, theirs = (_lost(picture, room, free) for picture in (ours, true))
    if theirs.sum() <= 0:
        return None
    overlap = float(np.minimum(mine, theirs).sum() / np.maximum(mine, theirs).sum())
    away = float(np.linalg.norm(_middle(mine) - _middle(theirs)) / (box[2] - box[0])) if mine.sum() > 0 else 1.0
    return Shade(float(mine.sum() / theirs.sum()), _deepest(mine), _deepest(theirs), away, overlap)


def _lost(picture: Pixels, room: Pixels, free: NDArray[np.bool_]) -> Float:
    """The share of the room's light that a picture loses, (H, W), 0 where it is not a shadow."""
    inside, sigma = free.astype(np.float32), room.shape[1] / 400
    now, before = (cv2.GaussianBlur(to_linear(each) @ LUMINANCE * inside, (0, 0), sigma) for each in (picture, room))
    lost = np.clip(1.0 - (now + 0.002) / (before + 0.002), 0.0, 1.0)
    return np.asarray(np.where(free & (lost > LEAST), lost, 0.0), np.float32)


def _deepest(lost: Float) -> float:
    return float(np.percentile(lost[lost > 0], 90)) if (lost > 0).any() else 0.0


def _middle(lost: Float) -> NDArray[np.float64]:
    rows, columns = lost.sum(axis=1, dtype=np.float64), lost.sum(axis=0, dtype=np.float64)
    return np.asarray(np.array([columns @ np.arange(columns.size), rows @ np.arange(rows.size)]) / rows.sum())


def _around(box: list[int], shape: tuple[int, ...]) -> tuple[int, int, int, int]:
    wide, high = box[2] - box[0], box[3] - box[1]
    x0, x1 = box[0] - AROUND[0] * wide, box[2] + AROUND[0] * wide
    y0, y1 = box[1] - AROUND[1] * high, box[3] + AROUND[2] * high
    return max(0, int(x0)), max(0, int(y0)), min(shape[1], int(x1)), min(shape[0], int(y1))


__all__ = ["Shade", "compare"]
