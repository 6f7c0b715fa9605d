"""Puts a cutout into a room photo at one placement: size, light, shadow, grain. Nothing else in the photo changes.

Pixels outside product and shadow are the room's own, bit by bit, and so is what stands in front of the product.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imaging.checks import pose_of
from imaging.colour import dimmed, resize
from imaging.geometry import footprint
from imaging.light import light_at, studio_level
from imaging.occlusion import Cover, cover_of, put_back
from imaging.reflections import hide_reflections
from imaging.room import Room
from imaging.scene import (
    Placement,
    Pose,
    Product,
    facing_yaw,
    stand_at,
    wall_corners,
    wall_middle,
)
from imaging.shadows import Shade, body_of, contact_shade, floor_shade, merged, on_floor_only, wall_shade
from imaging.sources import light_sources, shown_depth
from imaging.sprite import Sprite, grained, lit_by, resized_sprite, warped_sprite
from imaging.stance import find_feet, flat_share, stand_on_feet
from imaging.wallshadows import wall_shades

Pixels = NDArray[np.uint8]
Float = NDArray[np.float32]
LEAST_SHADE, BAND = 0.994, 32


class PlacementOutside(ValueError):
    """The placement lies outside the photo, so there is nothing to show."""


@dataclass(frozen=True, eq=False)
class Composite:
    """The picture (H, W, 3) and the product's alpha in it (H, W)."""

    pixels: Pixels
    product_mask: Pixels
    notes: list[str] = field(default_factory=list)


def compose(
    room_pixels: Pixels,
    room: Room,
    cutout_rgba: Pixels,
    product: Product,
    placement: Placement,
    params: Mapping[str, Any] | None = None,
) -> Composite:
    """Composites one placement; params: scale (0.5..1.5, as in `propose`), shadow (0..1.5), relight, grain.

    Raises PlacementOutside.
    """
    chosen = dict(params or {})
    sized = product.scaled(float(np.clip(float(chosen.get("scale") or 1.0), 0.5, 1.5)))
    strength = float(np.clip(float(chosen.get("shadow", 1.0)), 0.0, 1.5))
    notes: list[str] = []
    light = light_at(room_pixels, room, placement)
    light = replace(light, low=1.0, side=0.0) if sized.lies_flat else light
    layout = _lay_out(room_pixels, room, cutout_rgba, sized, placement, light.behind, strength, notes)
    sprite = _within(layout.sprite, room_pixels.shape)
    if chosen.get("relight", True):
        flat = flat_share(layout.sprite, room, sized, placement)
        sprite = lit_by(sprite, light.on(flat, studio_level(cutout_rgba)))
    if chosen.get("grain", True):
        sprite = grained(sprite, room_pixels)
    pixels = room_pixels.copy()
    if layout.pose is not None:
        hide_reflections(pixels, room.regions, sprite, layout.pose, room.camera())
    if layout.shades:
        _darken(pixels, merged(layout.shades, pixels.shape))
    cover = cover_of(room_pixels, room, sprite, sized, placement)
    mask = _paste(pixels, sprite)
    if cover is not None:
        put_back(pixels, room_pixels, cover)
        mask = _behind(mask, cover)
        notes.append("partly hidden by what stands in front of it")
    return Composite(pixels, mask, notes)


def _behind(mask: Pixels, cover: Cover) -> Pixels:
    """The product's mask without what is hidden."""
    height, width = cover.alpha.shape
    part = mask[cover.y : cover.y + height, cover.x : cover.x + width]
    part[:] = np.rint(part * (1.0 - cover.alpha)).astype(np.uint8)
    return mask


@dataclass(frozen=True, eq=False)
class Layout:
    """A sprite in place, the shadows that it throws, and its pose if it stands on a plane that can mirror it."""

    sprite: Sprite
    shades: list[Shade]
    pose: Pose | None = None


def _lay_out(
    room_pixels: Pixels,
    room: Room,
    rgba: Pixels,
    product: Product,
    placement: Placement,
    behind: float,
    strength: float,
    notes: list[str],
) -> Layout:
    """The sprite in place and its shadows, by how the product is mounted."""
    camera = room.camera()
    box = _pixel_box(placement, room)
    if placement.mount == "wall":
        pixel = placement.contact[0] * room.width, placement.contact[1] * room.height
        middle = wall_middle(camera, pixel, placement.px_per_m)
        corners = camera.project(wall_corners(middle, product.width_m, product.height_m, placement.yaw_deg))
        shade = wall_shade(camera, middle, product, placement.yaw_deg, room_pixels.shape)
        sprite = warped_sprite(rgba, corners, (room.width, room.height))
        return Layout(sprite, [shade] if strength > 0 else [])
    pose = pose_of(room, product, placement)
    if pose is None or placement.mount == "ceiling":
        notes.append("no shadow: the product does not stand on a plane that the photo shows")
        return Layout(resized_sprite(rgba, box), [])
    if product.lies_flat:
        base = camera.project(footprint(pose.x, pose.z, product.width_m, product.depth_m, placement.yaw_deg))
        notes.append("laid flat onto the floor")
        return Layout(warped_sprite(rgba, base[[3, 2, 1, 0]], (room.width, room.height)), [])
    sprite = resized_sprite(rgba, box)
    turned = _turned_as_shown(camera, pose, product, placement, sprite.alpha, room)
    if strength == 0:
        return Layout(sprite, [])
    feet = find_feet(sprite, turned, camera)
    turned, feet = stand_on_feet(turned, feet, sprite, camera, product)
    small = resize(room_pixels, (room.regions.shape[1], room.regions.shape[0]))
    lamps = light_sources(camera, small, room, turned, behind)
    deep = strength * shown_depth(small, room, box)
    body = body_of(sprite, turned, camera, product)
    shades = [floor_shade(camera, turned, body, lamps, deep, room_pixels.shape)]
    if placement.mount == "floor":
        middle_row = float(camera.project(turned.base)[:, 1].mean())
        shades = [on_floor_only(shades[0], room.regions, room_pixels.shape, middle_row)]
        shades += wall_shades(room, camera, body, lamps, deep)
    shades.append(contact_shade(sprite, feet, turned, camera, room_pixels.shape))
    return Layout(sprite, shades, turned if placement.mount == "floor" else None)


def _turned_as_shown(camera: Any, pose: Pose, product: Product, placement: Placement, alpha: Float, room: Room) -> Pose:
    """The pose turned to the side that the cutout shows nearer; a placement cannot know that, the silhouette can."""
    turn = abs(placement.yaw_deg - facing_yaw(pose.x, pose.z))
    solid = alpha > 0.5
    quarter = max(1, solid.shape[1] // 4)
    lows = [int(np.flatnonzero(part.any(axis=1)).max(initial=0)) for part in (solid[:, :quarter], solid[:, -quarter:])]
    if turn < 3.0 or abs(lows[0] - lows[1]) < 0.01 * solid.shape[0]:
        return pose
    yaw = facing_yaw(pose.x, pose.z) + (turn if lows[0] > lows[1] else -turn)
    pixel = placement.contact[0] * room.width, placement.contact[1] * room.height
    return stand_at(camera, pixel, product, yaw, pose.level_m) or pose


def _pixel_box(placement: Placement, room: Room) -> tuple[float, float, float, float]:
    x0, y0, x1, y1 = placement.box
    return x0 * room.width, y0 * room.height, x1 * room.width, y1 * room.height


def _within(sprite: Sprite, shape: tuple[int, ...]) -> Sprite:
    """The part of a sprite inside the photo."""
    top, left = max(0, -sprite.y), max(0, -sprite.x)
    bottom = min(sprite.alpha.shape[0], shape[0] - sprite.y)
    right = min(sprite.alpha.shape[1], shape[1] - sprite.x)
    if top >= bottom or left >= right:
        raise PlacementOutside("This placement lies outside the photo.")
    part = slice(top, bottom), slice(left, right)
    return Sprite(sprite.colour[part], sprite.alpha[part], sprite.x + left, sprite.y + top)


def _darken(pixels: Pixels, shade: Shade) -> None:
    """Multiplies linear light in place; untouched where next to nothing is lost."""
    height, width = shade.factor.shape
    part = pixels[shade.y : shade.y + height, shade.x : shade.x + width]
    kept = np.where(shade.factor < LEAST_SHADE, shade.factor, np.float32(1.0))
    # In bands, and from the first to the last column that changes: most of a large photo is left alone.
    for top in range(0, height, BAND):
        band = slice(top, top + BAND)
        columns = np.flatnonzero((kept[band] < 1.0).any(axis=0))
        if columns.size:
            across = slice(int(columns[0]), int(columns[-1]) + 1)
            part[band, across] = dimmed(part[band, across], kept[band, across])


def _paste(pixels: Pixels, sprite: Sprite) -> Pixels:
    """Lays the sprite over the picture in place; returns its alpha in the whole photo."""
    height, width = sprite.alpha.shape
    covers = (sprite.alpha >= 2 / 255).astype(np.float32)
    alpha = sprite.alpha * covers
    part = pixels[sprite.y : sprite.y + height, sprite.x : sprite.x + width]
    # Where nothing covers, the sum is the pixel itself, exactly.
    mixed = sprite.colour * covers[..., None] + part * (1.0 - alpha)[..., None]
    part[:] = np.clip(np.rint(mixed), 0, 255).astype(np.uint8)
    mask = np.zeros(pixels.shape[:2], np.uint8)
    mask[sprite.y : sprite.y + height, sprite.x : sprite.x + width] = np.rint(alpha * 255.0).astype(np.uint8)
    return mask


__all__ = ["Composite", "PlacementOutside", "compose"]
