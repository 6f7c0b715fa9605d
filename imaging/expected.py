"""What a picture should show at a placement: the cutout in its place and size, before the room's light is on it."""

import numpy as np
from numpy.typing import NDArray

from imaging.checks import pose_of
from imaging.geometry import footprint
from imaging.room import Room
from imaging.scene import Placement, Product, room_box, wall_corners, wall_middle
from imaging.sprite import Sprite, resized_sprite, warped_sprite

Pixels = NDArray[np.uint8]


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


__all__ = ["as_rgba", "expected_sprite", "in_photo", "true_height"]
