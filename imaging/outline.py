"""The outline of a product before a studio backdrop: what a flood from the frame cannot reach.

The flood runs over backdrop and shadow alike, since both change softly, and stops at sharp edges however faint they
are: an edge is sharp where its gradient falls fast with blur, which does not depend on its contrast.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from imaging.backdrop import Backdrop, fit_backdrop, length
from imaging.colour import disk, to_lab
from imaging.holes import BOUNCE_TINT, NARROW, SHADOW_CHROMA, WIDE, behind, find_holes, like_backdrop
from imaging.matting import solve_alpha

Pixels = NDArray[np.uint8]
Mask = NDArray[np.bool_]
Float = NDArray[np.float32]

# How far (a*b* from its hue at its lightness, as a share of that) a shadow is tinted at most.
SHADOW_TINT = 0.1
# Right under a coloured product the tint is stronger than BOUNCE_TINT, for so many px.
DEEP_TINT, DEEP = 0.45, 12
# An enclosed shadow has less than this share of its rim at the flood.
BARED = 0.2
# A step edge loses 60 % of its gradient from blur 1 px to 3 px, a penumbra of 2 px or more less than 38 %.
SHARPNESS, LEAST_GRADIENT, FAINT_GRADIENT = 1.6, 0.5, 0.22
# JPEG turns a slow change of hue into steps of one level between blocks of 16 px: at most 0.5 ΔE per pixel.
MOST_STEP = 0.45
# How wide (px) such a seam is at most, and how steep its outer side beside its inner one.
SEAM, GENTLE = 6, 0.35
# How far (px) the flood goes on with the narrow disk, and over the margin of strong and of faint edges.
REACH, MARGIN, FAINT_MARGIN = 16, 8, 3
# Where a wall meets a floor, a field fitted to the frame says little about the middle.
GOOD_FIT = 0.6
# How thick (px) a pale bar is at least between a hole and what is around, and a shadow's spur at most, halved.
BAR, SPUR = 15, 5
# A stem is at most so wide and goes on for at least so long, its foot is at most so high (shares of the product's
# height); what leaked out of the foot has less than this share of its rim sharp.
STEM, LONG, LOW, PLATE_RIM = 0.05, 0.15, 0.13, 0.95


@dataclass(frozen=True, eq=False)
class Outline:
    """A product's hard mask (H, W) at working size, by what it was found, and marks (badges, lettering) beside it."""

    mask: Mask
    backdrop: Backdrop
    sharp: Mask
    flooded: Mask
    marks: Mask


def find_outline(small: Pixels, faint: bool = False) -> Outline:
    """The product of a photo (H, W, 3) of about 800 px; `faint` follows edges hardly above the noise as well, which
    a pale product needs and a strong shadow forbids."""
    backdrop, lab = fit_backdrop(small), to_lab(small)
    sharp = sharp_edges(lab, faint)
    flooded = _flood(backdrop, sharp)
    flooded = ndimage.binary_dilation(flooded, iterations=2 * SEAM, mask=flooded | _seams(lab, backdrop, sharp))
    plate = _plate(_without_specks(~flooded), sharp)
    flooded &= ~plate
    local = length(lab - behind(lab, flooded))
    if backdrop.residual < GOOD_FIT:
        local = np.minimum(local, backdrop.distance)
    flooded = ndimage.binary_dilation(flooded, iterations=DEEP, mask=flooded | _deep_shadow(local, sharp, backdrop))
    # What JPEG leaves around an outline is sharp and yet no product.
    flooded = ndimage.binary_dilation(
        flooded, iterations=FAINT_MARGIN if faint else MARGIN, mask=flooded | like_backdrop(local, faint)
    )
    flooded &= ~plate
    rest = ~flooded
    contrast = _rim_contrast(rest, local)
    open_parts, local = find_holes(rest, local, sharp, backdrop, lab, flooded, contrast, faint)
    open_parts |= _enclosed_shadows(rest, flooded, backdrop, sharp, lab)
    open_parts &= ~_below_stem(_without_specks(rest))
    if faint:
        open_parts &= ~_bars(flooded, sharp)
        rest &= ~_spurs(rest & ~open_parts, backdrop)
    rest &= ~open_parts
    whole = _peeled(small, rest & ~_slivers(rest, flooded, backdrop, lab), local, contrast)
    mask, marks = _without_marks(_without_specks(_without_horizons(whole)))
    return Outline(_fill_pinholes(mask, local, open_parts), backdrop, sharp, flooded, marks | _lettering(whole & ~mask))


def _deep_shadow(local: Float, sharp: Mask, backdrop: Backdrop) -> Mask:
    """Soft darkness that a coloured product tints strongly, close to the shadow beside it."""
    return np.asarray(
        (local < 10.0) & ~sharp & backdrop.darker & (backdrop.distance > 15.0) & (backdrop.tint < DEEP_TINT)
    )


def _rim_contrast(rest: Mask, local: Float) -> float:
    """ΔE between the product's rim and the backdrop: the 60th percentile."""
    rim = rest & (cv2.dilate((~rest).astype(np.uint8), disk(6)) > 0)
    return float(np.percentile(local[rim], 60)) if rim.any() else 0.0


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


def sharp_edges(lab: Float, faint: bool = False) -> Mask:
    """Where the gradient falls fast with blur, in LAB (H, W, 3), above the noise and the JPEG steps at the frame;
    with `faint`, the lines too that go on from there just above the noise."""
    light, hue = _gradients(lab, 1.0)
    fine, coarse = np.hypot(light, hue), np.hypot(*_gradients(lab, 3.0))
    margin = _margin(fine.shape)
    step = min(MOST_STEP, float(np.percentile(hue[margin], 97)))
    clear = np.hypot(light, np.maximum(hue - step, 0.0))
    noise, loud = np.percentile(clear[margin], (80, 97))
    falling = fine > SHARPNESS * coarse
    sharp = np.asarray(falling & (clear > max(LEAST_GRADIENT, 2.5 * noise)))
    if not faint:
        return sharp
    return _going_on(sharp, falling & (clear > max(FAINT_GRADIENT, 2.5 * noise, 2.0 * loud)))


def horizon_rows(sharp: Mask, reach: int) -> Mask:
    """Rows (H, 1) near those in which an edge reaches the frame: where the studio's wall meets its floor."""
    ends = np.hstack([sharp[:, :12], sharp[:, -12:]]).any(axis=1, keepdims=True)
    return np.asarray(cv2.dilate(ends.astype(np.uint8), np.ones((2 * reach + 1, 1), np.uint8)) > 0)


def _going_on(sure: Mask, faint: Mask) -> Mask:
    """Sure pixels and the faint lines that go on from them (hysteresis: Canny, "A computational approach to edge
    detection", 1986, section VIII)."""
    labels, count = ndimage.label(sure | faint, structure=np.ones((3, 3)))
    sizes = np.bincount(labels[sure], minlength=count + 1)
    kept = sizes >= 4
    kept[0] = False
    return np.asarray(sure | kept[labels])


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
    grey = (backdrop.chroma_gap < 0.3 * around) & (backdrop.tint < SHADOW_TINT) & (around > SHADOW_CHROMA)
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


def _plate(rest: Mask, sharp: Mask) -> Mask:
    """What the flood took of a pale plate under a stem, entering where its rim is lost: up to its convex hull.

    Between the feet of a star, whose sides are sharp, nothing was taken.
    """
    foot = rest & _below_stem(rest)
    columns = np.arange(rest.shape[1])
    wide = np.where(foot, columns, 0).max(axis=1) - np.where(foot, columns, rest.shape[1]).min(axis=1)
    foot[wide < 0.5 * wide.max()] = False
    hull = np.zeros(rest.shape, np.uint8)
    if foot.any():
        cv2.fillConvexPoly(hull, cv2.convexHull(cv2.findNonZero(foot.astype(np.uint8))), 1)
    # The thin rest is shadow between the rim and its dark seam.
    open_parts = cv2.morphologyEx(hull & ~rest.astype(np.uint8), cv2.MORPH_OPEN, disk(4))
    labels, count = ndimage.label(open_parts)
    border = cv2.dilate(foot.astype(np.uint8), disk(1)) > 0
    near = cv2.dilate(sharp.astype(np.uint8), disk(1)) > 0
    rims, crisp = (np.bincount(labels[each], minlength=count + 1) for each in (border, border & near))
    taken = crisp < PLATE_RIM * rims
    taken[0] = False
    return np.asarray(ndimage.binary_dilation(taken[labels], iterations=4, mask=(hull > 0) & ~rest))


def _below_stem(rest: Mask) -> Mask:
    """What a stem stands on: a pale plate that the flood goes around looks like a hole, but would carry nothing."""
    foot = np.zeros_like(rest)
    rows = np.flatnonzero(rest.any(axis=1))
    if not rows.size:
        return foot
    top, bottom = int(rows[0]), int(rows[-1])
    height = bottom - top + 1
    columns = np.arange(rest.shape[1])
    left = np.where(rest, columns, rest.shape[1]).min(axis=1)
    narrow = rest.any(axis=1) & (np.where(rest, columns, 0).max(axis=1) - left < STEM * height)
    labels, _ = ndimage.label(narrow)
    stems = [place[0] for place in ndimage.find_objects(labels) if place[0].stop - place[0].start > LONG * height]
    if stems and stems[-1].start > top and bottom - stems[-1].stop < LOW * height:
        foot[stems[-1].stop :] = True
    return foot


def _bars(flooded: Mask, sharp: Mask) -> Mask:
    """What stands beside the flood: a leg of exactly the floor's colour is seen by its outer edge alone."""
    beside = cv2.dilate(flooded.astype(np.uint8), np.ones((1, 2 * BAR + 1), np.uint8)) > 0
    return np.asarray(beside & ~horizon_rows(sharp, BAR + 3))


def _spurs(rest: Mask, backdrop: Backdrop) -> Mask:
    """Contact shadow at a pale foot: thin, lying rather than standing, not brighter than the backdrop, low down."""
    rows = np.flatnonzero(rest.any(axis=1))
    thin = (cv2.morphologyEx(rest.astype(np.uint8), cv2.MORPH_OPEN, disk(SPUR)) == 0) & rest & backdrop.darker
    if rows.size:
        thin[: (int(rows[0]) + int(rows[-1])) // 2] = False
    _, labels, stats, _ = cv2.connectedComponentsWithStats(thin.astype(np.uint8))
    lying = stats[:, cv2.CC_STAT_WIDTH] > stats[:, cv2.CC_STAT_HEIGHT]
    lying[0] = False
    return np.asarray(lying[labels])


def _peeled(small: Pixels, rest: Mask, local: Float, contrast: float) -> Mask:
    """Without the margin that sharp edges have around them, and what JPEG leaves there."""
    alpha, _, _ = solve_alpha(small, rest, 3)
    margin = rest & (cv2.erode(rest.astype(np.uint8), disk(2), borderValue=1) == 0)
    faint = local < min(4.0, 0.5 * contrast)
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


__all__ = ["Outline", "find_outline", "frame", "horizon_rows", "sharp_edges"]
