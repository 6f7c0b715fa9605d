"""Rectangles of straight edges on the walls: framed pictures, windows, screens, doors."""

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from imaging.vanishing import Manhattan

Float = NDArray[np.float64]
Mask = NDArray[np.bool_]
# Width of a frame as shares of the photo's width, and how far a corner may be off as a share of the frame's side.
WIDTHS, CORNER_SHARE = (0.02, 0.3), 0.14
# An enclosed area: its share of the photo, least short side (px), how well it fills its rectangle and its own outline,
# how much of that outline has edges, and how much wall (shares, second and third best of four sides) lies around it.
AREAS, LEAST_SIDE_PX, RECTANGULAR, SOLID, EDGED, WALL_BESIDE = (0.002, 0.03), 12.0, 0.8, 0.6, 0.55, (0.6, 0.4)
# From an area's outline to where the wall beside it is looked for, and how far on (px).
RIM_PX, BESIDE_PX = 7, 4


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


def enclosed_areas(like_wall: Mask, elsewhere: Mask, segments: Float) -> Mask:
    """Pictures, mirrors and panes, whatever their colour: rectangles with edges around and wall beside them.

    like_wall (H, W) are pixels that look like wall, elsewhere those that cannot be on one (floor); segments (N, 4) are
    the straight edges in px of these maps.
    """
    drawn = np.zeros(like_wall.shape, np.uint8)
    for line in np.rint(segments).astype(int).tolist():
        cv2.line(drawn, (line[0], line[1]), (line[2], line[3]), 1, 1)
    near = cv2.dilate(drawn, np.ones((7, 7), np.uint8)) > 0
    found = np.zeros(like_wall.shape, np.uint8)
    for kind in (like_wall & ~elsewhere, ~like_wall & ~elsewhere):
        labels, _ = ndimage.label(kind)
        for label, box in enumerate(ndimage.find_objects(labels), start=1):
            part = labels[box] == label
            if AREAS[0] / 4 * part.size < part.sum() < AREAS[1] * kind.size:
                outline = _rectangle_around(part, kind.size)
                if outline is not None:
                    outline += [box[1].start, box[0].start]
                    if _hangs(outline, like_wall, near):
                        cv2.fillConvexPoly(found, outline, 1)
    return np.asarray(found > 0)


def _rectangle_around(part: Mask, whole: int) -> NDArray[np.int32] | None:
    """The convex outline (N, 1, 2) of a part of a map (px), None unless it is a filled rectangle of fitting size."""
    contours, _ = cv2.findContours(part.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    hull = cv2.convexHull(max(contours, key=cv2.contourArea))
    area, sides = cv2.contourArea(hull), cv2.minAreaRect(hull)[1]
    if (
        not AREAS[0] * whole < area < AREAS[1] * whole
        or min(sides) < LEAST_SIDE_PX
        or area < RECTANGULAR * sides[0] * sides[1]
    ):
        return None
    filled = ndimage.binary_fill_holes(part).sum()
    return np.asarray(hull, np.int32) if filled > SOLID * area else None


def _hangs(outline: NDArray[np.int32], like_wall: Mask, near_edges: Mask) -> bool:
    """Whether straight edges run along an outline, and wall is seen beside it, one side left out."""
    filled = np.zeros(like_wall.shape, np.uint8)
    cv2.fillConvexPoly(filled, outline, 1)
    line = (filled > 0) & (cv2.erode(filled, np.ones((3, 3), np.uint8)) == 0)
    if near_edges[line].mean() < EDGED:
        return False
    inner, outer = (cv2.dilate(filled, np.ones((2 * px + 1,) * 2, np.uint8)) for px in (RIM_PX, RIM_PX + BESIDE_PX))
    rows, columns = np.nonzero((outer > 0) & (inner == 0))
    x0, y0, width, height = cv2.boundingRect(outline)
    off = np.stack([(columns - x0) / width - 0.5, (rows - y0) / height - 0.5], axis=1)
    side = np.where(np.abs(off[:, 0]) > np.abs(off[:, 1]), (off[:, 0] > 0), 2 + (off[:, 1] > 0))
    walls = np.bincount(side, like_wall[rows, columns], 4) / np.maximum(np.bincount(side, minlength=4), 1)
    _, third, second, _ = np.sort(walls)
    return bool(second >= WALL_BESIDE[0] and third >= WALL_BESIDE[1])


__all__ = ["enclosed_areas", "framed_areas"]
