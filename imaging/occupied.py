"""Floor that is seen but not free (beside things, under what overhangs, where doors swing), and free but not seen."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from imaging.colour import disk
from imaging.geometry import Camera
from imaging.labels import REGION, is_taken
from imaging.tops import run_tops
from imaging.walls import Wall, nearest_wall

Float = NDArray[np.float64]
Mask = NDArray[np.bool_]
# The plan: cells of this size (m), from -REACH_M to REACH_M sideways and from 0 to REACH_M ahead.
CELL_M, REACH_M = 0.04, 9.0
# Legs stand back under what they carry, leaves and shades hang over: this much (m) around a thing's outline is its own.
RIM_M, SWING_M, LARGEST_OVERHANG_M = 0.14, 0.75, 0.45
# Leaves, shades and tops are looked for between these heights (m) above a foot.
LEAST_HEAD_M, HIGHEST_M, FLAT_M, FLAT_SHARE = 0.2, 1.3, 0.08, 0.4
# What hangs no higher above the floor than this is kept as if it stood there.
LOW_M = 0.2
# What hides floor is at least so high (m), or so large a part of how high it looks from in front.
LEAST_BODY_M, BODY_SHARE = 0.3, 0.5
# Narrower things (m) hide none; between a thing and the floor behind it there may be so many pixels of neither.
LEAST_WIDTH_M, BLUR_PX = 0.35, 4
# Floor that ends so far (m) before a wall of such a support does not end at it.
BEFORE_M, SURE = 0.35, 0.3


@dataclass(frozen=True, eq=False)
class Occupied:
    """Floor pixels (working size) that belong to things, those over which a door swings, and those behind things."""

    things: Mask
    doors: Mask
    hidden: Mask


def occupied_floor(
    regions: NDArray[np.uint8], camera: Camera, scale: float, walls: Sequence[Wall] = (), hidden: Mask | None = None
) -> Occupied:
    """What of the floor is not free; regions at working size, px = photo x scale.

    hidden: pixels of things that count as floor, by `hidden_floor`; without them only floor that is seen is looked at.
    """
    hidden = np.zeros(regions.shape, bool) if hidden is None else hidden
    floor, thing = (regions == REGION.FLOOR) | hidden, is_taken(regions)
    cells, seen = _cells(floor, camera, scale)
    # Where a thing hides the floor behind it, it is all within its outline and needs no rim.
    touching = ndimage.binary_dilation(thing & ~hidden, structure=np.ones((3, 3))) & (regions == REGION.FLOOR)
    touching |= _ends_at_things(regions, walls, camera, scale)
    plan = _marked(cells, touching & seen)
    for across, along, radius in _overhangs(thing, touching, camera, scale):
        middle = round((across + REACH_M) / CELL_M), round(along / CELL_M)
        cv2.circle(plan, middle, ceil(radius / CELL_M), 1, -1)
    below = np.zeros_like(floor)
    below[1:] = regions[:-1] == REGION.OPENING
    swing = _marked(cells, ndimage.binary_dilation(below, structure=disk(2) > 0) & floor & seen)
    return Occupied(_within(plan, RIM_M, cells, seen), _within(swing, SWING_M, cells, seen), hidden)


def hidden_floor(regions: NDArray[np.uint8], camera: Camera, scale: float) -> Mask:
    """Pixels (working size) of things behind which floor goes on, where that floor lies behind the thing's back.

    The ray over the top of a body of height h meets the floor at R; its back is no farther than
    R (1 - h / camera's height). How high the body is nobody knows, but the least that furniture is will do: what is
    higher ends nearer.
    """
    thing, hidden = is_taken(regions), np.zeros(regions.shape, bool)
    tops, feet = run_tops(thing), len(thing) - run_tops(thing[::-1])[::-1]
    rows, columns = np.nonzero(thing & (tops > 0))
    rising = [np.maximum(tops[rows, columns] - step, 0) for step in range(1, BLUR_PX + 1)]
    behind = np.any([regions[row, columns] == REGION.FLOOR for row in rising], axis=0)
    behind &= _wide(thing, camera, scale)[rows, columns]
    rows, columns = rows[behind], columns[behind]

    def away(edges: NDArray[np.floating] | NDArray[np.signedinteger]) -> Float:
        return np.asarray(np.hypot(*camera.floor_points(np.stack([columns + 0.5, edges], axis=1) / scale).T))

    beyond = away(tops[rows, columns])
    # How high the thing would be if it had no depth.
    looks_m = camera.height_m * (1.0 - away(feet[rows, columns]) / beyond)
    body_m = np.minimum(LEAST_BODY_M, BODY_SHARE * looks_m)
    hidden[rows, columns] = away(rows + 0.5) > beyond * (1.0 - body_m / camera.height_m)
    # Slivers along its outline are no things of their own.
    slivers = thing & (feet - tops <= BLUR_PX // 2)
    return np.asarray(hidden | (slivers & ndimage.binary_dilation(hidden, structure=np.ones((3, 3)))))


def _wide(thing: Mask, camera: Camera, scale: float) -> Mask:
    """Things as wide as a body: narrow ones may be the legs of a top that has the floor's colour."""
    near = ndimage.binary_dilation(thing, structure=np.ones((BLUR_PX + 1, BLUR_PX + 1)))
    labels, wide = ndimage.label(near)[0] * thing, np.zeros_like(thing)
    for label, box in enumerate(ndimage.find_objects(labels), start=1):
        low, left, right = box[0].stop, box[1].start, box[1].stop
        at = camera.floor_point((left + right) / 2 / scale, low / scale)
        if at is not None and right - left > LEAST_WIDTH_M * camera.px_per_m(*at) * scale:
            wide[box] |= labels[box] == label
    return wide


def _cells(floor: Mask, camera: Camera, scale: float) -> tuple[NDArray[np.int64], Mask]:
    """Cell (H, W, 2: across, along) of every floor pixel, and which of them lie within the plan."""
    rows, columns = np.nonzero(floor)
    pixels = (np.stack([columns, rows], axis=1).astype(np.float64) + 0.5) / scale
    points = camera.floor_points(pixels)
    inside: Mask = np.asarray(~np.isnan(points).any(axis=1))
    inside[inside] = (np.abs(points[inside, 0]) < REACH_M) & (points[inside, 1] < REACH_M)
    cells = np.zeros((*floor.shape, 2), np.int64)
    cells[rows[inside], columns[inside]] = ((points[inside] + [REACH_M, 0.0]) / CELL_M).astype(np.int64)
    seen = np.zeros(floor.shape, bool)
    seen[rows[inside], columns[inside]] = True
    return cells, seen


def _ends_at_things(regions: NDArray[np.uint8], walls: Sequence[Wall], camera: Camera, scale: float) -> Mask:
    """Where the floor ends below a thing that hangs close above it, or far before the wall that is seen there.

    What ends the floor there stands on it, though it has the wall's colour.
    """
    floor, thing = regions == REGION.FLOOR, is_taken(regions)
    ends = floor.copy()
    ends[1:] &= ~floor[:-1]
    ends[0] = False
    found = np.zeros_like(floor)
    rows, columns = np.nonzero(ends)
    pixels = (np.stack([columns, rows], axis=1).astype(np.float64) + 0.5) / scale
    for row, column, at in zip(rows.tolist(), columns.tolist(), camera.floor_points(pixels), strict=True):
        if np.isnan(at).any():
            continue
        reach = int(LOW_M * camera.px_per_m(float(at[0]), float(at[1])) * scale)
        before = regions[row - 1, column] == REGION.WALL and _before_wall(walls, at)
        found[row, column] = before or thing[max(0, row - reach) : row, column].any()
    return np.asarray(found)


def _before_wall(walls: Sequence[Wall], at: Float) -> bool:
    """Whether a floor point (x, z) is far before the wall that is seen behind it, if that wall is sure."""
    if not walls:
        return False
    wall, _ = nearest_wall(list(walls), np.array([at[0], 0.0, at[1]]))
    return wall.support > SURE and wall.distance_m - float(at[0] * wall.nx + at[1] * wall.nz) > BEFORE_M


def _marked(cells: NDArray[np.int64], pixels: Mask) -> NDArray[np.uint8]:
    """The plan (along, across) with the cells of some pixels set."""
    plan = np.zeros((ceil(REACH_M / CELL_M) + 1, ceil(2 * REACH_M / CELL_M) + 1), np.uint8)
    chosen = cells[pixels]
    plan[chosen[:, 1], chosen[:, 0]] = 1
    return plan


def _within(plan: NDArray[np.uint8], radius_m: float, cells: NDArray[np.int64], seen: Mask) -> Mask:
    """Pixels whose cell lies within a radius of a marked one."""
    if not plan.any():
        return np.zeros(seen.shape, bool)
    away = cv2.distanceTransform(1 - plan, cv2.DIST_L2, 5)
    near = away <= radius_m / CELL_M
    return np.asarray(near[cells[..., 1], cells[..., 0]] & seen)


def _overhangs(thing: Mask, touching: Mask, camera: Camera, scale: float) -> list[tuple[float, float, float]]:
    """Discs (across, along, radius; m) around narrow feet below things that reach out to both sides of them.

    A thing may run into another in the picture: how far it reaches is told by the side on which it reaches less.
    """
    labels, _ = ndimage.label(thing)
    foot = np.zeros_like(thing)
    foot[:-1] = thing[:-1] & touching[1:]
    feet, _ = ndimage.label(foot, structure=np.ones((3, 3)))
    discs = []
    for label, box in enumerate(ndimage.find_objects(feet), start=1):
        rows, columns = np.nonzero(feet[box] == label)
        low, middle = box[0].start + int(rows.max()), box[1].start + float(columns.mean())
        at = camera.floor_point((middle + 0.5) / scale, (low + 1.0) / scale)
        if at is None or at[1] > 8.0:
            continue
        per_m = camera.px_per_m(*at) * scale
        reach = LARGEST_OVERHANG_M * per_m
        first, last = max(0, int(middle - reach)), int(middle + reach) + 1
        own = labels[box[0].start + int(rows[0]), box[1].start + int(columns[0])]
        # A body that stands flat on the floor is as wide there as it is above.
        if (labels[max(0, int(low - FLAT_M * per_m)), first:last] == own).mean() > FLAT_SHARE:
            continue
        above = labels[max(0, int(low - HIGHEST_M * per_m)) : max(0, int(low - LEAST_HEAD_M * per_m)), first:last]
        reached = np.flatnonzero((above == own).any(axis=0)) + first
        if reached.size:
            radius = min(middle - reached[0], reached[-1] - middle) / per_m
            if radius > 0.0:
                discs.append((at[0], min(at[1] + 0.4 * radius, REACH_M - CELL_M), radius))
    return discs


__all__ = ["Occupied", "hidden_floor", "occupied_floor"]
