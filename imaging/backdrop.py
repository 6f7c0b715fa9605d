"""The colour field of a studio backdrop, fitted to a photo's border."""

from dataclasses import dataclass, replace
from typing import Any

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

    def part(self, place: tuple[slice, slice]) -> "Backdrop":
        """The same of a part of the photo."""
        maps = {name: getattr(self, name)[place] for name in ("distance", "chroma_gap", "tint", "darker", "lightness")}
        return replace(self, **maps)


def fit_backdrop(pixels: NDArray[np.uint8]) -> Backdrop:
    """Fits a robust quadratic of LAB over the border strip of a photo (H, W, 3)."""
    lab = to_lab(cv2.GaussianBlur(pixels, (0, 0), 1.0))
    height, width = lab.shape[:2]
    border = _border(height, width)
    # Neighbours are blurred into each other: every third says as much as all.
    rows, columns = (each[::3] for each in np.nonzero(border))
    samples = np.stack(_terms(2.0 * columns / (width - 1) - 1.0, 2.0 * rows / (height - 1) - 1.0), axis=1)
    values = lab[rows, columns].astype(np.float64)
    weights = np.ones(len(samples))
    for _ in range(8):
        weighted = samples.T * weights
        solution = np.linalg.solve(weighted @ samples, weighted @ values)
        error = length(values - samples @ solution)
        spread = max(0.4, 1.4826 * float(np.median(error)))
        weights = 1.0 / (1.0 + (error / (2.0 * spread)) ** 2) ** 2
    backdrop = _field(np.asarray(solution, np.float64), height, width)
    gap = lab - backdrop
    light = np.maximum(lab[..., :1], 1.0)
    shaded = backdrop[..., 1:] * (light / np.maximum(backdrop[..., :1], 1.0))
    return Backdrop(
        distance=length(gap),
        chroma_gap=length(gap[..., 1:]),
        tint=np.asarray(length(lab[..., 1:] - shaded) / light[..., 0], np.float32),
        darker=gap[..., 0] < 1.5,
        lightness=backdrop[..., 0],
        residual=float(np.median(error)),
        outlier_share=float((error > max(6.0, 4.0 * spread)).mean()),
        colour=np.rint(np.median(pixels[border], axis=0)).astype(np.uint8),
    )


def length(vectors: NDArray[Any]) -> NDArray[Any]:
    """Euclidean length along the last axis; several times as fast as NumPy's norm where that axis is short."""
    return np.asarray(np.sqrt(np.einsum("...k,...k->...", vectors, vectors)))


def _field(solution: NDArray[np.float64], height: int, width: int) -> Float:
    """The fitted quadratic at every pixel (H, W, 3), lightness within 0..100."""
    x, y = np.linspace(-1.0, 1.0, width), np.linspace(-1.0, 1.0, height)[:, None]
    planes = []
    for one, across, down, bent, mixed, bowed in solution.T:
        planes.append((one + x * (across + bent * x) + y * (down + bowed * y) + x * (mixed * y)).astype(np.float32))
    planes[0] = np.clip(planes[0], 0.0, 100.0)
    return np.asarray(np.stack(planes, axis=2))


def _terms(x: NDArray[np.float64], y: NDArray[np.float64]) -> list[NDArray[np.float64]]:
    return [np.ones_like(x), x, y, x * x, x * y, y * y]


def _border(height: int, width: int) -> NDArray[np.bool_]:
    strip = max(4, round(BORDER_SHARE * min(height, width)))
    border = np.ones((height, width), bool)
    border[strip:-strip, strip:-strip] = False
    return border


__all__ = ["Backdrop", "fit_backdrop", "length"]
