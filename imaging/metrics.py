"""Measures of a finished composite: is the product in place, of the right size and itself, is the room untouched.

Each measure looks at the picture, not at how it was made, so a model's picture and our own are judged alike. Our own
engine says where it painted; in a model's picture the product is sought (`imaging.seen`), and what can only be asked of
a pasted cutout is measured but not asked.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from imaging.checks import check_placement, inside_share, pose_of
from imaging.colour import fit_within, to_linear
from imaging.geometry import footprint
from imaging.light import light_at
from imaging.likeness import identity, seam
from imaging.measures import Measure, with_drift
from imaging.occlusion import cover_of, covered
from imaging.placement import box_iou
from imaging.room import Room
from imaging.scene import Placement, Product, room_box, wall_corners, wall_middle
from imaging.seen import aligned, changed, find_product, unexplained
from imaging.sprite import Sprite, resized_sprite, warped_sprite

Pixels = NDArray[np.uint8]
Float = NDArray[np.float32]
Mask = NDArray[np.bool_]
# Outside of the product the pictures are compared at this size, where grain and JPEG have averaged out.
OUTSIDE_SIDE, CHANGED_DELTA, CALM_DELTA = 640, 9.0, 3.0


@dataclass(frozen=True, eq=False)
class Sought:
    """Where a picture shows the product: how surely (0..1), its box (px), and its mask (H, W; 0..255)."""

    score: float
    box: tuple[float, float, float, float]
    mask: Pixels


COMPARED = (
    ("scale_error", "share"),
    ("contact_gap", "share"),
    ("outside_drift", "ΔE"),
    ("outside_changed_share", "share"),
    ("product_found", "share"),
    ("product_complete", "share"),
    ("second_product", "share"),
    ("product_delta_e", "ΔE2000"),
    ("product_ssim", "share"),
    ("sharpness", "ratio"),
    ("place_iou", "share"),
    ("silhouette_iou", "share"),
    ("seam", "levels"),
    ("contact_shadow", "share"),
)
# A model may turn the product a little: likeness in every detail is asked only of a cutout that was pasted.
PASTED = {"product_ssim", "silhouette_iou"}
# Who says where it painted need not be found, and paints it once.
SOUGHT = {"product_found", "second_product"}


def measure(
    result_pixels: Pixels,
    room_pixels: Pixels,
    room: Room,
    cutout_rgba: Pixels,
    product: Product,
    placement: Placement,
    product_mask: Pixels | None,
    repaint: Mapping[str, Any] | None = None,
) -> list[Measure]:
    """All measures of one composite, always the same keys in the same order; without a mask the product is sought.

    Of a model's picture that was brought back into the photo, `repaint` has what `imaging.repaint` found on the way.

    inside_image, on_support, product_found, product_complete, product_ssim, place_iou, silhouette_iou, size_kept: 0..1,
    higher is better. scale_error, contact_gap: shares of the expected height. outside_drift: ΔE76 of the room (p99).
    outside_changed_share: of the photo. second_product: share of the product's area that shows again elsewhere.
    product_delta_e: CIEDE2000 in the room's light. sharpness: edges as a share of the cutout's. seam: 8-bit levels.
    contact_shadow: light left beside the product's base, 1 is no shadow.
    """
    found = _measured_anyhow(result_pixels, room_pixels, room, cutout_rgba, product, placement, product_mask, repaint)
    return with_drift(found, repaint, max(room_pixels.shape))


def _measured_anyhow(
    result_pixels: Pixels,
    room_pixels: Pixels,
    room: Room,
    cutout_rgba: Pixels,
    product: Product,
    placement: Placement,
    product_mask: Pixels | None,
    repaint: Mapping[str, Any] | None,
) -> list[Measure]:
    """What can be measured of anybody's picture."""
    placed = [Measure("inside_image", _rounded(inside_share(placement)), "share"), _support(room, product, placement)]
    if result_pixels.shape != room_pixels.shape:
        note = f"the picture is {result_pixels.shape[1]} x {result_pixels.shape[0]}, not the room's size"
        return [*placed, *_nothing(note), Measure("size_kept", 0.0, "share", note)]
    told = product_mask is not None or repaint is not None
    picture = result_pixels if told else aligned(result_pixels, room_pixels)
    gains = light_at(room_pixels, room, placement).gains
    expected = expected_sprite(room, cutout_rgba, product, placement)
    cover = cover_of(room_pixels, room, expected, product, placement)
    expected = covered(expected, cover) if cover else expected
    found, mask = None, product_mask
    if mask is None:
        sought = (
            seek_product(picture, room_pixels, expected, gains)
            if repaint is None
            else _sought_before(repaint, expected, picture.shape)
        )
        found, mask = sought.score, sought.mask
    if not (mask > 127).any():
        return [*placed, *_nothing("no product in the mask"), Measure("size_kept", 1.0, "share")]
    solid = mask > 127
    zone = shadow_zone(room, product, placement, np.maximum(mask, in_photo(expected, mask.shape)))
    drift, share = outside_change(picture, room_pixels, zone)
    values = {
        "scale_error": _scale_error(room, product, placement, solid, expected),
        "contact_gap": _contact_gap(room, placement, solid, expected),
        "outside_drift": drift,
        "outside_changed_share": share,
        "product_found": found,
        "product_complete": _complete(picture, room_pixels, mask),
        "second_product": _second(picture, room_pixels, expected, gains, mask),
        **identity(picture, mask, cutout_rgba, gains, expected if placement.mount == "wall" or cover else None),
        "place_iou": _place_iou(solid, in_photo(expected, solid.shape) > 127),
        "silhouette_iou": _silhouette_iou(solid, expected),
        "seam": seam(picture, mask),
        "contact_shadow": _contact_shadow(picture, room_pixels, room, product, placement, mask),
    }
    pasted = product_mask is not None
    compared = [_measured(key, values[key], unit, pasted) for key, unit in COMPARED]
    return [*placed, *compared, Measure("size_kept", 1.0, "share")]


def _measured(key: str, value: float | None, unit: str, pasted: bool) -> Measure:
    asked = not ((key in PASTED and not pasted) or (key in SOUGHT and pasted))
    note = f"{key} does not apply to this placement" if value is None else "" if asked else "measured, not asked here"
    return Measure(key, _rounded(value), unit, note, asked and value is not None)


def _nothing(note: str) -> list[Measure]:
    return [Measure(key, None, unit, note) for key, unit in COMPARED]


def seek_product(picture: Pixels, room_pixels: Pixels, expected: Sprite, gains: Float) -> Sought:
    """Where a picture on the room's grid shows the product that is expected as a sprite, in a light of gains (3,)."""
    rgba = _as_rgba(expected)
    height, width = expected.alpha.shape
    box = float(expected.x), float(expected.y), float(expected.x + width), float(expected.y + height)
    fit = find_product(picture, room_pixels, rgba, gains, box)
    return Sought(max(0.0, fit.score), fit.box, in_photo(resized_sprite(rgba, fit.box), picture.shape))


def _sought_before(repaint: Mapping[str, Any], expected: Sprite, shape: tuple[int, ...]) -> Sought:
    x0, y0, x1, y1 = (float(side) for side in repaint["product_box"])
    box = x0, y0, x1, y1
    return Sought(float(repaint["product_score"]), box, in_photo(resized_sprite(_as_rgba(expected), box), shape))


def _as_rgba(sprite: Sprite) -> Pixels:
    straight = sprite.colour / np.maximum(sprite.alpha, 1e-3)[..., None]
    return np.clip(np.rint(np.dstack([straight, sprite.alpha * 255.0])), 0, 255).astype(np.uint8)


def in_photo(sprite: Sprite, shape: tuple[int, ...]) -> Pixels:
    """A sprite's alpha (0..255) in the whole photo."""
    mask = np.zeros(shape[:2], np.uint8)
    top, left = max(0, sprite.y), max(0, sprite.x)
    bottom, right = min(shape[0], sprite.y + sprite.alpha.shape[0]), min(shape[1], sprite.x + sprite.alpha.shape[1])
    if top < bottom and left < right:
        part = sprite.alpha[top - sprite.y : bottom - sprite.y, left - sprite.x : right - sprite.x]
        mask[top:bottom, left:right] = np.rint(part * 255.0)
    return mask


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(float(value), 4)


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


def _rows(solid: Mask) -> tuple[int, int]:
    """First and last + 1 row of a mask."""
    rows = np.flatnonzero(solid.any(axis=1))
    return (int(rows[0]), int(rows[-1]) + 1) if rows.size else (0, 0)


def _scale_error(room: Room, product: Product, placement: Placement, solid: Mask, expected: Sprite) -> float | None:
    """|seen height / expected height - 1|, the expected one from the product's size and the camera."""
    top, bottom = _rows(solid)
    wanted_top, wanted_bottom = _rows(in_photo(expected, solid.shape) > 127)
    if product.lies_flat or top == 0 or bottom == solid.shape[0] or wanted_bottom <= wanted_top:
        return None
    given = (placement.box[3] - placement.box[1]) * room.height
    true = _true_height(room, product, placement)
    seen = (bottom - top) / (wanted_bottom - wanted_top)
    return abs(seen * given / max(true, 1.0) - 1.0) if true else 1.0


def _true_height(room: Room, product: Product, placement: Placement) -> float | None:
    """The height (px) of the box that camera and dimensions ask for at the placement."""
    if placement.mount == "wall":
        camera = room.camera()
        pixel = placement.contact[0] * room.width, placement.contact[1] * room.height
        middle = wall_middle(camera, pixel, placement.px_per_m)
        box = room_box(camera, wall_corners(middle, product.width_m, product.height_m, placement.yaw_deg))
        return box[3] - box[1]
    pose = pose_of(room, product, placement)
    return pose.box[3] - pose.box[1] if pose else None


def _contact_gap(room: Room, placement: Placement, solid: Mask, expected: Sprite) -> float | None:
    """How far the product's lowest row is from where it should stand, as a share of its height."""
    if placement.mount not in ("floor", "tabletop"):
        return None
    wanted = _rows(in_photo(expected, solid.shape) > 127)[1]
    height = max(1.0, (placement.box[3] - placement.box[1]) * room.height)
    return abs(_rows(solid)[1] - wanted) / height


def outside_change(result: Pixels, before: Pixels, zone: Mask) -> tuple[float | None, float | None]:
    """(99th percentile of ΔE, share visibly changed) where neither product nor shadow is, compared at reduced size."""
    size = fit_within(before.shape[1], before.shape[0], OUTSIDE_SIDE)
    small = [_reduced(each, size) for each in (result, before)]
    outside = cv2.resize(zone.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST) == 0
    if not outside.any():
        return None, None
    change = changed(small[0], small[1])[outside]
    return float(np.percentile(change, 99)), float((change > CHANGED_DELTA).sum()) / outside.size


def _complete(result: Pixels, before: Pixels, mask: Pixels) -> float | None:
    """1 less the largest part (share of the silhouette) in which the picture still is the empty room."""
    top, bottom = _rows(mask > 127)
    columns = np.flatnonzero((mask > 127).any(axis=0))
    part = slice(top, bottom), slice(int(columns[0]), int(columns[-1]) + 1)
    size = fit_within(part[1].stop - part[1].start, part[0].stop - part[0].start, 160)
    small = [_reduced(np.ascontiguousarray(each[part]), size) for each in (result, before)]
    inside = cv2.resize(np.ascontiguousarray(mask[part]), size, interpolation=cv2.INTER_AREA) > 240
    if inside.sum() < 30:
        return None
    bare = (inside & (changed(small[0], small[1]) <= CALM_DELTA)).astype(np.uint8)
    _, _, parts, _ = cv2.connectedComponentsWithStats(cv2.morphologyEx(bare, cv2.MORPH_OPEN, np.ones((3, 3), np.uint8)))
    return 1.0 - float(parts[1:, cv2.CC_STAT_AREA].max(initial=0)) / float(inside.sum())


def _reduced(pixels: Pixels, size: tuple[int, int]) -> Pixels:
    return np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), np.uint8)


def _second(result: Pixels, before: Pixels, expected: Sprite, gains: Float, mask: Pixels) -> float:
    """The area that shows the product's colours outside of the product, as a share of the product's."""
    return unexplained(result, before, _as_rgba(expected), gains, mask)


def _place_iou(seen: Mask, wanted: Mask) -> float:
    """Intersection over union of the boxes around two masks."""
    if not wanted.any():
        return 0.0
    boxes = [
        (float(columns[0]), float(rows[0]), float(columns[-1] + 1), float(rows[-1] + 1))
        for rows, columns in (
            (np.flatnonzero(each.any(axis=1)), np.flatnonzero(each.any(axis=0))) for each in (seen, wanted)
        )
    ]
    return box_iou(*boxes)


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


__all__ = [
    "COMPARED",
    "Measure",
    "Sought",
    "expected_sprite",
    "in_photo",
    "measure",
    "outside_change",
    "seek_product",
    "shadow_zone",
]
