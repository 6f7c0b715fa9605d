"""Soft shadows on the plane that carries a product, from where the photo shows light.

The product is taken for a box on legs. Many small lights (bright parts of the photo, and an even sky for what it does
not show) each cast the box's shadow onto the plane; their sum has the penumbra and the dark core of real ones.
"""

from dataclasses import dataclass
from math import cos, pi, sin

import cv2
import numpy as np
from numpy.typing import NDArray

from imaging.colour import enlarged, to_linear
from imaging.geometry import Camera
from imaging.labels import REGION, is_floor
from imaging.scene import Pose, Product, wall_corners
from imaging.sprite import Sprite
from imaging.stance import Foot

Pixels = NDArray[np.uint8]
Float = NDArray[np.float32]
Wide = NDArray[np.float64]
SKY_RINGS = ((32.0, 12), (50.0, 10), (70.0, 6))
# Bounced light that a shadow never loses, and how much of the direct light a box may take.
DEPTH = 0.94
LIGHT_CELLS = (16, 9)
# Soft shadows are drawn on a reduced picture: its width (px), and the least blur (px) that still looks the same.
WORKING_WIDTH, LEAST_BLUR = 360, 2.0
WALL_M, CEILING_M = 5.0, 2.5
# With windows in view a shadow falls towards the camera, and deep: floor in it also loses what the floor around would
# have bounced. Without, most light comes from where the photo does not show, and from everywhere. (0 .. 1 backlit)
PHOTO_SHARE, CORE = (0.1, 0.55), (0.85, 1.6)
CONTACT_DEPTH, FOOT_SPREAD_M = 0.85, 0.03


@dataclass(frozen=True, eq=False)
class Shade:
    """What remains (0..1) of the light in a part of the photo: factor (h, w) with its top left corner (px)."""

    factor: Float
    x: int
    y: int


def floor_shade(
    camera: Camera, pose: Pose, product: Product, sprite: Sprite, room_pixels: Pixels, behind: float, strength: float
) -> Shade:
    """The shadow of a standing product; its sprite tells the legs' height and how solid it is.

    behind (0..1) is how much of the light comes from windows in view.
    """
    gap = leg_gap(sprite, pose, camera, product)
    solid = float(np.clip(1.7 * sprite.alpha.mean(), 0.78, 1.0))
    lights = photo_lights(camera, room_pixels, pose)
    share, core = (float(np.interp(behind, (0.0, 1.0), ends)) for ends in (PHOTO_SHARE, CORE))
    lights = np.vstack([_sky(1.0 - share), lights * [1, 1, 1, share]])
    outlines = [_shadow_outline(pose, product, gap, light[:3]) for light in lights]
    pixels = [camera.project(outline) for outline in outlines]
    area = _area(np.vstack([camera.project(pose.base), *pixels[:8]]), room_pixels.shape)
    if area is None:
        return Shade(np.ones((1, 1), np.float32), 0, 0)
    x0, y0, x1, y1 = area
    width = min(WORKING_WIDTH, x1 - x0)
    small = max(1, round((y1 - y0) * width / (x1 - x0))), width
    dark = np.zeros(small, np.float32)
    for corners, weight in zip(pixels, lights[:, 3], strict=True):
        canvas = np.zeros(small, np.uint8)
        local = (corners - [x0, y0]) * [small[1] / (x1 - x0), small[0] / (y1 - y0)] - 0.5
        cv2.fillConvexPoly(canvas, np.rint(np.clip(local, -4000, 4000) * 16).astype(np.int32), 255, cv2.LINE_AA, 4)
        dark += canvas * np.float32(weight / 255.0)
    dark = cv2.GaussianBlur(dark, (0, 0), max(1.0, 0.008 * width))
    factor = np.power(np.clip(1.0 - DEPTH * solid * dark, 0.02, 1.0), core * strength)
    factor = cv2.resize(
        np.clip(factor, 0.05, 1.0).astype(np.float32), (x1 - x0, y1 - y0), interpolation=cv2.INTER_LINEAR
    )
    return Shade(np.asarray(factor, np.float32), x0, y0)


def contact_shade(sprite: Sprite, feet: list[Foot], pose: Pose, camera: Camera, shape: tuple[int, ...]) -> Shade:
    """Small dark patches where the product's feet touch."""
    alpha = sprite.alpha
    per_m = camera.px_per_m(pose.x, pose.z, pose.level_m)
    pad = max(6, int(0.15 * per_m))
    top = max(0, min((row for _, _, row in feet), default=0) - pad)
    size = alpha.shape[1] + 2 * pad, alpha.shape[0] - top + 2 * pad
    spread = max(1.0, 0.4 * FOOT_SPREAD_M * per_m)
    step = max(1.0, spread / LEAST_BLUR)
    canvas = np.zeros((max(1, round(size[1] / step)), max(1, round(size[0] / step))), np.uint8)
    for left, right, row in feet:
        reach = (right - left) / 2.0 + FOOT_SPREAD_M * per_m
        high = max(1.5, 0.4 * FOOT_SPREAD_M * per_m)
        middle = (left + right) / 2.0 + pad, row - top + pad - 0.4 * high
        centre, axes = ([round((side / step) * 16) for side in pair] for pair in (middle, (reach, high)))
        cv2.ellipse(canvas, centre, axes, 0, 0, 360, 255, -1, cv2.LINE_AA, 4)
    dark = canvas.astype(np.float32) / 255.0
    soft = sum(
        share * cv2.GaussianBlur(dark, (0, 0), times * spread / step) for share, times in ((0.75, 1.0), (0.8, 3.0))
    )
    factor = (1.0 - CONTACT_DEPTH * np.clip(soft, 0, 1)).astype(np.float32)
    factor = np.asarray(cv2.resize(factor, size, interpolation=cv2.INTER_LINEAR), np.float32)
    return clip_shade(Shade(factor, sprite.x - pad, sprite.y + top - pad), shape)


def on_floor_only(shade: Shade, regions: Pixels, shape: tuple[int, ...], base_row: float) -> Shade:
    """The shade without what would fall on walls and things: kept on floor and on what is unknown below `base_row`."""
    carrier = cv2.dilate(is_floor(regions).astype(np.float32), np.ones((3, 3)))
    first = max(0, int(base_row * regions.shape[0] / shape[0]))
    below = np.where(regions[first:] == REGION.FURNITURE, 0.35, 1.0)
    carrier[first:] = np.maximum(carrier[first:], below.astype(np.float32))
    carrier = cv2.GaussianBlur(carrier, (0, 0), max(0.6, regions.shape[1] / 500))
    height, width = shade.factor.shape
    part = enlarged(carrier, (shade.x, shade.y, shade.x + width, shade.y + height), shape)
    return Shade(np.asarray(1.0 - (1.0 - shade.factor) * part, np.float32), shade.x, shade.y)


def wall_shade(camera: Camera, middle: Wide, product: Product, yaw_deg: float, shape: tuple[int, ...]) -> Shade:
    """The shadow of a piece that hangs close to a wall: lower and a little wider than itself, soft as its depth."""
    depth = float(np.clip(product.depth_m, 0.015, 0.15))
    lower = middle - np.array([0.0, 0.7 * depth, 0.0])
    corners = wall_corners(lower, product.width_m + 0.5 * depth, product.height_m + 0.5 * depth, yaw_deg)
    pixels = camera.project(corners)
    softness = max(1.0, 0.55 * depth * float(np.linalg.norm(pixels[0] - pixels[1])) / (product.width_m + 0.5 * depth))
    pad = int(3 * softness) + 2
    area = _area(np.vstack([pixels - pad, pixels + pad]), shape)
    if area is None:
        return Shade(np.ones((1, 1), np.float32), 0, 0)
    x0, y0, x1, y1 = area
    canvas = np.zeros((y1 - y0, x1 - x0), np.uint8)
    cv2.fillConvexPoly(canvas, np.rint((pixels - [x0, y0]) * 16).astype(np.int32), 255, cv2.LINE_AA, 4)
    dark = cv2.GaussianBlur(canvas.astype(np.float32) / 255.0, (0, 0), softness)
    return Shade((1.0 - 0.5 * dark).astype(np.float32), x0, y0)


def merged(shades: list[Shade], shape: tuple[int, ...]) -> Shade:
    """What remains of the light under several shades, within a photo of that shape."""
    parts = [clip_shade(shade, shape) for shade in shades]
    x0, y0 = min(part.x for part in parts), min(part.y for part in parts)
    x1 = max(part.x + part.factor.shape[1] for part in parts)
    y1 = max(part.y + part.factor.shape[0] for part in parts)
    factor = np.ones((y1 - y0, x1 - x0), np.float32)
    for part in parts:
        top, left = part.y - y0, part.x - x0
        factor[top : top + part.factor.shape[0], left : left + part.factor.shape[1]] *= part.factor
    return Shade(factor, x0, y0)


def clip_shade(shade: Shade, shape: tuple[int, ...]) -> Shade:
    """The part of a shade that lies within a photo of that shape."""
    top, left = max(0, -shade.y), max(0, -shade.x)
    bottom, right = min(shade.factor.shape[0], shape[0] - shade.y), min(shade.factor.shape[1], shape[1] - shade.x)
    if top >= bottom or left >= right:
        return Shade(np.ones((1, 1), np.float32), 0, 0)
    return Shade(shade.factor[top:bottom, left:right], shade.x + left, shade.y + top)


def leg_gap(sprite: Sprite, pose: Pose, camera: Camera, product: Product) -> float:
    """How far (m) the product's body is above the ground: its lower outline over the front edges of its base."""
    solid = sprite.alpha > 0.5
    columns = np.flatnonzero(solid.any(axis=0))
    if columns.size < 4:
        return 0.0
    low = solid.shape[0] - np.argmax(solid[::-1, columns], axis=0) + sprite.y
    base = camera.project(pose.base)
    front = np.full(len(columns), -np.inf)
    for first, second in zip(base, np.roll(base, -1, axis=0), strict=True):
        left, right = (first, second) if first[0] < second[0] else (second, first)
        row = np.interp(columns + sprite.x, [left[0], right[0]], [left[1], right[1]], left=-np.inf, right=-np.inf)
        front = np.maximum(front, row)
    gaps = (front - low)[np.isfinite(front)] / camera.px_per_m(pose.x, pose.z, pose.level_m)
    return float(np.clip(np.median(gaps), 0.0, 0.6 * product.height_m)) if gaps.size else 0.0


def photo_lights(camera: Camera, room_pixels: Pixels, pose: Pose) -> Wide:
    """Lights (N, 4: direction from the product, weight; weights sum to 1) from the photo's parts above the product.

    Each part is taken to lie on a far wall or on the ceiling, whichever its ray meets first.
    """
    columns, rows = LIGHT_CELLS
    height, width = room_pixels.shape[:2]
    small = cv2.resize(room_pixels, (8 * columns, 8 * rows), interpolation=cv2.INTER_AREA)
    cells = cv2.resize(to_linear(np.asarray(small, np.uint8)), (columns, rows), interpolation=cv2.INTER_AREA)
    level = cells @ np.array([0.2126, 0.7152, 0.0722], np.float32)
    y, x = np.mgrid[0:rows, 0:columns]
    centres = np.stack([(x.ravel() + 0.5) * width / columns, (y.ravel() + 0.5) * height / rows], axis=1)
    rays = camera.rays(centres)
    far = max(WALL_M, pose.z + 1.2)
    with np.errstate(divide="ignore", invalid="ignore"):
        up = np.where(rays[:, 1] > 1e-3, (CEILING_M - camera.height_m) / rays[:, 1], np.inf)
    reach = np.minimum(far / np.maximum(rays[:, 2], 1e-3), up)
    points = rays * reach[:, None] + [0.0, camera.height_m, 0.0]
    away = points - [pose.x, pose.level_m, pose.z]
    spans = np.linalg.norm(away, axis=1)
    directions = away / spans[:, None]
    weights = np.power(level.ravel(), 2.2) * np.maximum(directions[:, 1], 0.0)
    usable = directions[:, 1] > 0.17
    if not usable.any() or weights[usable].sum() <= 0:
        return _sky(1.0)
    return np.hstack([directions[usable], (weights[usable] / weights[usable].sum())[:, None]])


def _sky(total: float) -> Wide:
    """An even sky: directions and weights that sum to `total`, by cosine and solid angle."""
    lights = []
    for elevation, count in SKY_RINGS:
        tilt = elevation * pi / 180
        for step in range(count):
            turn = 2 * pi * (step + 0.5 * (count % 4 == 0)) / count
            direction = (cos(tilt) * sin(turn), sin(tilt), cos(tilt) * cos(turn))
            lights.append((*direction, cos(tilt) * sin(tilt) / count))
    sky = np.array(lights)
    sky[:, 3] *= total / sky[:, 3].sum()
    return sky


def _shadow_outline(pose: Pose, product: Product, gap_m: float, direction: Wide) -> Wide:
    """Corners (N, 3) of the convex shadow that one light throws: the hull of the body's lower and upper faces."""
    drift = -direction[[0, 2]] / max(float(direction[1]), 0.1)
    inset = pose.base[:, [0, 2]] * 0.97 + pose.base[:, [0, 2]].mean(axis=0) * 0.03
    plan = np.vstack([inset + drift * gap_m, inset + drift * product.height_m])
    hull = cv2.convexHull(plan.astype(np.float32)).reshape(-1, 2).astype(np.float64)
    hull[:, 1] = np.maximum(hull[:, 1], 0.4)
    return np.stack([hull[:, 0], np.full(len(hull), pose.level_m), hull[:, 1]], axis=1)


def _area(pixels: Wide, shape: tuple[int, ...]) -> tuple[int, int, int, int] | None:
    """The part of a photo around pixels, with room for blur; None if it lies outside."""
    margin = 0.08 * float(np.ptp(pixels[:, 0])) + 4
    x0, y0 = max(0, int(pixels[:, 0].min() - margin)), max(0, int(pixels[:, 1].min() - margin))
    x1, y1 = min(shape[1], int(pixels[:, 0].max() + margin)), min(shape[0], int(pixels[:, 1].max() + margin))
    return (x0, y0, x1, y1) if x1 - x0 > 2 and y1 - y0 > 2 else None


__all__ = [
    "Shade",
    "clip_shade",
    "contact_shade",
    "floor_shade",
    "leg_gap",
    "merged",
    "on_floor_only",
    "photo_lights",
    "wall_shade",
]
