"""Which pixels of a room photo are floor, wall, ceiling, an opening, or things that stand or hang in it.

Geometry and colour only, no learned model: the horizon bounds the floor, the photo's foot seeds its colours, upright
edges are never floor; walls are the large calm areas above. Patterned floors and clutter are told apart badly.
"""

from enum import IntEnum

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from imaging.colour import disk, fit_within, resize, to_lab
from imaging.geometry import Camera
from imaging.vanishing import Manhattan

Pixels = NDArray[np.uint8]
Mask = NDArray[np.bool_]
Float = NDArray[np.float32]
WORKING_SIDE = 400
NEAR_FLOOR_M, FAR_FLOOR_M, CEILING_M = 4.5, 9.0, 2.45


class REGION(IntEnum):
    """Labels of the region map."""

    OTHER = 0
    FLOOR = 1
    WALL = 2
    FURNITURE = 3
    OPENING = 4
    CEILING = 5


def read_regions(pixels: Pixels, camera: Camera, lines: Manhattan) -> tuple[Pixels, float]:
    """(region map at working size, 0..1 how clearly the floor stands out)."""
    height, width = pixels.shape[:2]
    size = fit_within(width, height, WORKING_SIDE)
    scale = size[0] / width
    small = cv2.bilateralFilter(resize(pixels, size), 7, 30, 5)
    distance, elevation = _view(camera, size, scale)
    upright = _draw(lines, scale, size, axis=2)
    floor, clarity = _floor(small, distance, upright)
    calm = _calm_areas(small)
    regions = np.full(floor.shape, REGION.OTHER, np.uint8)
    ceiling, wall = _ceiling_and_wall(small, calm & ~floor, elevation, _wall_distance(floor, distance), camera.height_m)
    regions[_things(floor, wall, ceiling)] = REGION.FURNITURE
    regions[wall], regions[ceiling], regions[floor] = REGION.WALL, REGION.CEILING, REGION.FLOOR
    regions[_openings(small, regions, elevation)] = REGION.OPENING
    return regions, clarity


def _view(camera: Camera, size: tuple[int, int], scale: float) -> tuple[Float, Float]:
    """Per pixel: forward distance of the floor there (99 above the horizon), and elevation of the ray in degrees."""
    y, x = np.mgrid[0 : size[1], 0 : size[0]]
    centres = (np.stack([x.ravel(), y.ravel()], axis=1) + 0.5) / scale
    rays = camera.rays(centres)
    forward = camera.floor_points(centres)[:, 1]
    elevation = np.degrees(np.arctan2(rays[:, 1], np.hypot(rays[:, 0], rays[:, 2])))
    shape = (size[1], size[0])
    return np.where(np.isnan(forward), 99.0, forward).reshape(shape).astype(np.float32), elevation.reshape(shape).astype(np.float32)


def _draw(lines: Manhattan, scale: float, size: tuple[int, int], axis: int) -> Mask:
    """Segments of one direction, 3 px thick, at working size."""
    canvas = np.zeros((size[1], size[0]), np.uint8)
    for x0, y0, x1, y1 in lines.segments[lines.axis == axis] * scale:
        if np.hypot(x1 - x0, y1 - y0) > 0.03 * max(size):
            cv2.line(canvas, (int(x0), int(y0)), (int(x1), int(y1)), 1, 3)
    return canvas > 0


def _floor(small: Pixels, distance: Float, upright: Mask) -> tuple[Mask, float]:
    """The visible floor, rugs included as far as their colours allow, and how clearly it stands out."""
    height, width = distance.shape
    trimap = np.full(distance.shape, cv2.GC_PR_BGD, np.uint8)
    trimap[distance < NEAR_FLOOR_M] = cv2.GC_PR_FGD
    trimap[distance > FAR_FLOOR_M] = cv2.GC_BGD
    trimap[upright] = cv2.GC_BGD
    foot = np.zeros(distance.shape, bool)
    foot[int(height * 0.92) :, int(width * 0.15) : int(width * 0.85)] = True
    foot &= (distance < NEAR_FLOOR_M) & ~upright
    trimap[foot & _unlike(small, foot, distance > FAR_FLOOR_M)] = cv2.GC_FGD
    if not foot.any() or not (trimap == cv2.GC_BGD).any():
        return np.zeros(distance.shape, bool), 0.0
    back, fore = np.zeros((1, 65)), np.zeros((1, 65))
    cv2.setRNGSeed(0)
    cv2.grabCut(cv2.cvtColor(small, cv2.COLOR_RGB2BGR), trimap, None, back, fore, 4, cv2.GC_INIT_WITH_MASK)
    found = (trimap == cv2.GC_FGD) | (trimap == cv2.GC_PR_FGD)
    found = cv2.morphologyEx(found.astype(np.uint8), cv2.MORPH_OPEN, disk(2)) > 0
    floor = _fill_small(_touching(found, foot), 0.002)
    return floor, _clarity(small, floor)


def _unlike(small: Pixels, foot: Mask, above: Mask) -> Mask:
    """Pixels whose colour is commoner at the photo's foot than above the horizon; the commoner half at least."""
    lab = to_lab(small)
    bins = [np.clip((lab[..., c] + o) / s, 0, 15).astype(int) for c, o, s in ((0, 0, 6.5), (1, 64, 8), (2, 64, 8))]
    key = bins[0] * 256 + bins[1] * 16 + bins[2]
    low = np.bincount(key[foot], minlength=4096).reshape(16, 16, 16).astype(np.float32)
    high = np.bincount(key[above], minlength=4096).reshape(16, 16, 16).astype(np.float32)
    low, high = (ndimage.gaussian_filter(h, 0.7) / max(h.sum(), 1.0) for h in (low, high))
    ratio = (low / (high + 1e-5)).ravel()[key]
    limit = min(1.5, float(np.median(ratio[foot]))) if foot.any() else 0.0
    return np.asarray(ratio >= limit)


def _touching(mask: Mask, seed: Mask) -> Mask:
    """Connected parts of a mask that meet a seed."""
    labels, _ = ndimage.label(mask)
    wanted = np.unique(labels[seed & mask])
    return np.asarray(np.isin(labels, wanted[wanted > 0]))


def _fill_small(mask: Mask, share: float) -> Mask:
    """Fills enclosed holes smaller than a share of the picture."""
    labels, count = ndimage.label(~mask)
    if count == 0:
        return mask
    sizes = np.bincount(labels.ravel())
    small = sizes < share * mask.size
    small[0] = False
    return np.asarray(mask | small[labels])


def _clarity(small: Pixels, floor: Mask) -> float:
    """0..1: median colour step across the floor's outline."""
    if floor.mean() < 0.02:
        return 0.0
    lab = to_lab(small)
    solid = floor.astype(np.uint8)
    inner, outer = cv2.erode(solid, disk(2)).astype(np.float32), cv2.erode(1 - solid, disk(2)).astype(np.float32)
    means = [cv2.blur(lab * s[..., None], (11, 11)) / np.maximum(cv2.blur(s, (11, 11)), 1e-4)[..., None] for s in (inner, outer)]
    rim = (cv2.dilate(solid, disk(1)) - solid) > 0
    rim[-4:] = False
    if not rim.any():
        return 0.0
    return float(np.clip(np.median(np.linalg.norm(means[0] - means[1], axis=2)[rim]) / 22.0, 0.0, 1.0))


def _calm_areas(small: Pixels) -> Mask:
    """Pixels without an edge nearby; edges are judged against the picture's own contrast."""
    lab = to_lab(small)
    steps = [np.hypot(cv2.Sobel(lab[..., c], cv2.CV_32F, 1, 0), cv2.Sobel(lab[..., c], cv2.CV_32F, 0, 1)) / 8 for c in range(3)]
    step = np.sqrt(sum(s * s for s in steps))
    return np.asarray(step < float(np.clip(1.6 * np.median(step), 0.9, 2.2)))


def _wall_distance(floor: Mask, distance: Float) -> float:
    """How far the floor reaches (m): the far end of what is visible of it."""
    seen = distance[floor]
    return float(np.clip(np.percentile(seen, 99.0), 2.0, 8.0)) if seen.size > 50 else 4.0


def _ceiling_and_wall(small: Pixels, calm: Mask, elevation: Float, wall_m: float, eye_m: float) -> tuple[Mask, Mask]:
    """Large calm areas: ceiling where they touch the top above a ceiling's height, wall where they reach eye level's surroundings."""
    ceiling_from = np.degrees(np.arctan2(CEILING_M - eye_m, wall_m))
    labels, count = ndimage.label(calm)
    ceiling, wall = np.zeros(calm.shape, bool), np.zeros(calm.shape, bool)
    sizes = np.bincount(labels.ravel(), minlength=count + 1)
    for label in np.flatnonzero(sizes >= 0.004 * calm.size):
        if label == 0:
            continue
        part = labels == label
        middle = float(np.median(elevation[part]))
        if part[0].sum() > 0.05 * calm.shape[1] and middle > ceiling_from:
            ceiling |= part
        elif middle > -14.0 and float(elevation[part].max()) > -2.0:
            wall |= part
    grown = cv2.morphologyEx(wall.astype(np.uint8), cv2.MORPH_CLOSE, disk(2)) > 0
    return ceiling, _fill_small(grown & ~ceiling, 0.004)


def _things(floor: Mask, wall: Mask, ceiling: Mask) -> Mask:
    """What is none of these and is more than a seam between them."""
    rest = ~(floor | wall | ceiling)
    return np.asarray(cv2.morphologyEx(rest.astype(np.uint8), cv2.MORPH_OPEN, disk(2)) > 0)


def _openings(small: Pixels, regions: Pixels, elevation: Float) -> Mask:
    """Windows, roughly: things off the floor that are far brighter, bluer or darker than the wall, with straight flanks."""
    light = to_lab(small)
    wall = regions == REGION.WALL
    found = np.zeros(wall.shape, bool)
    if not wall.any():
        return found
    level = float(np.median(light[..., 0][wall]))
    labels, count = ndimage.label((regions == REGION.FURNITURE) | (wall & (light[..., 0] > max(88.0, level + 14.0))))
    for label, box in enumerate(ndimage.find_objects(labels), start=1):
        part = labels[box] == label
        if part.sum() < 0.008 * wall.size or float(elevation[box][part].min()) < -22.0:
            continue
        bright = float(np.percentile(light[box][..., 0][part], 80)) > level + 8.0
        if bright and part.mean() > 0.6:
            found[box] |= part
    return found


__all__ = ["REGION", "read_regions"]
