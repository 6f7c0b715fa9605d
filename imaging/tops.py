"""How high table tops are: what a thing stands on tells how far away it is, and that tells the height of its top.

A top is not seen as such (nothing but edges sets it apart from the front below), but the floor before the thing is:
whatever is on the thing stands a little farther away than that.
"""

import numpy as np
from numpy.typing import NDArray

from imaging.geometry import Camera
from imaging.labels import REGION, is_taken

Float = NDArray[np.float64]
# The height (m) of a top that is not seen to stand on the floor, and those that are believed. What stands before a
# table makes it seem nearer and so higher than it is: up to COUNTER_M that is as likely as a counter, and the upper
# bound lies between both; beyond it is likelier than a top so high.
TABLE_M, LEVELS_M, COUNTER_M = 0.74, (0.3, 0.84), 1.05
# From the front of a thing to where things stand on it; over this width (m) to each side its front is looked for.
BEHIND_FRONT_M, FRONT_M = 0.22, 0.15
# How deep (m) tops usually are: so far behind the front is the edge that ends a thing in the photo.
DEPTH_M, COLUMNS_PX = 0.42, 6


def front_distances(regions: NDArray[np.uint8], camera: Camera, scale: float) -> Float:
    """Per pixel (H', W') of a thing the horizontal distance (m) of the floor below it; NaN elsewhere.

    regions at working size, px = photo x scale. Only what stands on floor that the photo shows has a front.
    """
    thing, floor = is_taken(regions), regions == REGION.FLOOR
    height, width = regions.shape
    foot = np.full((height + 1, width), -1)
    for row in range(height - 1, -1, -1):
        foot[row] = np.where(floor[row], row, np.where(thing[row], foot[row + 1], -1))
    rows, columns = np.nonzero(thing & (foot[:-1] >= 0))
    plan = camera.floor_points(np.stack([columns + 0.5, foot[rows, columns]], axis=1) / scale)
    away = np.full(regions.shape, np.nan)
    away[rows, columns] = np.hypot(plan[:, 0], plan[:, 1])
    return away


def table_level(fronts: Float, camera: Camera, scale: float, pixel: tuple[float, float]) -> float | None:
    """Height (m) of the top at a pixel of the photo, by `front_distances`; None where it cannot be told."""
    row, column = int(pixel[1] * scale), int(pixel[0] * scale)
    if not (0 <= row < fronts.shape[0] and 0 <= column < fronts.shape[1]) or np.isnan(fronts[row, column]):
        return None
    reach = int(FRONT_M * camera.focal_px / fronts[row, column] * scale)
    beside = fronts[row, max(0, column - reach) : column + reach + 1]
    ray = camera.rays(np.array([pixel]))[0]
    slope = float(ray[1] / np.hypot(ray[0], ray[2]))
    level = camera.height_m + slope * (float(np.nanmedian(beside)) + BEHIND_FRONT_M)
    return float(np.clip(level, *LEVELS_M)) if level <= COUNTER_M else None


def run_tops(mask: NDArray[np.bool_]) -> NDArray[np.int64]:
    """For every pixel (H', W') of a mask the first row of its unbroken run upwards; 0 elsewhere."""
    top = np.zeros(mask.shape, np.int64)
    for row in range(mask.shape[0]):
        above = np.where(mask[row - 1], top[row - 1], row) if row else np.zeros(mask.shape[1], np.int64)
        top[row] = np.where(mask[row], above, 0)
    return top


def outline_level(
    fronts: Float, ends: NDArray[np.int64], camera: Camera, scale: float, pixel: tuple[float, float]
) -> tuple[float, float] | None:
    """Height (m) at which the thing at a pixel is seen to end, taken for the back edge of its top, and its front (m).

    ends by `run_tops`. None where no front is seen.
    """
    row, column = int(pixel[1] * scale), int(pixel[0] * scale)
    if not (0 <= row < fronts.shape[0] and 0 <= column < fronts.shape[1]) or np.isnan(fronts[row, column]):
        return None
    front = float(fronts[row, column])
    ray = camera.rays(np.array([[pixel[0], ends[row, column] / scale]]))[0]
    return camera.height_m + float(ray[1] / np.hypot(ray[0], ray[2])) * (front + DEPTH_M), front


def tops_in_view(fronts: Float, ends: NDArray[np.int64], camera: Camera, scale: float) -> list[tuple[float, float]]:
    """Pixels of the photo where the middles of tops are seen: behind the front, at the height of the outline."""
    pixels = []
    for column in range(COLUMNS_PX // 2, fronts.shape[1], COLUMNS_PX):
        rows = np.flatnonzero(~np.isnan(fronts[:, column]))
        for end in np.unique(ends[rows, column]).tolist():
            u = (column + 0.5) / scale
            outline = outline_level(fronts, ends, camera, scale, (u, (end + 0.5) / scale))
            if outline is None or not LEVELS_M[0] <= outline[0] <= COUNTER_M:
                continue
            level, front = outline
            ray = camera.rays(np.array([[u, end / scale]]))[0]
            away = ray[[0, 2]] / np.hypot(ray[0], ray[2]) * (front + BEHIND_FRONT_M)
            x, y = camera.project(np.array([[away[0], level, away[1]]]))[0].tolist()
            pixels.append((x, y))
    return pixels


__all__ = ["TABLE_M", "front_distances", "outline_level", "run_tops", "table_level", "tops_in_view"]
