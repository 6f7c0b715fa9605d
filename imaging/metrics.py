"""Measures of a finished composite: is the product in place, of the right size and itself, is the room untouched.

Each measure looks at the picture, not at how it was made, so a model's picture and our own are judged alike.
`measure` costs about a tenth of a second of CPU; pictures are compared at reduced size.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from skimage.color import deltaE_ciede2000
from skimage.metrics import structural_similarity

from imaging.checks import check_placement, inside_share, pose_of
from imaging.colour import luma, to_lab, to_linear, to_srgb
from imaging.geometry import footprint
from imaging.room import Room
from imaging.scene import Placement, Product, room_box, wall_corners, wall_middle
from imaging.sprite import Sprite, resized_sprite, warped_sprite

Pixels = NDArray[np.uint8]
Float = NDArray[np.float32]
Mask = NDArray[np.bool_]
COMPARE_SIDE, SSIM_SIDE = 160, 256
# Relighting may change exposure by this much and the ratio of channels by this much; more counts as another colour.
EXPOSURE_RANGE, CAST_RANGE = (0.3, 1.6), (0.72, 1.39)
CHANGED_LEVELS = 8


@dataclass(frozen=True)
class Measure:
    """One figure of a composite; `value` is None where it does not apply, and `note` says why."""

    key: str
    value: float | None
    unit: str
    note: str = ""


def measure(
    result_pixels: Pixels,
    room_pixels: Pixels,
    room: Room,
    cutout_rgba: Pixels,
    product: Product,
    placement: Placement,
    product_mask: Pixels,
) -> list[Measure]:
    """All measures of one composite, always the same keys in the same order.

    inside_image, on_support, silhouette_iou, product_ssim, size_kept: 0..1, higher is better. scale_error, contact_gap:
    shares of the expected height. outside_drift_p99 and seam: 8-bit levels. outside_changed_share: share of the
    photo. product_delta_e: CIEDE2000 after a plausible change of light. contact_shadow: light left beside the product's
    base, 1 is no shadow.
    """
    kept = result_pixels.shape == room_pixels.shape
    placed = [Measure("inside_image", _rounded(inside_share(placement)), "share"), _support(room, product, placement)]
    if not kept:
        note = f"the picture is {result_pixels.shape[1]} x {result_pixels.shape[0]}, not the room's size"
        return [
            *placed,
            *(Measure(key, None, unit, note) for key, unit in COMPARED),
            Measure("size_kept", 0.0, "share", note),
        ]
    solid = product_mask > 127
    if not solid.any():
        note = "no product in the mask"
        return [
            *placed,
            *(Measure(key, None, unit, note) for key, unit in COMPARED),
            Measure("size_kept", 1.0, "share"),
        ]
    expected = expected_sprite(room, cutout_rgba, product, placement)
    zone = shadow_zone(room, product, placement, product_mask)
    values = {
        "scale_error": _scale_error(room, product, placement, solid),
        "contact_gap": _contact_gap(room, placement, solid),
        **_outside(result_pixels, room_pixels, zone),
        **_identity(result_pixels, product_mask, cutout_rgba, expected, placement),
        "silhouette_iou": _silhouette_iou(solid, expected),
        "seam": _seam(result_pixels, product_mask),
        "contact_shadow": _contact_shadow(result_pixels, room_pixels, room, product, placement, product_mask),
    }
    compared = [Measure(key, _rounded(values[key]), unit, _note(key, values[key])) for key, unit in COMPARED]
    return [*placed, *compared, Measure("size_kept", 1.0, "share")]


COMPARED = (
    ("scale_error", "share"),
    ("contact_gap", "share"),
    ("outside_drift_p99", "levels"),
    ("outside_changed_share", "share"),
    ("product_delta_e", "ΔE2000"),
    ("product_ssim", "share"),
    ("silhouette_iou", "share"),
    ("seam", "levels"),
    ("contact_shadow", "share"),
)


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(float(value), 4)


def _note(key: str, value: float | None) -> str:
    return f"{key} does not apply to this placement" if value is None else ""


def _support(room: Room, product: Product, placement: Placement) -> Measure:
    check = check_placement(room, product, placement)
    return Measure("on_support", _rounded(check.measures.get("support", 0.0)), "share", check.reason or "")


def expected_sprite(room: Room, cutout_rgba: Pixels, product: Product, placement: Placement) -> Sprite:
    """The cutout where the placement wants it, in its own studio light."""
    camera = room.camera()
    if placement.mount == "wall":
        pixel = placement.contact[0] * room.width, placement.contact[1] * room.height
        middle = wall_middle(camera, pixel, placement.px_per_m)
        corners = camera.project(wall_corners(middle, product.width_m, product.height_m, placement.yaw_deg))
        return warped_sprite(cutout_rgba, corners, (room.width, room.height))
    pose = pose_of(room, product, placement)
    if product.lies_flat and pose is not None:
        base = camera.project(footprint(pose.x, pose.z, product.width_m, product.depth_m, placement.yaw_deg))
        return warped_sprite(cutout_rgba, base[[3, 2, 1, 0]], (room.width, room.height))
    x0, y0, x1, y1 = placement.box
    return resized_sprite(cutout_rgba, (x0 * room.width, y0 * room.height, x1 * room.width, y1 * room.height))


def shadow_zone(room: Room, product: Product, placement: Placement, product_mask: Pixels) -> Mask:
    """Where a change is the product's doing: itself with a rim, and its support as far as a shadow may fall."""
    reach = max(3, round(0.012 * product_mask.shape[1]))
    zone = cv2.dilate((product_mask > 0).astype(np.uint8), np.ones((2 * reach + 1, 2 * reach + 1), np.uint8))
    if placement.mount == "wall":
        reach = max(3, round(0.12 * placement.px_per_m))
        zone = cv2.dilate(zone, np.ones((2 * reach + 1, 2 * reach + 1), np.uint8))
    pose = pose_of(room, product, placement) if placement.mount != "wall" else None
    if pose is not None:
        grow = 2 * (0.6 + 1.2 * product.height_m)
        wide = footprint(pose.x, pose.z, product.width_m + grow, product.depth_m + grow, pose.yaw_deg, pose.level_m)
        wide[:, 2] = np.maximum(wide[:, 2], 0.7)
        corners = room.camera().project(wide)
        cv2.fillPoly(zone, [np.rint(np.clip(corners, -8000, 8000)).astype(np.int32)], 1)
    return np.asarray(zone > 0)


def _scale_error(room: Room, product: Product, placement: Placement, solid: Mask) -> float | None:
    """|seen height / expected height - 1|, the expected one from the product's size and the camera."""
    rows = np.flatnonzero(solid.any(axis=1))
    seen = float(rows[-1] - rows[0] + 1)
    if rows[0] == 0 or rows[-1] == solid.shape[0] - 1:
        return None
    if placement.mount == "wall":
        camera = room.camera()
        pixel = placement.contact[0] * room.width, placement.contact[1] * room.height
        middle = wall_middle(camera, pixel, placement.px_per_m)
        box = room_box(camera, wall_corners(middle, product.width_m, product.height_m, placement.yaw_deg))
        return abs(seen / max(box[3] - box[1], 1.0) - 1.0)
    if product.lies_flat:
        return None
    pose = pose_of(room, product, placement)
    return abs(seen / max(pose.box[3] - pose.box[1], 1.0) - 1.0) if pose else 1.0


def _contact_gap(room: Room, placement: Placement, solid: Mask) -> float | None:
    """How far the product's lowest row is from the foot of its box, as a share of its height; for what stands."""
    if placement.mount not in ("floor", "tabletop"):
        return None
    rows = np.flatnonzero(solid.any(axis=1))
    height = max(1.0, (placement.box[3] - placement.box[1]) * room.height)
    return abs(float(rows[-1] + 1) - min(placement.box[3] * room.height, room.height)) / height


def _outside(result: Pixels, before: Pixels, zone: Mask) -> dict[str, float | None]:
    change = np.abs(result.astype(np.int16) - before.astype(np.int16)).max(axis=2)[~zone]
    if change.size == 0:
        return {"outside_drift_p99": None, "outside_changed_share": None}
    return {
        "outside_drift_p99": float(np.percentile(change, 99)),
        "outside_changed_share": float((change > CHANGED_LEVELS).mean()),
    }


def _identity(
    result: Pixels, mask: Pixels, rgba: Pixels, expected: Sprite, placement: Placement
) -> dict[str, float | None]:
    """Colour and structure of the product against its cutout, fitted to the box in which the picture shows it."""
    rows, columns = np.flatnonzero((mask > 127).any(axis=1)), np.flatnonzero((mask > 127).any(axis=0))
    y0, y1, x0, x1 = int(rows[0]), int(rows[-1]) + 1, int(columns[0]), int(columns[-1]) + 1
    if placement.mount == "wall":
        wanted, alpha = _cropped(expected, (x0, y0, x1, y1))
    else:
        core = np.ascontiguousarray(_tight(rgba))
        sprite = resized_sprite(core, (0, 0, x1 - x0, y1 - y0))
        wanted = np.asarray(sprite.colour / np.maximum(sprite.alpha, 1e-3)[..., None], dtype=np.float32)
        alpha = sprite.alpha
    shown = result[y0:y1, x0:x1]
    both = np.minimum(alpha, mask[y0:y1, x0:x1] / 255.0).astype(np.float32)
    if min(shown.shape[:2]) < 8 or (both > 0.95).sum() < 30:
        return {"product_delta_e": None, "product_ssim": None}
    own = np.clip(np.rint(wanted), 0, 255).astype(np.uint8)
    return {"product_delta_e": _delta_e(shown, own, both), "product_ssim": _ssim(shown, own, both)}


def _tight(rgba: Pixels) -> Pixels:
    solid = rgba[..., 3] > 127
    rows, columns = np.flatnonzero(solid.any(axis=1)), np.flatnonzero(solid.any(axis=0))
    return rgba[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def _cropped(sprite: Sprite, box: tuple[int, int, int, int]) -> tuple[Float, Float]:
    """Straight colour and alpha of a sprite within a box of the photo; empty where it does not reach."""
    x0, y0, x1, y1 = box
    colour, alpha = np.zeros((y1 - y0, x1 - x0, 3), np.float32), np.zeros((y1 - y0, x1 - x0), np.float32)
    top, left = max(y0, sprite.y), max(x0, sprite.x)
    bottom, right = min(y1, sprite.y + sprite.alpha.shape[0]), min(x1, sprite.x + sprite.alpha.shape[1])
    if top < bottom and left < right:
        part = slice(top - sprite.y, bottom - sprite.y), slice(left - sprite.x, right - sprite.x)
        alpha[top - y0 : bottom - y0, left - x0 : right - x0] = sprite.alpha[part]
        straight = sprite.colour[part] / np.maximum(sprite.alpha[part], 1e-3)[..., None]
        colour[top - y0 : bottom - y0, left - x0 : right - x0] = straight
    return colour, alpha


def _shrunk(image: Float | Pixels, longest: int) -> Float:
    height, width = image.shape[:2]
    scale = min(1.0, longest / max(height, width))
    size = max(8, round(width * scale)), max(8, round(height * scale))
    return np.asarray(cv2.resize(image.astype(np.float32), size, interpolation=cv2.INTER_AREA))


def _delta_e(shown: Pixels, wanted: Pixels, both: Float) -> float | None:
    """Mean CIEDE2000 over the product's inside, after the best plausible change of exposure and cast."""
    inside = _shrunk(both, COMPARE_SIDE) > 0.97
    if inside.sum() < 20:
        return None
    seen, own = (np.rint(_shrunk(image, COMPARE_SIDE)).astype(np.uint8) for image in (shown, wanted))
    seen_linear, own_linear = to_linear(seen)[inside], to_linear(own)[inside]
    gains = seen_linear.mean(axis=0) / np.maximum(own_linear.mean(axis=0), 1e-4)
    exposure = float(np.clip(np.median(gains), *EXPOSURE_RANGE))
    cast = np.clip(gains / max(exposure, 1e-4), *CAST_RANGE)
    relit = np.rint(to_srgb(own_linear * (exposure * cast).astype(np.float32))).astype(np.uint8)
    return float(deltaE_ciede2000(to_lab(seen[inside][None]), to_lab(relit[None])).mean())


def _ssim(shown: Pixels, wanted: Pixels, both: Float) -> float | None:
    """Structural similarity of luma within the product, after matching mean and spread (light may differ)."""
    weight = _shrunk(both, SSIM_SIDE)
    inside = weight > 0.9
    seen, own = _shrunk(luma(shown), SSIM_SIDE), _shrunk(luma(wanted), SSIM_SIDE)
    if inside.sum() < 60:
        return None
    spread = max(float(own[inside].std()), 2.0)
    matched = (seen - seen[inside].mean()) / max(float(seen[inside].std()), 1.0) * spread + own[inside].mean()
    flat = float(own[inside].mean())
    pair = [np.where(inside, image, flat).astype(np.float32) for image in (matched, own)]
    score = structural_similarity(*pair, data_range=255.0, win_size=7, full=True)[1]
    return float(score[inside].mean())


def _silhouette_iou(solid: Mask, expected: Sprite) -> float:
    """The product's outline in the picture against the cutout's, at the placement's spot."""
    wanted = np.zeros(solid.shape, bool)
    top, left = max(0, expected.y), max(0, expected.x)
    bottom = min(solid.shape[0], expected.y + expected.alpha.shape[0])
    right = min(solid.shape[1], expected.x + expected.alpha.shape[1])
    if top < bottom and left < right:
        part = expected.alpha[top - expected.y : bottom - expected.y, left - expected.x : right - expected.x]
        wanted[top:bottom, left:right] = part > 0.5
    union = int((solid | wanted).sum())
    return float((solid & wanted).sum()) / union if union else 0.0


def _seam(result: Pixels, mask: Pixels) -> float | None:
    """Mean fringe along the outline (levels): edge pixels brighter or darker than both sides of it."""
    rows, columns = np.flatnonzero((mask > 0).any(axis=1)), np.flatnonzero((mask > 0).any(axis=0))
    y0, y1 = max(0, int(rows[0]) - 12), min(mask.shape[0], int(rows[-1]) + 13)
    x0, x1 = max(0, int(columns[0]) - 12), min(mask.shape[1], int(columns[-1]) + 13)
    grey, part = luma(result[y0:y1, x0:x1]), mask[y0:y1, x0:x1]
    solid = (part > 127).astype(np.uint8)
    three, wide, reach = (np.ones((side, side), np.uint8) for side in (3, 7, 13))
    rim = (cv2.dilate(solid, three) - cv2.erode(solid, np.ones((5, 5), np.uint8))) > 0
    inner, outer = cv2.erode(solid, wide), 1 - cv2.dilate(solid, wide)
    highest = np.maximum(_extreme(grey, inner, reach, cv2.dilate, -1.0), _extreme(grey, outer, reach, cv2.dilate, -1.0))
    lowest = np.minimum(_extreme(grey, inner, reach, cv2.erode, 256.0), _extreme(grey, outer, reach, cv2.erode, 256.0))
    known = rim & (highest >= 0) & (lowest < 256)
    if not known.any():
        return None
    excess = np.maximum(grey - highest, 0.0) + np.maximum(lowest - grey, 0.0)
    return float(excess[known].mean())


def _extreme(grey: Float, where: Pixels, kernel: Pixels, reach: object, empty: float) -> Float:
    """Largest (dilate) or smallest (erode) luma nearby among the pixels of a mask."""
    return np.asarray(reach(np.where(where > 0, grey, empty).astype(np.float32), kernel), np.float32)  # type: ignore[operator]


def _contact_shadow(
    result: Pixels, before: Pixels, room: Room, product: Product, placement: Placement, mask: Pixels
) -> float | None:
    """Median ratio of linear light after to before, beside the product's base (under it, where that can be seen)."""
    if placement.mount == "ceiling" or product.lies_flat:
        return None
    near = np.zeros(mask.shape, np.uint8)
    camera = room.camera()
    if placement.mount == "wall":
        reach = max(2, round(0.03 * placement.px_per_m))
        lower = np.zeros_like(mask)
        lower[reach:] = (mask > 127)[:-reach].astype(np.uint8)
        near = cv2.dilate(lower, np.ones((3, 3), np.uint8))
    else:
        pose = pose_of(room, product, placement)
        if pose is None:
            return None
        wide = footprint(pose.x, pose.z, product.width_m + 0.06, product.depth_m + 0.06, pose.yaw_deg, pose.level_m)
        corners = camera.project(wide)
        cv2.fillPoly(near, [np.rint(corners).astype(np.int32)], 1)
    beside = (near > 0) & (cv2.dilate(mask, np.ones((3, 3), np.uint8)) < 8)
    if beside.sum() < 20:
        return None
    light = [np.maximum(to_linear(image[beside]).mean(axis=1), 1e-3) for image in (result, before)]
    return float(np.percentile(light[0] / light[1], 30))


__all__ = ["COMPARED", "Measure", "expected_sprite", "measure", "shadow_zone"]
