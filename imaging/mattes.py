"""Somebody else's matte, held against the photo by our own signs before it is trusted.

A service that cuts products out of busy photos is asked exactly where our own engine refuses, so a busy background is
no reason to refuse its answer. That the matte's outline runs where the photo has edges, and that nothing of the product
was left out before a plain backdrop, can be seen without knowing how it was made.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from imaging.backdrop import Backdrop, fit_backdrop
from imaging.colour import disk, fit_within, resize, to_lab
from imaging.cutout import Cutout, cropped, is_calm, signals_of, warnings_of
from imaging.matting import foreground
from imaging.outline import Outline, sharp_edges

Pixels = NDArray[np.uint8]
Mask = NDArray[np.bool_]
SIDE = 800
# Mattes that are true have 0.86 or more of their outline on edges of the photo; shifted, swollen, shrunk or rounded
# ones at most 0.82 but where they hardly differ (docs/decisions/0017-repainted-pictures.md).
LEAST_SUPPORT, LEAST_COVER, MOST_COVER = 0.83, 0.002, 0.97
# Above this a service that says how unsure it is (0..1) is not followed; its documentation calls 0.6 to 1 high.
UNSURE = 0.6
# What lies before a plain backdrop, is no shadow and no part of the matte: at most this share of the matte's area.
LEFT_OUT_DELTA, LEFT_OUT_TINT, LEFT_OUT = 20.0, 0.1, 0.12
STOPPING = frozenset({"weak_edge", "nothing_found", "unsure", "incomplete"})


def cut_by(pixels: Pixels, matte: Pixels, uncertainty: float | None = None) -> Cutout:
    """The cutout of a photo (H, W, 3) by a matte (H, W; 0..255) of the same size, with the photo's own colours.

    Four warnings stop it: weak_edge (the outline runs where the photo has no edge), nothing_found (nothing, or nothing
    was removed), unsure (the service says so), incomplete (something that stands out was left out). The others inform.
    """
    size = fit_within(pixels.shape[1], pixels.shape[0], SIDE)
    small = resize(pixels, size)
    mask = np.asarray(cv2.resize(matte, size, interpolation=cv2.INTER_AREA) > 127)
    backdrop = fit_backdrop(small)
    sharp = sharp_edges(to_lab(small))
    seen = Outline(mask, backdrop, sharp, ~mask, np.zeros_like(mask))
    signals = signals_of(small, seen) | {"left_out": _left_out(mask, backdrop)}
    if uncertainty is not None:
        signals["uncertainty"] = float(uncertainty)
    alpha = matte.astype(np.float32) / 255.0
    found = cropped(foreground(pixels, alpha), alpha, [], signals, backdrop.colour if is_calm(signals) else None)
    x0, y0, x1, y1 = found.crop
    warnings = _warnings(signals, max(x1 - x0, y1 - y0))
    return Cutout(found.rgba, found.crop, STOPPING.isdisjoint(warnings), warnings, found.signals)


def _warnings(signals: dict[str, float], longest: int) -> list[str]:
    told = [name for name in warnings_of(signals, longest) if name not in ("weak_edge", "nothing_found")]
    empty = not LEAST_COVER <= signals["coverage"] <= MOST_COVER
    rules = {
        "nothing_found": empty,
        "weak_edge": not empty and signals["edge_support"] < LEAST_SUPPORT,
        "unsure": signals.get("uncertainty", 0.0) > UNSURE,
        "incomplete": not empty and is_calm(signals) and signals["left_out"] > LEFT_OUT,
    }
    return [name for name, holds in rules.items() if holds] + told


def _left_out(mask: Mask, backdrop: Backdrop) -> float:
    """The largest area outside of the matte that is neither backdrop nor its shadow, as a share of the matte's."""
    away = cv2.dilate(mask.astype(np.uint8), disk(6)) == 0
    shadow = backdrop.darker & (backdrop.tint < LEFT_OUT_TINT)
    other = (away & (backdrop.distance > LEFT_OUT_DELTA) & ~shadow).astype(np.uint8)
    _, _, parts, _ = cv2.connectedComponentsWithStats(cv2.morphologyEx(other, cv2.MORPH_OPEN, disk(2)))
    return float(parts[1:, cv2.CC_STAT_AREA].max(initial=0)) / max(float(mask.sum()), 1.0)


__all__ = ["STOPPING", "cut_by"]
