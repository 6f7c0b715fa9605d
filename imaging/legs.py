"""Floor that is seen under and in front of things on legs: in the picture it is floor, but nothing else stands there.

An upright edge that begins in the midst of the floor and ends a hand or more above it belongs to something that stands
there, whatever colour it has. Edges that end at the same height and stand near each other are of one thing.
"""

from dataclasses import dataclass

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
LEAN, LONGEST_M, SHORTEST_PX, FARTHEST_M = 0.6, 0.95, 4.0, 8.0
# An edge alone tells of a thing when its upper end is at least so high (m) above its foot.
TALL_M = 0.15
# Things wider than this (metres) are rows of furniture: the floor between feet no farther apart than a group is theirs.
WIDEST_M, GROUP_M = 2.4, 1.0
# Feet of one thing are no farther apart than its longest side. They carry it at the same height, and a top that reaches
# over them by OVERHANG_M. Of what is joined to it in the picture that much (m) to either side is held for it.
SAME_LEVEL_M, LONGEST_SIDE_M, OVERHANG_M, OVER_M = 0.1, 1.9, 0.08, 0.3


@dataclass(frozen=True, eq=False)
class Leg:
    """An upright edge from foot to top (px at working size), where it stands (x, z; m) and how high it ends (m)."""

    foot: Float
    top: Float
    at: Float
    level_m: float


def under_legs(floor: Mask, things: Mask, lines: Manhattan, camera: Camera, scale: float) -> tuple[Mask, Mask]:
    """Of a floor the pixels between and under the feet of things on legs, and the legs and tops that were taken for it.

    All at working size, px = photo x scale.
    """
    labels, _ = ndimage.label(ndimage.binary_dilation(things, iterations=3))
    taken, solid = np.zeros(floor.shape, np.uint8), np.zeros(floor.shape, np.uint8)
    legs = find_legs(floor, lines, camera, scale)
    carried: dict[int, list[tuple[float, float]]] = {}
    for leg in legs:
        thing = _at(labels, leg.top)
        if thing:
            carried.setdefault(thing, []).append((float(leg.foot[0]), float(leg.foot[1])))
    for thing, found in carried.items():
        _span(taken, labels == thing, np.array(found), camera, scale)
    for group in grouped([leg for leg in legs if leg.level_m > TALL_M]):
        _stand(taken, solid, group, camera, scale)
    return np.asarray(taken > 0) & floor, np.asarray(solid > 0) & floor


def find_legs(floor: Mask, lines: Manhattan, camera: Camera, scale: float) -> list[Leg]:
    """Upright edges that start in the floor, lowest first."""
    found = []
    for foot, top in upright_edges(lines) * scale:
        at = camera.floor_point(float(foot[0]) / scale, float(foot[1]) / scale)
        long = float(np.hypot(*(foot - top)))
        if at is None or at[1] > FARTHEST_M or long < SHORTEST_PX or not _on_floor(floor, foot):
            continue
        level = camera.level_above(at, float(top[1]) / scale)
        if long / scale / camera.px_per_m(*at) < LONGEST_M and level < LONGEST_M:
            found.append(Leg(foot, top, np.array(at), level))
    return found


def grouped(legs: list[Leg]) -> list[list[Leg]]:
    """The legs by the thing that they carry: near each other, or farther apart but of the very same height."""
    if not legs:
        return []
    at, level = np.array([leg.at for leg in legs]), np.array([leg.level_m for leg in legs])
    away = np.linalg.norm(at[:, None] - at[None], axis=2)
    same = np.abs(level[:, None] - level[None]) < SAME_LEVEL_M
    reach = np.minimum(LONGEST_SIDE_M, 2.5 * np.minimum(level[:, None], level[None]))
    count, group = connected_components(same & (away < reach))
    return [[leg for leg, of in zip(legs, group, strict=True) if of == each] for each in range(count)]


def upright_edges(lines: Manhattan) -> Float:
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


def _span(taken: NDArray[np.uint8], thing: Mask, feet: Float, camera: Camera, scale: float) -> None:
    """Marks what feet near each other span together with the part of their thing that is above them."""
    plan = camera.floor_points(feet / scale)
    away = np.linalg.norm(plan[:, None] - plan[None], axis=2)
    rows, columns = np.nonzero(thing)
    wide = columns.max() - columns.min() > WIDEST_M * camera.px_per_m(*plan[0]) * scale
    _, groups = connected_components(away < (GROUP_M if wide else LONGEST_SIDE_M))
    for group in range(groups.max() + 1):
        points = feet[groups == group]
        px_per_m = camera.px_per_m(*plan[groups == group][0]) * scale
        (left, high), (right, low) = points.min(axis=0), points.max(axis=0)
        above = (rows > high - LONGEST_M * px_per_m) & (rows <= low)
        above &= (columns >= left - OVER_M * px_per_m) & (columns <= right + OVER_M * px_per_m)
        _fill(taken, np.vstack([points, np.stack([columns, rows], axis=1)[above]]))
        for x, y in points:
            cv2.circle(taken, (int(x), int(y)), max(2, int(0.06 * px_per_m)), 1, -1)


def _stand(taken: NDArray[np.uint8], solid: NDArray[np.uint8], legs: list[Leg], camera: Camera, scale: float) -> None:
    """Marks what some legs span, from the floor to what they carry, and as solid them and the top that lies on them."""
    ends = np.array([end for leg in legs for end in (leg.foot, leg.top)])
    level = max(leg.level_m for leg in legs)
    at = np.array([leg.at for leg in legs])
    out = at - at.mean(axis=0)
    rim = at + out / np.maximum(np.linalg.norm(out, axis=1, keepdims=True), OVERHANG_M) * OVERHANG_M
    top = camera.project(np.column_stack([rim[:, 0], np.full(len(at), level), rim[:, 1]])) * scale
    _fill(taken, np.vstack([ends, top]))
    _fill(solid, top)
    for leg in legs:
        _fill(solid, np.stack([leg.foot, leg.top]))


def _fill(canvas: NDArray[np.uint8], points: Float) -> None:
    cv2.fillConvexPoly(canvas, cv2.convexHull(np.rint(np.clip(points, -4000, 4000)).astype(np.int32)), 1)


__all__ = ["Leg", "find_legs", "grouped", "under_legs", "upright_edges"]
