"""The colour field of a studio backdrop, fitted to a photo's border."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from imaging.colour import to_lab

Float = NDArray[np.float32]
BORDER_SHARE = 0.05


@dataclass(frozen=True, eq=False)
class Backdrop:
    """What the border says about the whole photo, per pixel (H, W).

    distance: ΔE from the field. chroma_gap: its a*b* part. darker: not brighter than the field. tint: a*b* distance
    from the field's hue at the pixel's own lightness, as a share of that lightness; near 0 for any shadow.
    lightness: L* of the field. residual: median ΔE of border pixels from the field. outlier_share: border pixels that
    do not belong to it. colour: the border's median (3,).
    """

    distance: Float
    chroma_gap: Float
    tint: Float
    darker: NDArray[np.bool_]
    lightness: Float
    residual: float
    outlier_share: float
    colour: NDArray[np.uint8]


def fit_backdrop(pixels: NDArray[np.uint8]) -> Backdrop:
    """Fits a robust quadratic of LAB over the border strip of a photo (H, W, 3)."""
    lab = to_lab(cv2.GaussianBlur(pixels, (0, 0), 1.0))
    height, width = lab.shape[:2]
    terms = _terms(height, width)
    border = _border(height, width)
    # Neighbours are blurred into each other: every third says as much as all.
    samples, values = terms[border][::3], lab[border][::3].astype(np.float64)
    weights = np.ones(len(samples))
    for _ in range(8):
        weighted = samples.T * weights
        solution = np.linalg.solve(weighted @ samples, weighted @ values)
        error = np.linalg.norm(values - samples @ solution, axis=1)
        spread = max(0.4, 1.4826 * float(np.median(error)))
        weights = 1.0 / (1.0 + (error / (2.0 * spread)) ** 2) ** 2
    backdrop = (terms @ solution).astype(np.float32)
    backdrop[..., 0] = np.clip(backdrop[..., 0], 0.0, 100.0)
    gap = lab - backdrop
    light = np.maximum(lab[..., :1], 1.0)
    shaded = backdrop[..., 1:] * light / np.maximum(backdrop[..., :1], 1.0)
    return Backdrop(
        distance=np.linalg.norm(gap, axis=2),
        chroma_gap=np.linalg.norm(gap[..., 1:], axis=2),
        tint=np.linalg.norm(lab[..., 1:] - shaded, axis=2) / light[..., 0],
        darker=gap[..., 0] < 1.5,
        lightness=backdrop[..., 0],
        residual=float(np.median(error)),
        outlier_share=float((error > max(6.0, 4.0 * spread)).mean()),
        colour=np.rint(np.median(pixels[border], axis=0)).astype(np.uint8),
    )


def _terms(height: int, width: int) -> NDArray[np.float64]:
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    return np.stack([np.ones_like(x), x, y, x * x, x * y, y * y], axis=2)


def _border(height: int, width: int) -> NDArray[np.bool_]:
    strip = max(4, round(BORDER_SHARE * min(height, width)))
    border = np.ones((height, width), bool)
    border[strip:-strip, strip:-strip] = False
    return border


__all__ = ["Backdrop", "fit_backdrop"]
