"""What of a room stands in front of a product, and so covers it and its shadow.

A thing that meets the floor nearer to the camera than the product's base is in front of it. Only things whose foot is
seen on the floor (or below the photo's edge) count, and only their own colours are cut free: where the reading is in
doubt nothing covers the product, because a hole in a product looks worse than a table that should have hidden its foot.
So its outline has to part two colours nearly everywhere.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from imaging.checks import pose_of
from imaging.colour import fit_within, to_lab
from imaging.geometry import Camera
from imaging.labels import REGION, is_floor
from imaging.room import Room
from imaging.scene import Placement, Product
from imaging.sprite import Sprite

Pixels = NDArray[np.uint8]
Float = NDArray[np.float32]
Mask = NDArray[np.bool_]
# How much nearer (m) a thing has to stand, how far (m) sideways its foot may be, and the least it has to be (m, share).
NEARER_M, FOOT_REACH_M, LEAST_M, LEAST_AREA = 0.12, 0.3, 0.12, 0.0006
# A region map that hides most of the product is not to be trusted.
MOST_HIDDEN = 0.55
WORKING_SIDE, SHADOW_REACH = 480, 0.7
# LAB distance across three quarters, or half, of its outline (a hole in a product is worse than a table that covers
# nothing). Parts that may belong to it: shades of this width (LAB) so many times likelier its own, so far (steps) away.
LEAST_CONTRAST, SIDE_BY_SIDE = (5.0, 24.0), (7, 7)
SAME_SHADE, LIKELIER, DOUBTFUL = 6.0, 3.0, 2


@dataclass(frozen=True, eq=False)
class Cover:
    """How far (0..1) the room hides what is put behind it: alpha (h, w) with its top left corner (px)."""

    alpha: Float
    x: int
    y: int


def cover_of(room_pixels: Pixels, room: Room, sprite: Sprite, product: Product, placement: Placement) -> Cover | None:
    """What hides a sprite that stands or lies on the floor; None if nothing surely does."""
    pose = pose_of(room, product, placement) if placement.mount == "floor" else None
    if pose is None:
        return None
    rows, columns = sprite.alpha.shape
    box = float(sprite.x), float(sprite.y), float(sprite.x + columns), float(sprite.y + rows)
    # Whatever stands on a rug is in front of it.
    edge = float(pose.base[:, 2].max() if product.lies_flat else pose.base[:, 2].min() - NEARER_M)
    return cover_before(room_pixels, room, box, edge)


def cover_before(
    room_pixels: Pixels, room: Room, box: tuple[float, float, float, float], edge_m: float
) -> Cover | None:
    """What stands nearer than `edge_m` (forward) within a box (px) of a photo; None if nothing surely does."""
    camera, scale = room.camera(), room.scale
    height, width = room.regions.shape
    things = (room.regions == REGION.FURNITURE).astype(np.uint8)
    x0, x1 = (int(np.clip(side * scale, 0, width)) for side in (box[0], box[2]))
    y0 = int(np.clip(box[1] * scale, 0, height))
    if x1 - x0 < 3 or not things[y0:, x0:x1].any():
        return None
    part = _part(room, box)
    # Whole things are cut free, so that none ends where the product does.
    columns = int(part[0] * scale), min(width, int(np.ceil(part[2] * scale)))
    in_front = _in_front(things, room, camera, edge_m, scale, columns)
    within = slice(y0, int(np.clip(box[3] * scale, y0 + 1, height))), slice(x0, x1)
    perhaps = in_front | _touching(room.regions == REGION.UNDER, in_front)
    if perhaps[within].sum() < LEAST_AREA * in_front.size or in_front[within].mean() > MOST_HIDDEN:
        return None
    return _refined(room_pixels, room, (things > 0, in_front, perhaps), box, part)


def things_before(room: Room, edge_m: float) -> Mask:
    """Where (in px of the region map) things stand on the floor nearer than `edge_m` (forward), as the map has it."""
    things = (room.regions == REGION.FURNITURE).astype(np.uint8)
    return _in_front(things, room, room.camera(), edge_m, room.scale, (0, things.shape[1]))


def covered(sprite: Sprite, cover: Cover) -> Sprite:
    """The sprite without what is hidden."""
    keep = np.ones(sprite.alpha.shape, np.float32)
    top, left = max(cover.y, sprite.y), max(cover.x, sprite.x)
    bottom = min(cover.y + cover.alpha.shape[0], sprite.y + sprite.alpha.shape[0])
    right = min(cover.x + cover.alpha.shape[1], sprite.x + sprite.alpha.shape[1])
    if top < bottom and left < right:
        part = cover.alpha[top - cover.y : bottom - cover.y, left - cover.x : right - cover.x]
        keep[top - sprite.y : bottom - sprite.y, left - sprite.x : right - sprite.x] = 1.0 - part
    return Sprite(sprite.colour * keep[..., None], sprite.alpha * keep, sprite.x, sprite.y)


def put_back(pixels: Pixels, room_pixels: Pixels, cover: Cover) -> None:
    """Lays the room's own pixels over the picture, in place, where they are in front."""
    part = slice(cover.y, cover.y + cover.alpha.shape[0]), slice(cover.x, cover.x + cover.alpha.shape[1])
    alpha = cover.alpha[..., None]
    mixed = room_pixels[part] * alpha + pixels[part] * (1.0 - alpha)
    hidden = cover.alpha > 0
    pixels[part][hidden] = np.rint(mixed[hidden]).astype(np.uint8)


def _in_front(
    things: Pixels, room: Room, camera: Camera, edge_m: float, scale: float, columns: tuple[int, int]
) -> Mask:
    """Runs of things, column by column, whose foot is nearer than an edge."""
    width = things.shape[1]
    found = np.zeros(things.shape, bool)
    runs = {column: _runs(things[:, column], room.regions[:, column]) for column in range(width)}
    feet = np.array([max((foot for _, foot in runs[column]), default=-1) for column in range(width)])
    for column in range(*columns):
        for top, foot in runs[column]:
            here = _floor_ahead(camera, column, foot, scale)
            if here is None:
                continue
            per_m = camera.focal_px / max(here, 0.3) * scale
            reach = max(1, int(FOOT_REACH_M * per_m))
            near = feet[max(0, column - reach) : column + reach + 1]
            # An overhanging part stands where the foot beside it stands, if both are one thing.
            beside = [int(each) for each in near if foot < each < foot + 3 * reach]
            base = max([foot, *beside])
            ahead = _floor_ahead(camera, column, base, scale)
            if ahead is not None and ahead < edge_m and (base - top) / per_m > LEAST_M:
                found[top:foot, column] = True
    return found


def _runs(things: Pixels, regions: Pixels) -> list[tuple[int, int]]:
    """(top, foot) of a column's runs of things that end on the floor or at the photo's edge."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], things, [0]])))
    spans = zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True)
    stands = is_floor(regions)
    return [(top, foot) for top, foot in spans if foot >= len(things) or stands[foot]]


def _floor_ahead(camera: Camera, column: int, row: int, scale: float) -> float | None:
    """Forward distance (m) of the floor at a pixel of the region map."""
    point = camera.floor_point((column + 0.5) / scale, row / scale)
    return None if point is None else point[1]


def _part(room: Room, box: tuple[float, float, float, float]) -> tuple[int, int, int, int]:
    """The part (px) of a photo in which a product in a box, and its shadow, can be hidden."""
    pad = 0.15 * max(box[2] - box[0], box[3] - box[1])
    x0, y0 = max(0, int(box[0] - pad)), max(0, int(box[1] - pad))
    # Shadows fall to the product's front: what hides them there is put back as well.
    x1, y1 = min(room.width, int(box[2] + pad)), min(room.height, int(box[3] + SHADOW_REACH * (box[3] - box[1])))
    return x0, y0, x1, y1


def _refined(
    room_pixels: Pixels,
    room: Room,
    read: tuple[Mask, Mask, Mask],
    box: tuple[float, float, float, float],
    part: tuple[int, int, int, int],
) -> Cover | None:
    """The cover of a part of the photo at full size: GrabCut from the runs outwards, within the things.

    read: things, what of them is in front, and what may belong to that.
    """
    x0, y0, x1, y1 = part
    size = fit_within(x1 - x0, y1 - y0, WORKING_SIDE)
    photo = np.asarray(cv2.resize(room_pixels[y0:y1, x0:x1], size, interpolation=cv2.INTER_AREA), np.uint8)
    thing, front, near = (_cut(each.astype(np.uint8), room, part, size) for each in read)
    reach = max(2, size[0] // 60)
    kernel = np.ones((2 * reach + 1, 2 * reach + 1), np.uint8)
    trimap = np.full(front.shape, cv2.GC_BGD, np.uint8)
    # Tops and sides of a thing may have been read as floor, or as floor between its feet: their colours tell.
    doubtful = (cv2.dilate(front | near, kernel, iterations=DOUBTFUL) > 0) & (front == 0)
    trimap[doubtful] = cv2.GC_PR_BGD
    trimap[_alike(photo, front > 0, doubtful)] = cv2.GC_PR_FGD
    trimap[front > 0] = cv2.GC_PR_FGD
    trimap[cv2.erode(front, kernel) > 0] = cv2.GC_FGD
    trimap[(thing > 0) & (front == 0)] = cv2.GC_BGD
    if not (trimap == cv2.GC_FGD).any() or not (trimap == cv2.GC_BGD).any():
        return None
    back, fore = np.zeros((1, 65)), np.zeros((1, 65))
    cv2.setRNGSeed(0)
    cv2.grabCut(cv2.cvtColor(photo, cv2.COLOR_RGB2BGR), trimap, None, back, fore, 2, cv2.GC_INIT_WITH_MASK)
    found = (trimap == cv2.GC_FGD) | (trimap == cv2.GC_PR_FGD)
    rows, columns = np.arange(size[1]) + 0.5, np.arange(size[0]) + 0.5
    step = (x1 - x0) / size[0], (y1 - y0) / size[1]
    before = ((rows * step[1] + y0 > box[1]) & (rows * step[1] + y0 < box[3]))[:, None]
    before = before & ((columns * step[0] + x0 > box[0]) & (columns * step[0] + x0 < box[2]))[None]
    if not _stands_out(photo, found, before):
        return None
    mask = found.astype(np.float32)
    alpha = cv2.resize(cv2.GaussianBlur(mask, (0, 0), 0.8), (x1 - x0, y1 - y0), interpolation=cv2.INTER_LINEAR)
    alpha = np.clip((alpha - 0.35) / 0.3, 0.0, 1.0)
    return Cover(np.asarray(alpha, np.float32), x0, y0) if alpha.any() else None


def _alike(photo: Pixels, front: Mask, near: Mask) -> Mask:
    """Where colours (whatever their lightness) of doubtful parts are rather those of a thing than of what is around."""
    shades = np.rint(to_lab(cv2.GaussianBlur(photo, (0, 0), 1.0))[..., 1:] / SAME_SHADE).astype(np.int64) + 128
    kinds = shades[..., 0] * 256 + shades[..., 1]
    ours, others = (np.bincount(kinds[part], minlength=65536) / max(part.sum(), 1) for part in (front, ~front & ~near))
    return np.asarray(near & (ours > LIKELIER * others)[kinds])


def _touching(parts: Mask, front: Mask) -> Mask:
    """The connected parts of one mask that touch another."""
    count, labels = cv2.connectedComponents(parts.astype(np.uint8))
    grown = cv2.dilate(front.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
    touched = np.bincount(labels[grown], minlength=count) > 0
    touched[0] = False
    return np.asarray(touched[labels])


def _stands_out(photo: Pixels, found: Mask, before: Mask) -> bool:
    """Whether nearly all of an outline before a product parts two colours, unlike that of floor read as a thing."""
    lab = to_lab(cv2.GaussianBlur(photo, (0, 0), 1.0))
    solid, kernel = found.astype(np.uint8), np.ones((3, 3), np.uint8)
    inner, around = cv2.erode(solid, kernel), cv2.dilate(solid, kernel)
    outline = (around > inner) & before
    means = []
    for side in (inner, 1 - around):
        weight = cv2.blur(side.astype(np.float32), SIDE_BY_SIDE)
        outline &= weight > 0.02
        means.append(cv2.blur(lab * side[..., None], SIDE_BY_SIDE) / np.maximum(weight, 1e-4)[..., None])
    apart = np.linalg.norm(means[0] - means[1], axis=2)[outline]
    return bool(apart.size and (np.percentile(apart, [25, 50]) > LEAST_CONTRAST).any())


def _cut(labels: Pixels, room: Room, part: tuple[int, int, int, int], size: tuple[int, int]) -> Pixels:
    """A part (px of the photo) of a map at working size, resized."""
    height, width = labels.shape
    columns = np.clip((np.arange(size[0]) + 0.5) / size[0] * (part[2] - part[0]) + part[0], 0, room.width - 1)
    rows = np.clip((np.arange(size[1]) + 0.5) / size[1] * (part[3] - part[1]) + part[1], 0, room.height - 1)
    return np.ascontiguousarray(
        labels[(rows * height / room.height).astype(int)][:, (columns * width / room.width).astype(int)]
    )


__all__ = ["Cover", "cover_before", "cover_of", "covered", "put_back", "things_before"]
