"""Background removal for merchants' photos on a plain backdrop, with an honest refusal for all others.

1. At 800 px: what a flood from the frame over backdrop and soft shadow cannot reach, less the holes (`outline`).
2. At full size, in a narrow band: coverage and the product's own colour before a known background (`matting`).
3. Signals of how far this can be trusted, and a tight crop.
"""

from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from imaging import matting
from imaging.colour import disk, fit_within, resize, to_lab
from imaging.holes import BOUNCE_TINT
from imaging.outline import Outline, find_outline, frame, horizon_rows
from imaging.people import shows_person

Pixels = NDArray[np.uint8]
Mask = NDArray[np.bool_]
Float = NDArray[np.float32]

SEGMENT_SIDE = 800
# Limits of the signals (docs/decisions/0014-cutouts.md has the calibration).
BUSY_RESIDUAL, BUSY_OUTLIERS, BUSY_SHARP, TOUCHED_SHARE, CROPPED_SHARE = 1.5, 0.35, 0.012, 0.01, 0.3
# A faint outline may be trusted where nearly all of it is sharp; faint edges follow a little less of it.
NO_CONTRAST, WEAK_CONTRAST, LEAST_SUPPORT, WEAK_SUPPORT, FAINT_SUPPORT = 1.0, 2.5, 0.6, 0.95, 0.93
# The longest stretch of the outline without a sharp edge, as a share of the square root of the area: a flood came in.
GAP, FAINT_GAP = 0.34, 0.06
SECOND_PART, LOW_RESOLUTION = 0.15, 350
# Stray edges beyond which part of a pale product was lost, and how pale; nearer (px) JPEG's coarser hue makes its own.
LOST_PART, PALE, CHROMA_REACH = 0.1, 5.75, 17.0
STOPPING = frozenset({"busy_background", "weak_edge", "nothing_found"})


@dataclass(frozen=True, eq=False)
class Cutout:
    """A product on its own: rgba (H, W, 4) with straight alpha, and its box in the photo (px, x1 and y1 exclusive).

    What is wholly transparent has the colour of the backdrop, which tells the studio's exposure; black: none was seen.

    Not accepted means: show the merchant the warnings, do not put this into a room. Three warnings stop a cutout:
    busy_background, weak_edge (product and backdrop look alike), nothing_found. The others only inform:
    touches_border (perhaps cut off), several_products, text_or_badge (left out of the cutout), low_resolution.
    """

    rgba: Pixels
    crop: tuple[int, int, int, int]
    accepted: bool
    warnings: list[str]
    signals: dict[str, float] = field(default_factory=dict)


def cut_out(pixels: Pixels, alpha: Pixels | None = None) -> Cutout:
    """Cuts the product out of a photo (H, W, 3).

    A merchant's own straight alpha (H, W) is kept as it is, and the colours with it. One that hides next to nothing
    is no cutout: the photo is then looked at on white.
    """
    if alpha is not None:
        own = alpha.astype(np.float32) / 255.0
        if is_usable(alpha):
            return cropped(pixels, own, [], {"merchant_alpha": 1.0})
        pixels = np.rint(pixels * own[..., None] + 255.0 * (1.0 - own[..., None])).astype(np.uint8)
    height, width = pixels.shape[:2]
    small = resize(pixels, fit_within(width, height, SEGMENT_SIDE))
    found, signals = _found(small)
    mask = found.mask if found.mask.any() else np.ones_like(found.mask)
    soft, colour = _refine(pixels, mask)
    x0, y0, x1, y1 = _bounds(soft)
    return cropped(colour, soft, warnings_of(signals, max(x1 - x0, y1 - y0)), signals, found.backdrop.colour)


def _found(small: Pixels) -> tuple[Outline, dict[str, float]]:
    """The outline with its signals; where product and plain backdrop look alike, by fainter edges if those go all
    around."""
    found = find_outline(small)
    signals = signals_of(small, found)
    if is_calm(signals) and "weak_edge" in warnings_of(signals, SEGMENT_SIDE):
        again = find_outline(small, faint=True)
        signs = signals_of(small, again) | {"faint_edges": 1.0}
        if "weak_edge" not in warnings_of(signs, SEGMENT_SIDE):
            return again, signs
    return found, signals


def is_usable(alpha: Pixels) -> bool:
    """Whether an alpha channel (H, W) hides and shows enough to be a cutout."""
    return bool((alpha < 128).mean() > 0.002 and (alpha > 200).mean() > 0.005)


def signals_of(small: Pixels, found: Outline) -> dict[str, float]:
    """What the trust in a cutout rests on; shares are of the frame's pixels, of the outline's or of the picture's."""
    edge = frame(found.mask.shape, 4)
    beside = frame(found.mask.shape, 24) & ~cv2.dilate(found.mask.astype(np.uint8), disk(6)).astype(bool)
    parts = _part_sizes(found.mask)
    return {
        "border_residual": found.backdrop.residual,
        "border_outliers": found.backdrop.outlier_share,
        "border_touched": float((found.mask | (~found.flooded & ~found.sharp))[edge].mean()),
        "border_sharp": float(found.sharp[beside].mean()) if beside.any() else 1.0,
        "coverage": float(found.mask.mean()),
        "edge_contrast": _edge_contrast(small, found.mask),
        "edge_support": _edge_support(found),
        "edge_gap": _edge_gap(found),
        "second_part": float(parts[1] / parts[0]) if len(parts) > 1 else 0.0,
        "marks": float(found.marks.mean()),
        "stray_edges": _stray_edges(small, found),
        "person": float(shows_person(to_lab(small), found.mask)),
    }


def is_calm(signals: dict[str, float]) -> bool:
    """Whether the frame shows a plain backdrop."""
    return signals["border_sharp"] < BUSY_SHARP and signals["border_residual"] < BUSY_RESIDUAL


def warnings_of(signals: dict[str, float], longest: int) -> list[str]:
    """What a merchant has to know; `longest` is the cutout's longer side (px)."""
    alone = signals["second_part"] < SECOND_PART
    calm = is_calm(signals)
    touched, contrast = signals["border_touched"], signals["edge_contrast"]
    support, gap = WEAK_SUPPORT if contrast < WEAK_CONTRAST else LEAST_SUPPORT, GAP
    if "faint_edges" in signals:
        support, gap = FAINT_SUPPORT, FAINT_GAP
    lost = signals["stray_edges"] > LOST_PART and contrast < PALE
    rules = {
        "busy_background": not calm
        or signals["border_outliers"] > BUSY_OUTLIERS
        or touched > (CROPPED_SHARE if alone else TOUCHED_SHARE),
        "weak_edge": contrast < NO_CONTRAST or signals["edge_support"] < support or signals["edge_gap"] > gap or lost,
        "nothing_found": signals["coverage"] < 0.002,
        "touches_border": touched > 0.002,
        "several_products": not alone,
        "text_or_badge": signals["marks"] > 0.0,
        "low_resolution": longest < LOW_RESOLUTION,
        "person": signals["person"] > 0.0,
    }
    return [name for name, holds in rules.items() if holds]


def _part_sizes(mask: Mask) -> list[int]:
    """Pixels of each part that hangs together but for small gaps, largest first."""
    closed = cv2.dilate(mask.astype(np.uint8), disk(5))
    _, labels, _, _ = cv2.connectedComponentsWithStats(closed)
    return sorted((int(size) for size in np.bincount(labels[mask])[1:]), reverse=True)


def _edge_support(found: Outline) -> float:
    """Share of the outline that runs along a sharp edge."""
    solid = found.mask.astype(np.uint8)
    edge = (solid - cv2.erode(solid, disk(1), borderValue=1)) > 0
    near = cv2.dilate(found.sharp.astype(np.uint8), disk(2)) > 0
    return float(near[edge].mean()) if edge.any() else 0.0


def _edge_gap(found: Outline) -> float:
    """The longest stretch of the outline without a sharp edge within 3 px, in square roots of the mask's area."""
    solid = found.mask.astype(np.uint8)
    edge = (solid - cv2.erode(solid, disk(1), borderValue=1)) > 0
    near = cv2.dilate(found.sharp.astype(np.uint8), disk(3)) > 0
    labels, count = ndimage.label(edge & ~near, structure=np.ones((3, 3)))
    return float(np.bincount(labels.ravel())[1:].max() / np.sqrt(solid.sum())) if count else 0.0


def _stray_edges(small: Pixels, found: Outline) -> float:
    """Sharp edges away from the product that no shadow explains, in lengths of its outline: parts that were lost."""
    solid = found.mask.astype(np.uint8)
    outline = int((solid - cv2.erode(solid, disk(1), borderValue=1)).sum())
    away = cv2.distanceTransform(1 - solid, cv2.DIST_L2, 5) > CHROMA_REACH
    darker = found.backdrop.lightness - to_lab(cv2.GaussianBlur(small, (0, 0), 1.0))[..., 0] > 1.5
    shade = darker & (found.backdrop.tint < BOUNCE_TINT)
    stray = found.sharp & away & ~shade & ~found.marks & ~frame(solid.shape, 24) & ~horizon_rows(found.sharp, 3)
    return float(stray.sum() / outline) if outline else 0.0


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


def _refine(pixels: Pixels, mask: Mask) -> tuple[Float, Pixels]:
    """(alpha, the product's own colour) at full size, solved where the mask is and a little around."""
    height, width = pixels.shape[:2]
    scale = width / mask.shape[1]
    radius = max(2, int(np.ceil(1.5 * scale)))
    whole = cv2.resize(mask.astype(np.float32), (width, height), interpolation=cv2.INTER_LINEAR) > 0.5
    x, y, wide, high = cv2.boundingRect(whole.astype(np.uint8))
    margin = 8 * radius
    part = np.s_[max(0, y - margin) : y + high + margin, max(0, x - margin) : x + wide + margin]
    alpha, colour = np.zeros((height, width), np.float32), np.zeros_like(pixels)
    solved, own, back = matting.solve_alpha(pixels[part], whole[part], radius)
    alpha[part], colour[part] = solved, matting.unmixed(pixels[part], solved, own, back)
    return alpha, colour


def _bounds(alpha: Float) -> tuple[int, int, int, int]:
    """The box (x0, y0, x1, y1) of what is seen; the whole picture if nothing is."""
    seen = alpha > 0.1
    if not seen.any():
        return 0, 0, alpha.shape[1], alpha.shape[0]
    rows, columns = np.flatnonzero(seen.any(axis=1)), np.flatnonzero(seen.any(axis=0))
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def cropped(
    colour: Pixels, alpha: Float, warnings: list[str], signals: dict[str, float], backdrop: Pixels | None = None
) -> Cutout:
    """A cutout cut to what is seen, from the product's colour (H, W, 3), coverage (H, W; 0..1) and backdrop (3,)."""
    x0, y0, x1, y1 = _bounds(alpha)
    part, soft = colour[y0:y1, x0:x1], alpha[y0:y1, x0:x1]
    rgba = np.dstack([part, np.rint(soft * 255.0).astype(np.uint8)])
    rgba[rgba[..., 3] == 0, :3] = 0 if backdrop is None else backdrop
    rounded = {key: round(value, 4) for key, value in signals.items()}
    return Cutout(np.ascontiguousarray(rgba), (x0, y0, x1, y1), STOPPING.isdisjoint(warnings), warnings, rounded)


__all__ = ["STOPPING", "Cutout", "cropped", "cut_out", "is_calm", "is_usable", "signals_of", "warnings_of"]
