"""Where a finished picture shows the product, told from its difference to the empty room.

A model does not say what it painted. What differs from the room and is not just a darker copy of it (a shadow) is the
product's evidence, what is unchanged speaks against it, shadows are left open. The cutout's silhouette is then laid
over the picture in many sizes and at many places: where it explains the evidence best, the product is seen.
"""

from dataclasses import dataclass
from itertools import product as combinations

import cv2
import numpy as np
from numpy.typing import NDArray

from imaging.colour import fit_within, to_lab, to_linear, to_srgb
from imaging.light import LUMINANCE

Pixels = NDArray[np.uint8]
Float = NDArray[np.float32]
Mask = NDArray[np.bool_]
ALIGN_SIDE, COARSE_SIDE, FINE_SIDE = 480, 44.0, 110.0
# ΔE (CIE 1976) that noise, JPEG and bounced light may reach; what is surely another thing; what a shadow may change.
CALM, CHANGED, SHADOW_AB = 4.0, 9.0, 12.0
SIZES = np.exp(np.linspace(np.log(0.4), np.log(2.4), 19))
SHAPES = (0.82, 0.92, 1.0, 1.09, 1.22)
# A product's main colours, how far light may change their level, and how far (ΔE) a pixel may be from them.
COLOURS, EXPOSURES, COLOUR_REACH = 8, (0.4, 1.9), 13.0
# What a shadow, or a product of the wall's colour, counts against the silhouette that covers it.
OPEN = 0.6
# A tie goes to where the product is expected.
PRIOR = 0.12


@dataclass(frozen=True)
class Fit:
    """A silhouette's best place: its box (px of the photo) and how much of the evidence it explains (0..1)."""

    box: tuple[float, float, float, float]
    score: float


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


def changed(result: Pixels, room: Pixels) -> Float:
    """ΔE (CIE 1976) per pixel after a slight blur, so that grain does not count."""
    blurred = [to_lab(cv2.GaussianBlur(image, (0, 0), 1.0)) for image in (result, room)]
    return np.asarray(np.linalg.norm(blurred[0] - blurred[1], axis=2), np.float32)


def like_shadow(result: Pixels, room: Pixels) -> Mask:
    """Pixels that may be the room in less light: darker, of the same colour once brought to the same level."""
    light, before = (to_linear(cv2.GaussianBlur(image, (0, 0), 1.0)) for image in (result, room))
    kept = (light.sum(axis=2) + 1e-3) / (before.sum(axis=2) + 1e-3)
    # Both at the room's level, where a difference of hue can be seen.
    seen, same = (
        np.rint(to_srgb(each)).astype(np.uint8) for each in (light / np.maximum(kept, 0.03)[..., None], before)
    )
    away = np.linalg.norm(to_lab(seen)[..., 1:] - to_lab(same)[..., 1:], axis=2)
    return np.asarray((kept < 1.03) & (kept > 0.03) & (away < SHADOW_AB))


def of_colours(pixels: Pixels, palette: Float) -> Mask:
    """Pixels that show one of some colours (N, 3; linear light) in more light or less."""
    linear = to_linear(pixels)
    level = linear @ LUMINANCE
    lab = to_lab(pixels)
    found = np.zeros(level.shape, bool)
    for colour in palette:
        exposure = np.clip(level / max(float(colour @ LUMINANCE), 1e-4), *EXPOSURES)
        shown = np.rint(to_srgb(colour * exposure[..., None])).astype(np.uint8)
        found |= np.linalg.norm(to_lab(shown) - lab, axis=2) < COLOUR_REACH
    return found


def palette_of(rgba: Pixels, gains: Float) -> Float:
    """The main colours (N, 3; linear light) of a cutout in a room's light, by k-means in LAB."""
    small = cv2.resize(rgba, fit_within(rgba.shape[1], rgba.shape[0], 96), interpolation=cv2.INTER_AREA)
    lab = to_lab(np.ascontiguousarray(small[..., :3]))[small[..., 3] > 230]
    own = to_linear(small[..., :3])[small[..., 3] > 230]
    count = min(COLOURS, len(lab))
    if count == 0:
        return np.zeros((0, 3), np.float32)
    cv2.setRNGSeed(0)
    stop = (cv2.TERM_CRITERIA_EPS + cv2.TERM_CRITERIA_MAX_ITER, 20, 0.5)
    _, labels, _ = cv2.kmeans(lab, count, None, stop, 1, cv2.KMEANS_PP_CENTERS)
    means = [own[labels.ravel() == each].mean(axis=0) for each in range(count) if (labels.ravel() == each).any()]
    return np.asarray(np.array(means) * gains, np.float32)


def find_product(
    result: Pixels, room: Pixels, rgba: Pixels, gains: Float, box: tuple[float, float, float, float]
) -> Fit:
    """Where a cutout (H, W, 4) that is expected in a box (px), in a light (3,), fits picture minus room best."""
    alpha, palette = rgba[..., 3].astype(np.float32) / 255.0, palette_of(rgba, gains)
    coarse = _Search.of(result, room, alpha, palette, box, COARSE_SIDE)
    first = max((coarse.best(size, shape) for size, shape in combinations(SIZES, SHAPES)), key=lambda fit: fit.score)
    fine = _Search.of(result, room, alpha, palette, box, FINE_SIDE)
    size = (first.box[3] - first.box[1]) / (box[3] - box[1])
    shape = (first.box[2] - first.box[0]) / (box[2] - box[0]) / size
    near = combinations(size * np.array([0.94, 0.97, 1.0, 1.03, 1.06]), shape * np.array([0.96, 1.0, 1.04]))
    return max((fine.best(float(a), float(b), first) for a, b in near), key=lambda fit: fit.score)


def unexplained(result: Pixels, room: Pixels, rgba: Pixels, gains: Float, mask: Pixels) -> float:
    """The largest area in the cutout's colours beyond the product's mask, as a share of the product's area."""
    size = fit_within(room.shape[1], room.shape[0], ALIGN_SIDE)
    small = [np.asarray(cv2.resize(each, size, interpolation=cv2.INTER_AREA), np.uint8) for each in (result, room)]
    product = cv2.resize(mask, size, interpolation=cv2.INTER_AREA) > 100
    reach = max(3, round(0.08 * float(np.sqrt(product.sum())))) | 1
    away = cv2.dilate(product.astype(np.uint8), np.ones((reach, reach), np.uint8)) == 0
    more = (changed(small[0], small[1]) > CHANGED) & of_colours(small[0], palette_of(rgba, gains)) & away
    more &= ~like_shadow(small[0], small[1])
    _, _, parts, _ = cv2.connectedComponentsWithStats(cv2.morphologyEx(
        more.astype(np.uint8), cv2.MORPH_OPEN, np.ones((3, 3), np.uint8)))  # fmt: skip
    largest = float(parts[1:, cv2.CC_STAT_AREA].max(initial=0))
    return largest / max(float(product.sum()), 1.0)


@dataclass(frozen=True, eq=False)
class _Search:
    """Evidence for and against the product at one working scale (px of it per px of the photo)."""

    speaks_for: Float
    against: Float
    total: float
    alpha: Float
    box: tuple[float, float, float, float]
    scale: float

    @classmethod
    def of(
        cls,
        result: Pixels,
        room: Pixels,
        alpha: Float,
        palette: Float,
        box: tuple[float, float, float, float],
        side: float,
    ) -> "_Search":
        scale = min(1.0, side / max(box[2] - box[0], box[3] - box[1], 1.0))
        size = max(8, round(room.shape[1] * scale)), max(8, round(room.shape[0] * scale))
        small = [np.asarray(cv2.resize(each, size, interpolation=cv2.INTER_AREA), np.uint8) for each in (result, room)]
        difference = changed(small[0], small[1])
        own = of_colours(small[0], palette)
        speaks = ((difference > CHANGED) & own & ~like_shadow(small[0], small[1])).astype(np.float32)
        against = np.where(difference < CALM, 1.0, OPEN) * (1.0 - speaks)
        return cls(speaks, against.astype(np.float32), max(float(speaks.sum()), 1.0), alpha, box, scale)

    def best(self, size: float, shape: float, near: Fit | None = None) -> Fit:
        """The best place of the silhouette in one size and shape (1: as expected), anywhere or close to another fit."""
        x0, y0, x1, y1 = (side * self.scale for side in self.box)
        _height, _width = self.speaks_for.shape
        wide, high = max(3, round((x1 - x0) * size * shape)), max(3, round((y1 - y0) * size))
        template = cv2.resize(self.alpha, (wide, high), interpolation=cv2.INTER_AREA)
        pad_x, pad_y = wide // 2 + 1, high // 2 + 1
        explained, denied = (
            cv2.matchTemplate(cv2.copyMakeBorder(each, pad_y, pad_y, pad_x, pad_x, cv2.BORDER_CONSTANT, value=outside),
                              template, cv2.TM_CCORR)
            for each, outside in ((self.speaks_for, 0.0), (self.against, 0.5))
        )  # fmt: skip
        left = np.arange(explained.shape[1]) - pad_x
        top = np.arange(explained.shape[0]) - pad_y
        away_x = (left + wide / 2 - (x0 + x1) / 2) / (x1 - x0)
        away_y = (top + high - y1) / (y1 - y0)
        score = explained / (self.total + denied)
        score = score - PRIOR * (np.abs(away_x)[None, :] + np.abs(away_y)[:, None] + abs(np.log(size))
                                 + abs(np.log(shape)))  # fmt: skip
        if near is not None:
            score = np.where(np.abs(left - near.box[0] * self.scale)[None, :] <= 9, score, -1.0)
            score = np.where(np.abs(top - near.box[1] * self.scale)[:, None] <= 9, score, -1.0)
        row, column = np.unravel_index(int(np.argmax(score)), score.shape)
        corner = float(left[column]), float(top[row])
        found = corner[0], corner[1], corner[0] + wide, corner[1] + high
        return Fit(tuple(side / self.scale for side in found), float(score[row, column]))  # type: ignore[arg-type]


__all__ = ["Fit", "aligned", "changed", "find_product", "like_shadow", "unexplained"]
