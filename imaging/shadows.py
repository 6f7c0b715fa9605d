"""Soft shadows on the plane that carries a product, from where the photo shows light.

The product is taken for a box on legs. Many small lamps (imaging.sources) each cast the box's shadow onto the plane;
their sum has the penumbra and the dark core of real ones.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from imaging.colour import enlarged
from imaging.geometry import Camera
from imaging.labels import REGION, is_floor
from imaging.scene import Pose, Product, wall_corners
from imaging.sprite import Sprite
from imaging.stance import Foot

Pixels = NDArray[np.uint8]
Float = NDArray[np.float32]
Wide = NDArray[np.float64]
Area = tuple[int, int, int, int]
# Bounced light that a shadow never loses; and what reaches places that lie in the shadow of a part of the lamps only,
# which other surfaces light instead.
DEPTH, BOUNCE = 0.94, 1.3
# Soft shadows are drawn on a reduced picture: its width (px), and the least blur (px) that still looks the same.
WORKING_WIDTH, LEAST_BLUR = 400, 2.0
# How soft (m) an edge is at the product and FAR_M away from it.
BLURS_M, FAR_M = (0.02, 0.12), 0.8
# How far shadows are drawn, in widths of the base, and over which part of that they fade where they are cut off.
MOST_REACH, FADE = 1.5, 0.15
# Longest shadow (m). Bodies are a little narrower than their size, and not as wide at their full height.
LONGEST_M, INSET, FULL_HEIGHT, SOLID_GAIN = 4.0, 0.97, 0.85, 2.4
CONTACT_DEPTH, FOOT_SPREAD_M = 0.65, 0.016


@dataclass(frozen=True, eq=False)
class Shade:
    """What remains (0..1) of the light in a part of the photo: factor (h, w) with its top left corner (px)."""

    factor: Float
    x: int
    y: int


@dataclass(frozen=True, eq=False)
class Body:
    """What throws a product's shadow: a box over `plan` (4, 2; m) between two heights (m) that stops so much (0..1)."""

    plan: Wide
    low_m: float
    high_m: float
    solid: float


def floor_shade(camera: Camera, pose: Pose, body: Body, lamps: Wide, deep: float, shape: tuple[int, ...]) -> Shade:
    """The shadow of a standing product on what carries it, in the light of lamps (imaging.sources).

    deep scales the loss of light (in stops) for how the photo shows it.
    """
    outlines = [camera.project(_shadow_outline(body, pose, lamp)) for lamp in lamps[:, :3]]
    base = camera.project(pose.base)
    area = span_of(base, outlines, shape)
    if area is None:
        return Shade(np.ones((1, 1), np.float32), 0, 0)
    dark, step = painted(outlines, lamps[:, 3], area)
    under = np.zeros(dark.shape, np.uint8)
    cv2.fillConvexPoly(under, _fixed((base - area[:2]) / step - 0.5), 255, cv2.LINE_8, 4)
    dark = _penumbra(dark, under, camera.px_per_m(pose.x, pose.z, pose.level_m) / step)
    return lowered(1.0 - DEPTH * body.solid * dark, deep, area, shape)


def painted(outlines: list[Wide], weights: Wide, area: Area) -> tuple[Float, float]:
    """The weighted sum of convex outlines (px of the photo) within an area, on a reduced picture; and px per px."""
    x0, y0, x1, y1 = area
    width = min(WORKING_WIDTH, x1 - x0)
    step = (x1 - x0) / width
    dark = np.zeros((max(1, round((y1 - y0) / step)), width), np.float32)
    canvas = np.zeros(dark.shape, np.uint8)
    for corners, weight in zip(outlines, weights, strict=True):
        canvas[:] = 0
        cv2.fillConvexPoly(canvas, _fixed((corners - [x0, y0]) / step - 0.5), 255, cv2.LINE_AA, 4)
        dark += canvas * np.float32(weight / 255.0)
    return np.power(np.clip(dark, 0.0, 1.0), BOUNCE), step


def lowered(kept: Float, deep: float, area: Area, shape: tuple[int, ...]) -> Shade:
    """The shade of an area from what is kept (h, w) of linear light, fading out before it is cut off."""
    x0, y0, x1, y1 = area
    lost = 1.0 - np.power(np.clip(kept, 0.02, 1.0), deep)
    factor = 1.0 - np.minimum(lost, 0.95) * _fade_out(kept.shape, area, shape)
    factor = cv2.resize(factor.astype(np.float32), (x1 - x0, y1 - y0), interpolation=cv2.INTER_LINEAR)
    return Shade(np.asarray(factor, np.float32), x0, y0)


def _penumbra(dark: Float, base: Pixels, per_m: float) -> Float:
    """A shadow whose edges are the softer the farther they are from the base (> 0) that throws it."""
    away = cv2.distanceTransform(255 - base, cv2.DIST_L2, 3) / max(per_m, 1e-6)
    near, far = (cv2.GaussianBlur(dark, (0, 0), max(1.0, spread * per_m)) for spread in BLURS_M)
    share = np.clip(away / FAR_M, 0.0, 1.0)
    return np.asarray(near + (far - near) * share, np.float32)


def _fade_out(small: tuple[int, ...], area: Area, shape: tuple[int, ...]) -> Float:
    """1, falling to 0 towards those sides of an area that are not the photo's: no shadow ends in a straight edge."""
    rows, columns = (np.minimum(1.0, (np.arange(size) + 0.5) / (FADE * size)) for size in small)
    up = np.ones(small[0]) if area[1] <= 0 else rows
    down = np.ones(small[0]) if area[3] >= shape[0] else rows[::-1]
    left = np.ones(small[1]) if area[0] <= 0 else columns
    right = np.ones(small[1]) if area[2] >= shape[1] else columns[::-1]
    window = (up * down)[:, None] * (left * right)[None]
    return np.asarray(window * window * (3.0 - 2.0 * window), np.float32)


def _fixed(points: Wide) -> NDArray[np.int32]:
    """Points in OpenCV's fixed point numbers with four fractional bits."""
    return np.rint(np.clip(points, -4000, 4000) * 16).astype(np.int32)


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
    area = span_of(np.vstack([pixels - pad, pixels + pad]), [], shape)
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


def _shadow_outline(body: Body, pose: Pose, lamp: Wide) -> Wide:
    """Corners (N, 3) of the convex shadow that one lamp throws: the hull of the body's lower and upper faces."""
    plan = np.vstack([thrown(body.plan, high, lamp - [0, pose.level_m, 0]) for high in (body.low_m, body.high_m)])
    hull = cv2.convexHull(plan.astype(np.float32)).reshape(-1, 2).astype(np.float64)
    hull[:, 1] = np.maximum(hull[:, 1], 0.4)
    return np.stack([hull[:, 0], np.full(len(hull), pose.level_m), hull[:, 1]], axis=1)


def thrown(plan: Wide, high: float, lamp: Wide) -> Wide:
    """Where on the ground (N, 2) points over `plan`, so high (m) above it, throw their shadows; not endlessly far."""
    away = plan - lamp[[0, 2]]
    times = high / max(float(lamp[1]) - high, 1e-3)
    spans = np.linalg.norm(away, axis=1)
    return np.asarray(plan + away * np.minimum(times, LONGEST_M / np.maximum(spans, 1e-6))[:, None])


def body_of(sprite: Sprite, pose: Pose, camera: Camera, product: Product) -> Body:
    """The body of a product in its pose; its sprite tells how high its legs are and how much light it stops."""
    low = leg_gap(sprite, pose, camera, product)
    legs_px = low * camera.px_per_m(pose.x, pose.z, pose.level_m)
    upper = sprite.alpha[: max(1, round(sprite.alpha.shape[0] - legs_px))]
    solid = float(np.clip(SOLID_GAIN * upper.mean(), 0.1, 1.0))
    return Body(_plan(pose, product), low, max(low, FULL_HEIGHT * product.height_m), solid)


def _plan(pose: Pose, product: Product) -> Wide:
    """Plan (4, 2) of what is above the legs: as wide and deep as the product, which reaches out over its feet."""
    base = pose.base[:, [0, 2]]
    spans = np.array([float(np.linalg.norm(base[1] - base[0])), float(np.linalg.norm(base[3] - base[0]))])
    sides = np.array([product.width_m, product.depth_m])
    turned = np.abs(spans - sides[::-1]).sum() < np.abs(spans - sides).sum()
    more = np.maximum(INSET * (sides[::-1] if turned else sides), spans) / np.maximum(spans, 1e-6)
    middle = base.mean(axis=0)
    across, along = (base[1] - base[0]) / 2 * more[0], (base[3] - base[0]) / 2 * more[1]
    return np.asarray(
        [middle - across - along, middle + across - along, middle + across + along, middle - across + along]
    )


def span_of(base: Wide, outlines: list[Wide], shape: tuple[int, ...], reach: float = MOST_REACH) -> Area | None:
    """The part of a photo around some outlines (px), not farther from the base than `reach` of its width; or None."""
    pixels = np.vstack([base, *outlines])
    span = float(np.ptp(base[:, 0]))
    margin = 0.08 * float(np.ptp(pixels[:, 0])) + 4
    low = np.maximum(pixels.min(axis=0) - margin, base.min(axis=0) - reach * span)
    high = np.minimum(pixels.max(axis=0) + margin, base.max(axis=0) + reach * span)
    (x0, y0), (x1, y1) = np.maximum(low, 0).astype(int).tolist(), high.astype(int).tolist()
    x1, y1 = min(shape[1], x1), min(shape[0], y1)
    return (x0, y0, x1, y1) if x1 - x0 > 2 and y1 - y0 > 2 else None


__all__ = [
    "Body",
    "Shade",
    "body_of",
    "clip_shade",
    "contact_shade",
    "floor_shade",
    "leg_gap",
    "lowered",
    "merged",
    "on_floor_only",
    "painted",
    "span_of",
    "thrown",
    "wall_shade",
]
