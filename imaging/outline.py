"""The outline of a product before a studio backdrop: what a flood from the frame cannot reach.

The flood runs over backdrop and shadow alike, since both change softly, and stops at sharp edges however faint they
are: an edge is sharp where its gradient falls fast with blur, which does not depend on its contrast.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from imaging.backdrop import Backdrop, fit_backdrop
from imaging.colour import disk, to_lab
from imaging.matting import fill_in, solve_alpha

Pixels = NDArray[np.uint8]
Mask = NDArray[np.bool_]
Float = NDArray[np.float32]

# ΔE from the backdrop below which a pixel is backdrop, and the a*b* distance that a shadow keeps.
FAINT, SHADOW_CHROMA, SHADOW_TINT = 2.5, 6.0, 0.1
# Light from a coloured product tints the shadow under it.
BOUNCE_TINT = 0.3
# An enclosed shadow has less than this share of its rim at the flood.
BARED = 0.2
# A step edge loses 60 % of its gradient from blur 1 px to 3 px, a penumbra of 2 px or more less than 38 %.
SHARPNESS, LEAST_GRADIENT = 1.6, 0.5
# JPEG turns a slow change of hue into steps of one level between blocks of 16 px: at most 0.5 ΔE per pixel.
MOST_STEP = 0.45
# How wide (px) such a seam is at most, and how steep its outer side beside its inner one.
SEAM, GENTLE = 6, 0.35
# The disks (px) that the flood rolls, and how far the narrow one goes on.
WIDE, NARROW, REACH = 6, 2, 16
# Where a wall meets a floor, a field fitted to the frame says little about the middle.
GOOD_FIT = 0.6
# A white front on white is calm as well, but little less like the backdrop than its rim.
HOLE_CONTRAST, STRONG_RIM, LIKE_BEHIND = 0.25, 20.0, 6.0
# The widest cell (px) of a mesh in a shadow, how dark a shadow is (share of the backdrop's lightness), how much less
# than the wires a cell differs from what is guessed behind it, and the share of holes without which there is no mesh.
CELL, SHADED, BETWEEN, MESHED = 40, 0.9, 0.45, 0.005
# How often the holes found tell more of the backdrop.
ROUNDS = 4


@dataclass(frozen=True, eq=False)
class Outline:
    """A product's hard mask (H, W) at working size, by what it was found, and marks (badges, lettering) beside it."""

    mask: Mask
    backdrop: Backdrop
    sharp: Mask
    flooded: Mask
    marks: Mask


def find_outline(small: Pixels) -> Outline:
    """The product of a photo (H, W, 3) of about 800 px."""
    backdrop, lab = fit_backdrop(small), to_lab(small)
    sharp = sharp_edges(lab)
    flooded = _flood(backdrop, sharp)
    flooded = ndimage.binary_dilation(flooded, iterations=2 * SEAM, mask=flooded | _seams(lab, backdrop, sharp))
    local = np.linalg.norm(lab - _behind(lab, flooded), axis=2)
    if backdrop.residual < GOOD_FIT:
        local = np.minimum(local, backdrop.distance)
    # What JPEG leaves around an outline is sharp and yet no product.
    flooded = ndimage.binary_dilation(flooded, iterations=8, mask=flooded | (local < 0.8 * FAINT))
    rest = ~flooded
    open_parts, local = _openings(rest, local, sharp, backdrop, lab, flooded)
    open_parts |= _enclosed_shadows(rest, flooded, backdrop, sharp, lab)
    rest &= ~open_parts
    whole = _peeled(small, rest & ~_slivers(rest, flooded, backdrop, lab), local)
    mask, marks = _without_marks(_without_specks(_without_horizons(whole)))
    return Outline(_fill_pinholes(mask, local, open_parts), backdrop, sharp, flooded, marks | _lettering(whole & ~mask))


def frame(shape: tuple[int, ...], width: int = 2) -> Mask:
    """The outermost pixels."""
    ring = np.ones(shape, bool)
    ring[width:-width, width:-width] = False
    return ring


def _gradients(lab: Float, blur: float) -> tuple[Float, Float]:
    """(of lightness, of hue), ΔE per pixel after a blur (px)."""
    soft = cv2.GaussianBlur(lab, (0, 0), blur)
    across, down = (cv2.Sobel(soft, cv2.CV_32F, *axis, scale=0.125) for axis in ((1, 0), (0, 1)))
    light, a, b = cv2.split(across**2 + down**2)
    return np.sqrt(light), np.sqrt(a + b)


def _margin(shape: tuple[int, ...]) -> Mask:
    """Where the backdrop shows its noise."""
    return frame(shape, max(4, min(shape) // 25))


def sharp_edges(lab: Float) -> Mask:
    """Where the gradient falls fast with blur, in LAB (H, W, 3), above the noise and the JPEG steps at the frame."""
    light, hue = _gradients(lab, 1.0)
    fine, coarse = np.hypot(light, hue), np.hypot(*_gradients(lab, 3.0))
    margin = _margin(fine.shape)
    step = min(MOST_STEP, float(np.percentile(hue[margin], 97)))
    clear = np.hypot(light, np.maximum(hue - step, 0.0))
    noise = float(np.percentile(clear[margin], 80))
    return np.asarray((clear > max(LEAST_GRADIENT, 2.5 * noise)) & (fine > SHARPNESS * coarse))


def _seams(lab: Float, backdrop: Backdrop, sharp: Mask) -> Mask:
    """Dark seams of shadow along a brighter product that stands in it.

    Blurred, a seam's two sides cancel out, and the outer one seems sharp; but it is far less steep than the inner one.
    """
    light = np.ascontiguousarray(lab[..., 0])
    seam = cv2.morphologyEx(light, cv2.MORPH_CLOSE, disk(SEAM)) - light > 4.0
    steep = np.hypot(*_gradients(lab, 1.0))
    gentle = steep < GENTLE * cv2.dilate(steep, disk(SEAM))
    return np.asarray(seam & (gentle | ~sharp) & backdrop.darker & (backdrop.tint < SHADOW_TINT))


def _flood(backdrop: Backdrop, sharp: Mask) -> Mask:
    """Backdrop and shadow: reached from the frame by a wide disk, and a little further by a narrow one.

    An outline is lost for a few pixels where a shadow happens to be as bright as the product. The wide disk does not
    pass such a gap, and the narrow one, which follows between legs, does not get far behind it.
    """
    free = ~sharp & ((backdrop.chroma_gap < SHADOW_CHROMA) | (backdrop.tint < BOUNCE_TINT))
    start = frame(free.shape) & (backdrop.distance < 12.0)
    broad, narrow = (_rolled(free, start, radius) for radius in (WIDE, NARROW))
    return np.asarray(ndimage.binary_dilation(broad, iterations=REACH, mask=narrow))


def _rolled(free: Mask, start: Mask, radius: int) -> Mask:
    """Where a disk gets to that rolls in from the start over free pixels."""
    room = cv2.erode(free.astype(np.uint8), disk(radius), borderValue=1) > 0
    reached = ndimage.binary_propagation(start & room, mask=room)
    return np.asarray((cv2.dilate(reached.astype(np.uint8), disk(radius)) > 0) & free)


def _behind(lab: Float, flooded: Mask) -> Float:
    """Backdrop and shadow around the product, continued behind it (LAB)."""
    sure = cv2.erode(flooded.astype(np.uint8), disk(1), borderValue=1).astype(np.float32)
    return fill_in(lab, sure)


def _openings(
    rest: Mask, local: Float, sharp: Mask, backdrop: Backdrop, lab: Float, flooded: Mask
) -> tuple[Mask, Float]:
    """(holes, ΔE from what lies behind the product once they are known).

    A shadow that a mesh stands in is seen in its own holes best: those found tell what is behind the next.
    """
    rim = rest & (cv2.dilate((~rest).astype(np.uint8), disk(6)) > 0)
    if not rim.any() or float(np.percentile(local[rim], 60)) < STRONG_RIM:
        return _holes(rest, local, sharp, np.zeros_like(rest)), local
    found = np.zeros_like(rest)
    free = ~sharp & ((backdrop.chroma_gap < SHADOW_CHROMA) | (backdrop.tint < BOUNCE_TINT))
    for _ in range(ROUNDS):
        behind = _behind(lab, flooded | found)
        local = np.minimum(np.linalg.norm(lab - behind, axis=2), local)
        left = rest & ~found
        more = _holes(left, local, sharp, free)
        if (found | more).sum() > MESHED * rest.sum():
            beside = cv2.dilate((found | more).astype(np.uint8), disk(2 * WIDE)) > 0
            more |= _shaded_cells(left & free, local, behind, backdrop, beside)
        if more.sum() < 6:
            break
        seeds = found | more
        found = ndimage.binary_dilation(seeds, iterations=4, mask=seeds | (rest & (local < 0.8 * FAINT)))
    return np.asarray(found), local


def _shaded_cells(free: Mask, local: Float, behind: Float, backdrop: Backdrop, beside: Mask) -> Mask:
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
    shaded = mean(behind[..., 0]) < SHADED * mean(backdrop.lightness)
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


def _holes(rest: Mask, local: Float, sharp: Mask, free: Mask) -> Mask:
    """Backdrop seen through the product: like the backdrop behind it, and with a sharp rim.

    A pale part beside a hole may pass for backdrop and run together with it, but not for the very same.
    """
    around = cv2.dilate(local, disk(5))
    found = _rimmed(rest & (local < FAINT), local, sharp, rest, np.zeros_like(rest))
    return found | _rimmed(rest & ~found & (local < np.clip(0.12 * around, 3.0, 9.0)), local, sharp, rest, free)


def _rimmed(alike: Mask, local: Float, sharp: Mask, rest: Mask, free: Mask) -> Mask:
    """Areas of what is like the backdrop that have a sharp rim, far less like it."""
    thick = cv2.morphologyEx(alike.astype(np.uint8), cv2.MORPH_OPEN, disk(1)) > 0
    near = cv2.dilate((~rest).astype(np.uint8), disk(5)) > 0
    alike = ndimage.binary_dilation(thick, mask=alike) | (alike & near)
    alike |= _calm_regions(free & rest, alike)
    labels, count = ndimage.label(alike)
    if count == 0:
        return np.asarray(alike)
    rim = cv2.dilate(alike.astype(np.uint8), disk(3)).astype(bool) & ~alike
    nearest = ndimage.distance_transform_edt(~alike, return_distances=False, return_indices=True)
    owner = labels[tuple(nearest)]
    sizes = np.bincount(labels.ravel(), minlength=count + 1)
    rims = np.bincount(owner[rim], minlength=count + 1)
    crisp = np.bincount(owner[rim & sharp], minlength=count + 1)
    inside = np.bincount(labels.ravel(), weights=local.ravel(), minlength=count + 1) / np.maximum(sizes, 1)
    edges = np.bincount(owner[rim & (local > np.clip(LIKE_BEHIND * inside, FAINT, 10.0)[owner])], minlength=count + 1)
    beside = np.bincount(owner[rim], weights=local[rim], minlength=count + 1) / np.maximum(rims, 1)
    hole = (sizes >= 6) & (edges > 0.3 * rims) & (crisp > 0.4 * rims) & (inside < HOLE_CONTRAST * beside)
    hole[0] = False
    return np.asarray(hole[labels])


def _enclosed_shadows(rest: Mask, flooded: Mask, backdrop: Backdrop, sharp: Mask, lab: Float) -> Mask:
    """Shadow that the flood cannot reach, such as between legs: grey and calm inside a coloured product.

    What lies at the flood behind a sharp edge is a grey part of the product itself.
    """
    if not rest.any() or float(np.median(backdrop.chroma_gap[rest])) < 2.0 * SHADOW_CHROMA:
        return np.zeros(rest.shape, bool)
    grey = rest & ~sharp & (backdrop.tint < SHADOW_TINT) & backdrop.darker & (lab[..., 0] > 40.0)
    calm = cv2.morphologyEx(grey.astype(np.uint8), cv2.MORPH_OPEN, disk(4)) > 0
    labels, count = ndimage.label(calm)
    rim = calm & (cv2.erode(calm.astype(np.uint8), disk(1), borderValue=0) == 0)
    outside = cv2.dilate(flooded.astype(np.uint8), disk(6)) > 0
    rims, bared = (np.bincount(labels[each], minlength=count + 1) for each in (rim, rim & outside))
    inside = bared < BARED * rims
    inside[0] = False
    return np.asarray(ndimage.binary_dilation(inside[labels], iterations=6, mask=grey))


def _slivers(rest: Mask, flooded: Mask, backdrop: Backdrop, lab: Float) -> Mask:
    """Contact shadow at a coloured foot: small, grey, darker than the backdrop, between the foot and the flood."""
    around = cv2.dilate(np.where(rest, backdrop.chroma_gap, 0).astype(np.float32), np.ones((41, 41)))
    grey = (backdrop.chroma_gap < 0.3 * around) & (backdrop.tint < SHADOW_TINT)
    grey &= backdrop.darker & (lab[..., 0] > 25.0)
    rows = np.flatnonzero(rest.any(axis=1))
    if rows.size:
        grey[: int(rows[0] + 0.6 * (rows[-1] - rows[0]))] = False
    labels, count = ndimage.label(rest & grey)
    sizes = np.bincount(labels.ravel(), minlength=count + 1)
    outside = cv2.dilate(flooded.astype(np.uint8), disk(2)) > 0
    sliver = (np.bincount(labels[outside], minlength=count + 1) > 0) & (sizes < 0.005 * rest.sum())
    sliver[0] = False
    return np.asarray(sliver[labels])


def _peeled(small: Pixels, rest: Mask, local: Float) -> Mask:
    """Without the margin that sharp edges have around them, and what JPEG leaves there."""
    alpha, _, _ = solve_alpha(small, rest, 3)
    margin = rest & (cv2.erode(rest.astype(np.uint8), disk(2), borderValue=1) == 0)
    faint = local < 4.0
    kept = rest & ~((alpha <= 0.5) & (margin | faint))
    kept &= ~faint | (cv2.morphologyEx(kept.astype(np.uint8), cv2.MORPH_OPEN, disk(4)) > 0)
    smooth = cv2.medianBlur(kept.astype(np.uint8), 7) > 0
    return np.asarray(np.where(cv2.dilate(local, disk(4)) < 12.0, smooth, kept))


def _without_horizons(mask: Mask) -> Mask:
    """Without the line where a wall meets a floor: thin all along, from the left to the right side of the frame."""
    labels, _ = ndimage.label(mask, structure=np.ones((3, 3)))
    across = np.intersect1d(labels[:, :4], labels[:, -4:])
    thick = cv2.erode(mask.astype(np.uint8), disk(2)) > 0
    lines = [label for label in across if label and thick[labels == label].mean() < 0.05]
    return np.asarray(mask & ~np.isin(labels, lines))


def _without_specks(mask: Mask) -> Mask:
    """Without parts under 1 % of the largest one."""
    labels, count = ndimage.label(mask, structure=np.ones((3, 3)))
    if count == 0:
        return mask
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0
    return np.asarray((sizes >= max(12, 0.01 * sizes.max()))[labels], dtype=bool)


def _without_marks(mask: Mask) -> tuple[Mask, Mask]:
    """(the mask without badges, the badges): small parts apart from the product, in a corner of the picture."""
    labels, count = ndimage.label(mask, structure=np.ones((3, 3)))
    marks = np.zeros_like(mask)
    if count < 2:
        return mask, marks
    sizes = np.bincount(labels.ravel(), minlength=count + 1)
    height, width = mask.shape
    for label, place in enumerate(ndimage.find_objects(labels), start=1):
        middle = (place[0].start + place[0].stop) / 2 / height, (place[1].start + place[1].stop) / 2 / width
        cornered = all(min(share, 1.0 - share) < 0.22 for share in middle)
        if cornered and sizes[label] < 0.2 * sizes[1:].max():
            marks |= labels == label
    return mask & ~marks, marks


def _lettering(specks: Mask) -> Mask:
    """Specks that stand in a row with at least five others of about their height."""
    labels, count = ndimage.label(specks, structure=np.ones((3, 3)))
    places = ndimage.find_objects(labels)
    spans = np.array([(place[0].start, place[0].stop) for place in places], float).reshape(-1, 2)
    high = spans[:, 1] - spans[:, 0]
    middle = spans.mean(axis=1) if count else high
    alike = (np.abs(middle[:, None] - middle) < 0.4 * high[:, None]) & (
        np.abs(high[:, None] - high) < 0.5 * high[:, None]
    )
    letter = np.concatenate([[False], (high > 6) & (alike.sum(axis=1) > 5)])
    return np.asarray(letter[labels])


def _fill_pinholes(mask: Mask, local: Float, open_parts: Mask) -> Mask:
    """Fills enclosed specks, and enclosed areas that differ from what lies behind them."""
    labels, count = ndimage.label(ndimage.binary_fill_holes(mask) & ~mask)
    if count == 0:
        return mask
    sizes = np.bincount(labels.ravel(), minlength=count + 1)
    other = np.bincount(labels.ravel(), weights=(local > 12.0).ravel(), minlength=count + 1)
    known = np.bincount(labels.ravel(), weights=open_parts.ravel(), minlength=count + 1)
    fill = (sizes < 6) | ((other > 0.7 * sizes) & (known < 0.3 * sizes))
    fill[0] = False
    return np.asarray(mask | fill[labels])


__all__ = ["Outline", "find_outline", "frame", "sharp_edges"]
