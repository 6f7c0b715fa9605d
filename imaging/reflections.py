"""Mirror light on shiny floors: a product hides the windows that a floor reflects, and shows itself there faintly."""

import cv2
import numpy as np
from numpy.typing import NDArray

from imaging.colour import enlarged, to_linear, to_srgb8
from imaging.geometry import Camera
from imaging.labels import is_floor
from imaging.scene import Pose
from imaging.sprite import Sprite

Pixels = NDArray[np.uint8]
Float = NDArray[np.float32]
HIDDEN_SHARE, OWN_SHARE, SHINY_EXCESS = 0.95, 0.12, 0.06
# Mirror light on a floor is soft: it is told on a reduced picture of this width (px).
WORKING_WIDTH = 640


def hide_reflections(pixels: Pixels, regions: Pixels, sprite: Sprite, pose: Pose, camera: Camera) -> None:
    """Takes light out, in place, where the floor under the product mirrors something brighter than itself.

    What the floor adds to its own colour is told by its broad brightness against the calmer half of the floor.
    """
    step = max(1, round(pixels.shape[1] / WORKING_WIDTH))
    mirror, part = _mirror_image(sprite, pose, camera, pixels.shape, step)
    calm = _calm_floor(pixels, regions)
    if mirror is None or calm is None:
        return
    x0, y0, x1, y1 = part
    whole = pixels[y0:y1, x0:x1]
    size = mirror.shape[1], mirror.shape[0]
    linear = to_linear(np.asarray(cv2.resize(whole, size, interpolation=cv2.INTER_AREA), np.uint8))
    floor = enlarged(is_floor(regions).astype(np.float32), part, pixels.shape)
    on_floor = cv2.resize(floor, size, interpolation=cv2.INTER_AREA) > 0.5
    excess = np.clip(_broad(linear, max(2.0, pixels.shape[1] / 40 / step)) - calm - SHINY_EXCESS, 0.0, None)
    veil = _broad(np.ascontiguousarray(mirror[..., 3]), max(1.5, pixels.shape[1] / 160 / step))[..., None]
    lost = excess * on_floor[..., None] * veil
    full = x1 - x0, y1 - y0
    changed = cv2.resize(lost.max(axis=2), full, interpolation=cv2.INTER_LINEAR) > 0.002
    gone, own = (
        cv2.resize(each, full, interpolation=cv2.INTER_LINEAR)[changed] for each in (lost, mirror[..., :3] * veil)
    )
    linear = to_linear(whole[changed])
    kept = np.maximum(linear - gone * HIDDEN_SHARE, 0.3 * linear)
    whole[changed] = to_srgb8(kept + np.minimum(own * OWN_SHARE, 0.35 * (linear - kept)))


def _calm_floor(pixels: Pixels, regions: Pixels) -> Float | None:
    """The floor's own colour (3,), linear, without what it mirrors; None where no floor is seen."""
    height, width = regions.shape
    small = cv2.resize(pixels, (width, height), interpolation=cv2.INTER_NEAREST)
    floor = is_floor(regions)
    return np.percentile(to_linear(small[floor]), 60, axis=0).astype(np.float32) if floor.any() else None


def _broad(image: Float, sigma: float) -> Float:
    """A Gaussian blur; a wide one is made on a reduced picture, where it costs little and looks the same."""
    height, width = image.shape[:2]
    step = max(1, min(int(sigma / 4.0), height // 8, width // 8))
    small = cv2.resize(image, (width // step, height // step), interpolation=cv2.INTER_AREA) if step > 1 else image
    blurred = cv2.GaussianBlur(small, (0, 0), sigma / step)
    return np.asarray(cv2.resize(blurred, (width, height), interpolation=cv2.INTER_LINEAR), np.float32)


def _mirror_image(
    sprite: Sprite, pose: Pose, camera: Camera, shape: tuple[int, ...], step: int
) -> tuple[Float | None, tuple[int, int, int, int]]:
    """The sprite upside down below its base, and its part (x0, y0, x1, y1; px) of the photo.

    (h, w, 4) is linear colour and veil, which fades with the distance from the floor; `step` times smaller.
    """
    rows = camera.project(pose.base)[:, 1]
    line = round(float(np.percentile(rows, 60)))
    pad = max(4, shape[1] // 40)  # so that the veil fades out before it is cut off
    height, width = sprite.alpha.shape
    top, left = 2 * line - sprite.y - height - pad, sprite.x - pad
    y0, y1 = max(0, top), min(shape[0], top + height + 2 * pad)
    x0, x1 = max(0, left), min(shape[1], left + width + 2 * pad)
    if y1 - y0 < 4 * step or x1 - x0 < 4 * step:
        return None, (0, 0, 0, 0)
    both = np.dstack([sprite.colour, sprite.alpha * 255.0])[::-1]
    both = cv2.copyMakeBorder(both, pad, pad, pad, pad, cv2.BORDER_CONSTANT)
    size = (x1 - x0) // step, (y1 - y0) // step
    both = cv2.resize(both[y0 - top : y1 - top, x0 - left : x1 - left], size, interpolation=cv2.INTER_AREA)
    colour = to_linear(np.clip(np.rint(both[..., :3]), 0, 255).astype(np.uint8))
    ahead = np.linspace(y0, y1, size[1], endpoint=False, dtype=np.float32) - line
    fade = np.clip(1.15 - ahead / (height + 2 * pad), 0.0, 1.0).astype(np.float32)
    return np.dstack([colour, both[..., 3] / 255.0 * fade[:, None]]), (x0, y0, x1, y1)


__all__ = ["hide_reflections"]
