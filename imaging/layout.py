"""The walls in view as one box: a back wall, a wall to either side, a ceiling; the box that the photo's edges fit best.

Its distances are tried on a grid (after Hedau, Hoiem, Forsyth: Recovering the spatial layout of cluttered rooms, ICCV
2009, with edges and areas in place of a learned score). To the left of the direction in which the side walls run only
back and left wall are seen, to the right of it back and right wall, so that for each back wall and ceiling both sides
are found apart, and every sum along a line is a difference of two running sums.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from imaging.boundaries import Boundaries
from imaging.walls import Wall

Float = NDArray[np.float64]
Index = NDArray[np.int64]
# The distances (m) and the ceiling's heights that are tried, and how finely around the best of them.
NEAR_M, FAR_M, DISTANCES = 0.5, 11.0, 64
CEILINGS_M, USUAL_CEILING_M, CEILING_SPREAD = np.arange(2.1, 3.8, 0.06), 2.55, 0.15
FINE, FINE_CEILINGS_M = np.geomspace(0.95, 1.05, 11), np.arange(-0.06, 0.061, 0.02)
# Columns (px at working size) from one sample of a line to the next, and samples along a corner, up to this height (m).
EVERY, CORNER_SAMPLES, CORNER_TOP_M, MOST_PX, STEEPEST = 4, 14, 2.4, 20.0, 2.5
# What upright edges, level edges' directions and the ceiling's usual height count, and what a further wall costs.
UPRIGHT, DIRECTION, CEILING, ANOTHER_WALL = 1.0, 0.05, 5.0, 12.0
# Evidence (px) by which one distance is e times as likely as another.
EVIDENCE = 12.0


@dataclass(frozen=True, eq=False)
class Layout:
    """The walls in view, each with its support, and the ceiling's height (m), None where the photo does not show it."""

    walls: list[Wall]
    ceiling_m: float | None


@dataclass(frozen=True, eq=False)
class _Grid:
    """Distances (m) of back, left and right wall and ceiling heights to try."""

    back: Float
    left: Float
    right: Float
    ceilings: Float


@dataclass(frozen=True, eq=False)
class _Half:
    """Scores (ceilings, back, side) of all to one side, its corner (back, side; sample), and if a side wall is seen."""

    scores: Float
    corner: Index
    visible: NDArray[np.bool_]


def fit_layout(seen: Boundaries) -> Layout:
    """The box that fits best: its walls that are in view, back wall first, and its ceiling."""
    tried = np.geomspace(NEAR_M, FAR_M, DISTANCES)
    coarse = _Search(seen, _Grid(tried, tried, tried, CEILINGS_M))
    back, left, right, ceiling = coarse.best()
    fine = _Search(
        seen,
        _Grid(tried[back] * FINE, tried[left] * FINE, tried[right] * FINE, CEILINGS_M[ceiling] + FINE_CEILINGS_M),
    )
    at = fine.best()
    found = [
        (seen.directions[1], float(fine.grid.back[at[0]]), True, coarse.spread(0)),
        (-seen.directions[0], float(fine.grid.left[at[1]]), fine.left.visible[at[0], at[1]], coarse.spread(1)),
        (seen.directions[0], float(fine.grid.right[at[2]]), fine.right.visible[at[0], at[2]], coarse.spread(2)),
    ]
    walls = [
        Wall(float(normal[0]), float(normal[2]), distance, float(np.exp(-spread / 0.1)))
        for normal, distance, visible, spread in found
        if visible
    ]
    return Layout(walls, float(fine.grid.ceilings[at[3]]) if fine.shows_ceiling(at) else None)


class _Search:
    """Every box of a grid and its score."""

    def __init__(self, seen: Boundaries, grid: _Grid):
        self.seen, self.grid = seen, grid
        width = seen.floor.shape[1]
        self.columns = np.arange(EVERY // 2, width, EVERY)
        self.count = len(self.columns)
        # The column towards which the side walls run.
        ahead = seen.camera.project(seen.directions[1:2] * 1e4 + [0.0, seen.camera.height_m, 0.0])[0, 0] * seen.scale
        self.middle = int(np.clip(round(ahead / EVERY), 0, self.count))
        self.back_feet = self._along(seen.directions[1], grid.back, 0.0, foot=True, axis=0)
        self.back_heads = self._heads(seen.directions[1], grid.back, 0)
        self.left = self._half(-seen.directions[0], grid.left, to_left=True)
        self.right = self._half(seen.directions[0], grid.right, to_left=False)
        self.prior = -CEILING * (np.log(grid.ceilings / USUAL_CEILING_M) / CEILING_SPREAD) ** 2
        self.scores = self.left.scores.max(axis=2) + self.right.scores.max(axis=2) + self.prior[:, None]

    def best(self) -> tuple[int, int, int, int]:
        """Places in the grid of the best box: back, left, right, ceiling."""
        ceiling, back = (int(v) for v in np.unravel_index(int(np.argmax(self.scores)), self.scores.shape))
        sides = (int(np.argmax(half.scores[ceiling, back])) for half in (self.left, self.right))
        left, right = sides
        return back, left, right, ceiling

    def spread(self, wall: int) -> float:
        """How far (share) a wall's distance may be off: the distances' spread by how well their best boxes fit."""
        if wall == 0:
            profile, distances = self.scores.max(axis=0), self.grid.back
        else:
            half, other = (self.left, self.right) if wall == 1 else (self.right, self.left)
            rest = (other.scores.max(axis=2) + self.prior[:, None])[..., None]
            profile = (half.scores + rest).max(axis=(0, 1))
            distances = self.grid.left if wall == 1 else self.grid.right
        likely = np.exp((profile - profile.max()) / EVIDENCE)
        off = np.log(distances / distances[int(np.argmax(profile))])
        return float(np.sqrt((likely * off**2).sum() / likely.sum()))

    def shows_ceiling(self, at: tuple[int, int, int, int]) -> bool:
        """Whether the ceiling's line is seen along the walls of a box, or only the usual height taken."""
        back, left, right, ceiling = at
        low, high = int(self.left.corner[back, left]), int(self.right.corner[back, right])
        found = self.back_heads[ceiling, back, high] - self.back_heads[ceiling, back, low]
        return bool(found > 0.2 * EVERY * max(high - low, 1))

    def _heads(self, normal: Float, distances: Float, axis: int) -> Float:
        return np.stack([self._along(normal, distances, c, foot=False, axis=axis) for c in self.grid.ceilings])

    def _along(self, normal: Float, distances: Float, level: float, *, foot: bool, axis: int) -> Float:
        """(distances, samples + 1) running sums of the evidence along a wall's foot or head, from the left."""
        seen = self.seen
        height = seen.floor.shape[0]
        rows = _line_rows(seen, normal, distances, level, self.columns)
        slope = np.abs(np.gradient(rows, axis=1)) / EVERY
        inside = (rows >= 0) & (rows < height)
        columns = np.broadcast_to(self.columns, rows.shape)
        edges = (seen.feet if foot else seen.heads)[axis]
        held = np.clip(np.rint(rows), 0, height).astype(np.int64)
        found = np.where(inside, edges[np.minimum(held, height - 1), columns], 0.0)
        found = found * np.minimum(np.hypot(1.0, slope), STEEPEST)
        if foot:
            found = found - seen.misfit[held, columns]
        return np.hstack([np.zeros((len(rows), 1)), np.cumsum(found * EVERY, axis=1)])

    def _half(self, normal: Float, distances: Float, *, to_left: bool) -> _Half:
        feet, heads = self._along(normal, distances, 0.0, foot=True, axis=1), self._heads(normal, distances, 1)
        upright, corner = self._corners(normal, distances, to_left)
        back, side = np.arange(len(self.grid.back))[:, None], np.arange(len(distances))[None]
        outer, inner = (0, self.middle) if to_left else (self.count, self.middle)
        visible = corner != outer
        low, high = (corner, inner) if to_left else (inner, corner)
        turned = self.seen.sideways[np.minimum(np.arange(self.count + 1) * EVERY, self.seen.floor.shape[1])]
        on_side = (turned[corner] - turned[outer]) * (1 if to_left else -1)
        on_back = turned[high] - turned[low]
        fixed = DIRECTION * (on_side - on_back) + upright - ANOTHER_WALL * visible
        scores = np.empty((len(self.grid.ceilings), *corner.shape))
        for at in range(len(self.grid.ceilings)):
            total = fixed
            for walls, backs in ((feet, self.back_feet), (heads[at], self.back_heads[at])):
                along_side = walls[side, corner] - walls[side, outer]
                total = total + (along_side if to_left else -along_side) + backs[back, high] - backs[back, low]
            scores[at] = total
        return _Half(scores, corner, visible)

    def _corners(self, normal: Float, distances: Float, to_left: bool) -> tuple[Float, Index]:
        """(back, side) evidence along the upright line between back and side wall, and its sample at eye level."""
        seen, camera = self.seen, self.seen.camera
        height, width = seen.floor.shape
        foot = seen.directions[1] * self.grid.back[:, None, None] + normal * distances[None, :, None]
        levels = np.linspace(0.1, CORNER_TOP_M, CORNER_SAMPLES)
        points = foot[:, :, None] + levels[:, None] * np.array([0.0, 1.0, 0.0])
        depth = camera.to_camera(points.reshape(-1, 3))[:, 2].reshape(points.shape[:3])
        pixels = np.clip(camera.project(points.reshape(-1, 3)).reshape(*points.shape[:3], 2) * seen.scale, -1e4, 1e4)
        x, y = pixels[..., 0], pixels[..., 1]
        inside = (x >= 0) & (x < width) & (y >= 0) & (y < height) & (depth > 0.1)
        found = np.where(
            inside, seen.corners[np.clip(y, 0, height - 1).astype(int), np.clip(x, 0, width - 1).astype(int)], 0.0
        )
        step = np.minimum(np.abs(np.diff(y, axis=2)).mean(axis=2), MOST_PX)
        eye = np.where(depth[:, :, CORNER_SAMPLES // 2] > 0.1, x[:, :, CORNER_SAMPLES // 2], -1e4 if to_left else 1e4)
        low, high = (0, self.middle) if to_left else (self.middle, self.count)
        return UPRIGHT * found.sum(axis=2) * step, np.clip(np.rint(eye / EVERY), low, high).astype(np.int64)


def _line_rows(seen: Boundaries, normal: Float, distances: Float, level: float, columns: Index) -> Float:
    """(distances, columns) rows of the line in which walls across `normal` meet a height (m)."""
    camera = seen.camera
    base = normal * distances[:, None] + np.array([0.0, level - camera.height_m, 0.0])
    plane = np.cross(np.array([normal[2], 0.0, -normal[0]]), base) @ camera.rotation().T
    x = ((columns + 0.5) / seen.scale - camera.cx) / camera.focal_px
    down = np.where(np.abs(plane[:, 1:2]) < 1e-9, 1e-9, plane[:, 1:2])
    rows = camera.cy - camera.focal_px * (plane[:, :1] * x[None] + plane[:, 2:]) / down
    return np.asarray(np.clip(rows * seen.scale, -1e5, 1e5))


__all__ = ["Layout", "fit_layout"]
