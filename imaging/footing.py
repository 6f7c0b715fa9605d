"""How a product stands in a picture: on what carries it, and with its shadow at its feet."""

import cv2
import numpy as np
from numpy.typing import NDArray

from imaging.checks import check_placement, pose_of
from imaging.colour import to_linear
from imaging.evidence import DIFFERS, changed
from imaging.geometry import footprint
from imaging.labels import is_floor
from imaging.occlusion import things_before
from imaging.room import Room
from imaging.scene import Placement, Pose, Product

Pixels = NDArray[np.uint8]
Mask = NDArray[np.bool_]
# What is seen of the ground that a product hides behind other things has to be this share of it at least.
LEAST_SEEN = 0.25
# Around the feet (m) a shadow is looked for, and the ring (m) around the footprint that tells whether the product
# itself lights the room. Seen at this much less height than width.
FEET_M, RING_M, FORESHORTENED = 0.12, (0.25, 0.5), 0.4
LEAST_PIXELS, DARKEST_PERCENTILE = 20, 20


def support(
    picture: Pixels, before: Pixels, room: Room, product: Product, placement: Placement
) -> tuple[float, str | None]:
    """Share of the footprint that rests on what carries it, and the reason against the place if there is one.

    Where a nearer thing of the room hides the ground and the picture still shows that thing, the ground is not missed.
    """
    check = check_placement(room, product, placement)
    share = check.measures.get("support", 0.0)
    pose = pose_of(room, product, placement) if placement.mount == "floor" else None
    if pose is None or share >= 1.0:
        return share, check.reason
    base = _base(room, pose, before.shape)
    before_it = things_before(room, float(pose.base[:, 2].min()))
    floor, hides = (
        cv2.resize(each.astype(np.uint8), (room.width, room.height), interpolation=cv2.INTER_NEAREST)[base] > 0
        for each in (is_floor(room.regions), before_it)
    )
    area = max(int(np.count_nonzero(base)), 1)
    if np.count_nonzero(floor) < LEAST_SEEN * area:
        return share, check.reason
    shown = changed(picture, before)[base] < DIFFERS
    return max(share, float(np.count_nonzero(floor | (hides & shown))) / area), check.reason


def _base(room: Room, pose: Pose, shape: tuple[int, ...]) -> Mask:
    base = np.zeros(shape[:2], np.uint8)
    cv2.fillConvexPoly(base, np.rint(room.camera().project(pose.base)).astype(np.int32), 1)
    return np.asarray(base > 0)


def contact_shadow(
    picture: Pixels, before: Pixels, room: Room, product: Product, placement: Placement, outline: Pixels
) -> float | None:
    """Linear light left on the ground at the product's feet: 20th percentile of after over before; 1 is no shadow.

    A lamp that lights the room lights its own feet too: what the ground around gained is taken off. None where nothing
    touches the ground (hanging from a ceiling, lying flat) or no ground is seen.
    """
    if placement.mount == "ceiling" or product.lies_flat:
        return None
    solid = outline > 127
    covered = cv2.dilate(outline, np.ones((3, 3), np.uint8)) >= 8
    if placement.mount == "wall":
        near, ring = _below(solid, placement.px_per_m), None
    else:
        pose = pose_of(room, product, placement)
        if pose is None:
            return None
        near = _at_feet(solid, room, product, pose, placement.px_per_m)
        outer, inner = (_around(room, product, pose, reach, solid.shape) for reach in RING_M[::-1])
        ring = (outer & ~inner) & ~covered
    beside = near & ~covered
    if np.count_nonzero(beside) < LEAST_PIXELS:
        return None
    left = float(np.percentile(_light_left(picture, before, beside), DARKEST_PERCENTILE))
    if ring is None or np.count_nonzero(ring) < LEAST_PIXELS:
        return left
    return left / max(1.0, float(np.median(_light_left(picture, before, ring))))


def _light_left(picture: Pixels, before: Pixels, where: Mask) -> NDArray[np.float32]:
    light = [np.maximum(to_linear(each[where]).mean(axis=1), 1e-3) for each in (picture, before)]
    return np.asarray(light[0] / light[1], np.float32)


def _below(solid: Mask, px_per_m: float) -> Mask:
    """Just below (3 cm) what hangs on a wall."""
    reach = max(2, round(0.03 * px_per_m))
    lower = np.zeros(solid.shape, np.uint8)
    lower[reach:] = solid[:-reach]
    return np.asarray(cv2.dilate(lower, np.ones((3, 3), np.uint8)) > 0)


def _at_feet(solid: Mask, room: Room, product: Product, pose: Pose, px_per_m: float) -> Mask:
    """The ground around the lowest pixel of each column of an outline, as far as it is near the footprint."""
    zone = _around(room, product, pose, FEET_M, solid.shape)
    columns = np.flatnonzero(solid.any(axis=0))
    lowest = solid.shape[0] - 1 - np.argmax(solid[::-1, columns], axis=0)
    feet = np.zeros(solid.shape, np.uint8)
    feet[lowest, columns] = 1
    across = max(3, round(FEET_M * px_per_m))
    below = max(2, round(across * FORESHORTENED))
    round_ = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * across + 1, 2 * below + 1))
    return np.asarray((cv2.dilate(feet * zone, round_) > 0) & zone)


def _around(room: Room, product: Product, pose: Pose, reach_m: float, shape: tuple[int, ...]) -> Mask:
    """The footprint and so many metres around it."""
    wide, deep = product.width_m + 2 * reach_m, product.depth_m + 2 * reach_m
    corners = room.camera().project(footprint(pose.x, pose.z, wide, deep, pose.yaw_deg, pose.level_m))
    area = np.zeros(shape[:2], np.uint8)
    cv2.fillPoly(area, [np.rint(np.clip(corners, -8000, 8000)).astype(np.int32)], 1)
    return np.asarray(area > 0)


__all__ = ["contact_shadow", "support"]
