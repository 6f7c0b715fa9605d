"""What makes a photo useless for placing furniture: no floor, no room, no light, no edges, the wrong way up.

Each doubt is a code that a shopper can act on. Thresholds leave good rooms a wide margin: evening light, a sofa in the
foreground and green walls are no doubts.
"""

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from imaging.colour import fit_within, resize, to_lab
from imaging.geometry import Camera
from imaging.labels import REGION, is_floor, is_taken
from imaging.turned import doubt_by_turning
from imaging.vanishing import Manhattan

Pixels = NDArray[np.uint8]
Mask = NDArray[np.bool_]
# These leave nothing to place anything by; `blurred` only lowers the confidence.
FATAL = ("too_dark", "too_blurred", "upside_down", "on_its_side", "outdoors", "view_blocked", "no_floor")
# A floor that reaches this far (m) and goes on in the same colour is a back, a door, a wall.
ENDLESS_M, ENDLESS_SHARE, SAME_COLOUR = 7.0, 0.12, 10.0
DARK_P90, DARK_MEDIAN = 26.0, 10.0
# Blur of 0.3 % of the width leaves steps of about 0.1, of 0.4 % 0.05 and more, of 1.5 % 0.03 and less.
BLUR_STEP, USELESS_STEP, LEAST_CONTRAST = 0.11, 0.04, 20.0
LEAST_FLOOR_M2, LEAST_FLOOR_SHARE = 0.7, 0.04
LOOKS_UP_DEG, SURE_FIT = -5.0, 0.55
OUTDOOR_SHARE, BLOCKED_SHARE, LITTLE_FLOOR, LEAST_CLARITY = 0.3, 0.58, 0.2, 0.3
# Many edges of which so few agree on three directions are no room's.
NO_ROOM_FIT, NO_ROOM_EDGES = 0.35, 100


def find_doubts(pixels: Pixels, lines: Manhattan, camera: Camera, regions: Pixels, floor_clarity: float) -> list[str]:
    """Codes of what speaks against the photo, worst first: those of FATAL, and `blurred`.

    floor_clarity (0..1) is how clearly the floor stands out; what hardly does is a wall seen from near.
    """
    small = resize(pixels, fit_within(pixels.shape[1], pixels.shape[0], 400))
    lab = to_lab(small)
    floor, free = float(is_floor(regions).mean()), float((regions == REGION.FLOOR).mean())
    step = _sharpness(pixels)
    turned = doubt_by_turning(pixels, lines, floor, floor_clarity)
    doubts = {
        "too_dark": _is_dark(lab),
        "too_blurred": step < USELESS_STEP,
        "upside_down": lines.pitch_deg < LOOKS_UP_DEG and lines.fit > SURE_FIT,
        "on_its_side": turned == "on_its_side",
        "outdoors": _outdoor_share(lab, lines) > OUTDOOR_SHARE or _is_no_room(lines),
        "view_blocked": (_blocked_share(regions, camera) > BLOCKED_SHARE and free < LITTLE_FLOOR)
        or _endless_share(lab, regions, camera) > ENDLESS_SHARE,
        "no_floor": turned == "no_floor" or floor_clarity < LEAST_CLARITY or not _has_floor(regions, camera),
        "blurred": USELESS_STEP <= step < BLUR_STEP,
    }
    return [code for code, found in doubts.items() if found]


def fatal_doubt(doubts: list[str], mount: str) -> str | None:
    """The first doubt that forbids placing a product with this mount."""
    forbidding = FATAL if mount in ("floor", "tabletop") else FATAL[:-1]
    return next((code for code in forbidding if code in doubts), None)


def _is_dark(lab: NDArray[np.float32]) -> bool:
    """Hardly anything is brighter than black (L* 0..100)."""
    return bool(np.percentile(lab[..., 0], 90) < DARK_P90 and np.median(lab[..., 0]) < DARK_MEDIAN)


def _outdoor_share(lab: NDArray[np.float32], lines: Manhattan) -> float:
    """Share of sky in the upper and of plants' green in the lower part, 0 where straight edges make a room of it."""
    if lines.fit > 0.7:
        return 0.0
    light, a, b = lab[..., 0], lab[..., 1], lab[..., 2]
    half = lab.shape[0] // 2
    sky = (light[:half] > 55) & (b[:half] < -6) & (a[:half] < 8)
    green = (a[half:] < -9) & (b[half:] > 8)
    return float(max(sky.mean(), green.mean()))


def _is_no_room(lines: Manhattan) -> bool:
    """A rug, a hedge, a crowd: full of edges, hardly two of which run alike."""
    return lines.fit < NO_ROOM_FIT and len(lines.segments) >= NO_ROOM_EDGES


def _blocked_share(regions: Pixels, camera: Camera) -> float:
    """Share of what lies below the horizon taken by one thing that reaches from the lower edge to above the horizon."""
    labels, _ = ndimage.label(is_taken(regions))
    scale = regions.shape[1] / (2 * camera.cx)
    horizon = int(np.clip(round(camera.horizon_at(camera.cx) * scale), 1, len(labels) - 1))
    low, high = set(labels[-2:].ravel()) - {0}, set(labels[:horizon].ravel()) - {0}
    return max((float((labels[horizon:] == label).mean()) for label in sorted(low & high)), default=0.0)


def _endless_share(lab: NDArray[np.float32], regions: Pixels, camera: Camera) -> float:
    """Share of the floor's columns in which its colour goes on where no floor can be: it is something upright."""
    if lab.shape[:2] != regions.shape:
        lab = np.asarray(cv2.resize(lab, regions.shape[::-1], interpolation=cv2.INTER_AREA))
    floor = regions == REGION.FLOOR
    columns = np.flatnonzero(floor.any(axis=0))
    if columns.size == 0:
        return 0.0
    top = floor[:, columns].argmax(axis=0)
    scale = regions.shape[1] / (2 * camera.cx)
    ahead = camera.floor_points((np.stack([columns, top], axis=1) + 0.5) / scale)[:, 1]
    even = cv2.blur(lab, (31, 15))  # a shirt's pattern is not its end
    above, below = even[np.maximum(top - 12, 0), columns], even[np.minimum(top + 9, len(floor) - 1), columns]
    same = np.linalg.norm(above - below, axis=1) < SAME_COLOUR
    return float(((np.nan_to_num(ahead, nan=99.0) > ENDLESS_M) & same).mean())


def _has_floor(regions: Pixels, camera: Camera) -> bool:
    """Whether enough floor is seen to stand something on: in the picture, and in square metres."""
    floor = regions == REGION.FLOOR
    if floor.mean() < LEAST_FLOOR_SHARE:
        return False
    rows, columns = np.nonzero(floor)
    scale = regions.shape[1] / (2 * camera.cx)
    plan = camera.floor_points((np.stack([columns, rows], axis=1) + 0.5) / scale)
    plan = plan[~np.isnan(plan).any(axis=1)]
    plan = plan[np.hypot(plan[:, 0], plan[:, 1]) < 9.0]
    return len(np.unique(np.floor(plan * 5) @ [1.0, 1000.0])) * 0.04 > LEAST_FLOOR_M2


def _sharpness(pixels: Pixels) -> float:
    """The steepest edges' step from pixel to pixel as a share of the contrast, at 800 px; 1 for a bare wall."""
    grey = cv2.cvtColor(resize(pixels, fit_within(pixels.shape[1], pixels.shape[0], 800)), cv2.COLOR_RGB2GRAY).astype(
        np.float32
    )
    low, high = np.percentile(grey, [2, 98])
    if high - low < LEAST_CONTRAST:
        return 1.0
    step = np.hypot(cv2.Sobel(grey, cv2.CV_32F, 1, 0), cv2.Sobel(grey, cv2.CV_32F, 0, 1)) / 8
    return float(np.percentile(step, 99.5) / (high - low))


__all__ = ["FATAL", "fatal_doubt", "find_doubts"]
