"""Mirror light on shiny floors: a product hides the windows that a floor reflects, and shows itself there faintly."""

import cv2
import numpy as np
from numpy.typing import NDArray

from imaging.colour import to_linear, to_srgb
from imaging.geometry import Camera
from imaging.labels import REGION
from imaging.scene import Pose
from imaging.sprite import Sprite

Pixels = NDArray[np.uint8]
Float = NDArray[np.float32]
HIDDEN_SHARE, OWN_SHARE, SHINY_EXCESS = 0.95, 0.12, 0.06


def hide_reflections(pixels: Pixels, regions: Pixels, sprite: Sprite, pose: Pose, camera: Camera) -> None:
    """Takes light out, in place, where the floor under the product mirrors something brighter than itself.

    What the floor adds to its own colour is told by its broad brightness against the calmer half of the floor.
    """
    height, width = pixels.shape[:2]
    floor = cv2.resize((regions == REGION.FLOOR).astype(np.uint8), (width, height), interpolation=cv2.INTER_NEAREST) > 0
    mirror, x0, y0 = _mirror_image(sprite, pose, camera, pixels.shape)
    if mirror is None or not floor.any():
        return
    x1, y1 = x0 + mirror.shape[1], y0 + mirror.shape[0]
    part = pixels[y0:y1, x0:x1]
    on_floor = floor[y0:y1, x0:x1]
    step = max(1, max(height, width) // 500)
    sample = to_linear(np.ascontiguousarray(pixels[::step, ::step]))[floor[::step, ::step]]
    calm = np.percentile(sample, 60, axis=0).astype(np.float32)
    linear = to_linear(part)
    broad = _broad(linear, max(2.0, width / 40))
    excess = np.clip(broad - calm - SHINY_EXCESS, 0.0, None) * on_floor[..., None]
    veil = _broad(np.ascontiguousarray(mirror[..., 3]), max(1.5, width / 160))[..., None]
    kept = np.maximum(linear - excess * veil * HIDDEN_SHARE, 0.3 * linear)
    own = np.minimum(mirror[..., :3] * OWN_SHARE * veil, 0.35 * (linear - kept))
    changed = (excess * veil).max(axis=2) > 0.002
    part[changed] = np.rint(to_srgb(kept + own)[changed]).astype(np.uint8)


def _broad(image: Float, sigma: float) -> Float:
    """A Gaussian blur; a wide one is made on a reduced picture, where it costs little and looks the same."""
    height, width = image.shape[:2]
    step = max(1, min(int(sigma / 4.0), height // 8, width // 8))
    small = cv2.resize(image, (width // step, height // step), interpolation=cv2.INTER_AREA) if step > 1 else image
    blurred = cv2.GaussianBlur(small, (0, 0), sigma / step)
    return np.asarray(cv2.resize(blurred, (width, height), interpolation=cv2.INTER_LINEAR), np.float32)


def _mirror_image(sprite: Sprite, pose: Pose, camera: Camera, shape: tuple[int, ...]) -> tuple[Float | None, int, int]:
    """The sprite upside down below its base (h, w, 4: linear colour, veil), fading with the distance from the floor."""
    rows = camera.project(pose.base)[:, 1]
    line = round(float(np.percentile(rows, 60)))
    pad = max(4, shape[1] // 40)  # so that the veil fades out before it is cut off
    flipped_alpha = np.pad(sprite.alpha[::-1], pad)
    colour = to_linear(
        np.clip(np.rint(np.pad(sprite.colour[::-1], ((pad, pad), (pad, pad), (0, 0)))), 0, 255).astype(np.uint8)
    )
    top, left = 2 * line - sprite.y - sprite.alpha.shape[0] - pad, sprite.x - pad
    y0, y1 = max(0, top), min(shape[0], top + len(flipped_alpha))
    x0, x1 = max(0, left), min(shape[1], left + flipped_alpha.shape[1])
    if y1 - y0 < 4 or x1 - x0 < 4:
        return None, 0, 0
    part = slice(y0 - top, y1 - top), slice(x0 - left, x1 - left)
    fade = np.clip(1.15 - (np.arange(y0, y1) - line) / max(len(flipped_alpha), 1), 0.0, 1.0).astype(np.float32)
    return np.dstack([colour[part], flipped_alpha[part] * fade[:, None]]), x0, y0


__all__ = ["hide_reflections"]
