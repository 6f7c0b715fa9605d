"""Camera maths: where a point of the room falls in the photo, and back.

The room's frame is metric and stands on the floor under the camera: x to the right, y up, z forward (the horizontal
part of the viewing direction). The camera is an ideal pinhole `height_m` above the origin, pitched down by `pitch_deg`
and rolled clockwise by `roll_deg` (seen from behind it). Pixels run right and down from the photo's top left corner.
"""

from dataclasses import dataclass
from functools import cached_property
from math import atan2, cos, degrees, hypot, radians, sin, tan

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float64]
DIAGONAL_35MM = 43.2666
DEFAULT_F35 = 26.0
CEILING_M = 2.5
NEAR_M = 0.05
# Products seldom fill the corners of their block: their plan is taken as a superellipse |x|^n + |z|^n = 1 of this
# exponent n, at so many points (2 would be an ellipse, very large ones a rectangle).
CORNER_EXPONENT, OUTLINE_POINTS = 5.0, 32


def _outline() -> Float:
    """Points (N, 2) of the superellipse."""
    turn = (np.arange(OUTLINE_POINTS) + 0.5) * 2 * np.pi / OUTLINE_POINTS
    sides = np.stack([np.cos(turn), np.sin(turn)], axis=1)
    return np.asarray(np.sign(sides) * np.abs(sides) ** (2 / CORNER_EXPONENT))


_OUTLINE = _outline()


def focal_pixels(width: int, height: int, f35_mm: float | None) -> float:
    """Focal length in px by the diagonal convention of EXIF's FocalLengthIn35mmFilm; a phone's 26 mm if unknown."""
    return (f35_mm or DEFAULT_F35) / DIAGONAL_35MM * hypot(width, height)


@dataclass(frozen=True)
class Camera:
    """An ideal pinhole camera above a level floor and below a ceiling."""

    focal_px: float
    pitch_deg: float
    roll_deg: float
    height_m: float
    cx: float
    cy: float
    ceiling_m: float = CEILING_M

    def rotation(self) -> Float:
        """3 x 3, from room axes (x right, y up, z forward) to camera axes (x right, y down, z optical)."""
        return self._rotation

    @cached_property
    def _rotation(self) -> Float:
        pitch, roll = radians(self.pitch_deg), radians(self.roll_deg)
        level = np.array([[1, 0, 0], [0, -cos(pitch), -sin(pitch)], [0, -sin(pitch), cos(pitch)]])
        turn = np.array([[cos(roll), sin(roll), 0], [-sin(roll), cos(roll), 0], [0, 0, 1]])
        return np.asarray(turn @ level)

    def matrix(self) -> Float:
        """3 x 3 intrinsics."""
        return np.array([[self.focal_px, 0, self.cx], [0, self.focal_px, self.cy], [0, 0, 1.0]])

    def to_camera(self, points: Float) -> Float:
        """Camera coordinates (N, 3) of room points (N, 3)."""
        return np.asarray((np.atleast_2d(points) - [0.0, self.height_m, 0.0]) @ self.rotation().T)

    def project(self, points: Float) -> Float:
        """Pixels (N, 2) of room points (N, 3); points behind the camera are held just in front of it."""
        seen = self.to_camera(points)
        depth = np.maximum(seen[:, 2:], NEAR_M)
        return np.asarray(seen[:, :2] / depth * self.focal_px + [self.cx, self.cy])

    def rays(self, pixels: Float) -> Float:
        """Directions (N, 3) in the room's frame through pixels (N, 2); optical depth 1."""
        pixels = np.atleast_2d(pixels)
        ones = np.ones((len(pixels), 1))
        return np.asarray(np.hstack([(pixels - [self.cx, self.cy]) / self.focal_px, ones]) @ self.rotation())

    def floor_points(self, pixels: Float, level_m: float = 0.0) -> Float:
        """Room points (N, 2: x, z) on the horizontal plane `level_m` high; NaN where the ray never meets it."""
        rays = self.rays(pixels)
        with np.errstate(divide="ignore", invalid="ignore"):
            reach = (level_m - self.height_m) / rays[:, 1]
        reach = np.where(reach > 0, reach, np.nan)
        return np.asarray(rays[:, [0, 2]] * reach[:, None])

    def floor_point(self, x: float, y: float, level_m: float = 0.0) -> tuple[float, float] | None:
        """Room point (x, z) of one pixel on a horizontal plane, None at or beyond its horizon."""
        point = self.floor_points(np.array([[x, y]]), level_m)[0]
        return None if np.isnan(point).any() else (float(point[0]), float(point[1]))

    def level_above(self, at: tuple[float, float], row: float) -> float:
        """Height (m) above the floor point (x, z) of what is seen there in a row (px); below 0 for lower rows."""
        base, high = self.to_camera(np.array([[at[0], 0.0, at[1]], [at[0], 1.0, at[1]]]))
        step, slope = high - base, (row - self.cy) / self.focal_px
        return float((slope * base[2] - base[1]) / (step[1] - slope * step[2]))

    def horizon_at(self, x: float) -> float:
        """Row (px) of the horizon in column x."""
        roll, pitch = radians(self.roll_deg), radians(self.pitch_deg)
        return self.cy - self.focal_px * tan(pitch) / cos(roll) - (x - self.cx) * tan(roll)

    def px_per_m(self, x: float, z: float, y: float = 0.0) -> float:
        """Pixels per metre across the view at a room point."""
        depth = float(self.to_camera(np.array([[x, y, z]]))[0, 2])
        return self.focal_px / max(depth, NEAR_M)


def camera_for(
    width: int,
    height: int,
    focal_px: float,
    pitch_deg: float,
    roll_deg: float,
    height_m: float,
    ceiling_m: float = CEILING_M,
) -> Camera:
    """A camera whose optical axis meets the middle of the photo."""
    return Camera(focal_px, pitch_deg, roll_deg, height_m, width / 2, height / 2, ceiling_m)


def pitch_from_horizon(horizon_px: float, cy: float, focal_px: float, roll_deg: float) -> float:
    """Pitch (degrees, down positive) of a camera whose horizon crosses the centre column at row `horizon_px`."""
    return degrees(atan2((cy - horizon_px) * cos(radians(roll_deg)), focal_px))


def footprint(x: float, z: float, width_m: float, depth_m: float, yaw_deg: float, level_m: float = 0.0) -> Float:
    """Base corners (4, 3) of a box centred at (x, z): front left, front right, back right, back left.

    Yaw 0 turns the front towards the camera's side (-z); positive turns it counter-clockwise seen from above.
    """
    c, s = cos(radians(yaw_deg)), sin(radians(yaw_deg))
    across, along = np.array([c, 0.0, s]), np.array([-s, 0.0, c])
    centre = np.array([x, level_m, z])
    half_w, half_d = across * width_m / 2, along * depth_m / 2
    return np.stack(
        [centre - half_w - half_d, centre + half_w - half_d, centre + half_w + half_d, centre - half_w + half_d]
    )


def bounds(pixels: Float) -> tuple[float, float, float, float]:
    """The upright box (x0, y0, x1, y1) around pixels (N, 2)."""
    low, high = pixels.min(axis=0), pixels.max(axis=0)
    return float(low[0]), float(low[1]), float(high[0]), float(high[1])


def rounded_boxes(
    camera: Camera, x: float, z: float, size: tuple[float, float, float], yaws_deg: Float, level_m: float = 0.0
) -> Float:
    """The boxes (N, 4) in px of a width x depth x height block with rounded upright edges at (x, z), one per yaw."""
    turn = np.radians(yaws_deg)[:, None]
    across, along = _OUTLINE[:, 0] * (size[0] / 2), _OUTLINE[:, 1] * (size[1] / 2)
    points = np.empty((len(turn), 2, OUTLINE_POINTS, 3))
    points[..., 0] = (x + across * np.cos(turn) - along * np.sin(turn))[:, None]
    points[..., 1] = np.array([level_m, level_m + size[2]])[:, None]
    points[..., 2] = (z + across * np.sin(turn) + along * np.cos(turn))[:, None]
    pixels = camera.project(points.reshape(-1, 3)).reshape(len(turn), -1, 2)
    return np.hstack([pixels.min(axis=1), pixels.max(axis=1)])


def plane_homography(camera: Camera, origin: Float, across: Float, along: Float) -> Float:
    """3 x 3 from plane coordinates (metres along two room vectors from an origin) to pixels: K [r1 r2 t]."""
    rotation = camera.rotation()
    eye = np.array([0.0, camera.height_m, 0.0])
    return np.asarray(
        camera.matrix() @ np.stack([rotation @ across, rotation @ along, rotation @ (origin - eye)], axis=1)
    )


__all__ = [
    "CEILING_M",
    "Camera",
    "bounds",
    "camera_for",
    "focal_pixels",
    "footprint",
    "pitch_from_horizon",
    "plane_homography",
    "rounded_boxes",
]
