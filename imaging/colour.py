"""Colour conversions and blurs that several parts of `imaging` share."""

from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float32]
FINE, DIM_STEPS = 65535, 1024
_DECODE = np.where(
    np.arange(256) <= 10.31475, np.arange(256) / 255 / 12.92, ((np.arange(256) / 255 + 0.055) / 1.055) ** 2.4
).astype(np.float32)


def to_linear(pixels: NDArray[np.uint8]) -> Float:
    """Linear light 0..1 of 8-bit sRGB (IEC 61966-2-1)."""
    return np.asarray(_DECODE[pixels], dtype=np.float32)


def to_srgb(linear: NDArray[np.floating]) -> Float:
    """sRGB 0..255 (float, unrounded) of linear light; values outside 0..1 are clipped."""
    value = np.clip(linear, 0.0, 1.0)
    encoded = np.where(value <= 0.0031308, value * 12.92, 1.055 * np.power(value, 1 / 2.4) - 0.055)
    return np.asarray(encoded * 255.0, dtype=np.float32)


def to_srgb8(linear: Float) -> NDArray[np.uint8]:
    """8-bit sRGB of linear light; values outside 0..1 are clipped. By table: within 0.03 of a level of the formula."""
    return np.asarray(_encoding()[(np.clip(linear, 0.0, 1.0) * FINE + 0.5).astype(np.uint16)])


def dimmed(pixels: NDArray[np.uint8], kept: Float) -> NDArray[np.uint8]:
    """Pixels (..., 3) with the share `kept` (...; 0..1) of their linear light; where it is 1 they are the same."""
    rows = (np.clip(kept, 0.0, 1.0) * DIM_STEPS + 0.5).astype(np.int32) * 256
    return np.asarray(_dimming()[rows[..., None] + pixels])


@cache
def _encoding() -> NDArray[np.uint8]:
    return np.rint(to_srgb(np.arange(FINE + 1, dtype=np.float32) / FINE)).astype(np.uint8)


@cache
def _dimming() -> NDArray[np.uint8]:
    """What each of the 256 values becomes for each share of light, share by share."""
    shares = np.arange(DIM_STEPS + 1, dtype=np.float32)[:, None] / DIM_STEPS
    return np.rint(to_srgb(shares * _DECODE)).astype(np.uint8).ravel()


def to_lab(pixels: NDArray[np.uint8]) -> Float:
    """CIELAB (L 0..100, D65) of 8-bit sRGB."""
    return np.asarray(cv2.cvtColor(pixels.astype(np.float32) / 255.0, cv2.COLOR_RGB2LAB), dtype=np.float32)


def luma(pixels: NDArray[np.uint8]) -> Float:
    """Rec. 601 luma 0..255 of 8-bit sRGB."""
    return np.asarray(pixels.astype(np.float32) @ np.array([0.299, 0.587, 0.114], np.float32), dtype=np.float32)


def fit_within(width: int, height: int, longest: int) -> tuple[int, int]:
    """(width, height) scaled down so that the long side is at most `longest`; never enlarged."""
    scale = min(1.0, longest / max(width, height))
    return max(1, round(width * scale)), max(1, round(height * scale))


def resize(pixels: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    """Area-averaged when shrinking, cubic when enlarging; size is (width, height)."""
    shrinking = size[0] < pixels.shape[1]
    return np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA if shrinking else cv2.INTER_CUBIC))


def disk(radius: int) -> NDArray[np.uint8]:
    """A round structuring element."""
    return np.asarray(cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1)))


def enlarged(small: Float, part: tuple[int, int, int, int], shape: tuple[int, ...]) -> Float:
    """A map of a whole photo, at any size, for one part (x0, y0, x1, y1; px) of that photo of a shape; bilinear."""
    across, down = small.shape[1] / shape[1], small.shape[0] / shape[0]
    back = np.array([[across, 0.0, (part[0] + 0.5) * across - 0.5], [0.0, down, (part[1] + 0.5) * down - 0.5]])
    size = part[2] - part[0], part[3] - part[1]
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return np.asarray(cv2.warpAffine(small, back, size, flags=flags, borderMode=cv2.BORDER_REPLICATE), np.float32)


__all__ = [
    "dimmed",
    "disk",
    "enlarged",
    "fit_within",
    "luma",
    "resize",
    "to_lab",
    "to_linear",
    "to_srgb",
    "to_srgb8",
]
