"""How far a picture has left the room's photo where it had no reason to: away from the product and its shadow."""

import cv2
import numpy as np
from numpy.typing import NDArray

from imaging.checks import pose_of
from imaging.colour import fit_within
from imaging.evidence import changed, like_shadow
from imaging.geometry import footprint
from imaging.room import Room
from imaging.scene import Placement, Product

Pixels = NDArray[np.uint8]
Mask = NDArray[np.bool_]
# Outside of the product the pictures are compared at this size, where grain and JPEG have averaged out.
OUTSIDE_SIDE, CHANGED_DELTA = 640, 9.0
# A shadow may fall this far (share of the photo's width) out of where we look for it, and is this faint (ΔE) there.
SHADOW_REACH, CAST = 0.15, 2.5


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


def with_cast_shadow(picture: Pixels, photo: Pixels, zone: Mask) -> Mask:
    """The zone (H, W) with the shadow that leaves it, on a wall or far over the floor: darker, of the same hue."""
    height, width = photo.shape[:2]
    size = fit_within(width, height, OUTSIDE_SIDE)
    small = [_reduced(each, size) for each in (picture, photo)]
    inside = cv2.resize(zone.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST)
    reach = 2 * round(SHADOW_REACH * size[0]) + 1
    near = cv2.dilate(inside, np.ones((reach, reach), np.uint8)) > 0
    dark = (like_shadow(*small) & (changed(*small) > CAST) & near) | (inside > 0)
    dark = cv2.morphologyEx(dark.astype(np.uint8), cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
    _, labels = cv2.connectedComponents(dark)
    touching = np.unique(labels[(inside > 0) & (dark > 0)])
    cast = np.isin(labels, touching[touching > 0]).astype(np.uint8)
    soft = cv2.dilate(cast, np.ones((5, 5), np.uint8))
    return np.asarray(zone | (cv2.resize(soft, (width, height), interpolation=cv2.INTER_NEAREST) > 0))


def outside_change(result: Pixels, before: Pixels, zone: Mask) -> tuple[float | None, float | None]:
    """(99th percentile of ΔE, share visibly changed) where neither product nor shadow is, compared at reduced size."""
    size = fit_within(before.shape[1], before.shape[0], OUTSIDE_SIDE)
    small = [_reduced(each, size) for each in (result, before)]
    outside = cv2.resize(zone.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST) == 0
    if not outside.any():
        return None, None
    change = changed(small[0], small[1])[outside]
    return float(np.percentile(change, 99)), float((change > CHANGED_DELTA).sum()) / outside.size


def _reduced(pixels: Pixels, size: tuple[int, int]) -> Pixels:
    return np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), np.uint8)


__all__ = ["OUTSIDE_SIDE", "outside_change", "shadow_zone", "with_cast_shadow"]
