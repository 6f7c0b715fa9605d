"""Holes in a product before a studio backdrop: enclosed parts that look like what is behind them.

What is behind is guessed in two ways, continued smoothly from all around and straight across from both sides, and is
guessed anew once holes are found.
"""

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from imaging.backdrop import Backdrop, length
from imaging.colour import disk
from imaging.matting import fill_in

Mask = NDArray[np.bool_]
Float = NDArray[np.float32]
Labels = NDArray[Any]

# ΔE from the backdrop below which a pixel is backdrop, and the a*b* distance that a shadow keeps.
FAINT, LIKE, SHADOW_CHROMA = 2.5, 2.0, 6.0
# Light from a coloured product tints the shadow under it.
BOUNCE_TINT = 0.3
# The disks (px) that the flood rolls.
WIDE, NARROW = 6, 2
# A white front on white is calm as well, but little less like the backdrop than its rim.
HOLE_CONTRAST, STRONG_RIM, LIKE_BEHIND = 0.25, 20.0, 6.0
# The share of a hole's rim that has a sharp edge beside it.
CRISP = 0.4
# Before a pale product the limit of what is backdrop is this share of its contrast, and the least one.
PALE_SHARE, PALE_FAINT = 0.3, 0.6
# The smallest hole (px), and the smallest that can be told from a pale part of a pale product.
SMALLEST, PALE_HOLE = 6, 500
# The widest cell (px) of a mesh in a shadow, how dark a shadow is (share of the backdrop's lightness), how much less
# than the wires a cell differs from what is guessed behind it, and the share of holes without which there is no mesh.
CELL, SHADED, BETWEEN, MESHED = 40, 0.9, 0.45, 0.005
# An opening (of at least so many px) of what stands out has a sharp rim nearly all around; a leak into a pale part not.
OPENING, SHARP_RIM = 150, 0.89
# How often the holes found tell more of the backdrop, and how far (px) around the product they are looked for.
ROUNDS, AROUND = 4, 32
# What floats in an opening is thicker than twice this (px), and at least this share of it.
SOLID, HELD = 4, 0.01
# How far (share of its lightness) the hue of a shadow differs from the backdrop's at most.
GREY = 0.1


def like_backdrop(local: Float, pale: bool) -> Mask:
    """Where ΔE from the backdrop is small; before a pale product, small beside that of what is nearby as well."""
    if not pale:
        return np.asarray(local < LIKE)
    around = cv2.dilate(local, disk(6))
    return np.asarray(local < np.clip(PALE_SHARE * around, 0.5, LIKE))


def behind(lab: Float, flooded: Mask) -> Float:
    """Backdrop and shadow around the product, continued behind it (LAB)."""
    sure = cv2.erode(flooded.astype(np.uint8), disk(1), borderValue=1).astype(np.float32)
    return fill_in(lab, sure)


def _across(lab: Float, known: Mask, wanted: Mask) -> Float:
    """Backdrop behind the wanted pixels by what is left and right of them in the same rows (LAB, N x 3).

    A studio's light, and the line where its wall meets its floor, change downwards far more than across.
    """
    sure = cv2.erode(known.astype(np.uint8), disk(2), borderValue=1)
    weight = cv2.blur(sure.astype(np.float32), (9, 3))
    even = cv2.blur(lab * sure[..., None], (9, 3)) / np.maximum(weight, 1e-4)[..., None]
    width = sure.shape[1]
    column = np.arange(width, dtype=np.int32)
    row, place = np.nonzero(wanted)
    left = np.maximum.accumulate(np.where(sure > 0, column, -1), axis=1)[wanted]
    right = np.minimum.accumulate(np.where(sure > 0, column, width)[:, ::-1], axis=1)[:, ::-1][wanted]
    left, right = np.where(left < 0, right % width, left), np.where(right == width, np.maximum(left, 0), right)
    share = ((place - left) / np.maximum(right - left, 1)).astype(np.float32)[:, None]
    return np.asarray(even[row, left] * (1.0 - share) + even[row, right] * share)


def find_holes(
    rest: Mask, local: Float, sharp: Mask, backdrop: Backdrop, lab: Float, flooded: Mask, contrast: float, pale: bool
) -> tuple[Mask, Float]:
    """(holes, ΔE from what lies behind the product once they are known), all (H, W).

    rest: what the flood did not reach. local: ΔE from what is behind it. contrast: that of its rim.
    """
    x, y, wide, high = cv2.boundingRect(rest.astype(np.uint8))
    part = np.s_[max(0, y - AROUND) : y + high + AROUND, max(0, x - AROUND) : x + wide + AROUND]
    holes, gap = np.zeros_like(rest), local.copy()
    holes[part], gap[part] = _searched(
        rest[part], local[part], sharp[part], backdrop.part(part), lab[part], flooded[part], contrast, pale
    )
    return holes, gap


def _searched(
    rest: Mask, local: Float, sharp: Mask, backdrop: Backdrop, lab: Float, flooded: Mask, contrast: float, pale: bool
) -> tuple[Mask, Float]:
    """A shadow that a mesh stands in is seen in its own holes best: those found tell what is behind the next."""
    strong = contrast >= STRONG_RIM
    least = float(np.clip(PALE_SHARE * contrast, PALE_FAINT, FAINT))
    found = np.zeros_like(rest)
    free = ~sharp & ((backdrop.chroma_gap < SHADOW_CHROMA) | (backdrop.tint < BOUNCE_TINT)) & strong
    for _ in range(ROUNDS):
        left = rest & ~found
        around, across = behind(lab, flooded | found), _across(lab, flooded | found, left)
        local = np.minimum(length(lab - around), local)
        local[left] = np.minimum(length(lab[left] - across), local[left])
        more = _holes(left, local, sharp, free, least)
        if strong and (found | more).sum() > MESHED * rest.sum():
            near = cv2.dilate((found | more).astype(np.uint8), disk(2 * WIDE)) > 0
            more |= _shaded_cells(left & free, local, around, backdrop, near)
        if more.sum() < SMALLEST:
            break
        seeds = found | more
        seeds |= _calm_regions(free & rest, seeds)
        found = ndimage.binary_dilation(seeds, iterations=4, mask=seeds | (rest & like_backdrop(local, pale)))
    if strong:
        found = _without_leaks(found, rest, sharp)
    return _without_floating(found, rest, flooded, sharp, backdrop), local


def _without_leaks(holes: Mask, rest: Mask, sharp: Mask) -> Mask:
    """Holes without those that end somewhere in a calm or grainy surface: parts as pale as the backdrop."""
    labels, count = ndimage.label(holes, structure=np.ones((3, 3)))
    solid = cv2.dilate((rest & ~holes).astype(np.uint8), disk(1)) > 0
    near = cv2.dilate(sharp.astype(np.uint8), disk(3)) > 0
    sizes, rims, crisp = (
        np.bincount(labels[mask], minlength=count + 1) for mask in (holes, holes & solid, holes & solid & near)
    )
    return np.asarray(holes & ~((sizes >= OPENING) & (crisp < SHARP_RIM * rims))[labels])


def _without_floating(holes: Mask, rest: Mask, flooded: Mask, sharp: Mask, backdrop: Backdrop) -> Mask:
    """Holes without those in which something solid floats: what holds it is no opening, like a print's white mat.

    A shadow seen in a hole, grey and darker than the backdrop, floats as well and is nothing solid.
    """
    labels, count = ndimage.label(rest & ~holes, structure=np.ones((3, 3)))
    shadow = backdrop.darker & (backdrop.tint < GREY)
    thick = (cv2.erode((labels > 0).astype(np.uint8), disk(SOLID), borderValue=0) > 0) & ~shadow
    solid = np.bincount(labels[thick], minlength=count + 1) > SOLID**2
    solid[np.unique(labels[cv2.dilate(flooded.astype(np.uint8), disk(3)) > 0])] = solid[0] = False
    if not solid.any():
        return holes
    rim = (labels > 0) & (cv2.erode((labels > 0).astype(np.uint8), disk(1)) == 0)
    near = cv2.dilate(sharp.astype(np.uint8), disk(2)) > 0
    rims, crisp = (np.bincount(labels[mask], minlength=count + 1) for mask in (rim, rim & near))
    sizes = np.bincount(labels.ravel(), minlength=count + 1)
    openings, number = ndimage.label(holes, structure=np.ones((3, 3)))
    areas = np.bincount(openings.ravel(), minlength=number + 1)
    closed = np.zeros(number + 1, bool)
    for label in np.flatnonzero(solid & (crisp > 0.8 * rims)):
        around = np.unique(openings[cv2.dilate((labels == label).astype(np.uint8), disk(3)) > 0])
        closed[around] |= sizes[label] > HELD * areas[around]
    return np.asarray(holes & ~closed[openings])


def _shaded_cells(free: Mask, local: Float, guessed: Float, backdrop: Backdrop, beside: Mask) -> Mask:
    """Small calm areas in a shadow, beside holes, between parts far darker than they are: the cells of a mesh.

    What is behind them is only guessed where a shadow deepens, so it is enough to be much nearer to that than the
    rim is.
    """
    core = cv2.erode(free.astype(np.uint8), disk(NARROW), borderValue=0)
    count, labels, stats, _ = cv2.connectedComponentsWithStats(core)
    sizes = np.maximum(np.bincount(labels.ravel(), minlength=count), 1)

    def mean(values: Float) -> Float:
        return np.asarray(np.bincount(labels.ravel(), weights=values.ravel(), minlength=count) / sizes)

    small = np.minimum(stats[:, cv2.CC_STAT_WIDTH], stats[:, cv2.CC_STAT_HEIGHT]) <= CELL
    shaded = mean(guessed[..., 0]) < SHADED * mean(backdrop.lightness)
    between = mean(local) < BETWEEN * mean(cv2.dilate(local, disk(6)))
    cell = (
        small
        & shaded
        & between
        & (np.bincount(labels[beside], minlength=count) > 0)
        & (mean(backdrop.tint) < BOUNCE_TINT)
    )
    cell[0] = False
    whole = cv2.dilate(cell[labels].astype(np.uint8), disk(NARROW)) > 0
    return np.asarray(whole & free)


def _calm_regions(free: Mask, alike: Mask) -> Mask:
    """Enclosed areas without a sharp edge in them, more than half of which is like the backdrop: shadow included."""
    core = cv2.erode(free.astype(np.uint8), disk(NARROW), borderValue=0)
    count, labels = cv2.connectedComponents(core)
    sizes = np.bincount(labels.ravel(), minlength=count)
    known = np.bincount(labels[alike], minlength=count) > 0.5 * sizes
    known[0] = False
    whole = cv2.dilate(known[labels].astype(np.uint8), disk(NARROW)) > 0
    return np.asarray(whole & free)


def _holes(rest: Mask, local: Float, sharp: Mask, free: Mask, least: float) -> Mask:
    """Backdrop seen through the product: like the backdrop behind it, and with a sharp rim.

    A pale part beside a hole may pass for backdrop and run together with it, but not for the very same.
    """
    around = cv2.dilate(local, disk(5))
    found = _rimmed(rest & (local < least), local, sharp, rest, np.zeros_like(rest), least)
    alike = local < np.clip(0.12 * around, 1.2 * least, 9.0)
    return found | _rimmed(rest & ~found & alike, local, sharp, rest, free, least)


def _rimmed(alike: Mask, local: Float, sharp: Mask, rest: Mask, free: Mask, least: float) -> Mask:
    """Areas of what is like the backdrop that have a sharp rim, far less like it."""
    thick = cv2.morphologyEx(alike.astype(np.uint8), cv2.MORPH_OPEN, disk(1)) > 0
    near = cv2.dilate((~rest).astype(np.uint8), disk(5)) > 0
    alike = ndimage.binary_dilation(thick, mask=alike) | (alike & near)
    alike |= _calm_regions(free & rest, alike)
    labels, count = ndimage.label(alike)
    if count == 0:
        return np.asarray(alike)
    smallest = SMALLEST if least == FAINT else PALE_HOLE
    rim = cv2.dilate(alike.astype(np.uint8), disk(3)).astype(bool) & ~alike
    nearest = ndimage.distance_transform_edt(~alike, return_distances=False, return_indices=True)
    owner = labels[tuple(nearest)]
    sizes = np.bincount(labels.ravel(), minlength=count + 1)
    rims = np.bincount(owner[rim], minlength=count + 1)
    near = cv2.dilate(sharp.astype(np.uint8), disk(1)) > 0
    crisp = np.bincount(owner[rim & near], minlength=count + 1)
    inside = np.bincount(labels.ravel(), weights=local.ravel(), minlength=count + 1) / np.maximum(sizes, 1)
    edges = np.bincount(owner[rim & (local > np.clip(LIKE_BEHIND * inside, least, 10.0)[owner])], minlength=count + 1)
    beside = np.bincount(owner[rim], weights=local[rim], minlength=count + 1) / np.maximum(rims, 1)
    hole = (sizes >= smallest) & (edges > 0.3 * rims) & (crisp > CRISP * rims) & (inside < HOLE_CONTRAST * beside)
    hole[0] = False
    return np.asarray(hole[labels])


__all__ = ["BOUNCE_TINT", "FAINT", "NARROW", "SHADOW_CHROMA", "WIDE", "behind", "find_holes", "like_backdrop"]
