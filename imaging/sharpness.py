"""Whether a product is as sharp as its cutout: told by its details where that lies in place, by its edges elsewhere."""

import cv2
import numpy as np
from numpy.typing import NDArray

from imaging.colour import luma

Pixels = NDArray[np.uint8]
Float = NDArray[np.float32]
Mask = NDArray[np.bool_]
# Bands (px) of the finest details and of those that a slight blur leaves alone.
FINE, COARSE = (0.5, 1.0), (2.0, 4.0)
# How exactly (standard error of a gain) details have to be told, and how surely they are the cutout's at all.
MOST_ERROR, LEAST_COHERENCE, LEAST_PIXELS, LEAST_CONTRAST = 0.1, 0.5, 60, 0.3
# Edges that tell: at least this steep (levels per px), this far (px) inside, and so many (px) of them; the sharper
# quarter of the steeper half tells, by what a blur (px) takes from it.
STEEP, RIM, EDGE_PIXELS = 4.0, 4, 60
SMOOTH, REBLUR, STEEPER, SHARPER = 0.6, 1.5, 50, 75


def detail_kept(shown: Pixels, own: Pixels, both: Float) -> float | None:
    """Contrast of the finest details over that of coarser ones, as a share of the cutout's; 1 is as sharp as it.

    shown, own (H, W, 3): picture and cutout laid over each other; both (H, W): where both are the product. Only what
    picture and cutout have in common counts (the least-squares gain of the one on the other), so grain is no detail.
    0 where even the coarser ones are not the cutout's, None where it has none to tell by.
    """
    core = (both > 0.98).astype(np.float32)
    inside = cv2.erode(core, np.ones((3, 3), np.uint8)) > 0
    if np.count_nonzero(inside) < LEAST_PIXELS:
        return None
    seen, wanted = luma(shown) * core, luma(own) * core
    fine, coarse = (
        _gain(_band(seen, core, band)[inside], _band(wanted, core, band)[inside]) for band in (FINE, COARSE)
    )
    if max(fine[1], coarse[1]) > MOST_ERROR:
        return None
    return max(0.0, fine[0] / coarse[0]) if coarse[2] > LEAST_COHERENCE else 0.0


def _band(image: Float, weight: Float, sigmas: tuple[float, float]) -> Float:
    """Difference of two Gaussian means within a weight."""
    means = [
        cv2.GaussianBlur(image, (0, 0), sigma) / np.maximum(cv2.GaussianBlur(weight, (0, 0), sigma), 1e-3)
        for sigma in sigmas
    ]
    return np.asarray(means[0] - means[1], np.float32)


def _gain(seen: Float, own: Float) -> tuple[float, float, float]:
    """(gain, its standard error, correlation) of seen = gain * own, a quarter of the pixels (N) being independent."""
    energy = float(own @ own)
    if energy < LEAST_CONTRAST**2 * len(own):
        return 0.0, np.inf, 0.0
    gain = float(seen @ own) / energy
    rest = seen - gain * own
    error = float(np.sqrt(float(rest @ rest) / max(len(own) / 4, 1.0) / energy))
    return gain, error, float(seen @ own) / float(np.sqrt(energy * max(float(seen @ seen), 1e-6)))


def edge_blur(shown: Pixels, solid: Mask, own: Pixels, own_solid: Mask) -> float | None:
    """By how much (px, standard deviation of a Gaussian) the product's inner edges are softer than its cutout's.

    shown (H, W, 3) with the product's mask, own (h, w, 3) with its own, need not lie over each other, but have one
    scale. None where either has no steep edges inside.
    """
    seen, wanted = edge_width(shown, solid), edge_width(own, own_solid)
    if seen is None or wanted is None:
        return None
    return float(np.sqrt(max(0.0, seen**2 - wanted**2)))


def edge_width(pixels: Pixels, solid: Mask) -> float | None:
    """Standard deviation (px) of the sharper steep edges inside a mask, by how much they lose to a known blur.

    Zhuo and Sim, "Defocus map estimation from a single image", Pattern Recognition 44 (2011), section 3.
    """
    inner = cv2.erode(solid.astype(np.uint8), np.ones((2 * RIM + 1, 2 * RIM + 1), np.uint8)) > 0
    grey = cv2.GaussianBlur(luma(pixels), (0, 0), SMOOTH)
    steep, blunted = _slope(grey), _slope(cv2.GaussianBlur(grey, (0, 0), REBLUR))
    strong = inner & (steep > STEEP)
    if np.count_nonzero(strong) < EDGE_PIXELS:
        return None
    slopes = steep[strong]
    ratio = (slopes / np.maximum(blunted[strong], 0.3))[slopes >= np.percentile(slopes, STEEPER)]
    return REBLUR / float(np.sqrt(max(float(np.percentile(ratio, SHARPER)) ** 2 - 1.0, 0.01)))


def _slope(grey: Float) -> Float:
    across, below = (cv2.Sobel(grey, cv2.CV_32F, *axes) / 8 for axes in ((1, 0), (0, 1)))
    return np.asarray(np.hypot(across, below), np.float32)


__all__ = ["detail_kept", "edge_blur", "edge_width"]
