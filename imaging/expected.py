"""What a picture should show at a placement: the cutout in its place and size, before the room's light is on it."""

import cv2
import numpy as np
from numpy.typing import NDArray

from imaging.checks import pose_of
from imaging.geometry import footprint, rounded_boxes
from imaging.room import Room
from imaging.scene import Placement, Product, room_box, wall_corners, wall_middle
from imaging.sprite import Sprite, resized_sprite, warped_sprite

Pixels = NDArray[np.uint8]
# From another side a product's width over height is at least so many times the cutout's, or as many times less.
OTHER_SIDE = 1.6


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


def other_side(room: Room, cutout_rgba: Pixels, product: Product, placement: Placement) -> Sprite | None:
    """The block that a product fills, in its colours, where a placement turns it to a side that its photo hides.

    Our own engine shows the photo's side all the same; who paints the product anew may turn it. None where the photo
    shows about the side that is asked for. The block is an outer bound of the product's shape.
    """
    pose = pose_of(room, product, placement) if placement.mount in ("floor", "tabletop") else None
    if pose is None or product.lies_flat:
        return None
    camera, yaw = room.camera(), np.array([placement.yaw_deg])
    x0, y0, x1, y1 = rounded_boxes(camera, pose.x, pose.z, product.size, yaw, pose.level_m)[0].tolist()
    left, top, right, bottom = placement.box
    change = (x1 - x0) / (y1 - y0) * ((bottom - top) * room.height) / ((right - left) * room.width)
    if 1 / OTHER_SIDE < change < OTHER_SIDE:
        return None
    shown = resized_sprite(cutout_rgba, (x0, y0, x1, y1))
    corners = np.vstack([pose.base, np.add(pose.base, (0.0, product.height_m, 0.0))])
    block = np.zeros(shown.alpha.shape, np.uint8)
    hull = cv2.convexHull(np.rint(camera.project(corners) - [shown.x, shown.y]).astype(np.int32))
    cv2.fillConvexPoly(block, hull, 1)
    mean = shown.colour.sum(axis=(0, 1)) / max(float(shown.alpha.sum()), 1e-3)
    colour = (shown.colour + mean * (1.0 - shown.alpha)[..., None]) * block[..., None]
    return Sprite(np.asarray(colour, np.float32), block.astype(np.float32), shown.x, shown.y)


def true_height(room: Room, product: Product, placement: Placement) -> float | None:
    """The height (px) of the box that camera and dimensions ask for at the placement."""
    if placement.mount == "wall":
        camera = room.camera()
        pixel = placement.contact[0] * room.width, placement.contact[1] * room.height
        middle = wall_middle(camera, pixel, placement.px_per_m)
        box = room_box(camera, wall_corners(middle, product.width_m, product.height_m, placement.yaw_deg))
        return box[3] - box[1]
    pose = pose_of(room, product, placement)
    return pose.box[3] - pose.box[1] if pose else None


def as_rgba(sprite: Sprite) -> Pixels:
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


__all__ = ["as_rgba", "expected_sprite", "in_photo", "other_side", "true_height"]
