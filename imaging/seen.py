"""Where a finished picture shows the product, told from its difference to the empty room.

A model does not say what it painted.

1. What differs from the room and is not the room in other light (`imaging.evidence`) speaks for the product.
2. The cutout's silhouette is laid over the picture in many sizes, shapes and at many places around the one that was
   asked for: where it explains the evidence best, the product is seen.
3. A product may be drawn from another side than its photo shows it, so its outline and its box are the evidence's
   own around that fit.
"""

from dataclasses import dataclass
from itertools import product as combinations

import cv2
import numpy as np
from numpy.typing import NDArray

from imaging.colour import fit_within
from imaging.evidence import DIFFERS, Evidence, changed, filled, palette_of

Pixels = NDArray[np.uint8]
Float = NDArray[np.float32]
Mask = NDArray[np.bool_]
Box = tuple[float, float, float, float]
ALIGN_SIDE = 480
# Longest side (px) of the expected product where evidence is gathered, and where silhouettes are tried: first, then.
EVIDENCE_SIDE, COARSE_SIDE, FINE_SIDE = 160.0, 36.0, 100.0
# How far around the expected box it is sought: its width to either side, shares of its height above and below.
BESIDE, ABOVE, BELOW = 1.0, 1.3, 0.7
SIZES = np.exp(np.linspace(np.log(0.4), np.log(2.4), 13))
SHAPES = (0.7, 0.84, 1.0, 1.19, 1.42)
NEARBY, STEP = (0.92, 0.96, 1.0, 1.04, 1.08), 6
# What other light, and what is hardly changed, count against the silhouette that covers them.
OTHER_LIGHT, OPEN = 0.8, 0.6
# A tie goes to where the product is expected.
PRIOR = 0.12
# The outline may be this far (share of the longer side) from the silhouette; specks (share of it) are none of it.
OUTLINE_REACH, SPECK = 0.14, 0.01
# What changes less than this share of the product's area elsewhere is no second one.
LEAST_SECOND = 0.05


@dataclass(frozen=True, eq=False)
class Fit:
    """A product's place: its box (px of the photo), how much of the evidence its silhouette explains (0..1), and the
    outline (H, W; 0..255) that the picture itself shows."""

    box: Box
    score: float
    outline: Pixels


def aligned(result: Pixels, room: Pixels) -> Pixels:
    """The picture moved back onto the room (models shift by a few pixels), by at most 2 % of a side."""
    size = fit_within(room.shape[1], room.shape[0], ALIGN_SIDE)
    grey = [cv2.resize(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), size, interpolation=cv2.INTER_AREA)
            for image in (room, result)]  # fmt: skip
    window = cv2.createHanningWindow(size, cv2.CV_32F)
    (dx, dy), sure = cv2.phaseCorrelate(grey[0].astype(np.float32), grey[1].astype(np.float32), window)
    away = np.array([dx, dy]) * room.shape[1] / size[0]
    if sure < 0.3 or not 0.75 <= float(np.abs(away).max()) <= 0.02 * max(room.shape):
        return result
    back = np.array([[1, 0, -away[0]], [0, 1, -away[1]]], np.float64)
    moved = cv2.warpAffine(result, back, (room.shape[1], room.shape[0]), borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(moved, np.uint8)


def find_product(result: Pixels, room: Pixels, rgba: Pixels, gains: Float, box: Box) -> Fit:
    """Where a cutout (H, W, 4) that is expected in a box (px), in a light (3,), is seen in picture minus room."""
    near = _Surroundings.of(result, room, rgba, gains, box)
    alpha = rgba[..., 3].astype(np.float32) / 255.0
    coarse = _Search.of(near, alpha, COARSE_SIDE)
    first = max((coarse.best(size, shape) for size, shape in combinations(SIZES, SHAPES)), key=lambda fit: fit.score)
    fine = _Search.of(near, alpha, FINE_SIDE)
    size, shape = first.proportions(near.box)
    steps = combinations(NEARBY, NEARBY)
    fit = max((fine.best(size * more, shape * wider, first) for more, wider in steps), key=lambda fit: fit.score)
    left, top, right, bottom = _around(near.outline(alpha, fit.box)) or fit.box
    # A glossy floor shows the product's foot again below it.
    seen = left, top, right, max(top + 1.0, min(bottom, fit.box[3]))
    return Fit(near.in_photo(seen), max(0.0, fit.score), near.whole(near.outline(alpha, seen), room.shape))


def outline_of(result: Pixels, room: Pixels, rgba: Pixels, gains: Float, expected: Box, seen: Box) -> Pixels:
    """The outline (H, W; 0..255) of a product that is seen in a box (px) and expected in another."""
    near = _Surroundings.of(result, room, rgba, gains, expected)
    return near.whole(near.outline(rgba[..., 3].astype(np.float32) / 255.0, near.from_photo(seen)), room.shape)


def unexplained(result: Pixels, room: Pixels, rgba: Pixels, gains: Float, mask: Pixels) -> float:
    """The most that shows the cutout's colours beyond the product's mask (H, W; 0..255) in its shape, either way round,
    as a share of its area."""
    size = fit_within(room.shape[1], room.shape[0], ALIGN_SIDE)
    small = [np.asarray(cv2.resize(each, size, interpolation=cv2.INTER_AREA), np.uint8) for each in (result, room)]
    product = cv2.resize(mask, size, interpolation=cv2.INTER_AREA) > 100
    if not product.any():
        return 0.0
    reach = max(3, round(0.08 * float(np.sqrt(product.sum())))) | 1
    away = cv2.dilate(product.astype(np.uint8), np.ones((reach, reach), np.uint8)) == 0
    if np.count_nonzero((changed(small[0], small[1]) > DIFFERS) & away) < LEAST_SECOND * product.sum():
        return 0.0
    more = Evidence.of(small[0], small[1], palette_of(rgba, gains)).own & away
    more = cv2.morphologyEx(more.astype(np.uint8), cv2.MORPH_OPEN, np.ones((2, 2), np.uint8))
    x, y, wide, high = cv2.boundingRect(product.astype(np.uint8))
    shape = cv2.dilate(
        np.pad(product[y : y + high, x : x + wide].astype(np.uint8), reach), np.ones((reach, reach), np.uint8)
    ).astype(np.float32)
    wider = np.pad(more.astype(np.float32), max(shape.shape))
    shown = [cv2.matchTemplate(wider, each, cv2.TM_CCORR) for each in (shape, np.ascontiguousarray(shape[:, ::-1]))]
    return float(max(each.max() for each in shown)) / float(product.sum())


@dataclass(frozen=True, eq=False)
class _Surroundings:
    """A part (px of the photo) around the expected box, its evidence at a working scale, and the box in its px."""

    part: tuple[int, int, int, int]
    scale: tuple[float, float]
    box: Box
    evidence: Evidence

    @classmethod
    def of(cls, result: Pixels, room: Pixels, rgba: Pixels, gains: Float, box: Box) -> "_Surroundings":
        high, wide = room.shape[:2]
        across, along = box[2] - box[0], box[3] - box[1]
        x0, x1 = (int(np.clip(side, 0, wide)) for side in (box[0] - BESIDE * across, box[2] + BESIDE * across))
        y0, y1 = (int(np.clip(side, 0, high)) for side in (box[1] - ABOVE * along, box[3] + BELOW * along))
        x1, y1 = max(x1, min(x0 + 8, wide)), max(y1, min(y0 + 8, high))
        x0, y0 = min(x0, x1 - 8), min(y0, y1 - 8)
        scale = min(1.0, EVIDENCE_SIDE / max(across, along, 1.0))
        size = max(8, round((x1 - x0) * scale)), max(8, round((y1 - y0) * scale))
        small = [np.asarray(cv2.resize(each[y0:y1, x0:x1], size, interpolation=cv2.INTER_AREA), np.uint8)
                 for each in (result, room)]  # fmt: skip
        scales = size[0] / (x1 - x0), size[1] / (y1 - y0)
        inner = _scaled(box, (x0, y0), scales)
        return cls((x0, y0, x1, y1), scales, inner, Evidence.of(small[0], small[1], palette_of(rgba, gains)))

    def from_photo(self, box: Box) -> Box:
        return _scaled(box, self.part[:2], self.scale)

    def in_photo(self, box: Box) -> Box:
        """A box of the working scale in px of the photo."""
        (x0, y0), (across, below) = self.part[:2], self.scale
        return box[0] / across + x0, box[1] / below + y0, box[2] / across + x0, box[3] / below + y0

    def whole(self, mask: Mask, shape: tuple[int, ...]) -> Pixels:
        """A mask of the working scale in the whole photo (H, W; 0..255), with a soft edge."""
        whole = np.zeros(shape[:2], np.uint8)
        x0, y0, x1, y1 = self.part
        soft = cv2.GaussianBlur(mask.astype(np.float32), (0, 0), 0.8)
        whole[y0:y1, x0:x1] = np.rint(255.0 * cv2.resize(soft, (x1 - x0, y1 - y0), interpolation=cv2.INTER_LINEAR))
        return whole

    def outline(self, alpha: Float, box: Box) -> Mask:
        """The evidence's own outline around a silhouette in a box; what lies beside it has to have its colours."""
        thing, own = self.evidence.thing, self.evidence.own
        laid = _laid(alpha, box, thing.shape)
        reach = 2 * max(1, round(OUTLINE_REACH * max(box[2] - box[0], box[3] - box[1]))) + 1
        round_ = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (reach, reach))
        near = cv2.dilate(laid.astype(np.uint8), round_) > 0
        found = filled((thing & laid) | (thing & own & near)) & near
        _, labels, parts, _ = cv2.connectedComponentsWithStats(found.astype(np.uint8))
        kept = np.bincount(labels[laid & found], minlength=len(parts)) > 0
        kept &= parts[:, cv2.CC_STAT_AREA] >= SPECK * max(1, int(found.sum()))
        kept[0] = False
        return np.asarray(kept[labels])


def _scaled(box: Box, corner: tuple[int, ...], scale: tuple[float, float]) -> Box:
    (x0, y0), (across, below) = corner, scale
    return (box[0] - x0) * across, (box[1] - y0) * below, (box[2] - x0) * across, (box[3] - y0) * below


def _laid(alpha: Float, box: Box, shape: tuple[int, ...]) -> Mask:
    """A silhouette stretched into a box, as a mask of a shape."""
    x0, y0, x1, y1 = (round(side) for side in box)
    size = max(2, x1 - x0), max(2, y1 - y0)
    silhouette = cv2.resize(alpha, size, interpolation=cv2.INTER_AREA) > 0.3
    mask = np.zeros(shape, bool)
    left, top, right, bottom = max(0, x0), max(0, y0), min(shape[1], x0 + size[0]), min(shape[0], y0 + size[1])
    if left < right and top < bottom:
        mask[top:bottom, left:right] = silhouette[top - y0 : bottom - y0, left - x0 : right - x0]
    return mask


def _around(mask: Mask) -> Box | None:
    """The box around a mask, without rows and columns that hold next to nothing of it."""
    least = 0.006 * np.array(mask.shape[::-1])
    rows = np.flatnonzero(mask.sum(axis=1) > max(1.0, least[0] / 3))
    columns = np.flatnonzero(mask.sum(axis=0) > max(1.0, least[1] / 3))
    if not len(rows) or not len(columns):
        return None
    return float(columns[0]), float(rows[0]), float(columns[-1] + 1), float(rows[-1] + 1)


@dataclass(frozen=True, eq=False)
class _Search:
    """Evidence for and against the product (H, W), and the expected box in its px."""

    speaks_for: Float
    against: Float
    total: float
    alpha: Float
    box: Box
    scale: tuple[float, float]

    @classmethod
    def of(cls, near: _Surroundings, alpha: Float, side: float) -> "_Search":
        evidence = near.evidence
        high, wide = evidence.thing.shape
        factor = min(1.0, side / max(near.box[2] - near.box[0], near.box[3] - near.box[1], 1.0))
        size = max(8, round(wide * factor)), max(8, round(high * factor))
        speaks = filled(evidence.own).astype(np.float32)
        other = ~evidence.calm & ~evidence.thing
        against = np.where(evidence.calm, 1.0, np.where(other, OTHER_LIGHT, OPEN)) * (1.0 - speaks)
        small = [np.asarray(cv2.resize(each.astype(np.float32), size, interpolation=cv2.INTER_AREA), np.float32)
                 for each in (speaks, against)]  # fmt: skip
        scale = size[0] / wide, size[1] / high
        return cls(small[0], small[1], max(float(small[0].sum()), 1.0), alpha, _scaled(near.box, (0, 0), scale), scale)

    def best(self, size: float, shape: float, near: "_Trial | None" = None) -> "_Trial":
        """The best place of the silhouette in one size and shape (1: as expected), anywhere or close to another fit."""
        x0, y0, x1, y1 = self.box
        wide, high = max(3, round((x1 - x0) * size * shape)), max(3, round((y1 - y0) * size))
        template = cv2.resize(self.alpha, (wide, high), interpolation=cv2.INTER_AREA)
        left, top = np.array([-(wide // 2) - 1, -(high // 2) - 1])
        right, bottom = self.speaks_for.shape[1] - left, self.speaks_for.shape[0] - top
        if near is not None:
            first = round(near.box[0] * self.scale[0]), round(near.box[1] * self.scale[1])
            left, top = first[0] - STEP, first[1] - STEP
            right, bottom = first[0] + STEP + wide, first[1] + STEP + high
        explained, denied = (
            cv2.matchTemplate(_window(each, (left, top, right, bottom), outside), template, cv2.TM_CCORR)
            for each, outside in ((self.speaks_for, 0.0), (self.against, 0.5))
        )
        lefts, tops = left + np.arange(explained.shape[1]), top + np.arange(explained.shape[0])
        away_x = (lefts + wide / 2 - (x0 + x1) / 2) / (x1 - x0)
        away_y = (tops + high - y1) / (y1 - y0)
        unusual = np.abs(away_x)[None, :] + np.abs(away_y)[:, None] + abs(np.log(size)) + abs(np.log(shape))
        score = explained / (self.total + denied) - PRIOR * unusual
        row, column = np.unravel_index(int(np.argmax(score)), score.shape)
        corner = float(lefts[column]), float(tops[row])
        across, below = self.scale
        found = corner[0] / across, corner[1] / below, (corner[0] + wide) / across, (corner[1] + high) / below
        return _Trial(found, float(score[row, column]))


def _window(image: Float, part: tuple[int, int, int, int], outside: float) -> Float:
    """A part (left, top, right, bottom) of an image that may reach beyond it."""
    left, top, right, bottom = part
    high, wide = image.shape
    inner = image[max(0, top) : max(0, min(high, bottom)), max(0, left) : max(0, min(wide, right))]
    window = np.full((bottom - top, right - left), outside, np.float32)
    y, x = max(0, -top), max(0, -left)
    window[y : y + inner.shape[0], x : x + inner.shape[1]] = inner
    return window


@dataclass(frozen=True)
class _Trial:
    """A silhouette's place at the working scale of the evidence, and its score."""

    box: Box
    score: float

    def proportions(self, expected: Box) -> tuple[float, float]:
        """Height against the expected one, and width over height against that of the expected one."""
        size = (self.box[3] - self.box[1]) / (expected[3] - expected[1])
        return size, (self.box[2] - self.box[0]) / (expected[2] - expected[0]) / size


__all__ = ["Fit", "aligned", "find_product", "outline_of", "unexplained"]
