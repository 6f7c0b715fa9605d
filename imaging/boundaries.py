"""Where a photo shows the lines in which a room's walls meet floor, ceiling and each other, pixel by pixel.

Three directions of a room are known; an edge counts for one of them only where it points to its vanishing point.
All maps are (H, W) at working size, px = photo x scale.
"""

from dataclasses import dataclass
from functools import cached_property
from math import cos, radians, sin

import cv2
import numpy as np
from numpy.typing import NDArray

from imaging.colour import to_lab
from imaging.geometry import Camera

Pixels = NDArray[np.uint8]
Mask = NDArray[np.bool_]
Float = NDArray[np.float64]
# How far (degrees) an edge may point beside its direction, beside its own inaccuracy, and how well it has to agree.
OFF_DEG, LEAST_AGREEMENT, SHORTEST_PX, NOISE = 0.8, 0.3, 4.0, 0.7 / 800
# A faint edge counts up to FAINT; it is full at this colour change (Lab per px) across, less twice that along.
FAINT, FAINT_STEP = 0.7, 1.2
# Below wall's foot there is no wall, above it there is some within this height (m); below a ceiling within so many px.
SKIRTING_M, UNDER_CEILING_PX, BESIDE_PX = 0.18, 6, 8
# What an edge counts for where no wall is seen beside it, and what a stretch of bare wall without an edge costs.
FOOT_HIDDEN, HEAD_HIDDEN, CORNER_HIDDEN, BARE, BARE_CORNER, NO_EDGE = 0.35, 0.4, 0.2, 0.35, 0.3, 0.2
# Costs per column of a line with floor above it and wall below it: per px, at most; and of hidden floor, per so many m.
FLOOR_ABOVE, WALL_BELOW, HIDDEN, HIDDEN_M = (0.15, 2.0), (0.1, 1.0), 0.7, 1.6
BOARD_BELOW = (0.2, 1.0)
# What the floor's own end counts for where wall begins above it.
FLOOR_END = 0.8


@dataclass(frozen=True, eq=False)
class Boundaries:
    """Evidence for each of the room's lines.

    segments (N, 4; px of the photo) are the straight edges, floor and wall what is taken for either, yaw_deg is the
    direction of the back wall.
    """

    pixels: Pixels
    floor: Mask
    wall: Mask
    segments: Float
    camera: Camera
    scale: float
    yaw_deg: float

    @cached_property
    def directions(self) -> Float:
        """Unit vectors (3, 3) in the room's frame: along the back wall, along the side walls, up."""
        c, s = cos(radians(self.yaw_deg)), sin(radians(self.yaw_deg))
        return np.array([[c, 0.0, s], [-s, 0.0, c], [0.0, 1.0, 0.0]])

    @cached_property
    def horizon(self) -> Float:
        """Row of the horizon in every column."""
        columns = np.arange(self.floor.shape[1]) + 0.5
        return np.array([self.camera.horizon_at(column / self.scale) * self.scale for column in columns])

    @cached_property
    def drawn(self) -> list[NDArray[np.float32]]:
        """The straight edges that may run along each direction."""
        ends = self.segments.reshape(-1, 2, 2)
        rays = self.camera.rays(ends.reshape(-1, 2)).reshape(-1, 2, 3)
        normals = np.cross(rays[:, 0], rays[:, 1])
        normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12)
        length = np.maximum(np.linalg.norm(ends[:, 1] - ends[:, 0], axis=1), 1e-6)
        noise = NOISE * 2 * max(self.camera.cx, self.camera.cy) / length
        off = np.abs(normals @ self.directions.T) / np.hypot(noise, radians(OFF_DEG))[:, None]
        agrees = (np.exp(-0.5 * off**2) > LEAST_AGREEMENT) & (length * self.scale > SHORTEST_PX)[:, None]
        maps = []
        for axis in range(3):
            canvas = np.zeros(self.floor.shape, np.float32)
            for line in np.rint(ends[agrees[:, axis]] * self.scale * 16).astype(int):
                cv2.line(canvas, line[0].tolist(), line[1].tolist(), 1.0, 1, cv2.LINE_8, 4)
            maps.append(canvas)
        return maps

    @cached_property
    def faint(self) -> list[NDArray[np.float32]]:
        """0..1 how much the colour changes across each direction and not along it, too little for a drawn edge."""
        lab = cv2.GaussianBlur(to_lab(self.pixels), (0, 0), 1.2)
        across, down = (cv2.Sobel(lab, cv2.CV_32F, *order, ksize=3) / 8 for order in ((1, 0), (0, 1)))
        height, width = self.floor.shape
        y, x = np.mgrid[0:height, 0:width] + np.float32(0.5)
        focal, cx, cy = (v * self.scale for v in (self.camera.focal_px, self.camera.cx, self.camera.cy))
        maps = []
        for direction in self.directions @ self.camera.rotation().T:
            dx = (focal * direction[0] - (x - cx) * direction[2]).astype(np.float32)
            dy = (focal * direction[1] - (y - cy) * direction[2]).astype(np.float32)
            long = np.hypot(dx, dy) + 1e-6
            dx, dy = (dx / long)[..., None], (dy / long)[..., None]
            step = np.linalg.norm(down * dx - across * dy, axis=2) - 2 * np.linalg.norm(across * dx + down * dy, axis=2)
            maps.append(cv2.GaussianBlur(np.clip(step / FAINT_STEP, 0, 1), (0, 0), 0.8))
        return maps

    @cached_property
    def _edges(self) -> list[NDArray[np.float32]]:
        kernel = np.ones((3, 3), np.uint8)
        near = [cv2.GaussianBlur(cv2.dilate(drawn, kernel), (0, 0), 1.0) for drawn in self.drawn]
        return [np.maximum(edge, FAINT * faint) for edge, faint in zip(near, self.faint, strict=True)]

    @cached_property
    def _bare(self) -> Mask:
        return np.asarray(cv2.erode(self.wall.astype(np.uint8), np.ones((5, 5), np.uint8)) > 0)

    @cached_property
    def _wall_above(self) -> Mask:
        """Where wall is seen within a skirting board's height above."""
        height, width = self.wall.shape
        rows = np.arange(height)[:, None]
        reach = np.maximum(4, SKIRTING_M / self.camera.height_m * (rows - self.horizon[None])).astype(int)
        total, columns = _counted(self.wall), np.arange(width)[None]
        return np.asarray(total[rows, columns] > total[np.maximum(rows - reach, 0), columns])

    @cached_property
    def _floor_ends(self) -> NDArray[np.int64]:
        """The topmost row of floor in every column."""
        return np.asarray(self.floor.argmax(axis=0), np.int64)

    @cached_property
    def _ends_at_wall(self) -> Mask:
        """The columns (W) whose floor ends below wall, at most a skirting board between."""
        top = self._floor_ends
        return np.asarray((top > 0) & self.floor.any(axis=0) & self._wall_above[top, np.arange(len(top))])

    @cached_property
    def feet(self) -> list[Float]:
        """How much speaks for the foot of the back wall, and for that of a side wall."""
        ends = np.zeros(self.floor.shape, np.float32)
        columns = np.flatnonzero(self._ends_at_wall)
        ends[self._floor_ends[columns], columns] = 1.0
        ends = FLOOR_END * cv2.GaussianBlur(cv2.dilate(ends, np.ones((3, 3), np.uint8)), (0, 0), 1.0)
        seen = np.where(self._wall_above, 1.0, FOOT_HIDDEN)
        return [np.maximum(edge * seen, ends) for edge in self._edges[:2]]

    @cached_property
    def heads(self) -> list[Float]:
        """How much speaks for a line between the back wall and the ceiling, and one between a side wall and it."""
        height, width = self.wall.shape
        rows, columns = np.arange(height)[:, None], np.arange(width)[None]
        total = _counted(self.wall)
        below = total[np.minimum(rows + 1 + UNDER_CEILING_PX, height), columns] > total[rows + 1, columns]
        edges = [edge * np.where(below, 1.0, HEAD_HIDDEN) for edge in self._edges[:2]]
        return [np.where(self._bare & (edge < NO_EDGE), -BARE, edge) for edge in edges]

    @cached_property
    def corners(self) -> Float:
        """How much speaks for a line between two walls: an upright edge with wall to both sides of it."""
        width = self.wall.shape[1]
        total, columns = _counted(self.wall.T).T, np.arange(width)
        left = total[:, np.maximum(columns - 1, 0)] > total[:, np.maximum(columns - BESIDE_PX, 0)]
        right = total[:, np.minimum(columns + BESIDE_PX + 1, width)] > total[:, np.minimum(columns + 2, width)]
        seen = CORNER_HIDDEN + (1 - CORNER_HIDDEN) / 2 * (left.astype(np.float64) + right)
        return np.where(self._bare & (self._edges[2] < NO_EDGE), -BARE_CORNER, self._edges[2] * seen)

    @cached_property
    def misfit(self) -> Float:
        """(H + 1, W) what it costs if floor and wall meet above this row: floor above, wall below, hidden floor."""
        height = self.floor.shape[0]
        floor, wall = _counted(self.floor), _counted(self.wall)
        unit = self.camera.focal_px * self.scale * self.camera.height_m
        some = self.floor.any(axis=0)
        rows = np.arange(height + 1)[:, None] - self.horizon[None]
        ends = self.floor.argmax(axis=0) - self.horizon
        away = unit / np.maximum(rows, unit / 30.0) - (unit / np.maximum(ends, unit / 30.0))[None]
        cost = np.minimum(FLOOR_ABOVE[0] * floor, FLOOR_ABOVE[1])
        cost += np.minimum(WALL_BELOW[0] * (wall[-1] - wall), WALL_BELOW[1])
        board = np.clip(self._floor_ends - 1 - np.arange(height + 1)[:, None], 0, None) * self._ends_at_wall
        cost += np.minimum(BOARD_BELOW[0] * board, BOARD_BELOW[1])
        return np.asarray(cost + HIDDEN * some * np.clip(away / HIDDEN_M, 0.0, 1.0))

    @cached_property
    def sideways(self) -> Float:
        """(W + 1) left of each column, how many more level edges from eye level up run as on a side wall."""
        high = np.arange(self.floor.shape[0])[:, None] < self.horizon[None] + 0.08 * self.camera.focal_px * self.scale
        back, side = (drawn > 0 for drawn in self.drawn[:2])
        more = (side & ~back & high).sum(axis=0) - (back & ~side & high).sum(axis=0).astype(np.float64)
        return np.concatenate([[0.0], np.cumsum(np.clip(more, -6, 6))])


def _counted(mask: Mask) -> NDArray[np.int64]:
    """(H + 1, W) how many pixels of a mask lie above each row."""
    return np.vstack([np.zeros((1, mask.shape[1]), np.int64), np.cumsum(mask, axis=0)])


__all__ = ["Boundaries"]
