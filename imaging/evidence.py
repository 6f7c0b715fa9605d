"""What a finished picture changed about its empty room, pixel by pixel: another thing, or the room in other light.

Shadows, reflections and bounced light change a room as well. They leave its texture to be seen (normalised
cross-correlation of small neighbourhoods; Jacques, Jung and Musse, "Background Subtraction and Shadow Detection in
Grayscale Video Sequences", SIBGRAPI 2005), and where a room has none, they are smooth and keep its hue.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from imaging.colour import fit_within, luma, to_lab, to_linear, to_srgb
from imaging.light import LUMINANCE

Pixels = NDArray[np.uint8]
Float = NDArray[np.float32]
Mask = NDArray[np.bool_]
# ΔE (CIE 1976) that noise and JPEG may reach, and what another thing differs by at least.
CALM, DIFFERS = 3.5, 5.0
# A shadow keeps the hue within this (ΔE of a and b at one level), is smooth (log light per px), never this
# dark, and hardly brighter.
SHADOW_AB, SAME_AB, SMOOTH, DARKEST, BRIGHTER = 12.0, 8.0, 0.08, 0.07, 1.05
# Correlation at which a texture is surely the room's, and where it is darker too, unless sharply so
# (log light per px); window (px), noise (log²).
SURELY_ROOM, ROOM_IN_SHADE, SHARP, WINDOW, NOISE = 0.75, 0.4, 0.2, 2.0, 2e-4
# A product's main colours, how far light may change their level, how far (ΔE) a pixel may be from them, and how
# much nearer to them than to the room in less light.
COLOURS, EXPOSURES, COLOUR_REACH, MARGIN = 8, (0.4, 1.9), 13.0, 2.0


@dataclass(frozen=True, eq=False)
class Evidence:
    """Masks (H, W): where the room is unchanged, where another thing is seen, and where that has the product's colours.

    What is neither calm nor a thing is the room in other light.
    """

    calm: Mask
    thing: Mask
    own: Mask

    @classmethod
    def of(cls, result: Pixels, room: Pixels, palette: Float) -> "Evidence":
        """Both pictures (H, W, 3) on one grid, the product some 160 px long; palette (N, 3) in linear light."""
        difference = changed(result, room)
        thing = difference > DIFFERS
        own = np.zeros(thing.shape, bool)
        if thing.any():
            light, before, kept = _light_kept(result, room)
            thing &= ~_shows_room(result, room, thing, (light, before, kept))
        if thing.any():
            away = _colour_away(result[thing], palette)
            # In the dark all colours are close: what the room in less light explains better is not the product's.
            shade = np.rint(to_srgb(before[thing] * kept[thing][:, None])).astype(np.uint8)
            from_shade = np.linalg.norm(to_lab(shade[None])[0] - to_lab(result[thing][None])[0], axis=1)
            explained = (kept[thing] < BRIGHTER) & (from_shade + MARGIN < away)
            own[thing] = (away < COLOUR_REACH) & ~explained
        return cls(difference < CALM, thing, own)


def changed(result: Pixels, room: Pixels) -> Float:
    """ΔE (CIE 1976) per pixel after a slight blur, so that grain does not count."""
    blurred = [to_lab(cv2.GaussianBlur(image, (0, 0), 1.0)) for image in (result, room)]
    away = blurred[0] - blurred[1]
    return np.asarray(np.sqrt(np.einsum("...c,...c->...", away, away)), np.float32)


def like_shadow(result: Pixels, room: Pixels) -> Mask:
    """Pixels that may be the room in less light: darker, of the same colour once brought to the same level."""
    light, before, kept = _light_kept(result, room)
    dark = (kept < 1.03) & (kept > 0.03)
    dark[dark] = _hue_away(light[dark], before[dark], kept[dark]) < SHADOW_AB
    return np.asarray(dark)


def _light_kept(result: Pixels, room: Pixels) -> tuple[Float, Float, Float]:
    """Linear light (H, W, 3) of a picture and its room, slightly blurred, and how much of the room's is left (H, W)."""
    light, before = (to_linear(cv2.GaussianBlur(image, (0, 0), 1.0)) for image in (result, room))
    kept = (light @ LUMINANCE + 2e-3) / (before @ LUMINANCE + 2e-3)
    return light, before, np.asarray(kept, np.float32)


def _hue_away(light: Float, before: Float, kept: Float) -> Float:
    """ΔE of a and b (N) of pixels (N, 3; linear light) once both are at the room's level."""
    level = np.asarray(light / np.maximum(kept, 0.03)[:, None], np.float32)
    seen, same = (to_lab(np.rint(to_srgb(each)).astype(np.uint8)[None])[0] for each in (level, before))
    return np.asarray(np.hypot(seen[:, 1] - same[:, 1], seen[:, 2] - same[:, 2]), np.float32)


def _shows_room(result: Pixels, room: Pixels, among: Mask, lit: tuple[Float, Float, Float]) -> Mask:
    """Which pixels of a mask still show the room, in whatever light; `lit` is what `_light_kept` says of both."""
    light, before, kept = lit
    level = np.log(np.clip(kept, 0.02, 10.0))
    edge = np.hypot(cv2.Sobel(level, cv2.CV_32F, 1, 0), cv2.Sobel(level, cv2.CV_32F, 0, 1)) / 8
    alike = _texture_correlation(result, room)
    smooth = among & (edge < SMOOTH) & (kept > DARKEST) & (kept < BRIGHTER)
    if smooth.any():
        smooth[smooth] = _hue_away(light[smooth], before[smooth], kept[smooth]) < SAME_AB
    in_shade = (kept < BRIGHTER) & (alike > ROOM_IN_SHADE) & (edge < SHARP)
    return np.asarray(among & ((alike > SURELY_ROOM) | in_shade | smooth))


def _texture_correlation(result: Pixels, room: Pixels) -> Float:
    """Normalised cross-correlation (-1..1) of log luma in a Gaussian window around each pixel."""
    first, second = (np.log(luma(image) + 8.0) for image in (result, room))

    def mean(values: Float) -> Float:
        return np.asarray(cv2.GaussianBlur(values, (0, 0), WINDOW), np.float32)

    level = mean(first), mean(second)
    spread = mean(first * first) - level[0] ** 2, mean(second * second) - level[1] ** 2
    common = mean(first * second) - level[0] * level[1]
    return np.asarray(common / np.sqrt((spread[0] + NOISE) * (spread[1] + NOISE)), np.float32)


def _colour_away(pixels: Pixels, palette: Float) -> Float:
    """ΔE (CIE 1976) of pixels (N, 3) from the nearest of some colours (M, 3; linear light) in more light or less."""
    level = to_linear(pixels) @ LUMINANCE
    lab = to_lab(pixels[None])[0]
    least = np.full(len(pixels), np.inf, np.float32)
    for colour in palette:
        exposure = np.clip(level / max(float(colour @ LUMINANCE), 1e-4), *EXPOSURES)
        shown = np.rint(to_srgb(colour * exposure[:, None])).astype(np.uint8)
        least = np.minimum(least, np.linalg.norm(to_lab(shown[None])[0] - lab, axis=1))
    return least


def palette_of(rgba: Pixels, gains: Float) -> Float:
    """The main colours (N, 3; linear light) of a cutout in a room's light, by k-means in LAB."""
    small = cv2.resize(rgba, fit_within(rgba.shape[1], rgba.shape[0], 96), interpolation=cv2.INTER_AREA)
    lab = to_lab(np.ascontiguousarray(small[..., :3]))[small[..., 3] > 230]
    own = to_linear(small[..., :3])[small[..., 3] > 230]
    count = min(COLOURS, len(lab))
    if count == 0:
        return np.zeros((0, 3), np.float32)
    cv2.setRNGSeed(0)
    stop = (cv2.TERM_CRITERIA_EPS + cv2.TERM_CRITERIA_MAX_ITER, 20, 0.5)
    _, labels, _ = cv2.kmeans(lab, count, None, stop, 1, cv2.KMEANS_PP_CENTERS)
    means = [own[labels.ravel() == each].mean(axis=0) for each in range(count) if (labels.ravel() == each).any()]
    return np.asarray(np.array(means) * gains, np.float32)


def filled(mask: Mask, most: float = 0.02) -> Mask:
    """A mask with its small gaps closed and its holes filled, up to a share of all pixels each."""
    closed = cv2.morphologyEx(mask.astype(np.uint8), cv2.MORPH_CLOSE, np.ones((5, 5), np.uint8))
    rest = cv2.copyMakeBorder(1 - closed, 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=1)
    _, labels, parts, _ = cv2.connectedComponentsWithStats(rest, connectivity=4)
    hole = parts[:, cv2.CC_STAT_AREA] < most * mask.size
    hole[[0, int(labels[0, 0])]] = False
    return np.asarray((closed > 0) | hole[labels][1:-1, 1:-1])


__all__ = ["CALM", "DIFFERS", "Evidence", "changed", "filled", "like_shadow", "palette_of"]
