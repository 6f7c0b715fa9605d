"""Soft edges before a known background: coverage per pixel, and the product's own colour under it."""

import cv2
import numpy as np
from numpy.typing import NDArray

from imaging.colour import disk

Float = NDArray[np.float32]
Mask = NDArray[np.bool_]
# Levels (0..255) of contrast below which colour says little about coverage and the outline says more.
FAINT_CONTRAST = 18.0
# A gap between strands has less than this share of their contrast, which is at least STRONG levels.
CLEFT, STRONG, CLEFT_STEPS = 0.3, 40.0, 12


def fill_in(values: Float, weight: Float) -> Float:
    """Values (H, W, C) where the weight (H, W) is 1, smoothly continued to where it is 0.

    Pull-push interpolation over an image pyramid: Gortler et al., "The Lumigraph" (SIGGRAPH 1996), section 3.4.
    """
    height, width = weight.shape
    if min(height, width) < 4:
        total = max(float(weight.sum()), 1e-6)
        mean = (values * weight[..., None]).sum(axis=(0, 1)) / total
        return np.asarray(values * weight[..., None] + mean * (1.0 - weight[..., None]), np.float32)
    pulled = cv2.pyrDown(values * weight[..., None])
    amount = cv2.pyrDown(weight)
    coarse = fill_in(pulled / np.maximum(amount, 1e-4)[..., None], np.minimum(amount * 2.0, 1.0))
    pushed = cv2.pyrUp(coarse, dstsize=(width, height))
    return np.asarray(pushed + (values - pushed) * weight[..., None], np.float32)


def solve_alpha(pixels: NDArray[np.uint8], mask: Mask, radius: int) -> tuple[Float, Float, Float]:
    """(alpha, the product's colour, the background's colour) of a photo (H, W, 3), colours in levels.

    The outline of the mask (H, W) may be wrong by `radius` px to either side. Within that band, coverage is the
    projection of I - B on F - B (the compositing equation I = aF + (1-a)B solved by least squares), with B continued
    from outside, shadow included, and F from the nearest pixels that differ most from B.
    """
    image = pixels.astype(np.float32)
    solid = mask.astype(np.uint8)
    outer = cv2.dilate(solid, disk(radius)) > 0
    inner = cv2.erode(solid, disk(radius), borderValue=1) > 0
    back = fill_in(image, (~outer).astype(np.float32))
    contrast = np.linalg.norm(image - back, axis=2)
    peak = cv2.dilate(np.where(outer, contrast, 0).astype(np.float32), disk(radius + 2))
    inner &= ~_clefts(outer & ~inner, contrast, radius)
    certain = inner | (outer & (contrast > 0.85 * peak) & (contrast > 10.0))
    colour = fill_in(image, certain.astype(np.float32))
    span = colour - back
    power = (span * span).sum(axis=2)
    share = ((image - back) * span).sum(axis=2) / np.maximum(power, 1.0)
    trust = power / (power + FAINT_CONTRAST**2)
    prior = cv2.GaussianBlur(solid.astype(np.float32), (0, 0), max(0.5, radius / 3.0))
    alpha = trust * np.clip((share - 0.04) / 0.92, 0.0, 1.0) + (1.0 - trust) * prior
    alpha[inner], alpha[~outer] = 1.0, 0.0
    return np.asarray(np.clip(alpha, 0.0, 1.0), np.float32), colour, back


def _clefts(band: Mask, contrast: Float, radius: int) -> Mask:
    """Background between fringes and slats: gaps that lead from the band (H, W) inwards, far paler than both sides."""
    sides = cv2.morphologyEx(contrast, cv2.MORPH_CLOSE, disk(radius + 2))
    gap = ((contrast < CLEFT * sides) & (sides > STRONG)).astype(np.uint8)
    reached = band.astype(np.uint8) & gap
    for _ in range(CLEFT_STEPS):
        further = cv2.dilate(reached, disk(radius)) & gap
        if np.array_equal(further, reached):
            break
        reached = further
    return np.asarray(cv2.dilate(reached, disk(radius)) > 0)


def unmixed(pixels: NDArray[np.uint8], alpha: Float, colour: Float, back: Float) -> NDArray[np.uint8]:
    """The product's own colour (H, W, 3): I = aF + (1-a)B solved for F where a is large, else the neighbours'."""
    image, cover = pixels.astype(np.float32), alpha[..., None]
    solved = (image - (1.0 - cover) * back) / np.maximum(cover, 0.05)
    near = np.clip((cover - 0.35) / 0.5, 0.0, 1.0)
    mixed = np.clip(solved * near + colour * (1.0 - near), 0.0, 255.0)
    return np.asarray(np.rint(np.where(cover > 0.995, image, mixed)), np.uint8)


def foreground(pixels: NDArray[np.uint8], alpha: Float) -> NDArray[np.uint8]:
    """The product's own colour (H, W, 3) everywhere, from a known alpha (H, W) 0..1 alone."""
    image = pixels.astype(np.float32)
    colour = fill_in(image, (alpha > 0.98).astype(np.float32))
    back = fill_in(image, (alpha < 0.02).astype(np.float32))
    return unmixed(pixels, alpha, colour, back)


__all__ = ["fill_in", "foreground", "solve_alpha", "unmixed"]
