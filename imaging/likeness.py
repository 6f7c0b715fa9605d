"""Whether a picture shows a product as its cutout does: colours, structure, clean edges."""

import cv2
import numpy as np
from numpy.typing import NDArray
from skimage.color import deltaE_ciede2000
from skimage.metrics import structural_similarity

from imaging.colour import luma, to_lab, to_linear, to_srgb
from imaging.light import LUMINANCE
from imaging.sprite import Sprite, resized_sprite

Pixels = NDArray[np.uint8]
Float = NDArray[np.float32]
Mask = NDArray[np.bool_]
# Grain (px at SSIM_SIDE) that is none of a product's structure.
SSIM_SIDE, GRAIN, CELLS = 256, 1.5, 7
# How far the level of a product, and of parts of it in light and shade, may be from what the room lets expect.
EXPOSURE_RANGE, SHADING_RANGE = (0.35, 2.2), (0.4, 2.5)


def identity(
    result: Pixels,
    seen: tuple[float, float, float, float],
    mask: Pixels,
    rgba: Pixels,
    gains: Float,
    in_place: Sprite | None,
) -> dict[str, float | None]:
    """Colour and structure of the product against its cutout, in the light of linear gains (3,).

    The cutout is fitted to the box (px) in which the picture shows it, unless it comes `in_place` (hanging, partly
    hidden); compared is where mask (H, W) and cutout agree.
    """
    x0, x1 = (int(np.clip(round(side), 0, mask.shape[1])) for side in (seen[0], seen[2]))
    y0, y1 = (int(np.clip(round(side), 0, mask.shape[0])) for side in (seen[1], seen[3]))
    if min(x1 - x0, y1 - y0) < 8:
        return {"product_delta_e": None, "product_ssim": None}
    if in_place is not None:
        wanted, alpha = laid_out(in_place, (x0, y0, x1, y1))
    else:
        core = np.ascontiguousarray(_tight(rgba))
        sprite = resized_sprite(core, (0, 0, x1 - x0, y1 - y0))
        wanted = np.asarray(sprite.colour / np.maximum(sprite.alpha, 1e-3)[..., None], dtype=np.float32)
        alpha = sprite.alpha
    shown = result[y0:y1, x0:x1]
    both = np.minimum(alpha, mask[y0:y1, x0:x1] / 255.0).astype(np.float32)
    if min(shown.shape[:2]) < 8 or (both > 0.95).sum() < 30:
        return {"product_delta_e": None, "product_ssim": None}
    own = np.clip(np.rint(wanted), 0, 255).astype(np.uint8)
    return {
        "product_delta_e": _delta_e(shown, own, both, gains),
        "product_ssim": _ssim(shown, own, both),
    }


def _tight(rgba: Pixels) -> Pixels:
    solid = rgba[..., 3] > 127
    rows, columns = np.flatnonzero(solid.any(axis=1)), np.flatnonzero(solid.any(axis=0))
    return rgba[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def laid_out(sprite: Sprite, box: tuple[int, int, int, int]) -> tuple[Float, Float]:
    """Straight colour and alpha of a sprite within a box of the photo; empty where it does not reach."""
    x0, y0, x1, y1 = box
    colour, alpha = np.zeros((y1 - y0, x1 - x0, 3), np.float32), np.zeros((y1 - y0, x1 - x0), np.float32)
    top, left = max(y0, sprite.y), max(x0, sprite.x)
    bottom, right = min(y1, sprite.y + sprite.alpha.shape[0]), min(x1, sprite.x + sprite.alpha.shape[1])
    if top < bottom and left < right:
        part = slice(top - sprite.y, bottom - sprite.y), slice(left - sprite.x, right - sprite.x)
        alpha[top - y0 : bottom - y0, left - x0 : right - x0] = sprite.alpha[part]
        straight = sprite.colour[part] / np.maximum(sprite.alpha[part], 1e-3)[..., None]
        colour[top - y0 : bottom - y0, left - x0 : right - x0] = straight
    return colour, alpha


def _shrunk(image: Float | Pixels, longest: int) -> Float:
    height, width = image.shape[:2]
    scale = min(1.0, longest / max(height, width))
    size = max(8, round(width * scale)), max(8, round(height * scale))
    return np.asarray(cv2.resize(image.astype(np.float32), size, interpolation=cv2.INTER_AREA))


def _delta_e(shown: Pixels, wanted: Pixels, both: Float, gains: Float) -> float | None:
    """Mean CIEDE2000 over a coarse grid of the product, in the room's light at each cell's best plausible level.

    The grid is coarse because a model may show the product turned a little, which moves every detail. Light and shade
    fall otherwise in a room than in a studio: they are free, hue and saturation are not.
    """
    weight = _celled(both)
    # A lamp or a plant fills no cell by much.
    inside = weight > min(0.25, 0.4 * float(weight.max()))
    if inside.sum() < 4:
        return None
    seen, own = (
        _celled(to_linear(image) * both[..., None])[inside] / weight[inside][:, None] for image in (shown, wanted)
    )
    own = own * gains
    exposure = float(np.clip(np.median(seen.mean(axis=0) / np.maximum(own.mean(axis=0), 1e-4)), *EXPOSURE_RANGE))
    shading = (seen @ LUMINANCE) / np.maximum(own @ LUMINANCE * exposure, 1e-4)
    relit = own * exposure * np.clip(shading, *SHADING_RANGE)[:, None]
    pair = [to_lab(np.rint(to_srgb(image)).astype(np.uint8)[None]) for image in (seen, relit)]
    return float(np.average(deltaE_ciede2000(*pair)[0], weights=weight[inside]))


def _celled(image: Float) -> Float:
    return np.asarray(cv2.resize(image.astype(np.float32), (CELLS, CELLS), interpolation=cv2.INTER_AREA))


def _ssim(shown: Pixels, wanted: Pixels, both: Float) -> float | None:
    """Structural similarity of luma within the product, without grain, after matching mean and spread."""
    weight = _shrunk(both, SSIM_SIDE)
    inside = weight > 0.9
    if inside.sum() < 60:
        return None
    core = inside.astype(np.float32)
    near = np.maximum(cv2.GaussianBlur(core, (0, 0), GRAIN), 1e-3)
    seen, own = (
        cv2.GaussianBlur(_shrunk(luma(image), SSIM_SIDE) * core, (0, 0), GRAIN) / near for image in (shown, wanted)
    )
    spread = max(float(own[inside].std()), 2.0)
    matched = (seen - seen[inside].mean()) / max(float(seen[inside].std()), 1.0) * spread + own[inside].mean()
    flat = float(own[inside].mean())
    pair = [np.where(inside, image, flat).astype(np.float32) for image in (matched, own)]
    score = structural_similarity(*pair, data_range=255.0, win_size=7, full=True)[1]
    return float(score[inside].mean())


def seam(result: Pixels, mask: Pixels, own: tuple[Float, Mask] | None = None) -> float | None:
    """Mean fringe along the outline (levels): edge pixels brighter or darker than both sides of it.

    Only where both sides are at hand: a leg or a pole too thin to have an inside would be its own fringe. None where
    that is so everywhere. `own` is the luma (H, W) that a pasted cutout shows there and where (H, W) that is surely the
    product's: a print's narrow frame is no fringe.
    """
    rows, columns = np.flatnonzero((mask > 0).any(axis=1)), np.flatnonzero((mask > 0).any(axis=0))
    y0, y1 = max(0, int(rows[0]) - 12), min(mask.shape[0], int(rows[-1]) + 13)
    x0, x1 = max(0, int(columns[0]) - 12), min(mask.shape[1], int(columns[-1]) + 13)
    grey, part = luma(result[y0:y1, x0:x1]), mask[y0:y1, x0:x1]
    solid = (part > 127).astype(np.uint8)
    three, wide, reach, near = (np.ones((side, side), np.uint8) for side in (3, 7, 13, 5))
    rim = (cv2.dilate(solid, three) - cv2.erode(solid, near)) > 0
    inner, outer = cv2.erode(solid, wide), 1 - cv2.dilate(solid, wide)
    high = [_extreme(grey, side, reach, cv2.dilate, -1.0) for side in (inner, outer)]
    low = [_extreme(grey, side, reach, cv2.erode, 256.0) for side in (inner, outer)]
    known = rim & (np.minimum(*high) >= 0)
    if not known.any():
        return None
    highest, lowest = np.maximum(*high), np.minimum(*low)
    if own is not None:
        shade, sure = own[0][y0:y1, x0:x1], own[1][y0:y1, x0:x1]
        highest = np.maximum(highest, _extreme(shade, sure, near, cv2.dilate, -1.0))
        lowest = np.minimum(lowest, _extreme(shade, sure, near, cv2.erode, 256.0))
    excess = np.maximum(grey - highest, 0.0) + np.maximum(lowest - grey, 0.0)
    return float(excess[known].mean())


def _extreme(grey: Float, where: Pixels | Mask, kernel: Pixels, reach: object, empty: float) -> Float:
    """Largest (dilate) or smallest (erode) luma nearby among the pixels of a mask."""
    return np.asarray(reach(np.where(where > 0, grey, empty).astype(np.float32), kernel), np.float32)  # type: ignore[operator]


__all__ = ["identity", "laid_out", "seam"]
