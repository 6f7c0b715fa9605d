"""Rectangles of straight edges on the walls: framed pictures, windows, screens, doors."""

import cv2
import numpy as np
from numpy.typing import NDArray

from imaging.vanishing import Manhattan

Float = NDArray[np.float64]
# Width of a frame as shares of the photo's width, and how far a corner may be off as a share of the frame's side.
WIDTHS, CORNER_SHARE = (0.02, 0.3), 0.14


def framed_areas(lines: Manhattan, scale: float, size: tuple[int, int]) -> NDArray[np.bool_]:
    """Inside of every rectangle that two upright and two level edges make, at working size (width, height)."""
    upright = _ordered(lines.segments[lines.axis == 2] * scale, along=1)
    level = _ordered(lines.segments[(lines.axis == 0) | (lines.axis == 1)] * scale, along=0)
    canvas = np.zeros((size[1], size[0]), np.uint8)
    for i, left in enumerate(upright):
        for right in upright[i + 1 :]:
            outer = (left, right) if left[0] < right[0] else (right, left)
            corners = _rectangle(outer[0], outer[1], level, size[0])
            if corners is not None:
                cv2.fillConvexPoly(canvas, np.rint(corners).astype(np.int32), 1)
    return np.asarray(canvas > 0)


def _ordered(segments: Float, along: int) -> Float:
    """Segments (N, 4) that all start at their smaller coordinate."""
    turned = segments[:, along] > segments[:, along + 2]
    return np.where(turned[:, None], segments[:, [2, 3, 0, 1]], segments)


def _rectangle(left: Float, right: Float, level: Float, width: int) -> Float | None:
    """Corners of the rectangle between two upright edges, None unless level edges close it above and below."""
    across = float((right[0] + right[2] - left[0] - left[2]) / 2)
    if not WIDTHS[0] * width < across < WIDTHS[1] * width:
        return None
    shared = min(left[3], right[3]) - max(left[1], right[1])
    whole = max(left[3], right[3]) - min(left[1], right[1])
    if shared < 0.75 * whole or not 0.3 * across < whole < 4.0 * across:
        return None
    closed = all(_joined(left[end : end + 2], right[end : end + 2], level, across, whole) for end in (0, 2))
    return np.array([left[:2], right[:2], right[2:], left[2:]]) if closed else None


def _joined(first: Float, second: Float, level: Float, across: float, tall: float) -> bool:
    """Whether some level edge runs from one corner to the other."""
    slack = np.array([CORNER_SHARE * across + 2.0, CORNER_SHARE * tall + 2.0])
    starts = (np.abs(level[:, :2] - first) < slack).all(axis=1)
    ends = (np.abs(level[:, 2:] - second) < slack).all(axis=1)
    return bool((starts & ends).any())


__all__ = ["framed_areas"]
