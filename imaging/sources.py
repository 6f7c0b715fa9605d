"""Where the light at a place comes from: many small lamps, from what the photo shows and from what it lets guess.

Windows and lamps in view shine as they are seen. Those beside the view are told by the floor: it is brighter towards
them. The rest comes from everywhere, as from an even sky.
"""

from math import cos, pi, sin

import cv2
import numpy as np
from numpy.typing import NDArray

from imaging.colour import to_lab, to_linear
from imaging.geometry import Camera
from imaging.labels import REGION
from imaging.light import LUMINANCE
from imaging.room import Room
from imaging.scene import Pose

Pixels = NDArray[np.uint8]
Float = NDArray[np.float32]
Wide = NDArray[np.float64]
FAR_M = 100.0
SKY_RINGS = ((16.0, 12), (32.0, 12), (50.0, 10), (70.0, 6))
LIGHT_CELLS = (16, 9)
WALL_M, ROOM_HIGH_M = 5.0, 2.5
# How much of the light comes from windows in view, without and with them, and of the rest from one side at most.
PHOTO_SHARE, SIDE_SHARE = (0.1, 0.55), 0.5
# A window beside the view: how far away its wall is, and where on it light comes in (m ahead, m up).
SIDE_M, SIDE_AHEAD_M, SIDE_UP_M = 2.8, (1.0, 1.75, 2.5, 3.25), (0.8, 1.3, 1.8, 2.3)
# The floor's brightness per metre (log) at which it is taken to be lit from one side, and how it is read.
FULL_LEAN, LEAN_DEPTH_M, SAME_COLOUR, LEAST_PATCH = 0.15, 6.0, 6.0, 60
# A tone curve compresses what is bright: stops shown per stop of light, by the floor's linear level.
SHOWN = (0.12, 0.5), (1.4, 0.8)
OUTLIER, LEAN_ROUNDS = 0.25, 6


def light_sources(camera: Camera, room_pixels: Pixels, room: Room, pose: Pose, behind: float) -> Wide:
    """Lamps (N, 4: room point, and what it gives of the light on the support there; sums to 1) for a product's pose.

    The photo may be given at any size. behind (0..1) is how much of the light comes from windows in view.
    """
    seen = float(np.interp(behind, (0.0, 1.0), PHOTO_SHARE))
    lean = float(np.clip(floor_lean(room_pixels, room) / FULL_LEAN, -1.0, 1.0))
    side = (1.0 - seen) * SIDE_SHARE * abs(lean)
    parts = [(_sky(pose), 1.0 - seen - side), (photo_lights(camera, room_pixels, pose), seen)]
    if side > 0:
        parts.append((_side_window(pose, 1.0 if lean > 0 else -1.0), side))
    return np.vstack([lamps * [1, 1, 1, share] for lamps, share in parts])


def shown_depth(room_pixels: Pixels, room: Room, box: tuple[float, float, float, float]) -> float:
    """How deep (stops per stop of light) a photo shows a shadow around a box (px): bright floor is compressed."""
    height, width = room.regions.shape
    x0, y0, x1, y1 = (side * room.scale for side in box)
    rows = slice(int(np.clip(y1 - 0.3 * (y1 - y0), 0, height - 1)), int(np.clip(y1 + 0.2 * (y1 - y0), 1, height)))
    columns = slice(int(np.clip(x0, 0, width - 1)), int(np.clip(x1, 1, width)))
    small = cv2.resize(room_pixels, (width, height), interpolation=cv2.INTER_AREA)
    light = to_linear(np.asarray(small[rows, columns], np.uint8)) @ LUMINANCE
    return float(np.interp(np.median(light), *SHOWN)) if light.size else 1.0


def floor_lean(room_pixels: Pixels, room: Room) -> float:
    """How the floor's light grows to the right, in log per metre; 0 where too little floor is seen.

    Only floor of the same colour is compared, so that a rug or a chequered floor is not taken for light.
    """
    regions = room.regions
    floor = cv2.erode((regions == REGION.FLOOR).astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
    size = regions.shape[1], regions.shape[0]
    small = np.asarray(cv2.resize(room_pixels, size, interpolation=cv2.INTER_AREA), np.uint8)
    rows, columns = np.nonzero(floor)
    plan = room.camera().floor_points(np.stack([columns + 0.5, rows + 0.5], axis=1) / room.scale)
    near = plan[:, 1] < LEAN_DEPTH_M
    colours = np.rint(to_lab(small)[floor][near][:, 1:] / SAME_COLOUR).astype(np.int64)
    kinds = np.unique(colours[:, 0] * 1000 + colours[:, 1], return_inverse=True)[1]
    many = np.bincount(kinds, minlength=1)[kinds] > LEAST_PATCH
    kinds = kinds[many]
    if kinds.size < 4 * LEAST_PATCH:
        return 0.0
    light = np.log(to_linear(small)[floor][near][many] @ LUMINANCE + 0.01).astype(np.float64)
    return _slope(plan[near][many], light, kinds)


def _slope(plan: Wide, light: Wide, kinds: NDArray[np.intp]) -> float:
    """The slope to the right of a plane through (x, z, light) with an offset per kind, by reweighted least squares."""
    weights = np.asarray(np.ones(len(light)), np.float64)
    slopes: Wide = np.zeros(2)
    for _ in range(LEAN_ROUNDS):
        at, level = _centred(plan, kinds, weights), _centred(light[:, None], kinds, weights)[:, 0]
        weighted = at * weights[:, None]
        slopes = np.asarray(np.linalg.solve(weighted.T @ at + 1e-4 * len(light) * np.eye(2), weighted.T @ level))
        weights = np.asarray(1.0 / (1.0 + ((level - at @ slopes) / OUTLIER) ** 2), np.float64)
    return float(slopes[0])


def _centred(values: Wide, kinds: NDArray[np.intp], weights: Wide) -> Wide:
    """Values (N, K) less the weighted mean of their kind."""
    totals = np.maximum(np.bincount(kinds, weights), 1e-9)
    means = np.stack([np.bincount(kinds, column * weights) for column in values.T], axis=1) / totals[:, None]
    return np.asarray(values - means[kinds])


def photo_lights(camera: Camera, room_pixels: Pixels, pose: Pose) -> Wide:
    """Lamps (N, 4; weights sum to 1) from the photo's parts above the product.

    Each part is taken to lie on a far wall or on the ceiling, whichever its ray meets first.
    """
    columns, rows = LIGHT_CELLS
    width, height = 2 * camera.cx, 2 * camera.cy
    small = cv2.resize(room_pixels, (8 * columns, 8 * rows), interpolation=cv2.INTER_AREA)
    cells = cv2.resize(to_linear(np.asarray(small, np.uint8)), (columns, rows), interpolation=cv2.INTER_AREA)
    level = cells @ LUMINANCE
    y, x = np.mgrid[0:rows, 0:columns]
    centres = np.stack([(x.ravel() + 0.5) * width / columns, (y.ravel() + 0.5) * height / rows], axis=1)
    rays = camera.rays(centres)
    far = max(WALL_M, pose.z + 1.2)
    with np.errstate(divide="ignore", invalid="ignore"):
        up = np.where(rays[:, 1] > 1e-3, (ROOM_HIGH_M - camera.height_m) / rays[:, 1], np.inf)
    reach = np.minimum(far / np.maximum(rays[:, 2], 1e-3), up)
    points = rays * reach[:, None] + [0.0, camera.height_m, 0.0]
    directions, _ = _towards(points, pose)
    weights = np.power(level.ravel(), 2.2) * np.maximum(directions[:, 1], 0.0)
    usable = directions[:, 1] > 0.17
    if not usable.any() or weights[usable].sum() <= 0:
        return _sky(pose)
    return np.hstack([points[usable], (weights[usable] / weights[usable].sum())[:, None]])


def _side_window(pose: Pose, side: float) -> Wide:
    """A window beside the view, to the right (1) or left (-1), as lamps (N, 4; weights sum to 1)."""
    wall = side * max(SIDE_M, abs(pose.x) + 1.2)
    points = np.array([(wall, up, ahead) for ahead in SIDE_AHEAD_M for up in SIDE_UP_M])
    directions, spans = _towards(points, pose)
    # The floor's cosine, the window's cosine, and the distance.
    weights = np.maximum(directions[:, 1], 0.02) * np.abs(directions[:, 0]) / spans**2
    return np.hstack([points, (weights / weights.sum())[:, None]])


def _towards(points: Wide, pose: Pose) -> tuple[Wide, Wide]:
    """Unit directions (N, 3) from a product's base to points (N, 3) of the room, and how far away they are (N,)."""
    away = points - [pose.x, pose.level_m, pose.z]
    spans = np.linalg.norm(away, axis=1)
    return away / spans[:, None], spans


def _sky(pose: Pose) -> Wide:
    """An even sky: far lamps (N, 4; weights sum to 1), by cosine and solid angle."""
    lamps = []
    for elevation, count in SKY_RINGS:
        tilt = elevation * pi / 180
        for step in range(count):
            turn = 2 * pi * (step + 0.5 * (count % 4 == 0)) / count
            direction = (cos(tilt) * sin(turn), sin(tilt), cos(tilt) * cos(turn))
            lamps.append((*direction, cos(tilt) * sin(tilt) / count))
    sky = np.array(lamps)
    sky[:, :3] = sky[:, :3] * FAR_M + [pose.x, pose.level_m, pose.z]
    sky[:, 3] /= sky[:, 3].sum()
    return sky


__all__ = ["floor_lean", "light_sources", "photo_lights", "shown_depth"]
