"""The walls of a room as planes, read from where the floor ends."""

from dataclasses import dataclass
from math import cos, hypot, radians, sin

import numpy as np
from numpy.typing import NDArray

from imaging.geometry import Camera
from imaging.labels import REGION

Float = NDArray[np.float64]
TRIALS, TOLERANCE_M, MAX_WALLS = 160, 0.12, 3


@dataclass(frozen=True)
class Wall:
    """A vertical plane: points (x, z) with x·nx + z·nz = distance_m; the normal points away from the camera."""

    nx: float
    nz: float
    distance_m: float
    support: int

    @property
    def yaw_deg(self) -> float:
        """The yaw of a piece that hangs flat on this wall, its front into the room."""
        return float(np.degrees(np.arctan2(-self.nx, self.nz)))

    def reach(self, ray: Float) -> float:
        """Optical depth at which a ray (room axes, optical depth 1) meets the wall; infinite if it never does."""
        towards = ray[0] * self.nx + ray[2] * self.nz
        return self.distance_m / float(towards) if towards > 1e-6 else float("inf")


def find_walls(regions: NDArray[np.uint8], camera: Camera, scale: float) -> list[Wall]:
    """Up to three walls, best supported first; `scale` is region px per photo px. One across the far end if none is seen."""
    points = _floor_ends(regions, camera, scale)
    walls: list[Wall] = []
    chance = np.random.default_rng(7)
    while len(walls) < MAX_WALLS and len(points) >= 12:
        wall, near = _best_line(points, chance)
        if wall is None or wall.support < 10:
            break
        walls.append(wall)
        points = points[~near]
    return walls or [_far_wall(regions, camera, scale)]


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


def _best_line(points: Float, chance: np.random.Generator) -> tuple[Wall | None, NDArray[np.bool_]]:
    """The plan line with most points near it; RANSAC with a fixed seed, refined by total least squares."""
    best, best_near = None, np.zeros(len(points), bool)
    pairs = chance.integers(0, len(points), (TRIALS, 2))
    for first, second in pairs:
        dx, dz = points[second] - points[first]
        span = hypot(dx, dz)
        if span < 0.3:
            continue
        off = np.abs((points[:, 0] - points[first, 0]) * dz - (points[:, 1] - points[first, 1]) * dx) / span
        near = off < TOLERANCE_M * np.maximum(1.0, points[:, 1] / 4.0)
        if near.sum() > best_near.sum():
            best_near = near
    if best_near.sum() >= 10:
        best = _fit(points[best_near])
    return best, best_near


def _fit(points: Float) -> Wall:
    middle = points.mean(axis=0)
    _, _, axes = np.linalg.svd(points - middle, full_matrices=False)
    nx, nz = (float(v) for v in axes[1])
    distance = float(nx * middle[0] + nz * middle[1])
    if distance < 0:
        nx, nz, distance = -nx, -nz, -distance
    return Wall(nx, nz, distance, len(points))


def _far_wall(regions: NDArray[np.uint8], camera: Camera, scale: float) -> Wall:
    rows = np.flatnonzero((regions == REGION.FLOOR).any(axis=1))
    far = camera.floor_point(camera.cx, (float(rows[0]) + 0.5) / scale) if rows.size else None
    return Wall(sin(radians(0)), cos(radians(0)), float(np.clip(far[1] if far else 3.5, 2.0, 7.0)), 0)


__all__ = ["Wall", "find_walls", "nearest_wall"]
