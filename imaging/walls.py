"""The walls of a room as planes. Without the photo's edges (imaging.layout) they are read from where the floor ends."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import cos, radians, sin
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imaging.geometry import Camera
from imaging.labels import REGION

Float = NDArray[np.float64]
TOLERANCE_M, MAX_WALLS, LEAST_SUPPORT = 0.15, 3, 8
# The support of a wall that so many columns of floor end at; what only the floor tells is never quite sure.
FULL_SUPPORT, SUREST = 60, 0.7


@dataclass(frozen=True)
class Wall:
    """A vertical plane: points (x, z) with x·nx + z·nz = distance_m; the normal points away from the camera.

    support 0..1 is how surely the photo tells the distance; 0 is a guess.
    """

    nx: float
    nz: float
    distance_m: float
    support: float

    @property
    def yaw_deg(self) -> float:
        """The yaw of a piece that hangs flat on this wall, its front into the room."""
        return float(np.degrees(np.arctan2(-self.nx, self.nz)))

    def to_json(self) -> dict[str, float]:
        """This wall's numbers; `from_json` reads them."""
        return {
            "yaw_deg": round(self.yaw_deg, 2),
            "distance_m": round(self.distance_m, 4),
            "support": round(self.support, 3),
        }

    @classmethod
    def from_json(cls, numbers: Mapping[str, Any]) -> "Wall":
        """The wall that `to_json` described."""
        yaw = radians(float(numbers["yaw_deg"]))
        return cls(-sin(yaw), cos(yaw), float(numbers["distance_m"]), float(numbers["support"]))

    def reach(self, ray: Float) -> float:
        """Optical depth at which a ray (room axes, optical depth 1) meets the wall; infinite if it never does."""
        towards = ray[0] * self.nx + ray[2] * self.nz
        return self.distance_m / float(towards) if towards > 1e-6 else float("inf")


def find_walls(regions: NDArray[np.uint8], camera: Camera, scale: float, yaw_deg: float | None = None) -> list[Wall]:
    """Up to three perpendicular walls, best supported first, or one across the far end; scale: region px per photo px.

    yaw_deg is the direction of the room's axes where the straight edges tell it; else every direction is tried: the
    one in which the floor's ends fall onto the fewest lines is the room's.
    """
    points = _floor_ends(regions, camera, scale)
    if len(points) < LEAST_SUPPORT:
        return [_far_wall(regions, camera, scale, yaw_deg or 0.0)]
    directions = np.arange(-45.0, 45.0, 1.5) if yaw_deg is None else np.array([yaw_deg])
    walls, _ = max((_walls_along(points, float(yaw)) for yaw in directions), key=lambda found: found[1])
    if not walls:
        return [_far_wall(regions, camera, scale, yaw_deg or 0.0)]
    return [replace(wall, support=min(1.0, wall.support / FULL_SUPPORT) * SUREST) for wall in walls]


def _walls_along(points: Float, yaw_deg: float) -> tuple[list[Wall], float]:
    """At most one wall to each of four sides, each with the points that it explains, and how well it explains them."""
    c, s = cos(radians(yaw_deg)), sin(radians(yaw_deg))
    sides = [(-s, c), (c, s), (-c, -s), (s, -c)]
    found: list[Wall] = []
    score = 0.0
    left = np.ones(len(points), bool)
    while sides and len(found) < MAX_WALLS:
        options = [_densest(points[left], side) for side in sides]
        wall, gain, near = max(options, key=lambda option: option[1])
        if wall.support < LEAST_SUPPORT:
            break
        found.append(wall)
        score += gain
        sides.remove((wall.nx, wall.nz))
        left[np.flatnonzero(left)[near]] = False
    return found, score


def _densest(points: Float, normal: tuple[float, float]) -> tuple[Wall, float, NDArray[np.bool_]]:
    """The offset along a normal where most points lie, more loosely the farther they are, and how closely they do."""
    along = points @ np.array(normal)
    tolerance = TOLERANCE_M * np.maximum(1.0, points[:, 1] / 4.0)
    close = 1.0 - (np.abs(along[:, None] - along[None, :]) / tolerance[:, None]) ** 2
    gains = np.where(along > 0.3, np.maximum(close, 0.0).sum(axis=0), -1.0)
    if gains.size == 0 or gains.max() < 0:
        return Wall(*normal, 0.0, 0), -1.0, np.zeros(len(points), bool)
    at = int(np.argmax(gains))
    near = np.abs(along - along[at]) < tolerance
    return Wall(*normal, float(along[near].mean()), int(near.sum())), float(gains[at]), near


def nearest_wall(walls: list[Wall], ray: Float) -> tuple[Wall, float]:
    """The first wall that a ray meets, and at which optical depth (a room is taken as convex)."""
    reaches = [wall.reach(ray) for wall in walls]
    first = int(np.argmin(reaches))
    return walls[first], reaches[first]


def _floor_ends(regions: NDArray[np.uint8], camera: Camera, scale: float) -> Float:
    """Plan points (N, 2) where the topmost floor pixel of a column has wall within a skirting board's height above."""
    height, width = regions.shape
    ends = []
    for column in range(0, width, 2):
        rows = np.flatnonzero(regions[:, column] == REGION.FLOOR)
        if rows.size == 0:
            continue
        top = int(rows[0])
        above = regions[max(0, top - max(4, height // 16)) : top, column]
        if (above == REGION.WALL).any():
            ends.append(((column + 0.5) / scale, top / scale))
    if not ends:
        return np.zeros((0, 2))
    plan = camera.floor_points(np.array(ends))
    return plan[(~np.isnan(plan).any(axis=1)) & (np.hypot(plan[:, 0], plan[:, 1]) < 10.0)]


def _far_wall(regions: NDArray[np.uint8], camera: Camera, scale: float, yaw_deg: float) -> Wall:
    rows = np.flatnonzero((regions == REGION.FLOOR).any(axis=1))
    far = camera.floor_point(camera.cx, (float(rows[0]) + 0.5) / scale) if rows.size else None
    normal = -sin(radians(yaw_deg)), cos(radians(yaw_deg))
    return Wall(*normal, float(np.clip(far[1] * normal[1] if far else 3.5, 2.0, 7.0)), 0)


__all__ = ["Wall", "find_walls", "nearest_wall"]
