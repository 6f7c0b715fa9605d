"""The shadow that a standing product throws onto the walls behind and beside it."""

import cv2
import numpy as np
from numpy.typing import NDArray

from imaging.geometry import Camera
from imaging.labels import REGION
from imaging.room import Room
from imaging.shadows import DEPTH, Area, Body, Shade, lowered, painted, span_of
from imaging.walls import Wall

Float = NDArray[np.float32]
Wide = NDArray[np.float64]
# How near (m) a wall has to be to show a whole shadow, over which distance more that fades, and the least cosine of a
# lamp that counts.
NEAR_M, FADE_M, LEAST_FACING = 0.2, 1.2, 0.05
# How much of a shadow on a wall is seen: things stand before it, windows shine themselves.
CARRIES = {REGION.WALL: 1.0, REGION.OTHER: 0.6}
SOFT_M, SOFT_PER_M = 0.02, 0.16


def wall_shades(room: Room, camera: Camera, body: Body, lamps: Wide, deep: float) -> list[Shade]:
    """The shadows of a standing product's body on the walls near it, one per wall.

    lamps (N, 4) and deep as for the floor (imaging.shadows.floor_shade).
    """
    shades = []
    first: NDArray[np.intp] | None = None
    for at, wall in enumerate(room.walls):
        away = wall.distance_m - float((body.plan @ [wall.nx, wall.nz]).max())
        share = float(np.clip(1.0 - (away - NEAR_M) / FADE_M, 0.0, 1.0))
        if share > 0:
            first = _nearest(room, camera) if first is None else first
            carrier = _carrier(room.regions, first == at)
            shade = _on_wall(room, camera, wall, carrier, body, lamps, (deep, body.solid * share))
            shades += [shade] if shade is not None else []
    return shades


def _on_wall(
    room: Room, camera: Camera, wall: Wall, carrier: Float, body: Body, lamps: Wide, depth: tuple[float, float]
) -> Shade | None:  # fmt: skip
    shape = room.height, room.width
    middle = np.array([*body.plan.mean(axis=0), (body.low_m + body.high_m) / 2])[[0, 2, 1]]
    towards, low = lamps[:, :3] - middle, lamps[:, 1] / np.linalg.norm(lamps[:, :3] - middle * [1, 0, 1], axis=1)
    facing = -(towards[:, [0, 2]] @ [wall.nx, wall.nz]) / np.linalg.norm(towards, axis=1)
    # The lamps' weights are what they give the floor; a wall sees them by its own cosine.
    weights = lamps[:, 3] * np.maximum(facing, 0.0) / np.maximum(low, 0.1)
    usable = facing > LEAST_FACING
    if not usable.any() or weights[usable].sum() <= 0:
        return None
    weights /= weights[usable].sum()
    outlines = [camera.project(_outline(wall, body, lamp)) for lamp in lamps[usable, :3]]
    plan = body.plan
    foot = camera.project(np.column_stack([plan[:, 0], np.zeros(4), plan[:, 1]]))
    area = span_of(foot, outlines, shape)
    if area is None:
        return None
    per_m = camera.px_per_m(float(plan[:, 0].mean()), float(plan[:, 1].mean()))
    dark, step = painted(outlines, weights[usable], area)
    soft = SOFT_M + SOFT_PER_M * max(wall.distance_m - float(middle[[0, 2]] @ [wall.nx, wall.nz]), 0.0)
    dark = cv2.GaussianBlur(dark, (0, 0), max(1.0, soft * per_m / step))
    taken = _cut(carrier, area, dark.shape, shape)
    return lowered(1.0 - DEPTH * depth[1] * dark * taken, depth[0], area, shape)


def _cut(carrier: Float, area: Area, size: tuple[int, ...], shape: tuple[int, int]) -> Float:
    """A part (px) of a map of a whole photo of a shape, at the size (h, w) of that part's picture; bilinear."""
    maps = []
    for at, (low, high) in enumerate(zip(area[:2], area[2:], strict=True)):
        count, cells = size[1 - at], carrier.shape[1 - at] / shape[1 - at]
        maps.append((low + (np.arange(count) + 0.5) * (high - low) / count) * cells - 0.5)
    x, y = np.meshgrid(*(each.astype(np.float32) for each in maps))
    return np.asarray(cv2.remap(carrier, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE), np.float32)


def _outline(wall: Wall, body: Body, lamp: Wide) -> Wide:
    """Corners (N, 3) of the shadow of a body on a wall in the light of one lamp, at and above the floor."""
    normal = np.array([wall.nx, wall.nz])
    ahead = body.plan @ normal
    times = np.maximum(wall.distance_m - ahead, 0.0) / np.maximum(ahead - float(lamp[[0, 2]] @ normal), 1e-3)
    plan = body.plan + (body.plan - lamp[[0, 2]]) * times[:, None]
    across = plan @ np.array([wall.nz, -wall.nx])
    levels = [high + (high - lamp[1]) * times for high in (body.low_m, body.high_m)]
    points = np.concatenate([np.column_stack([across, np.maximum(level, 0.0)]) for level in levels])
    hull = cv2.convexHull(points.astype(np.float32)).reshape(-1, 2).astype(np.float64)
    x = hull[:, 0] * wall.nz + wall.distance_m * wall.nx
    z = -hull[:, 0] * wall.nx + wall.distance_m * wall.nz
    return np.column_stack([x, hull[:, 1], np.maximum(z, 0.4)])


def _nearest(room: Room, camera: Camera) -> NDArray[np.intp]:
    """Which wall each pixel of the region map would show."""
    rows, columns = np.mgrid[0 : room.regions.shape[0], 0 : room.regions.shape[1]]
    rays = camera.rays(np.stack([columns.ravel() + 0.5, rows.ravel() + 0.5], axis=1) / room.scale)
    towards = np.stack([rays[:, 0] * wall.nx + rays[:, 2] * wall.nz for wall in room.walls])
    distances = np.array([wall.distance_m for wall in room.walls])[:, None]
    with np.errstate(divide="ignore"):
        reach = np.where(towards > 1e-6, distances / towards, np.inf)
    return np.asarray(np.argmin(reach, axis=0).reshape(room.regions.shape))


def _carrier(regions: NDArray[np.uint8], shown: NDArray[np.bool_]) -> Float:
    """How much (0..1) of a shadow on the wall that is shown there each pixel of the region map takes."""
    table = np.zeros(256, np.float32)
    table[list(CARRIES)] = list(CARRIES.values())
    return np.asarray(cv2.GaussianBlur(np.where(shown, table[regions], np.float32(0)), (0, 0), 0.8), np.float32)


__all__ = ["wall_shades"]
