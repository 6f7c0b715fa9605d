"""Camera pitch and roll from the straight edges of a room, most of which run along three perpendicular directions."""

from dataclasses import dataclass
from math import radians

import cv2
import numpy as np
from numpy.typing import NDArray

from imaging.colour import fit_within, resize

Float = NDArray[np.float64]
Span = tuple[float, float, float]
WORKING_SIDE = 800
# The longest segments decide on the camera; short ones (legs of tables) only need to be explained.
MAX_FITTED, MAX_SEGMENTS = 250, 600
# Share of agreeing edge length from which the walls' direction is taken from the edges.
TRUSTED_FIT = 0.5


@dataclass(frozen=True, eq=False)
class Manhattan:
    """How a room's three directions stand to the camera.

    fit 0..1: share of edge length that agrees. segments (N, 4: x0, y0, x1, y1) in px of the photo.
    axis (N): 0 and 1 for the two horizontal directions, 2 for vertical, -1 for none.
    """

    pitch_deg: float
    roll_deg: float
    yaw_deg: float
    fit: float
    segments: Float
    axis: NDArray[np.int64]

    @property
    def trusted_yaw(self) -> float | None:
        """The direction of the room's axes (-45..45) where enough edges agree on it."""
        return self.yaw_deg if self.fit >= TRUSTED_FIT else None


def find_segments(pixels: NDArray[np.uint8]) -> Float:
    """The longest straight edges (N, 4) of a photo, by LSD (von Gioi et al., PAMI 2010), in px of the photo."""
    height, width = pixels.shape[:2]
    size = fit_within(width, height, WORKING_SIDE)
    grey = cv2.cvtColor(resize(pixels, size), cv2.COLOR_RGB2GRAY)
    found = cv2.createLineSegmentDetector(cv2.LSD_REFINE_STD).detect(grey)[0]
    if found is None:
        return np.zeros((0, 4))
    segments = found.reshape(-1, 4).astype(np.float64)
    length = np.hypot(segments[:, 2] - segments[:, 0], segments[:, 3] - segments[:, 1])
    order = np.lexsort((np.arange(len(length)), -length))[:MAX_SEGMENTS]
    order = order[length[order] > 0.015 * max(size)]
    return np.asarray(segments[order] * (width / size[0]))


def fit_manhattan(pixels: NDArray[np.uint8], focal_px: float) -> Manhattan:
    """Searches pitch, roll and yaw so that most edge length points at one of three vanishing points."""
    height, width = pixels.shape[:2]
    segments = find_segments(pixels)
    if len(segments) < 8:
        return Manhattan(8.0, 0.0, 0.0, 0.0, segments, np.full(len(segments), -1))
    normals, weights, noise = _great_circles(segments[:MAX_FITTED], width, height, focal_px)
    best = np.array([[8.0, 0.0, 0.0]])
    spans: list[tuple[Span, Span, Span, float]] = [((-15, 40, 2.5), (-7.5, 7.5, 2.5), (0, 90, 3.0), 2.5)]
    spans += [((-2.5, 2.5, 1.25), (-2.5, 2.5, 1.25), (-3, 3, 1.5), 1.2)]
    spans += [((-1, 1, 0.25), (-1, 1, 0.25), (-1, 1, 0.5), 0.5)]
    spans += [((-0.2, 0.2, 0.1), (-0.2, 0.2, 0.1), (-0.4, 0.4, 0.2), 0.35)]
    for step, (pitch, roll, yaw, tolerance) in enumerate(spans):
        offsets = np.stack(
            np.meshgrid(*(np.arange(a, b + 1e-9, c) for a, b, c in (pitch, roll, yaw)), indexing="ij"), axis=-1
        ).reshape(-1, 3)
        tried = offsets if step == 0 else (best[:, None] + offsets[None]).reshape(-1, 3)
        score = _score(tried, normals, weights, np.hypot(noise, radians(tolerance)))
        best = tried[np.argsort(-score, kind="stable")[: (6, 4, 1, 1)[step]]]
    pitch_deg, roll_deg, yaw_deg = (float(v) for v in best[0])
    every = _great_circles(segments, width, height, focal_px)
    return _explain(pitch_deg, roll_deg, yaw_deg, segments, *every)


def _great_circles(segments: Float, width: int, height: int, focal_px: float) -> tuple[Float, Float, Float]:
    """Normals of the planes through the eye and each segment, weights by length, and angular noise (radians)."""
    centre = np.array([width / 2, height / 2])
    ones = np.ones((len(segments), 1))
    start = np.hstack([(segments[:, :2] - centre) / focal_px, ones])
    end = np.hstack([(segments[:, 2:] - centre) / focal_px, ones])
    normals = np.cross(start, end)
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    length = np.hypot(segments[:, 2] - segments[:, 0], segments[:, 3] - segments[:, 1])
    weights = np.minimum(length, 0.25 * max(width, height))
    return normals, weights / weights.sum(), 0.7 * max(width, height) / WORKING_SIDE / length


def _directions(angles: Float) -> Float:
    """The three room directions (N, 3 axes, 3) in camera coordinates for pitch, roll, yaw (N, 3) in degrees."""
    pitch, roll, yaw = np.radians(angles).T
    zero = np.zeros_like(pitch)

    def seen(x: Float, y: Float, z: Float) -> Float:
        down, depth = -y * np.cos(pitch) - z * np.sin(pitch), z * np.cos(pitch) - y * np.sin(pitch)
        return np.stack(
            [x * np.cos(roll) + down * np.sin(roll), down * np.cos(roll) - x * np.sin(roll), depth], axis=-1
        )

    first = seen(np.cos(yaw), zero, np.sin(yaw))
    second = seen(-np.sin(yaw), zero, np.cos(yaw))
    return np.stack([first, second, seen(zero, zero + 1.0, zero)], axis=1)


def _agreement(angles: Float, normals: Float, tolerance: Float) -> Float:
    """(N, 3 axes, segments) 0..1: how well each segment points along each direction."""
    off = _directions(angles) @ normals.T / tolerance
    return np.asarray(np.exp(-0.5 * off * off))


def _held(angles: Float, normals: Float, tolerance: Float) -> Float:
    """(N, segments) 0..1: how well each segment points along the direction that is nearest to its own."""
    off = _directions(angles) @ (normals / tolerance[:, None]).T
    off *= off
    nearest = np.minimum(np.minimum(off[:, 0], off[:, 1]), off[:, 2])
    return np.asarray(np.exp(-0.5 * nearest))


def _score(angles: Float, normals: Float, weights: Float, tolerance: Float) -> Float:
    """Agreeing edge length, with a mild preference for the way people hold a phone."""
    held = np.concatenate([_held(part, normals, tolerance) @ weights for part in _chunks(angles)])
    return np.asarray(held - 0.0006 * np.abs(angles[:, 0] - 8.0) - 0.004 * np.abs(angles[:, 1]))


def _chunks(angles: Float) -> list[Float]:
    return [angles[at : at + 512] for at in range(0, len(angles), 512)]


def _explain(
    pitch: float, roll: float, yaw: float, segments: Float, normals: Float, weights: Float, noise: Float
) -> Manhattan:
    agreement = _agreement(np.array([[pitch, roll, yaw]]), normals, np.hypot(noise, radians(0.8)))[0]
    axis = np.where(agreement.max(axis=0) > 0.3, agreement.argmax(axis=0), -1)
    # A seam between floorboards in mid-photo points upwards too; upright is only what nothing else explains.
    level = agreement[:2]
    axis = np.where((axis == 2) & (level.max(axis=0) > 0.3), level.argmax(axis=0), axis)
    longest = axis[:MAX_FITTED] >= 0
    fit = float(weights[:MAX_FITTED][longest].sum() / max(float(weights[:MAX_FITTED].sum()), 1e-9))
    return Manhattan(pitch, roll, (yaw + 45.0) % 90.0 - 45.0, fit, segments, axis)


__all__ = ["Manhattan", "find_segments", "fit_manhattan"]
