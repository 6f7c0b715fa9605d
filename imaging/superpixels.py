"""Small patches of one colour that follow a picture's edges, and the cheapest cut that parts them in two.

A few hundred patches instead of a hundred thousand pixels make it affordable to compare every patch with every other.
"""

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import breadth_first_order, maximum_flow

Float = NDArray[np.float64]
Mask = NDArray[np.bool_]
# Capacities of the flow are whole numbers: this many units per unit of cost; a certain patch costs SURE.
UNITS, SURE = 1000.0, 1e4


@dataclass(frozen=True, eq=False)
class Patches:
    """labels (H, W; 0..count-1), pixels per patch, and neighbours with the length and contrast of their border.

    contrast is the mean distance of the colours (Lab) on both sides, two pixels apart.
    """

    labels: NDArray[np.int64]
    area: Float
    pairs: NDArray[np.int64]
    length: Float
    contrast: Float

    @property
    def count(self) -> int:
        return len(self.area)

    def mean(self, values: Any) -> Float:
        """The mean (count,) or (count, channels) of something known per pixel."""
        flat = values.reshape(self.labels.size, -1)
        sums = [np.bincount(self.labels.ravel(), flat[:, c], self.count) for c in range(flat.shape[1])]
        means = np.stack(sums, axis=1) / np.maximum(self.area, 1.0)[:, None]
        return np.asarray(means if values.ndim == 3 else means[:, 0])


def find_patches(pixels: NDArray[np.uint8], lab: NDArray[np.float32], pitch: int) -> Patches:
    """Watersheds (Meyer, ICIP 1992) from a regular grid of seeds, `pitch` px apart, in a smoothed picture."""
    markers = np.zeros(pixels.shape[:2], np.int32)
    grid = np.s_[pitch // 2 :: pitch, pitch // 2 :: pitch]
    count = markers[grid].size
    markers[grid] = np.arange(1, count + 1).reshape(markers[grid].shape)
    cv2.watershed(np.ascontiguousarray(pixels), markers)
    while (markers < 1).any():  # the lines between basins go to a neighbour
        grown = cv2.dilate(np.maximum(markers, 0).astype(np.float32), np.ones((3, 3), np.uint8)).astype(np.int32)
        markers = np.where(markers < 1, grown, markers)
    labels = markers.astype(np.int64) - 1
    return Patches(labels, np.bincount(labels.ravel(), minlength=count).astype(np.float64), *_borders(labels, lab))


def _borders(labels: NDArray[np.int64], lab: NDArray[np.float32]) -> tuple[NDArray[np.int64], Float, Float]:
    count = int(labels.max()) + 1
    wide = np.pad(lab, ((1, 2), (1, 2), (0, 0)), mode="edge")
    height, width = labels.shape
    keys, steps = [], []
    for down, right in ((0, 1), (1, 0)):
        first, second = labels[: height - down, : width - right], labels[down:, right:]
        border = first != second
        rows, columns = np.nonzero(border)
        before = wide[rows + 1 - down, columns + 1 - right]
        after = wide[rows + 1 + 2 * down, columns + 1 + 2 * right]
        low, high = np.minimum(first, second)[border], np.maximum(first, second)[border]
        keys.append(low * count + high)
        steps.append(np.linalg.norm(before - after, axis=1))
    found, place = np.unique(np.concatenate(keys), return_inverse=True)
    length = np.bincount(place).astype(np.float64)
    contrast = np.bincount(place, np.concatenate(steps).astype(np.float64)) / np.maximum(length, 1.0)
    return np.stack([found // count, found % count], axis=1), length, contrast


def cheapest_cut(patches: Patches, leaning: Float, bond: Float) -> Mask:
    """Which patches (count,) are taken: those that lean to it (> 0), where parting bonds (per pair) costs too much.

    The minimum cut of Boykov and Jolly (ICCV 2001), exact.
    """
    count = patches.count
    source, sink = count, count + 1
    taken, left = np.flatnonzero(leaning > 0), np.flatnonzero(leaning < 0)
    first, second = patches.pairs.T
    start = np.concatenate([np.full(len(taken), source), left, first, second])
    end = np.concatenate([taken, np.full(len(left), sink), second, first])
    cost = np.concatenate([leaning[taken], -leaning[left], bond, bond])
    units = np.rint(np.minimum(cost, SURE) * UNITS).astype(np.int32)
    graph = coo_matrix((units, (start, end)), shape=(count + 2, count + 2)).tocsr()
    rest = graph - maximum_flow(graph, source, sink).flow
    rest.data = np.maximum(rest.data, 0)
    rest.eliminate_zeros()
    reached = np.zeros(count + 2, bool)
    reached[breadth_first_order(rest, source, return_predecessors=False)] = True
    return reached[:count]


__all__ = ["SURE", "Patches", "cheapest_cut", "find_patches"]
