"""The light of a room at a place in it: how much a white surface there would show, and in which colour.

A camera sets its exposure so that a room's bright surfaces come out alike, so the room's own surfaces tell what white
looks like in the photo. A ceiling is nearly always white and sees the whole room: where one is in view it gives half of
the level. The colour is that of the brighter half of the photo: what is nearly white has lost its tint to the camera's
tone curve (a lamp's ceiling looks white, the walls below it do not), and what is dark is mostly wood and cloth.
"""

from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from imaging.colour import to_linear
from imaging.labels import REGION
from imaging.room import Room
from imaging.scene import Placement

Pixels = NDArray[np.uint8]
Float = NDArray[np.float32]
LUMINANCE = np.array([0.2126, 0.7152, 0.0722], np.float32)
# What a product's white may come to in the photo, and how far the ratio of channels may lean.
# Tone curves pale the bright surfaces that the colour is read from, a little.
LEVEL_RANGE, MAX_CAST, PALED = (0.24, 0.85), 2.2, 1.1
# White paint returns about 0.85 of the light; half of the photo's upper tenth is surfaces about as bright.
CEILING_GAIN, BRIGHT_GAIN, BRIGHT_PERCENTILE = 1.12, 0.95, 88
LEAST_CEILING, CLIPPED, SEEN_WINDOW = 0.015, 0.97, (0.03, 0.07)
BLOWN, DIM = 0.75, 0.36
# A product before the windows turns its dark side to the camera.
BACKLIT_LOSS, NEAR_M, NEAR_RANGE = 0.36, 1.0, (0.85, 1.15)
# What lies flat is lit by ceiling and windows, what stands upright by half a room; a studio lights both alike.
# The curved top of a pouf or a cushion is not flat: it begins above what such things show.
FLAT_GAIN, FLAT_RANGE = 5.0, (0.35, 0.6)
# Linear light of the backdrop above which a studio exposed for white, so brighter than for a room.
STUDIO_WHITE, STUDIO_STEP = 0.72, 4
LOW_RANGE, SAMPLE_SIDE = (0.6, 0.98), 320
# Half (in stops) of how the brightness of the two sides differs is seen on a product, and never much.
SIDE_SHARE, MOST_SIDE, LEAST_SIDE = 0.5, 0.6, 0.03


@dataclass(frozen=True, eq=False)
class Light:
    """Linear gains (3,) from studio light to the light at a place, and how it falls off over the product.

    `low` is what remains at a standing product's foot: a studio's sweep lights it from below, a floor hardly does.
    What hangs has 1.
    `behind` (0..1) is how much of the light comes from windows in view, so from behind the product. `side` is the log
    of what its right edge gets more than its middle; its left edge gets as much less.
    """

    gains: Float
    low: float
    behind: float
    side: float = 0.0

    def on(self, flat: float, studio: float | None = None) -> "Light":
        """This light on a product that shows so much (0..1) of a flat top (imaging.stance.flat_share).

        studio: linear light of the backdrop of its photo (`studio_level`). A white one takes what it exceeds a paper
        in room light by, and at the foot once more, for its floor sends light up; a grey one may be grey paper as well
        as little light and changes nothing.
        """
        more = 1.0 + FLAT_GAIN * (float(np.clip(flat, *FLAT_RANGE)) - FLAT_RANGE[0])
        over = max(1.0, (studio or 0.0) / STUDIO_WHITE)
        low = self.low / over if self.low < 1.0 else 1.0
        return replace(self, gains=np.asarray(self.gains * (more / over), np.float32), low=low)


def light_at(room_pixels: Pixels, room: Room, placement: Placement) -> Light:
    """The light where a placement is, from the photo's pixels (H, W, 3) and the room as read."""
    linear, labels = _sample(room_pixels, room.regions)
    level = _white(linear, labels)
    backlit = max(_backlit(linear, labels, level), _blown(linear, room.horizon_y))
    # A floor before a window mirrors it: bright there does not mean much light.
    level *= 1.0 - BACKLIT_LOSS * backlit if backlit > 0 else _nearness(linear, labels, room, placement)
    cast = np.clip(np.power(_colour(linear), PALED), 1 / MAX_CAST, MAX_CAST)
    cast /= float(cast @ LUMINANCE)
    gains = np.asarray(np.clip(level, *LEVEL_RANGE) * cast, np.float32)
    stands = placement.mount in ("floor", "tabletop")
    if not stands:
        return Light(gains, 1.0, backlit)
    return Light(gains, _low_share(linear, labels), backlit, _from_the_side(linear, placement.contact[0]))


def studio_level(rgba: Pixels) -> float | None:
    """Linear light (0..1) of the backdrop that a cutout (H, W, 4) was cut from, None where it does not tell.

    Ours keep the backdrop's one colour where they are transparent (imaging.cutout); others keep black or a photo.
    """
    sample = rgba[::STUDIO_STEP, ::STUDIO_STEP]
    hidden = sample[sample[..., 3] == 0][:, :3]
    if not len(hidden) or not hidden[0].any() or (hidden != hidden[0]).any():
        return None
    return float(to_linear(hidden[0]) @ LUMINANCE)


def _sample(pixels: Pixels, regions: Pixels) -> tuple[Float, Pixels]:
    """Linear light and labels at the same reduced size."""
    step = max(1, round(max(pixels.shape[:2]) / SAMPLE_SIDE))
    small = np.ascontiguousarray(pixels[::step, ::step])
    size = small.shape[1], small.shape[0]
    return to_linear(small), np.asarray(cv2.resize(regions, size, interpolation=cv2.INTER_NEAREST), np.uint8)


def _white(linear: Float, labels: Pixels) -> float:
    """How bright a white surface is shown."""
    light = linear @ LUMINANCE
    bright = BRIGHT_GAIN * float(np.percentile(light, BRIGHT_PERCENTILE))
    ceiling = labels == REGION.CEILING
    above = float(np.median(light[ceiling])) if ceiling.mean() >= LEAST_CEILING else 0.0
    return 0.5 * bright + 0.5 * CEILING_GAIN * above if above >= 0.5 * bright else bright


def _colour(linear: Float) -> Float:
    """The light's colour (3,) at luminance 1: the mean of the brighter half of what is not clipped."""
    pixels = linear.reshape(-1, 3)
    told = pixels[pixels.max(axis=1) < CLIPPED]
    pixels = told if len(told) else pixels
    light = pixels @ LUMINANCE
    colour = pixels[light >= np.median(light)].mean(axis=0)
    return np.asarray(colour / max(float(colour @ LUMINANCE), 1e-6), np.float32)


def _backlit(linear: Float, labels: Pixels, white: float) -> float:
    """0..1: how much of the room's light comes from windows in view, behind the product; dark windows give none."""
    opening = labels == REGION.OPENING
    if not opening.any():
        return 0.0
    low, high = SEEN_WINDOW
    shines = (float(np.median((linear @ LUMINANCE)[opening])) / max(white, 1e-3) - 0.5) / 0.2
    return float(np.clip((opening.mean() - low) / (high - low), 0.0, 1.0) * np.clip(shines, 0.0, 1.0))


def _blown(linear: Float, horizon_y: float) -> float:
    """0..1: the same by what is nearly white above the horizon of an otherwise dim view, whatever it was read as."""
    above = (linear @ LUMINANCE)[: max(1, round(float(np.clip(horizon_y, 0.1, 1.0)) * len(linear)))]
    low, high = SEEN_WINDOW
    share = float((above > BLOWN).sum()) / linear[..., 0].size
    return float(np.clip((share - low) / (high - low), 0.0, 1.0)) if float(np.median(above)) < DIM else 0.0


def _nearness(linear: Float, labels: Pixels, room: Room, placement: Placement) -> float:
    """How much brighter its support is around the place than elsewhere, damped: patterns are not light."""
    carrier = REGION.WALL if placement.mount == "wall" else REGION.FLOOR
    support = labels == carrier
    height, width = labels.shape
    reach = NEAR_M * placement.px_per_m * width / room.width
    rows, columns = np.mgrid[0:height, 0:width]
    away = np.hypot((columns - placement.contact[0] * width) / max(reach, 1.0),
                    (rows - placement.contact[1] * height) / max(0.45 * reach, 1.0))  # fmt: skip
    near = support & (away < 1.0)
    if near.sum() < 30 or support.sum() < 60:
        return 1.0
    light = np.maximum(linear @ LUMINANCE, 1e-3)
    ratio = float(np.median(light[near]) / np.median(light[support]))
    return float(np.clip(np.sqrt(ratio), *NEAR_RANGE))


def _from_the_side(linear: Float, across: float) -> float:
    """How much more light comes from the right than from the left of a place (0..1 of the width), for its edges.

    Grey balls rendered at 125 places were lit as the bright parts on either side let expect (correlation
    0.6 by day, 0.8 by lamps).
    """
    light = linear @ LUMINANCE
    width = light.shape[1]
    least = max(1, round(LEAST_SIDE * width))
    middle = int(np.clip(round(across * width), least, width - least))
    sides = (
        max(float(np.percentile(part, BRIGHT_PERCENTILE)), 1e-3) for part in (light[:, :middle], light[:, middle:])
    )
    left, right = sides
    return SIDE_SHARE * float(np.clip(np.log(right / left), -MOST_SIDE, MOST_SIDE))


def _low_share(linear: Float, labels: Pixels) -> float:
    """Light left at a product's foot: little over a dark floor, most of it over a pale one."""
    floor = labels == REGION.FLOOR
    if not floor.any():
        return 0.8
    light = linear @ LUMINANCE
    pale = float(np.median(light[floor]) / max(float(np.percentile(light, BRIGHT_PERCENTILE)), 1e-3))
    return float(np.clip(0.6 + 0.4 * pale, *LOW_RANGE))


__all__ = ["LUMINANCE", "Light", "light_at", "studio_level"]
