"""Which pixels of a room photo are floor, wall, ceiling, an opening, or things that stand or hang in it.

Geometry and colour only, no learned model: imaging.floor finds the floor; walls are the large calm areas above.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from imaging.boundaries import Boundaries
from imaging.colour import disk, fit_within, resize, to_lab
from imaging.floor import find_floor
from imaging.frames import enclosed_areas, framed_areas
from imaging.geometry import Camera
from imaging.labels import REGION
from imaging.layout import fit_layout
from imaging.legs import under_legs, upright_edges
from imaging.openings import LEAST_WINDOW_M2, ceiling_height, fill_frames, find_frames
from imaging.vanishing import Manhattan
from imaging.walls import Wall, find_walls, nearest_wall

Pixels = NDArray[np.uint8]
Mask = NDArray[np.bool_]
Float = NDArray[np.float32]
Wide = NDArray[np.float64]
WORKING_SIDE = 400
# Share of the photo from which a calm area counts as wall by itself; slope of a ray to what is at knee height.
WALL_DELTA, LARGE_WALL, KNEE, LOWEST_WINDOW = 9.0, 0.04, -0.25, -0.4
HIGH_CEILING_M = 2.75
# A fine pattern: how far it is blurred, how even it is then, how much of it is calm before, and its share of the photo.
BLUR_PX, EVEN_STEP, MOST_CALM, LARGE_PATTERN = 5.0, 0.7, 0.7, 0.02
LOWEST_SILL_M = 0.5
# How far (m) behind a sure and a guessed wall floor is no longer believed.
BEHIND_WALL_M = 0.15, 0.4
# A hole in a wall that is at least so wide is a shelf or the like if a level edge runs along this share of its width.
LEAST_SHELF_PX, SHELF_EDGED = 16, 0.8


@dataclass(frozen=True, eq=False)
class Reading:
    """The region map at working size, how clearly (0..1) the floor stands out, the walls, the ceiling's height (m)."""

    regions: Pixels
    floor_clarity: float
    walls: list[Wall]
    ceiling_m: float | None


def read_regions(pixels: Pixels, camera: Camera, lines: Manhattan) -> Reading:
    """What the pixels of an upright photo (H, W, 3) show."""
    height, width = pixels.shape[:2]
    size = fit_within(width, height, WORKING_SIDE)
    scale = size[0] / width
    plain = resize(pixels, size)
    small = _calmed(plain)
    distance, rays = _view(camera, size, scale)
    floor, clarity = _floor(small, distance, lines, scale)
    calm = _calm_areas(small)
    regions = np.full(floor.shape, REGION.OTHER, np.uint8)
    like_wall = _wall_like(small, calm & ~floor, np.asarray(rays[..., 1], dtype=np.float32))
    framed = framed_areas(lines, scale, size) | enclosed_areas(like_wall, floor, lines.segments * scale)
    walls, ceiling_m = _planes(plain, like_wall, floor, camera, lines)
    floor &= ~_behind_walls(walls, rays, camera)
    ceiling, wall = _ceiling_and_wall(
        small, like_wall, floor, rays, walls, (ceiling_m or HIGH_CEILING_M) - camera.height_m,
        _draw(lines, scale, size, axis=0) | _draw(lines, scale, size, axis=1),
    )  # fmt: skip
    frames = find_frames(lines, walls, camera)
    doors = fill_frames(frames, "door", scale, size) & ~floor
    windows = fill_frames(frames, "window", scale, size) & ~floor
    wall &= ~framed & ~doors & ~windows
    things = _things(floor, wall, ceiling)
    regions[things] = REGION.FURNITURE
    regions[wall], regions[ceiling], regions[floor] = REGION.WALL, REGION.CEILING, REGION.FLOOR
    beneath, carried = under_legs(floor, things, lines, camera, scale)
    regions[beneath], regions[carried] = REGION.UNDER, REGION.FURNITURE
    open_to = _openings(small, regions, rays, camera, walls) | doors | windows
    regions[open_to] = REGION.OPENING
    # A frame and a reveal belong to their window, however calm and wall-coloured they are.
    rim = cv2.dilate(open_to.astype(np.uint8), disk(4)) > 0
    regions[rim & (regions == REGION.WALL)] = REGION.OPENING
    return Reading(regions, clarity, walls, ceiling_m)


def floor_area(pixels: Pixels, camera: Camera, lines: Manhattan, side: int) -> tuple[Mask, float]:
    """(floor, 0..1 how clearly it stands out) at some size, before anything is known of what stands on it."""
    size = fit_within(pixels.shape[1], pixels.shape[0], side)
    scale = size[0] / pixels.shape[1]
    return _floor(_calmed(resize(pixels, size)), _view(camera, size, scale)[0], lines, scale)


def _behind_walls(walls: list[Wall], rays: Wide, camera: Camera) -> Mask:
    """Pixels at which the floor would lie behind a wall: there it is hidden by what stands before the wall."""
    behind = np.zeros(rays.shape[:2], bool)
    reach = camera.height_m / np.maximum(-rays[..., 1], 1e-6)
    for wall in walls:
        beyond = (rays[..., 0] * wall.nx + rays[..., 2] * wall.nz) * reach - wall.distance_m
        behind |= beyond > BEHIND_WALL_M[0] + (1.0 - wall.support) * (BEHIND_WALL_M[1] - BEHIND_WALL_M[0])
    return behind


def _calmed(plain: Pixels) -> Pixels:
    """The photo at working size without its grain."""
    return np.asarray(cv2.bilateralFilter(plain, 7, 30, 5))


def _floor(small: Pixels, distance: Float, lines: Manhattan, scale: float) -> tuple[Mask, float]:
    upright = _draw(lines, scale, (small.shape[1], small.shape[0]), axis=2)
    return find_floor(small, distance, upright, upright_edges(lines) * scale)


def _view(camera: Camera, size: tuple[int, int], scale: float) -> tuple[Float, Wide]:
    """Per pixel: forward distance of the floor (99 above the horizon), and the ray in the room's frame (H, W, 3)."""
    y, x = np.mgrid[0 : size[1], 0 : size[0]]
    centres = (np.stack([x.ravel(), y.ravel()], axis=1) + 0.5) / scale
    forward = camera.floor_points(centres)[:, 1].reshape(size[1], size[0])
    return np.where(np.isnan(forward), 99.0, forward).astype(np.float32), camera.rays(centres).reshape(
        size[1], size[0], 3
    )


def _draw(lines: Manhattan, scale: float, size: tuple[int, int], axis: int) -> Mask:
    """Segments of one direction, 3 px thick, at working size."""
    canvas = np.zeros((size[1], size[0]), np.uint8)
    for x0, y0, x1, y1 in lines.segments[lines.axis == axis] * scale:
        if np.hypot(x1 - x0, y1 - y0) > 0.03 * max(size):
            cv2.line(canvas, (int(x0), int(y0)), (int(x1), int(y1)), 1, 3)
    return canvas > 0


def _fill_small(mask: Mask, share: float, edges: Mask) -> Mask:
    """Fills enclosed holes smaller than a share of the picture, unless an edge runs through most of their length."""
    labels, count = ndimage.label(~mask)
    if count == 0:
        return mask
    sizes = np.bincount(labels.ravel())
    small = sizes < share * mask.size
    small[0] = False
    for label, box in enumerate(ndimage.find_objects(labels), start=1):
        width = box[1].stop - box[1].start
        if small[label] and width >= LEAST_SHELF_PX:
            small[label] = (edges[box] & (labels[box] == label)).any(axis=0).mean() < SHELF_EDGED
    return np.asarray(mask | small[labels])


def _calm_areas(small: Pixels) -> Mask:
    """Pixels without an edge nearby, for the picture's own contrast, and large areas of an even fine pattern.

    Bricks and tiles have edges everywhere; seen through half-closed eyes they are as calm as paint.
    """
    lab = to_lab(small)
    step = _steepness(lab)
    calm = np.asarray(step < float(np.clip(1.6 * np.median(step), 0.9, 2.2)))
    labels, count = ndimage.label(_steepness(cv2.GaussianBlur(lab, (0, 0), BLUR_PX)) < EVEN_STEP)
    sizes = np.bincount(labels.ravel(), minlength=count + 1)
    calm_share = np.bincount(labels.ravel(), calm.ravel(), count + 1) / np.maximum(sizes, 1)
    patterned = (sizes > LARGE_PATTERN * calm.size) & (calm_share < MOST_CALM)
    patterned[0] = False
    return np.asarray(calm | (cv2.dilate(patterned[labels].astype(np.uint8), disk(int(BLUR_PX))) > 0))


def _steepness(lab: Float) -> Float:
    """Colour change per pixel (H, W)."""
    slopes = [cv2.Sobel(lab[..., c], cv2.CV_32F, *along) for c in range(3) for along in ((1, 0), (0, 1))]
    return np.asarray(np.sqrt(sum(s * s for s in slopes)) / 8)


def _planes(
    plain: Pixels, like_wall: Mask, floor: Mask, camera: Camera, lines: Manhattan
) -> tuple[list[Wall], float | None]:
    """The walls and the ceiling's height, by the edges where they tell the room's directions, else by the floor."""
    scale = floor.shape[1] / (2 * camera.cx)
    yaw = lines.trusted_yaw
    if yaw is not None:
        layout = fit_layout(Boundaries(plain, floor, like_wall, lines.segments, camera, scale, yaw))
        return layout.walls, layout.ceiling_m
    draft = np.full(floor.shape, REGION.OTHER, np.uint8)
    draft[like_wall], draft[floor] = REGION.WALL, REGION.FLOOR
    walls = find_walls(draft, camera, scale)
    return walls, ceiling_height(lines, walls, camera)


def _ceiling_and_wall(
    small: Pixels, like_wall: Mask, floor: Mask, rays: Wide, walls: list[Wall], above_eye_m: float, level: Mask
) -> tuple[Mask, Mask]:
    """Calm areas off the floor, told apart by what their rays meet first: walls, or a ceiling so high above the eye.

    level (H, W) are drawn level edges.
    """
    reach = np.full(floor.shape, np.inf)
    for wall in walls:
        towards = rays[..., 0] * wall.nx + rays[..., 2] * wall.nz
        reach = np.minimum(reach, np.where(towards > 1e-6, wall.distance_m / np.maximum(towards, 1e-6), np.inf))
    overhead = rays[..., 1] * np.where(np.isfinite(reach), reach, 8.0) > above_eye_m
    like_wall = like_wall & ~floor
    wall_part = _grown_by_colour(small, like_wall & ~overhead, ~overhead & ~floor)
    return like_wall & overhead, _fill_small(wall_part, 0.004, level)


def _wall_like(small: Pixels, calm: Mask, up: Float) -> Mask:
    """Calm areas mostly above knee height: the large ones, and smaller ones of a large one's colour."""
    lab = to_lab(small)
    labels, count = ndimage.label(calm)
    every = np.arange(count + 1)
    shares = np.bincount(labels.ravel(), minlength=count + 1) / calm.size
    with np.errstate(invalid="ignore"):  # where all is calm, label 0 is nowhere
        high = np.asarray(ndimage.mean(up > KNEE, labels, every))
        colours = np.stack([np.asarray(ndimage.mean(lab[..., c], labels, every)) for c in range(3)], axis=1)
    usable = (every > 0) & (high > 0.6)
    large = usable & (shares >= LARGE_WALL)
    if not large.any():
        large = usable & (shares >= 0.3 * LARGE_WALL)
    gaps = np.linalg.norm(colours[:, None] - colours[None, large], axis=2)
    alike = gaps.min(axis=1) < 15.0 if large.any() else np.zeros(count + 1, bool)
    return np.asarray((large | (usable & (shares >= 0.004) & alike))[labels])


def _grown_by_colour(small: Pixels, wall: Mask, allowed: Mask) -> Mask:
    """The wall with neighbouring pixels of its own local colour (seams, shadows, fine pattern)."""
    lab = to_lab(small)
    weight = cv2.blur(wall.astype(np.float32), (31, 31))
    mean = cv2.blur(lab * wall[..., None].astype(np.float32), (31, 31)) / np.maximum(weight, 1e-4)[..., None]
    near = (np.linalg.norm(lab - mean, axis=2) < WALL_DELTA) & (weight > 0.15) & allowed
    return np.asarray(cv2.morphologyEx((wall | near).astype(np.uint8), cv2.MORPH_CLOSE, disk(1)) > 0) & allowed


def _things(floor: Mask, wall: Mask, ceiling: Mask) -> Mask:
    """What is none of these and is more than a seam between them."""
    rest = ~(floor | wall | ceiling)
    return np.asarray(cv2.morphologyEx(rest.astype(np.uint8), cv2.MORPH_OPEN, disk(2)) > 0)


def _openings(small: Pixels, regions: Pixels, rays: Wide, camera: Camera, walls: list[Wall]) -> Mask:
    """Windows, roughly: compact things off the floor that are brighter than the wall and larger than a picture."""
    light = to_lab(small)
    wall = regions == REGION.WALL
    found = np.zeros(wall.shape, bool)
    if not wall.any():
        return found
    level = float(np.median(light[..., 0][wall]))
    labels, _ = ndimage.label((regions == REGION.FURNITURE) | (wall & (light[..., 0] > max(88.0, level + 14.0))))
    for label, box in enumerate(ndimage.find_objects(labels), start=1):
        part = labels[box] == label
        slope = float((rays[box][..., 1] / np.hypot(rays[box][..., 0], rays[box][..., 2]))[part].min())
        if part.sum() < 0.008 * wall.size or slope < LOWEST_WINDOW or part.mean() <= 0.6:
            continue
        bright = float(np.percentile(light[box][..., 0][part], 80)) > level + 8.0
        if bright and _square_metres(part, rays[box], camera, walls) > LEAST_WINDOW_M2:
            _, reach = nearest_wall(walls, rays[box][part].mean(axis=0))
            found[box] |= part & (camera.height_m + rays[box][..., 1] * reach > LOWEST_SILL_M)
    return found


def _square_metres(part: Mask, rays: Wide, camera: Camera, walls: list[Wall]) -> float:
    """Size of an area as if it lay on the wall behind it."""
    _, reach = nearest_wall(walls, rays[part].mean(axis=0))
    pixel = 2 * camera.cx / camera.focal_px * reach  # width of the photo at that distance, m
    return float(part.sum()) * (pixel / WORKING_SIDE) ** 2 if np.isfinite(reach) else 0.0


__all__ = ["Reading", "floor_area", "read_regions"]
