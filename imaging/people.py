"""Whether a person or a mannequin shows the product: a head upon shoulders, or a face with bare hands or legs near it.

Skin and walnut are the same to a colour rule, so colour alone tells nothing: a face has to be an upright ellipse, with
another piece of the same skin below it. Meant to inform; a photo is never refused for it.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from imaging.colour import disk

Float = NDArray[np.float32]
Mask = NDArray[np.bool_]
# Skin of any darkness: chroma and hue angle (degrees) in a*b*, least lightness.
SKIN_CHROMA, SKIN_HUE, SKIN_LIGHT = (12.0, 32.0), (38.0, 66.0), 28.0
# A face's share of the picture, its height over its width, and how well its own ellipse covers it.
FACE_SHARE, FACE_TALL, FACE_OVAL = (0.0008, 0.06), (0.95, 1.9), 0.9
# A limb: its size and its ΔE beside the face, and how many faces' heights it may be away.
LIMB_SIZE, LIMB_COLOUR, LIMB_AWAY = 0.08, 12.0, 8.0
# A head's share of the figure's height, its height over its width, its fill of its box, and the widths around it.
HEAD_SHARE, HEAD_TALL, HEAD_FILL, NECK, SHOULDERS = (0.1, 0.36), (0.95, 1.8), (0.68, 0.9), (0.25, 0.8), 1.7


def shows_person(lab: Float, mask: Mask) -> bool:
    """Whether a mask (H, W) over a photo in LAB (H, W, 3), both of about 800 px, has a person's signs."""
    return _has_head(mask) or _has_face(lab, mask)


def _between(value: float, limits: tuple[float, float]) -> bool:
    return limits[0] <= value <= limits[1]


def _has_head(mask: Mask) -> bool:
    """A silhouette that begins with one oval, narrows to a neck and widens to shoulders."""
    rows = np.flatnonzero(mask.any(axis=1))
    if rows.size < 40:
        return False
    figure = mask[rows[0] : rows[-1] + 1]
    widths = figure.sum(axis=1).astype(np.float32)
    smooth = cv2.GaussianBlur(widths[:, None], (1, 0), sigmaX=0.1, sigmaY=max(1.0, len(widths) / 200))[:, 0]
    low, high = (round(share * len(widths)) for share in HEAD_SHARE)
    neck = low + int(np.argmin(smooth[low : high + 1]))
    head = figure[:neck]
    wide = float(smooth[:neck].max())
    box = np.flatnonzero(head.any(axis=0))
    spans = figure.shape[1] - head.argmax(axis=1) - head[:, ::-1].argmax(axis=1)
    whole = float((spans == widths[:neck]).mean()) > 0.95
    shoulders = float(smooth[neck : neck + round(1.2 * neck)].max())
    return bool(
        whole
        and low < neck < high
        and float(len(box)) < 1.25 * wide
        and _between(neck / wide, HEAD_TALL)
        and _between(float(head.sum()) / (neck * wide), HEAD_FILL)
        and _between(float(smooth[neck]) / wide, NECK)
        and shoulders > SHOULDERS * wide
    )


def _has_face(lab: Float, mask: Mask) -> bool:
    """An upright oval of skin with other skin like it not far below."""
    chroma = np.hypot(lab[..., 1], lab[..., 2])
    hue = np.degrees(np.arctan2(lab[..., 2], lab[..., 1]))
    skin = mask & (chroma > SKIN_CHROMA[0]) & (chroma < SKIN_CHROMA[1]) & (lab[..., 0] > SKIN_LIGHT)
    skin &= (hue > SKIN_HUE[0]) & (hue < SKIN_HUE[1])
    clean = cv2.morphologyEx(skin.astype(np.uint8), cv2.MORPH_OPEN, disk(2))
    count, labels, stats, middles = cv2.connectedComponentsWithStats(clean)
    sizes = stats[:, cv2.CC_STAT_AREA]
    seen = np.maximum(sizes, 1)[:, None]
    colours = np.stack([np.bincount(labels.ravel(), lab[..., axis].ravel(), count) for axis in range(3)], axis=1) / seen
    for face in range(1, count):
        if not _between(sizes[face] / mask.size, FACE_SHARE) or not _is_oval(labels == face, stats[face]):
            continue
        below = (middles[:, 1] - middles[face, 1]) / stats[face, cv2.CC_STAT_HEIGHT]
        aside = np.abs(middles[:, 0] - middles[face, 0]) / stats[face, cv2.CC_STAT_HEIGHT]
        limb = (below > 0.6) & (below < LIMB_AWAY) & (aside < LIMB_AWAY / 2) & (sizes > LIMB_SIZE * sizes[face])
        limb &= np.linalg.norm(colours - colours[face], axis=1) < LIMB_COLOUR
        if limb[1:].any():
            return True
    return False


def _is_oval(blob: Mask, box: NDArray[np.int32]) -> bool:
    """Whether a blob with the box (x, y, width, height, area) is nearly the ellipse inscribed in its box."""
    x, y, wide, high = (int(value) for value in box[:4])
    if not _between(high / wide, FACE_TALL):
        return False
    down, across = np.mgrid[-1 : 1 : high * 1j, -1 : 1 : wide * 1j]
    inside = down**2 + across**2 <= 1.0
    part = blob[y : y + high, x : x + wide]
    return bool((part & inside).sum() > FACE_OVAL * (part | inside).sum())


__all__ = ["shows_person"]
