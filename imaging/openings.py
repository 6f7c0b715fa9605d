"""Doors, windows and the ceiling's height, from straight edges that lie on the walls' planes."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from imaging.geometry import Camera
from imaging.vanishing import Manhattan
from imaging.walls import Wall, nearest_wall

Float = NDArray[np.float64]
# Heights (m) that a door's head, its foot and a door's width can have, with room for a wrong camera height.
DOOR_HEAD_M, DOOR_FOOT_M, DOOR_WIDTH_M = (1.8, 2.4), (-0.3, 0.3), (0.6, 1.2)
WINDOW_FOOT_M, WINDOW_HEAD_M, WINDOW_WIDTH_M, LEAST_WINDOW_M2 = (0.45, 1.35), (1.5, 2.9), (0.5, 3.6), 0.85
CLOSED_SHARE = 0.75
CEILING_RANGE_M, SAME_LINE_M, SAME_HEIGHT_M, GAP_M = (2.15, 3.8), 0.06, 0.07, 0.12


@dataclass(frozen=True)
class Frame:
    """A rectangle on a wall: kind door or window, corners (4, 2; px of the photo) and the height (m) of its head."""

    kind: str
    corners: Float
    head_m: float


@dataclass(frozen=True, eq=False)
class _OnWall:
    """Edges on one wall: from (along, height) to (along, height) in metres, lower or left end first."""

    wall: Wall
    upright: Float
    level: Float


def find_frames(lines: Manhattan, walls: list[Wall], camera: Camera) -> list[Frame]:
    """Doors and windows: two upright edges of equal height and a level edge between their heads."""
    found = []
    for edges in _by_wall(lines, walls, camera):
        upright = _joined(edges.upright)
        for i, first in enumerate(upright):
            for second in upright[i + 1 :]:
                frame = _frame(edges, first, second, camera)
                if frame is not None:
                    found.append(frame)
    return found


def ceiling_height(lines: Manhattan, walls: list[Wall], camera: Camera) -> float | None:
    """The highest level (m) at which long edges run along the walls, None where there is none."""
    heights, lengths = [], []
    for edges in _by_wall(lines, walls, camera):
        for a, low, b, high in edges.level:
            level = abs(high - low) < 0.1 + 0.03 * abs(b - a)
            if level and CEILING_RANGE_M[0] < (low + high) / 2 < CEILING_RANGE_M[1]:
                heights.append((low + high) / 2)
                lengths.append(abs(b - a))
    if not heights:
        return None
    high, long = np.array(heights), np.array(lengths)
    support = ((np.abs(high[:, None] - high[None]) < SAME_HEIGHT_M) * long[None]).sum(axis=1)
    strong = support > max(1.2, 0.3 * float(support.max()))
    if not strong.any():
        return None
    top = float(high[strong].max())
    near = np.abs(high - top) < SAME_HEIGHT_M
    return float(np.average(high[near], weights=long[near]))


def _by_wall(lines: Manhattan, walls: list[Wall], camera: Camera) -> list[_OnWall]:
    """The edges on each wall that the floor's end supports."""
    ends = lines.segments.reshape(-1, 2, 2)
    rays = camera.rays(ends.mean(axis=1)) if len(ends) else np.zeros((0, 3))
    owner = [nearest_wall(walls, ray)[0] for ray in rays]
    grouped = []
    for wall in walls:
        if wall.support == 0:
            continue
        own = np.array([each is wall for each in owner], bool)
        upright, level = own & (lines.axis == 2), own & ((lines.axis == 0) | (lines.axis == 1))
        grouped.append(_OnWall(wall, _metric(ends[upright], wall, camera, 1), _metric(ends[level], wall, camera, 0)))
    return grouped


def _metric(ends: Float, wall: Wall, camera: Camera, order: int) -> Float:
    """Edges (N, 4: along, height, along, height) on a wall's plane, the end that is smaller in `order` first."""
    if len(ends) == 0:
        return np.zeros((0, 4))
    rays = camera.rays(ends.reshape(-1, 2))
    towards = rays[:, 0] * wall.nx + rays[:, 2] * wall.nz
    points = rays * (wall.distance_m / np.where(towards > 1e-3, towards, np.nan))[:, None]
    flat = np.stack([points[:, 0] * wall.nz - points[:, 2] * wall.nx, points[:, 1] + camera.height_m], axis=1)
    pairs = flat.reshape(-1, 2, 2)
    pairs = pairs[~np.isnan(pairs).any(axis=(1, 2))]
    turned = pairs[:, 0, order] > pairs[:, 1, order]
    return np.asarray(np.where(turned[:, None, None], pairs[:, ::-1], pairs).reshape(-1, 4))


def _joined(upright: Float) -> Float:
    """Upright edges (N, 3: along, foot, head) after joining those that continue each other without much of a gap."""
    joined: list[list[float]] = []
    middle = (upright[:, 0] + upright[:, 2]) / 2
    for at in np.lexsort((upright[:, 1], np.round(middle / SAME_LINE_M))):
        along, foot, head = float(middle[at]), float(upright[at, 1]), float(upright[at, 3])
        last = next((j for j in joined if abs(j[0] - along) < SAME_LINE_M and foot - j[2] < GAP_M), None)
        if last is None:
            joined.append([along, foot, head])
        else:
            last[1], last[2] = min(last[1], foot), max(last[2], head)
    return np.array(sorted(joined)).reshape(-1, 3)


def _frame(edges: _OnWall, first: Float, second: Float, camera: Camera) -> Frame | None:
    width, head, foot = second[0] - first[0], (first[2] + second[2]) / 2, min(first[1], second[1])
    if abs(first[2] - second[2]) > 0.16 or width <= 0:
        return None
    closed = _covered(edges.level, first[0], second[0], head)
    if closed < 0.5:
        return None
    if _is_door(head, first[1], second[1], width):
        return Frame("door", _corners(edges.wall, camera, first[0], second[0], 0.0, head), float(head))
    even = abs(first[1] - second[1]) < 0.25 and _covered(edges.level, first[0], second[0], foot) > CLOSED_SHARE
    if even and closed > CLOSED_SHARE and _is_window(head, foot, width):
        return Frame("window", _corners(edges.wall, camera, first[0], second[0], foot, head), float(head))
    return None


def _is_door(head: float, left_foot: float, right_foot: float, width: float) -> bool:
    feet = _in(left_foot, DOOR_FOOT_M) and _in(right_foot, DOOR_FOOT_M)
    return feet and _in(head, DOOR_HEAD_M) and _in(width, DOOR_WIDTH_M)


def _is_window(head: float, foot: float, width: float) -> bool:
    sized = _in(width, WINDOW_WIDTH_M) and head - foot > 0.8 and width * (head - foot) > LEAST_WINDOW_M2
    return sized and _in(head, WINDOW_HEAD_M) and _in(foot, WINDOW_FOOT_M)


def _in(value: float, bounds: tuple[float, float]) -> bool:
    return bounds[0] <= value <= bounds[1]


def _covered(level: Float, left: float, right: float, height: float) -> float:
    """Share of a stretch of wall at some height along which level edges run."""
    inside = np.zeros(50, bool)
    places = np.linspace(left, right, 50)
    for a, low, b, high in level:
        if abs((low + high) / 2 - height) < 0.12 and abs(high - low) < 0.15:
            inside |= (places >= a) & (places <= b)
    return float(inside.mean())


def _corners(wall: Wall, camera: Camera, left: float, right: float, foot: float, head: float) -> Float:
    """Pixels (4, 2) of a rectangle on a wall."""
    normal, across = np.array([wall.nx, 0.0, wall.nz]), np.array([wall.nz, 0.0, -wall.nx])
    flat = [(left, head), (right, head), (right, foot), (left, foot)]
    return camera.project(np.array([normal * wall.distance_m + across * a + [0.0, h, 0.0] for a, h in flat]))


def fill_frames(frames: list[Frame], kind: str, scale: float, size: tuple[int, int]) -> NDArray[np.bool_]:
    """Inside of the frames of one kind at working size (width, height)."""
    canvas = np.zeros((size[1], size[0]), np.uint8)
    for frame in frames:
        if frame.kind == kind:
            cv2.fillConvexPoly(canvas, np.rint(np.clip(frame.corners * scale, -4000, 4000)).astype(np.int32), 1)
    return np.asarray(canvas > 0)


__all__ = ["Frame", "ceiling_height", "fill_frames", "find_frames"]
