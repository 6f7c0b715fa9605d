"""Background removal for merchants' photos on a plain backdrop, with an honest refusal for all others.

1. Fit a smooth colour field to the border (a studio backdrop has gradients and vignettes, not objects).
2. Distance of each pixel from that field, where a darker copy of the backdrop counts as shadow.
3. GrabCut at 640 px, shadow remnants dropped, blown-out holes filled.
4. Closed-form matting in a narrow band, foreground colours, a tight crop.
"""

from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from imaging import matting
from imaging.backdrop import Backdrop, fit_backdrop
from imaging.colour import disk, fit_within, resize, to_lab

Pixels = NDArray[np.uint8]
Mask = NDArray[np.bool_]
Float = NDArray[np.float32]

SEGMENT_SIDE, MATTE_SIDE = 640, 1000
BUSY_RESIDUAL, BUSY_OUTLIERS, WEAK_CONTRAST, TOUCHED_SHARE = 3.0, 0.35, 4.0, 0.04
# ΔE from the backdrop: below FAINT surely backdrop, above CLEAR surely product.
FAINT, CLEAR = 2.0, 14.0
# A shadow stays within this a*b* distance of the backdrop and changes by less than this per pixel (L, at 640 px).
SHADOW_CHROMA, SOFT_STEP = 5.5, 4.2


@dataclass(frozen=True, eq=False)
class Cutout:
    """A product on its own: rgba (H, W, 4) with straight alpha, and its box in the photo (px, x1 and y1 exclusive).

    Not accepted means: show the merchant the warnings, do not put this into a room. Warnings: busy_background,
    weak_edge (product and backdrop look alike), touches_border (cut off, or not alone), nothing_found.
    """

    rgba: Pixels
    crop: tuple[int, int, int, int]
    accepted: bool
    warnings: list[str]
    signals: dict[str, float] = field(default_factory=dict)


def cut_out(pixels: Pixels, alpha: Pixels | None = None) -> Cutout:
    """Cuts the product out of a photo (H, W, 3); a merchant's own alpha (H, W) is used as it is."""
    cv2.setRNGSeed(0)
    if alpha is not None and _is_usable(alpha):
        return _crop(pixels, alpha.astype(np.float32) / 255.0, [], {"merchant_alpha": 1.0})
    height, width = pixels.shape[:2]
    small = resize(pixels, fit_within(width, height, SEGMENT_SIDE))
    backdrop = fit_backdrop(small)
    signals = {"border_residual": backdrop.residual, "border_outliers": backdrop.outlier_share}
    mask = _segment(small, backdrop)
    signals["coverage"] = float(mask.mean())
    signals["border_touched"] = float((~_backdrop_and_shadow(backdrop))[_frame(mask.shape, 4)].mean())
    signals["edge_contrast"] = _edge_contrast(small, mask)
    warnings = _warnings(signals)
    if not mask.any():
        mask[:] = True
    return _crop(pixels, _refine(pixels, mask), warnings, signals)


def _is_usable(alpha: Pixels) -> bool:
    return bool((alpha < 128).mean() > 0.01 and (alpha > 200).mean() > 0.005)


def _warnings(signals: dict[str, float]) -> list[str]:
    found = []
    if signals["border_residual"] > BUSY_RESIDUAL or signals["border_outliers"] > BUSY_OUTLIERS:
        found.append("busy_background")
    if signals["edge_contrast"] < WEAK_CONTRAST:
        found.append("weak_edge")
    if signals["border_touched"] > TOUCHED_SHARE:
        found.append("touches_border")
    if signals["coverage"] < 0.005:
        found.append("nothing_found")
    return found


def _segment(small: Pixels, backdrop: Backdrop) -> Mask:
    """The product's hard mask at working size."""
    shadow = _backdrop_and_shadow(backdrop)
    product = ~shadow & (backdrop.distance > FAINT)
    trimap = np.full(product.shape, cv2.GC_PR_BGD, np.uint8)
    trimap[product] = cv2.GC_PR_FGD
    solid = product & ((backdrop.chroma_gap > SHADOW_CHROMA) | (backdrop.distance > CLEAR))
    trimap[cv2.erode(solid.astype(np.uint8), disk(2)) > 0] = cv2.GC_FGD
    trimap[cv2.erode(shadow.astype(np.uint8), disk(2)) > 0] = cv2.GC_BGD
    trimap[_frame(product.shape)] = cv2.GC_BGD
    if not np.isin(trimap, (cv2.GC_FGD, cv2.GC_PR_FGD)).any():
        return np.zeros(product.shape, bool)
    back, fore = np.zeros((1, 65)), np.zeros((1, 65))
    cv2.setRNGSeed(0)
    cv2.grabCut(cv2.cvtColor(small, cv2.COLOR_RGB2BGR), trimap, None, back, fore, 3, cv2.GC_INIT_WITH_MASK)
    mask = (trimap == cv2.GC_FGD) | (trimap == cv2.GC_PR_FGD) | (product & _plainly_other(backdrop))
    return _fill_soft_holes(small, _keep_main_parts(_without_slivers(mask, backdrop)))


def _plainly_other(backdrop: Backdrop) -> Mask:
    """Pixels that differ in hue from a calm backdrop, at least half as much as what is next to them.

    GrabCut gives away pale rims whose colour it also knows from shadows; on a calm backdrop the distance knows better.
    """
    around = cv2.dilate(backdrop.distance, disk(3))
    floor = max(3.5, 6.0 * backdrop.residual)
    return np.asarray((backdrop.distance > np.maximum(floor, 0.5 * around)) & (backdrop.chroma_gap > 3.0))


def _backdrop_and_shadow(backdrop: Backdrop) -> Mask:
    """Backdrop, and what can be reached from it over soft steps only while keeping its hue: the product's shadow.

    A shadow's outer rim is soft while a product's is sharp; and shadows lie in the lower part of the product.
    """
    plain = ndimage.binary_propagation(_frame(backdrop.distance.shape), mask=backdrop.distance < FAINT)
    rows = np.flatnonzero((~plain).sum(axis=1) > 2)
    if rows.size == 0:
        return np.asarray(plain)
    low = np.zeros(plain.shape, bool)
    low[int(rows[0] + 0.4 * (rows[-1] - rows[0])) :] = True
    soft = low & (backdrop.step < SOFT_STEP) & (backdrop.chroma_gap < SHADOW_CHROMA) & backdrop.darker
    return np.asarray(ndimage.binary_propagation(plain, mask=plain | soft))


def _frame(shape: tuple[int, ...], width: int = 2) -> Mask:
    frame = np.ones(shape, bool)
    frame[width:-width, width:-width] = False
    return frame


def _without_slivers(mask: Mask, backdrop: Backdrop) -> Mask:
    """Without small patches of backdrop at the product's rim, such as between a leg and its shadow.

    In a coloured product, grey patches are shadow too.
    """
    coloured = mask.any() and float(np.median(backdrop.chroma_gap[mask])) > 2.5 * SHADOW_CHROMA
    grey = (backdrop.chroma_gap < 0.8 * SHADOW_CHROMA) & backdrop.darker if coloured else backdrop.distance < FAINT
    labels, count = ndimage.label(ndimage.binary_opening(mask & grey))
    sizes = np.bincount(labels.ravel(), minlength=count + 1)
    outside = ndimage.binary_dilation(~mask, iterations=3)
    at_rim = np.bincount(labels[outside], minlength=count + 1) > 0
    sliver = at_rim & (sizes < 0.005 * mask.sum()) & (sizes >= 8)
    sliver[0] = False
    return np.asarray(mask & ~ndimage.binary_dilation(sliver[labels]))


def _keep_main_parts(mask: Mask) -> Mask:
    """Without specks: parts under 2 % of the largest one."""
    labels, count = ndimage.label(mask, structure=np.ones((3, 3)))
    if count == 0:
        return mask
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0
    return np.asarray((sizes >= max(12, 0.02 * sizes.max()))[labels], dtype=bool)


def _fill_soft_holes(small: Pixels, mask: Mask) -> Mask:
    """Fills enclosed holes whose rim is no edge: blown-out highlights, not gaps between legs."""
    lab = to_lab(small)
    inside = cv2.dilate(lab, disk(2)), cv2.erode(lab, disk(2))
    step = np.linalg.norm(inside[0] - inside[1], axis=2)
    labels, count = ndimage.label(ndimage.binary_fill_holes(mask) & ~mask)
    filled = mask.copy()
    for label in range(1, count + 1):
        hole = labels == label
        rim = ndimage.binary_dilation(hole, iterations=2) & ~ndimage.binary_erosion(hole, iterations=2)
        if hole.sum() < 16 or float(np.median(step[rim])) < 8.0:
            filled |= hole
    return filled


def _edge_contrast(small: Pixels, mask: Mask) -> float:
    """20th percentile, over the outline, of the LAB distance between just inside and just outside."""
    lab = to_lab(cv2.GaussianBlur(small, (0, 0), 0.8))
    solid = mask.astype(np.uint8)
    edge = (cv2.dilate(solid, disk(1)) - cv2.erode(solid, disk(1))) > 0
    if not edge.any() or not mask.any():
        return 0.0
    means = []
    for side in (solid, 1 - solid):
        inner = cv2.erode(side, disk(1)).astype(np.float32)
        weight = np.maximum(cv2.blur(inner, (9, 9)), 1e-4)
        means.append(cv2.blur(lab * inner[..., None], (9, 9)) / weight[..., None])
    return float(np.percentile(np.linalg.norm(means[0] - means[1], axis=2)[edge], 20))


def _refine(pixels: Pixels, mask: Mask) -> Float:
    """Alpha at full size from the hard mask: matting in a band as wide as the mask is coarse."""
    height, width = pixels.shape[:2]
    size = fit_within(width, height, MATTE_SIDE)
    image = resize(pixels, size)
    hard = cv2.resize(mask.astype(np.float32), size, interpolation=cv2.INTER_LINEAR)
    solid = (hard > 0.5).astype(np.uint8)
    radius = max(2, round(size[0] / mask.shape[1] * 2))
    trimap = np.full(solid.shape, matting.UNKNOWN, np.float32)
    trimap[cv2.erode(solid, disk(radius)) > 0] = 1.0
    trimap[cv2.dilate(solid, disk(radius)) == 0] = 0.0
    alpha = matting.solve_alpha(image, trimap)
    alpha = np.clip((alpha - 0.04) / 0.92, 0.0, 1.0).astype(np.float32)
    if size != (width, height):
        alpha = cv2.resize(alpha, (width, height), interpolation=cv2.INTER_LINEAR)
    return np.asarray(np.clip(alpha, 0.0, 1.0), dtype=np.float32)


def _crop(pixels: Pixels, alpha: Float, warnings: list[str], signals: dict[str, float]) -> Cutout:
    rows, columns = np.flatnonzero((alpha > 0.1).any(axis=1)), np.flatnonzero((alpha > 0.1).any(axis=0))
    height, width = alpha.shape
    margin = 2
    y0, y1 = max(0, int(rows[0]) - margin), min(height, int(rows[-1]) + 1 + margin)
    x0, x1 = max(0, int(columns[0]) - margin), min(width, int(columns[-1]) + 1 + margin)
    part, soft = pixels[y0:y1, x0:x1], np.ascontiguousarray(alpha[y0:y1, x0:x1])
    colour = matting.foreground(part, soft)
    rgba = np.dstack([colour, np.rint(soft * 255.0).astype(np.uint8)])
    rgba[rgba[..., 3] == 0] = 0
    rounded = {key: round(value, 4) for key, value in signals.items()}
    return Cutout(np.ascontiguousarray(rgba), (x0, y0, x1, y1), not warnings, warnings, rounded)


__all__ = ["Cutout", "cut_out"]
