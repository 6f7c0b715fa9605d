"""The cutout as it will be pasted: resized or warped, in the room's light, with the room's grain."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from imaging.colour import luma, to_linear, to_srgb8
from imaging.light import Light

Pixels = NDArray[np.uint8]
Float = NDArray[np.float32]
Corners = NDArray[np.float64]
QUAD_FILL = 0.93
LOW_PART = 0.6
NOISE_BANDS = 16
# Levels of noise that are taken over at most, and what `noise_level` sees of noise as coarse as ours.
MOST_NOISE, FINE_PART = 6.0, 0.75


@dataclass(frozen=True, eq=False)
class Sprite:
    """Premultiplied sRGB colour (h, w, 3) 0..255 and alpha (h, w) 0..1, with its top left corner (px) in the photo."""

    colour: Float
    alpha: Float
    x: int
    y: int


def resized_sprite(rgba: Pixels, box: tuple[float, float, float, float]) -> Sprite:
    """The cutout scaled into a box (px), kept sharp and free of the colour of uncovered pixels."""
    x, y = round(box[0]), round(box[1])
    size = max(2, round(box[2] - box[0])), max(2, round(box[3] - box[1]))
    colour, alpha = _premultiplied(rgba)
    method = cv2.INTER_AREA if size[0] <= rgba.shape[1] else cv2.INTER_CUBIC
    alpha = np.clip(cv2.resize(alpha, size, interpolation=method), 0.0, 1.0)
    colour = np.clip(cv2.resize(colour, size, interpolation=method), 0.0, 255.0 * alpha[..., None])
    return Sprite(colour, alpha, x, y)


def warped_sprite(rgba: Pixels, target: Corners, frame: tuple[int, int]) -> Sprite:
    """A flat cutout laid onto four corners (px, clockwise from the top left) in a photo of (width, height).

    A piece photographed at an angle is straightened by its own corners.
    """
    low = np.floor(target.min(axis=0)).astype(int) - 2
    high = np.ceil(target.max(axis=0)).astype(int) + 3
    low, high = np.maximum(low, [-frame[0], -frame[1]]), np.minimum(high, [2 * frame[0], 2 * frame[1]])
    size = int(high[0] - low[0]), int(high[1] - low[1])
    source = flat_corners(rgba)
    step = _minification(source, target)
    if step > 1.3:
        shrunk = max(2, round(rgba.shape[1] / step)), max(2, round(rgba.shape[0] / step))
        source = source * [shrunk[0] / rgba.shape[1], shrunk[1] / rgba.shape[0]]
        colour, alpha = (cv2.resize(part, shrunk, interpolation=cv2.INTER_AREA) for part in _premultiplied(rgba))
    else:
        colour, alpha = _premultiplied(rgba)
    matrix = cv2.getPerspectiveTransform(source.astype(np.float32), (target - low).astype(np.float32))
    colour = cv2.warpPerspective(colour, matrix, size, flags=cv2.INTER_LINEAR)
    alpha = np.clip(cv2.warpPerspective(alpha, matrix, size, flags=cv2.INTER_LINEAR), 0.0, 1.0)
    return Sprite(np.asarray(colour, np.float32), np.asarray(alpha, np.float32), int(low[0]), int(low[1]))


def flat_corners(rgba: Pixels) -> Corners:
    """The four corners (px) of a flat piece in its cutout: its own if it is a quadrilateral, else the cutout's."""
    height, width = rgba.shape[:2]
    solid = (rgba[..., 3] > 127).astype(np.uint8)
    outlines, _ = cv2.findContours(solid, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    if outlines:
        hull = cv2.convexHull(max(outlines, key=cv2.contourArea))
        for share in (0.01, 0.02, 0.04, 0.06):
            quad = cv2.approxPolyDP(hull, share * cv2.arcLength(hull, True), True).reshape(-1, 2).astype(np.float64)
            if len(quad) == 4 and solid.sum() > QUAD_FILL * cv2.contourArea(quad.astype(np.float32)):
                return _ordered(quad)
    return np.array([[0, 0], [width, 0], [width, height], [0, height]], dtype=np.float64)


def lit_by(sprite: Sprite, light: Light) -> Sprite:
    """The sprite under a room's light: one exposure and cast, darker towards its foot and away from the light."""
    alpha = np.maximum(sprite.alpha, 1e-4)[..., None]
    own = to_linear(np.clip(np.rint(sprite.colour / alpha), 0, 255).astype(np.uint8)) * light.gains
    if light.low < 1.0:
        up = np.linspace(1.0, 0.0, len(sprite.alpha), dtype=np.float32)
        own *= (1.0 - (1.0 - light.low) * np.square(np.clip(1.0 - up / LOW_PART, 0.0, 1.0)))[:, None, None]
    if light.side:
        across = np.linspace(-light.side, light.side, sprite.alpha.shape[1], dtype=np.float32)
        own *= np.exp(across)[None, :, None]
    return Sprite(to_srgb8(own) * sprite.alpha[..., None], sprite.alpha, sprite.x, sprite.y)


def grained(sprite: Sprite, room_pixels: Pixels) -> Sprite:
    """The sprite with the room's noise; a clean cutout in a grainy photo looks pasted."""
    level = noise_level(room_pixels)
    chance = np.random.default_rng(20)
    noise = chance.standard_normal(sprite.alpha.shape).astype(np.float32)
    noise = cv2.GaussianBlur(noise, (0, 0), 0.7)
    noise *= min(level, MOST_NOISE) / (FINE_PART * max(float(noise.std()), 1e-6))
    colour = sprite.colour + noise[..., None] * sprite.alpha[..., None]
    return Sprite(np.clip(colour, 0.0, 255.0 * sprite.alpha[..., None]), sprite.alpha, sprite.x, sprite.y)


def noise_level(pixels: Pixels) -> float:
    """Standard deviation of what a blur removes from luma, in a photo's calm blocks (10th percentile, 16 px)."""
    height, width = (side // 16 * 16 for side in pixels.shape[:2])
    # A large photo is sampled by bands.
    bands = range(0, height, 16 * max(1, height // 16 // NOISE_BANDS))
    found = []
    for top in bands:
        grey = luma(pixels[max(0, top - 4) : top + 20, :width])
        rest = (grey - cv2.GaussianBlur(grey, (0, 0), 1.5))[min(4, top) :][:16]
        found.append(rest.reshape(16, width // 16, 16).std(axis=(0, 2)))
    return float(np.percentile(np.concatenate(found), 10))


def _premultiplied(rgba: Pixels) -> tuple[Float, Float]:
    alpha = rgba[..., 3].astype(np.float32) / 255.0
    return rgba[..., :3].astype(np.float32) * alpha[..., None], alpha


def _minification(source: Corners, target: Corners) -> float:
    """Source px per target px, at least in one direction."""
    edges = [np.linalg.norm(np.roll(quad, -1, axis=0) - quad, axis=1) for quad in (source, target)]
    return float(np.median(edges[0] / np.maximum(edges[1], 1.0)))


def _ordered(quad: Corners) -> Corners:
    """Corners as top left, top right, bottom right, bottom left."""
    middle = quad.mean(axis=0)
    turn = np.arctan2(quad[:, 1] - middle[1], quad[:, 0] - middle[0])
    around = quad[np.argsort(turn, kind="stable")]
    first = int(np.argmin(around.sum(axis=1)))
    return np.asarray(np.roll(around, -first, axis=0))


__all__ = [
    "Sprite",
    "flat_corners",
    "grained",
    "lit_by",
    "noise_level",
    "resized_sprite",
    "warped_sprite",
]
