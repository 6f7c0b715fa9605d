"""Whether a photo lies on its side: its floor stands out far more with the photo turned by a quarter.

A room's three directions look alike from there, so that edges do not tell. What is read as the floor of such a photo is
a strip of wall or of a cupboard's front; the true floor, to the left or right, is larger and clearer.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from imaging.colour import fit_within, resize
from imaging.geometry import camera_for, focal_pixels
from imaging.regions import floor_area
from imaging.vanishing import fit_manhattan

Pixels = NDArray[np.uint8]
READ_SIDE, HEIGHT_M, PITCH_RANGE = 800, 1.5, (-12.0, 38.0)
# Floors' shares of the photo times their clarity. Upright rooms show 0.1 and more, those that show little 0.3 at
# most when turned, twice as much.
POOR_FLOOR, GOOD_FLOOR, FAR_BETTER = 0.12, 0.15, 2.5


def lies_on_its_side(pixels: Pixels, floor_share: float, floor_clarity: float) -> bool:
    """True only where the floor as read (share of the photo, clarity 0..1) is poor, and a turned one far better."""
    if floor_share * floor_clarity >= POOR_FLOOR:
        return False
    small = resize(pixels, fit_within(pixels.shape[1], pixels.shape[0], READ_SIDE))
    own = _floor_shown(small)
    turned = max(
        _floor_shown(cv2.rotate(small, way)) for way in (cv2.ROTATE_90_CLOCKWISE, cv2.ROTATE_90_COUNTERCLOCKWISE)
    )
    return own < POOR_FLOOR and turned > max(GOOD_FLOOR, FAR_BETTER * own)


def _floor_shown(pixels: Pixels) -> float:
    """The floor's share of the photo times how clearly it stands out, 0..1."""
    height, width = pixels.shape[:2]
    focal_px = focal_pixels(width, height, None)
    lines = fit_manhattan(pixels, focal_px)
    pitch = float(np.clip(lines.pitch_deg, *PITCH_RANGE))
    floor, clarity = floor_area(pixels, camera_for(width, height, focal_px, pitch, lines.roll_deg, HEIGHT_M), lines)
    return float(floor.mean()) * clarity


__all__ = ["lies_on_its_side"]
