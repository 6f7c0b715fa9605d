"""Floor that is seen under things on legs: in the picture it is floor, but nothing else can stand there."""

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.sparse.csgraph import connected_components

from imaging.geometry import Camera
from imaging.vanishing import Manhattan

Float = NDArray[np.float64]
Mask = NDArray[np.bool_]
# A leg leans at most this far (horizontal over vertical run), and is at most this long in metres.
LEAN, LONGEST_M, SHORTEST_PX = 0.6, 0.95, 4.0
# Things wider than this (metres) are rows of furniture: the floor between feet no farther apart than a group is theirs.
WIDEST_M, GROUP_M = 2.4, 1.0


def under_legs(floor: Mask, things: Mask, lines: Manhattan, camera: Camera, scale: float) -> Mask:
    """Floor pixels between the feet of things on legs, and below what these carry; working size, px = photo x scale.

    A leg is a slim, nearly upright edge that starts in the floor and ends above, at something that is no floor.
    """
    labels, _ = ndimage.label(ndimage.binary_dilation(things, iterations=3))
    feet: dict[int, list[tuple[float, float]]] = {}
    for foot, top in _upright(lines) * scale:
        thing = _at(labels, top)
        if thing and _on_floor(floor, foot) and _short_enough(camera, foot, top, scale):
            feet.setdefault(thing, []).append((float(foot[0]), float(foot[1])))
    taken = np.zeros(floor.shape, np.uint8)
    for thing, found in feet.items():
        _span(taken, labels == thing, np.array(found), camera, scale)
    return np.asarray(taken > 0) & floor


def _upright(lines: Manhattan) -> Float:
    """Edges (N, 2 ends, 2), lower end first, that could be legs: not along the floor's directions."""
    ends = lines.segments[(lines.axis == 2) | (lines.axis == -1)].reshape(-1, 2, 2)
    turned = ends[:, 0, 1] < ends[:, 1, 1]
    ends = np.where(turned[:, None, None], ends[:, ::-1], ends)
    run = np.abs(ends[:, 0] - ends[:, 1])
    return np.asarray(ends[run[:, 0] <= LEAN * run[:, 1]])


def _at(labels: NDArray[np.int32], point: Float) -> int:
    row, column = int(point[1]) - 1, int(point[0])
    inside = 0 <= row < labels.shape[0] and 0 <= column < labels.shape[1]
    return int(labels[row, column]) if inside else 0


def _on_floor(floor: Mask, foot: Float) -> bool:
    """Whether floor lies below the lower end and on one side of it at least (things may touch it on the other)."""
    row, column = int(foot[1]), int(foot[0])

    def seen(y: int, x: int) -> bool:
        return bool(0 <= y < floor.shape[0] and 0 <= x < floor.shape[1] and floor[y, x])

    return seen(row + 4, column) and (seen(row, column - 6) or seen(row, column + 6))


def _short_enough(camera: Camera, foot: Float, top: Float, scale: float) -> bool:
    at = camera.floor_point(float(foot[0]) / scale, float(foot[1]) / scale)
    long = float(np.hypot(*(foot - top)))
    if at is None or long < SHORTEST_PX or at[1] > 8.0:
        return False
    return long / scale / camera.px_per_m(*at) < LONGEST_M


def _span(taken: NDArray[np.uint8], thing: Mask, feet: Float, camera: Camera, scale: float) -> None:
    """Marks what the feet span together with the thing above them; feet of something very wide by groups only."""
    plan = camera.floor_points(feet / scale)
    px_per_m = camera.px_per_m(*plan[0]) * scale
    rows, columns = np.nonzero(thing)
    if columns.max() - columns.min() <= WIDEST_M * px_per_m:
        high = float(feet[:, 1].min()) - LONGEST_M * px_per_m
        above = np.stack([columns, rows], axis=1)[rows > high]
        cv2.fillConvexPoly(taken, cv2.convexHull(np.rint(np.vstack([feet, above])).astype(np.int32)), 1)
        return
    away = np.linalg.norm(plan[:, None] - plan[None], axis=2)
    _, groups = connected_components(away < GROUP_M)
    for group in range(groups.max() + 1):
        points = np.rint(feet[groups == group]).astype(np.int32)
        cv2.fillConvexPoly(taken, cv2.convexHull(points), 1)
        for x, y in points:
            cv2.circle(taken, (int(x), int(y)), max(2, int(0.06 * px_per_m)), 1, -1)


__all__ = ["under_legs"]
