"""Lays a picture that a model painted over the photo it was made from: where each pixel of the photo shows in it.

Models answer in sizes of their own, shift, zoom, squeeze or tilt by a little, and now and then crop or add bars.

1. Both are brought to one small canvas, so that the identity is a plain resize.
2. Corners of the room (ORB, Rublee et al. 2011) outside of the product's surroundings give a first affine map.
3. It is refined on textured blocks there, each laid over its counterpart by phase correlation (Kuglin and Hines 1975),
   which does not care about brightness and contrast: an affine map, then a homography, that fit all of them by least
   squares with Tukey's weights against outliers (Beaton and Tukey 1974). What counts as an outlier narrows round by
   round (graduated non-convexity, Blake and Zisserman 1987): blocks along straight edges are content with many maps,
   and would at once outvote the few at corners that know better. A choice among few blocks would change with noise.
4. What the blocks are still apart then is the residual, whatever the map says.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from imaging.colour import fit_within

Pixels = NDArray[np.uint8]
Mask = NDArray[np.bool_]
Float = NDArray[np.float32]
Matrix = NDArray[np.float64]
SIDE, FEATURES, MATCH_RATIO, LEAST_MATCHES, REACH = 640, 1500, 0.8, 12, 3.0
# How far (px) a block may be off and still have a say, round by round: the many that lie along straight edges would
# outvote the few at corners before the map is nearly right.
REACHES = (24.0, 12.0, 6.0, 0.0, 0.0)
# Blocks (px of the canvas) that have texture (levels) and give a clear peak tell how far the pictures are apart.
BLOCK, TEXTURE, PEAK = 48, 6.0, 0.15
# Tilts are small (per half a long side) beside what a block tells (px); a homography that moves a corner further than
# this share of the long side from the affine map is none. Weights: steps, least scale (px), reach in scales.
USUAL_TILT, NO_TILT, BLOCK_ERROR, MOST_TILT = 0.02, 1e-5, 0.1, 0.03
STEPS, LEAST_SCALE, TUKEY = 8, 0.15, 4.685


@dataclass(frozen=True, eq=False)
class Registration:
    """How a picture lies on the photo. `matrix` (3, 3) leads from the photo's pixels to the picture's.

    shift_px: how far the photo's middle is off a plain resize, in px of the photo. scale: its size in the picture
    against one that fills it. stretch: width against height. turn_deg: rotation. coverage: share of the photo that the
    picture shows. filled: share of the picture that shows the photo. residual_px: median distance that is left, in px
    of the photo. correlation: of luma where the pictures should be alike, -1 to 1.
    """

    matrix: Matrix
    shift_px: float
    scale: float
    stretch: float
    turn_deg: float
    coverage: float
    filled: float
    residual_px: float
    correlation: float
    method: str


def register(picture: Pixels, room: Pixels, ignore: Mask) -> Registration:
    """Finds how a picture (any size) lies on a room (H, W, 3); the mask (H, W) is where they may differ."""
    size = fit_within(room.shape[1], room.shape[0], SIDE)
    small, shown = _grey(room, size), _grey(picture, size)
    alike = cv2.resize(ignore.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST) == 0
    start, method = _by_corners(small, shown, alike), "corners"
    plain = np.eye(3)
    if start is None or _likeness(small, shown, plain, alike) >= _likeness(small, shown, start, alike):
        start, method = plain, "plain"
    found = _refined(small, shown, start, alike)
    if found is not None:
        start, method = found, "blocks"
    return _described(start, method, small, shown, alike, room.shape, picture.shape)


def laid_over(picture: Pixels, registration: Registration, shape: tuple[int, ...]) -> tuple[Pixels, Mask]:
    """The picture as the photo would show it (H, W, 3), and where it shows anything at all (H, W)."""
    size = shape[1], shape[0]
    shrinking = picture.shape[1] > 1.5 * shape[1]
    source = cv2.GaussianBlur(picture, (0, 0), 0.4 * picture.shape[1] / shape[1]) if shrinking else picture
    flags = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
    warped = cv2.warpPerspective(source, registration.matrix, size, flags=flags, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(warped, np.uint8), _inside(registration.matrix, shape, picture.shape)


def _grey(pixels: Pixels, size: tuple[int, int]) -> Float:
    grey = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)
    way = cv2.INTER_AREA if pixels.shape[1] > size[0] else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(grey, size, interpolation=way), np.float32)


def _by_corners(room: Float, picture: Float, alike: Mask) -> Matrix | None:
    """The affine map (3, 3) that most corners agree on, or None where too few do."""
    orb = cv2.ORB.create(FEATURES, fastThreshold=7)
    grey = [np.clip(each, 0, 255).astype(np.uint8) for each in (room, picture)]
    points, words = orb.detectAndCompute(grey[0], alike.astype(np.uint8) * 255)
    others, names = orb.detectAndCompute(grey[1], None)
    if words is None or names is None or len(others) < 2:
        return None
    pairs = [pair for pair in cv2.BFMatcher(cv2.NORM_HAMMING).knnMatch(words, names, k=2) if len(pair) == 2]
    good = [first for first, second in pairs if first.distance < MATCH_RATIO * second.distance]
    if len(good) < LEAST_MATCHES:
        return None
    ours = np.array([points[match.queryIdx].pt for match in good])
    theirs = np.array([others[match.trainIdx].pt for match in good])
    found, inliers = cv2.estimateAffine2D(ours, theirs, method=cv2.RANSAC, ransacReprojThreshold=REACH)
    if found is None or inliers.sum() < max(LEAST_MATCHES, 0.2 * len(good)):
        return None
    return np.vstack([found, [0.0, 0.0, 1.0]])


def _refined(room: Float, picture: Float, start: Matrix, alike: Mask) -> Matrix | None:
    """The map that the blocks' remaining distances agree on, in a few rounds; None where too few blocks tell."""
    matrix = flat = start
    for turn, reach in enumerate(REACHES):
        # Once the map is nearly right, blocks near the product tell as well: what is not the room there is an outlier.
        ours, apart, sure = _blocks(room, picture, matrix, alike if reach else np.ones_like(alike))
        if len(ours) < LEAST_MATCHES:
            return None
        theirs = _moved(matrix, ours + apart)
        flat = _fitted(ours, theirs, sure, matrix, room.shape, reach, NO_TILT)
        matrix = _fitted(ours, theirs, sure, matrix, room.shape, reach, USUAL_TILT) if turn else flat
        if not np.isfinite(matrix).all():
            return None
    corners = _frame(room.shape)
    away = np.linalg.norm(_moved(flat, corners) - _moved(matrix, corners), axis=1).max()
    return matrix if away <= MOST_TILT * max(room.shape) else flat


def _fitted(
    ours: Matrix, theirs: Matrix, sure: Matrix, start: Matrix, shape: tuple[int, ...], least: float, tilt: float
) -> Matrix:
    """The homography (3, 3) that leads points (N, 2) nearest to others: Gauss-Newton with Tukey's weights.

    `sure` (N, 2, 2) weighs a distance by the directions in which a block has texture.
    """
    half = max(shape) / 2
    whole = np.array([[1 / half, 0.0, -shape[1] / 2 / half], [0.0, 1 / half, -shape[0] / 2 / half], [0.0, 0.0, 1.0]])
    points = np.column_stack([_moved(whole, ours), np.ones(len(ours))])
    matrix = start @ np.linalg.inv(whole)
    values = (matrix / matrix[2, 2]).ravel()[:8]
    for _ in range(STEPS):
        depth = points[:, :2] @ values[6:] + 1.0
        seen = np.column_stack([points @ values[:3], points @ values[3:6]]) / depth[:, None]
        rest = np.einsum("nij,nj->ni", sure, theirs - seen)
        far = np.linalg.norm(rest, axis=1)
        reach = max(least, TUKEY * max(LEAST_SCALE, 1.4826 * float(np.median(far))))
        weight = np.clip(1.0 - (far / reach) ** 2, 0.0, None)[:, None]
        near = points / depth[:, None]
        none = np.zeros_like(near)
        slopes = np.stack([
            np.column_stack([near, none, -seen[:, :1] * near[:, :2]]),
            np.column_stack([none, near, -seen[:, 1:] * near[:, :2]]),
        ], axis=1)  # fmt: skip
        slopes = np.einsum("nij,njk->nik", sure, slopes) * weight[..., None]
        prior = np.zeros((2, 8))
        prior[0, 6] = prior[1, 7] = BLOCK_ERROR / tilt
        wanted = np.concatenate([(rest * weight).ravel(), -prior @ values])
        values = values + np.linalg.lstsq(np.vstack([slopes.reshape(-1, 8), prior]), wanted, rcond=None)[0]
    return np.asarray(np.append(values, 1.0).reshape(3, 3) @ whole, np.float64)


def _blocks(room: Float, picture: Float, matrix: Matrix, alike: Mask) -> tuple[Matrix, Matrix, Matrix]:
    """Blocks of the room: their middles (N, 2), how far each is off in the picture laid over it (N, 2), in px, and how
    surely that is told (N, 2, 2): along an edge nothing is."""
    height, width = room.shape
    warped = cv2.warpPerspective(picture, matrix, (width, height), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)
    seen = alike & _inside(matrix, room.shape, picture.shape)
    window = cv2.createHanningWindow((BLOCK, BLOCK), cv2.CV_32F)
    middles, apart = [], []
    for top in range(0, height - BLOCK + 1, BLOCK // 2):
        for left in range(0, width - BLOCK + 1, BLOCK // 2):
            part = np.s_[top : top + BLOCK, left : left + BLOCK]
            if seen[part].all() and room[part].std() > TEXTURE:
                (dx, dy), peak = cv2.phaseCorrelate(room[part].copy(), warped[part].copy(), window)
                if peak > PEAK:
                    middles.append((left + BLOCK / 2, top + BLOCK / 2))
                    apart.append((dx, dy))
    found = np.array(middles, np.float64).reshape(-1, 2)
    return found, np.array(apart, np.float64).reshape(-1, 2), _told(room, found)


def _told(room: Float, middles: Matrix) -> Matrix:
    """How surely (N, 2, 2) blocks tell a distance in each direction: the root of their structure tensor, at most 1."""
    across, below = (cv2.Sobel(room, cv2.CV_32F, *axes) for axes in ((1, 0), (0, 1)))
    rows, columns = middles[:, 1].astype(int), middles[:, 0].astype(int)
    energy = [
        cv2.boxFilter(each, -1, (BLOCK, BLOCK))[rows, columns]
        for each in (across * across, across * below, below * below)
    ]
    tensor = np.stack([energy[0], energy[1], energy[1], energy[2]], axis=1).reshape(-1, 2, 2).astype(np.float64)
    sizes, ways = np.linalg.eigh(tensor)
    share = np.sqrt(np.clip(sizes, 0.0, None) / np.maximum(sizes[:, 1:], 1e-6))
    return np.asarray(np.einsum("nij,nj,nkj->nik", ways, share, ways), np.float64)


def _likeness(room: Float, picture: Float, matrix: Matrix, alike: Mask) -> float:
    """Correlation of luma where the room should be unchanged and the picture shows it."""
    height, width = room.shape
    warped = cv2.warpPerspective(picture, matrix, (width, height), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)
    seen = alike & _inside(matrix, room.shape, picture.shape)
    if seen.sum() < 0.05 * alike.size:
        return -1.0
    one, two = (cv2.GaussianBlur(each, (0, 0), 1.0)[seen] for each in (room, warped))
    spread = float(one.std() * two.std())
    return float(((one - one.mean()) * (two - two.mean())).mean() / spread) if spread > 1e-3 else 0.0


def _moved(matrix: Matrix, points: Matrix) -> Matrix:
    return np.asarray(cv2.perspectiveTransform(points.reshape(1, -1, 2), matrix)[0], np.float64)


def _inside(matrix: Matrix, shape: tuple[int, ...], picture: tuple[int, ...]) -> Mask:
    """Where (H, W) of the photo the picture shows it."""
    corners = _moved(np.asarray(np.linalg.inv(matrix), np.float64), _frame(picture))
    covered = np.zeros(shape[:2], np.uint8)
    cv2.fillPoly(covered, [np.rint(np.clip(corners, -30000, 30000)).astype(np.int32)], 1)
    return np.asarray(covered > 0)


def _described(
    small: Matrix, method: str, room: Float, picture: Float, alike: Mask, photo: tuple[int, ...], own: tuple[int, ...]
) -> Registration:
    """The map at full size, and what it means."""
    height, width = room.shape
    up, down = _scaling(own[1] / width, own[0] / height), _scaling(width / photo[1], height / photo[0])
    matrix = up @ small @ down
    matrix /= matrix[2, 2]
    across, below = photo[1] / 2, photo[0] / 2
    middle = np.array([[across, below], [across + 1, below], [across, below + 1]])
    spot = _moved(matrix, middle)
    right, lower = spot[1] - spot[0], spot[2] - spot[0]
    plain = np.array([own[1] / photo[1], own[0] / photo[0]])
    away = (spot[0] + 0.5) / plain - middle[0] - 0.5
    wide, high = float(np.linalg.norm(right)), float(np.linalg.norm(lower))
    fits = abs(cv2.contourArea(_moved(matrix, _frame(photo)).astype(np.float32)))
    shown = float(_inside(matrix, photo, own).mean())
    return Registration(
        matrix=matrix,
        shift_px=float(np.linalg.norm(away)),
        scale=float(np.sqrt(wide * high / (plain[0] * plain[1]))),
        stretch=wide / high,
        turn_deg=float(np.degrees(np.arctan2(right[1], right[0]))),
        coverage=shown,
        filled=min(1.0, float(fits) * shown / (own[0] * own[1])),
        residual_px=_residual(room, picture, small, alike) * photo[1] / width,
        correlation=_likeness(room, picture, small, alike),
        method=method,
    )


def _scaling(across: float, below: float) -> Matrix:
    """A resize as it moves the middles of pixels."""
    return np.array([[across, 0.0, (across - 1.0) / 2], [0.0, below, (below - 1.0) / 2], [0.0, 0.0, 1.0]])


def _frame(shape: tuple[int, ...]) -> Matrix:
    return np.array([[0, 0], [shape[1], 0], [shape[1], shape[0]], [0, shape[0]]], np.float64)


def _residual(room: Float, picture: Float, matrix: Matrix, alike: Mask) -> float:
    """Median distance (px) between blocks of both, laid over each other; half a block where none can tell."""
    _, apart, sure = _blocks(room, picture, matrix, alike)
    apart = np.einsum("nij,nj->ni", sure, apart)
    return float(np.median(np.linalg.norm(apart, axis=1))) if len(apart) >= 4 else BLOCK / 2


__all__ = ["Registration", "laid_over", "register"]
