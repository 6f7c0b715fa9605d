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
# table makes it seem nearer and so higher than it is: beyond the upper bound that is likelier than a top so high.
TABLE_M, LEVELS_M = 0.74, (0.3, 0.84)
# From the front of a thing to where things stand on it; over this width (m) to each side its front is looked for.
BEHIND_FRONT_M, FRONT_M = 0.22, 0.15


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
    return max(level, LEVELS_M[0]) if level <= LEVELS_M[1] else None


__all__ = ["TABLE_M", "front_distances", "table_level"]
