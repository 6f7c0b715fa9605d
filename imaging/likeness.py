"""Whether a picture shows a product as its cutout does: colours, structure, sharpness, clean edges."""

import cv2
import numpy as np
from numpy.typing import NDArray
from skimage.color import deltaE_ciede2000
from skimage.metrics import structural_similarity

from imaging.colour import luma, to_lab, to_linear, to_srgb
from imaging.sprite import Sprite, resized_sprite

Pixels = NDArray[np.uint8]
Float = NDArray[np.float32]
Mask = NDArray[np.bool_]
SSIM_SIDE, CELLS = 256, 7
# What a picture may change about the light that the room lets expect: its level, and the ratio of channels.
EXPOSURE_RANGE, CAST_RANGE = (0.35, 2.2), (0.8, 1.25)


def identity(
    result: Pixels,
    seen: tuple[float, float, float, float],
    mask: Pixels,
    rgba: Pixels,
    gains: Float,
    in_place: Sprite | None,
) -> dict[str, float | None]:
    """Colour, structure and sharpness of the product against its cutout, in the light of linear gains (3,).

    The cutout is fitted to the box (px) in which the picture shows it, unless it comes `in_place` (hanging, partly
    hidden); compared is where mask (H, W) and cutout agree.
    """
    x0, x1 = (int(np.clip(round(side), 0, mask.shape[1])) for side in (seen[0], seen[2]))
    y0, y1 = (int(np.clip(round(side), 0, mask.shape[0])) for side in (seen[1], seen[3]))
    if min(x1 - x0, y1 - y0) < 8:
        return {"product_delta_e": None, "product_ssim": None, "sharpness": None}
    if in_place is not None:
        wanted, alpha = _cropped(in_place, (x0, y0, x1, y1))
    else:
        core = np.ascontiguousarray(_tight(rgba))
        sprite = resized_sprite(core, (0, 0, x1 - x0, y1 - y0))
        wanted = np.asarray(sprite.colour / np.maximum(sprite.alpha, 1e-3)[..., None], dtype=np.float32)
        alpha = sprite.alpha
    shown = result[y0:y1, x0:x1]
    both = np.minimum(alpha, mask[y0:y1, x0:x1] / 255.0).astype(np.float32)
    if min(shown.shape[:2]) < 8 or (both > 0.95).sum() < 30:
        return {"product_delta_e": None, "product_ssim": None, "sharpness": None}
    own = np.clip(np.rint(wanted), 0, 255).astype(np.uint8)
    return {
        "product_delta_e": _delta_e(shown, own, both, gains),
        "product_ssim": _ssim(shown, own, both),
        "sharpness": _sharpness(shown, own, both),
    }


def _tight(rgba: Pixels) -> Pixels:
    solid = rgba[..., 3] > 127
    rows, columns = np.flatnonzero(solid.any(axis=1)), np.flatnonzero(solid.any(axis=0))
    return rgba[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def _cropped(sprite: Sprite, box: tuple[int, int, int, int]) -> tuple[Float, Float]:
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
    """Mean CIEDE2000 over a coarse grid of the product, in the room's light and its best plausible level and cast.

    The grid is coarse because a model may show the product turned a little, which moves every detail.
    """
    weight = _celled(both)
    inside = weight > 0.25
    if inside.sum() < 4:
        return None
    seen, own = (
        _celled(to_linear(image) * both[..., None])[inside] / weight[inside][:, None] for image in (shown, wanted)
    )
    own = own * gains
    change = seen.mean(axis=0) / np.maximum(own.mean(axis=0), 1e-4)
    exposure = float(np.clip(np.median(change), *EXPOSURE_RANGE))
    relit = own * (exposure * np.clip(change / max(exposure, 1e-4), *CAST_RANGE))
    pair = [to_lab(np.rint(to_srgb(image)).astype(np.uint8)[None]) for image in (seen, relit)]
    return float(np.average(deltaE_ciede2000(*pair)[0], weights=weight[inside]))


def _celled(image: Float) -> Float:
    return np.asarray(cv2.resize(image.astype(np.float32), (CELLS, CELLS), interpolation=cv2.INTER_AREA))


def _sharpness(shown: Pixels, wanted: Pixels, both: Float) -> float | None:
    """Steepest edges of the product (95th percentile of gradients over the spread), as a share of the cutout's."""
    inside = cv2.erode(both, np.ones((5, 5), np.uint8)) > 0.9
    if inside.sum() < 200:
        return None
    edges = []
    for image in (shown, wanted):
        grey = cv2.GaussianBlur(luma(image), (0, 0), 0.8)
        steep = np.hypot(cv2.Sobel(grey, cv2.CV_32F, 1, 0), cv2.Sobel(grey, cv2.CV_32F, 0, 1))[inside]
        edges.append(float(np.percentile(steep, 95)) / max(float(grey[inside].std()), 3.0))
    return edges[0] / max(edges[1], 1e-3)


def _ssim(shown: Pixels, wanted: Pixels, both: Float) -> float | None:
    """Structural similarity of luma within the product, after matching mean and spread (light may differ)."""
    weight = _shrunk(both, SSIM_SIDE)
    inside = weight > 0.9
    seen, own = _shrunk(luma(shown), SSIM_SIDE), _shrunk(luma(wanted), SSIM_SIDE)
    if inside.sum() < 60:
        return None
    spread = max(float(own[inside].std()), 2.0)
    matched = (seen - seen[inside].mean()) / max(float(seen[inside].std()), 1.0) * spread + own[inside].mean()
    flat = float(own[inside].mean())
    pair = [np.where(inside, image, flat).astype(np.float32) for image in (matched, own)]
    score = structural_similarity(*pair, data_range=255.0, win_size=7, full=True)[1]
    return float(score[inside].mean())


def seam(result: Pixels, mask: Pixels) -> float | None:
    """Mean fringe along the outline (levels): edge pixels brighter or darker than both sides of it.

    Only where both sides are at hand: a leg or a pole too thin to have an inside would be its own fringe. None where
    that is so everywhere.
    """
    rows, columns = np.flatnonzero((mask > 0).any(axis=1)), np.flatnonzero((mask > 0).any(axis=0))
    y0, y1 = max(0, int(rows[0]) - 12), min(mask.shape[0], int(rows[-1]) + 13)
    x0, x1 = max(0, int(columns[0]) - 12), min(mask.shape[1], int(columns[-1]) + 13)
    grey, part = luma(result[y0:y1, x0:x1]), mask[y0:y1, x0:x1]
    solid = (part > 127).astype(np.uint8)
    three, wide, reach = (np.ones((side, side), np.uint8) for side in (3, 7, 13))
    rim = (cv2.dilate(solid, three) - cv2.erode(solid, np.ones((5, 5), np.uint8))) > 0
    inner, outer = cv2.erode(solid, wide), 1 - cv2.dilate(solid, wide)
    high = [_extreme(grey, side, reach, cv2.dilate, -1.0) for side in (inner, outer)]
    low = [_extreme(grey, side, reach, cv2.erode, 256.0) for side in (inner, outer)]
    known = rim & (np.minimum(*high) >= 0)
    if not known.any():
        return None
    excess = np.maximum(grey - np.maximum(*high), 0.0) + np.maximum(np.minimum(*low) - grey, 0.0)
    return float(excess[known].mean())


def _extreme(grey: Float, where: Pixels, kernel: Pixels, reach: object, empty: float) -> Float:
    """Largest (dilate) or smallest (erode) luma nearby among the pixels of a mask."""
    return np.asarray(reach(np.where(where > 0, grey, empty).astype(np.float32), kernel), np.float32)  # type: ignore[operator]


__all__ = ["identity", "seam"]
