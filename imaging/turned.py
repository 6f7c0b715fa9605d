"""Whether a photo lies on its side: its floor stands out far more with the photo turned by a quarter.

A room's three directions look alike from there, so that edges do not tell. What is read as the floor of such a photo is
a strip of wall or of a cupboard's front; the true floor, to the left or right, is larger and clearer, and opposite of
it, at the ceiling, there is none. Where both sides look like floor, it is a wall that was photographed without one.
A coarse look, half as fine as the room's reading, tells that as well.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from imaging.colour import fit_within, resize
from imaging.geometry import camera_for, focal_pixels
from imaging.regions import floor_area
from imaging.vanishing import Manhattan, fit_manhattan

Pixels = NDArray[np.uint8]
READ_SIDE, COARSE_SIDE, HEIGHT_M, PITCH_RANGE = 800, 200, 1.5, (-12.0, 38.0)
# Floors' shares of the photo times their clarity. Turned, upright rooms show 1.2 times as much floor at most.
POOR_FLOOR, GOOD_FLOOR, FAR_BETTER = 0.15, 0.15, 1.8
# The other way round two in three photos on their side show none at all; upright walls 0.03 and more.
NO_FLOOR = 0.015


def doubt_by_turning(pixels: Pixels, lines: Manhattan, floor_share: float, floor_clarity: float) -> str | None:
    """`on_its_side`, or `no_floor` where the floor as read (share of the photo, clarity 0..1) is poor, a turned one far
    better, but neither way is up for sure; None for a photo that shows its floor."""
    if floor_share * floor_clarity >= POOR_FLOOR:
        return None
    own = _floor_shown(pixels, lines)
    if own >= POOR_FLOOR:
        return None
    small = resize(pixels, fit_within(pixels.shape[1], pixels.shape[0], READ_SIDE))
    turns = (cv2.ROTATE_90_CLOCKWISE, cv2.ROTATE_90_COUNTERCLOCKWISE)
    other, best = sorted(_floor_shown(cv2.rotate(small, way)) for way in turns)
    if best <= max(GOOD_FLOOR, FAR_BETTER * own):
        return None
    return "on_its_side" if other < NO_FLOOR else "no_floor"


def _floor_shown(pixels: Pixels, lines: Manhattan | None = None) -> float:
    """The floor's share of the photo times how clearly it stands out, 0..1."""
    height, width = pixels.shape[:2]
    focal_px = focal_pixels(width, height, None)
    lines = lines or fit_manhattan(pixels, focal_px)
    pitch = float(np.clip(lines.pitch_deg, *PITCH_RANGE))
    camera = camera_for(width, height, focal_px, pitch, lines.roll_deg, HEIGHT_M)
    floor, clarity = floor_area(pixels, camera, lines, COARSE_SIDE)
    return float(floor.mean()) * clarity


__all__ = ["doubt_by_turning"]
