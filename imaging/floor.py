"""Which pixels of a room photo are floor: what is like the floor near it, bounded by edges, and rises nowhere.

1. The photo's foot is floor wherever its colours are not those above the horizon.
2. From there colours are compared with the floor and the rest nearby, not everywhere: lamps and daylight change a floor
   from one end to the other. The cheapest cut along edges gives the strict floor.
3. A rug in front hides what the floor beyond it looks like. A second, generous cut also takes colours seen nowhere
   else; of what it adds only that is kept which has no upright edges.
"""

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from imaging.colour import disk, to_lab
from imaging.superpixels import SURE, Patches, cheapest_cut, find_patches

Pixels = NDArray[np.uint8]
Mask = NDArray[np.bool_]
Float = NDArray[np.float32]
Wide = NDArray[np.float64]
NEAR_FLOOR_M, FAR_FLOOR_M = 4.5, 9.0
EVEN_LEVELS = 3.0  # standard deviation in levels of 256
PITCH_PX, ROUNDS = 8, 4
# Two colours (Lab) are alike within LIKE, and count fully within NEARBY of the photo's width, by ANYWHERE elsewhere.
LIKE, NEARBY, ANYWHERE = 3.0, 0.25, 0.1
# A patch's leaning per pixel: by its colour (at most LOUDEST), by upright edges close by, by distance alone.
COLOUR_WEIGHT, LOUDEST, UPRIGHT_WEIGHT, UPRIGHT_PX, UNKNOWN, GENEROUS = 0.1, 3.0, 1.0, 4.0, 0.015, 0.03
BOND, LEAST_BOND, EDGE = 3.0, 0.2, 5.0
# What the generous cut adds is floor below this share of upright edges, and from this share of the photo.
MOST_UPRIGHT, LEAST_ADDED = 0.015, 0.001
# The least share of the photo of a rug or a floor that things stand on.
LEAST_RUG = 0.03
CLEAR_STEP, USUAL_RANGE = 22.0, 60.0
# A spot in the floor that is mostly of other hues (Lab) than all around it stands on it.
LARGEST_HOLE, LARGEST_THING, LEAST_THING_PX, HUE_STEP, MOSTLY, ODD, SAMPLED = (
    0.06,
    0.015,
    60,
    12.0,
    0.5,
    (0.02, 0.008),
    150,
)


def find_floor(small: Pixels, distance: Float, upright: Mask, edges: Wide) -> tuple[Mask, float]:
    """The visible floor, rugs included, and how clearly (0..1) it stands out.

    small (H, W, 3) is the smoothed photo at working size, distance (H, W; m) how far ahead the floor is there, upright
    (H, W) the drawn upright edges, edges (N, 2, 2) the ends of those that could be legs, lower ones first.
    """
    foot = _foot(distance, upright)
    far = distance > FAR_FLOOR_M
    # One even surface has no floor to be told from anything.
    if not foot.any() or not far.any() or small.std(axis=(0, 1)).max() < EVEN_LEVELS:
        return np.zeros(distance.shape, bool), 0.0
    lab = to_lab(small)
    patches = find_patches(small, lab, PITCH_PX)
    leaning = _Leaning.of(patches, lab, distance, upright, foot & _unlike(lab, foot, far))
    strict = _whole(leaning.cut(0.0)[patches.labels], foot)
    generous = _whole(leaning.cut(GENEROUS)[patches.labels], foot)
    flat = _flat(generous & ~strict, upright, edges)
    floor = _fill_flat_holes(strict | flat, upright)
    plain = floor & ~ndimage.binary_fill_holes(flat)
    for limit in ODD:
        odd = leaning.unlike(strict, limit)[patches.labels] & plain
        floor &= ~_coloured(odd, floor & ~odd, lab)
    return floor, _clarity(lab, floor)


class _Leaning:
    """What speaks for and against each patch being floor."""

    def __init__(self, patches: Patches, alike: Float, far: Mask, near: Mask, seed: Mask, rises: Wide, never: Mask):
        self.patches, self.alike, self.far, self.near, self.seed = patches, alike, far, near, seed
        self.rises, self.never = rises, never
        across = np.exp(-0.5 * (patches.contrast / EDGE) ** 2)
        self.bond = patches.length * (BOND * across + LEAST_BOND)

    @classmethod
    def of(cls, patches: Patches, lab: Float, distance: Float, upright: Mask, seed: Mask) -> "_Leaning":
        soft = cv2.GaussianBlur(upright.astype(np.float32), (0, 0), UPRIGHT_PX)
        far = patches.mean(distance > FAR_FLOOR_M) > 0.5
        never = far | (patches.mean(upright) > 0.5)
        near = patches.mean(np.minimum(distance, 99.0)) < NEAR_FLOOR_M
        return cls(patches, _alike(patches, lab), far, near, patches.mean(seed) > 0.5, patches.mean(soft), never)

    def cut(self, unknown: float) -> Mask:
        """The patches that are floor; `unknown` is how much a near patch leans to it before its colour is known."""
        area = self.patches.area
        prior = np.where(self.near, unknown, -GENEROUS) - UPRIGHT_WEIGHT * self.rises
        floor, rest = self.seed, self.far
        for _ in range(ROUNDS):
            for_it, against = (
                self.alike @ m.astype(np.float32) / max(1.0, float(area[m].sum())) for m in (floor, rest)
            )
            colour = np.log((for_it + UNKNOWN) / (against + UNKNOWN)).clip(-LOUDEST, LOUDEST)
            leaning = (COLOUR_WEIGHT * colour + prior) * area
            leaning[self.seed], leaning[self.never] = SURE, -SURE
            before, floor = floor, self._joined(cheapest_cut(self.patches, leaning, self.bond))
            if (floor == before).all():
                break
            rest = ~floor
        return floor

    def _likeness(self, patches: Mask) -> Float:
        return self.alike @ patches.astype(np.float32) / max(1.0, float(self.patches.area[patches].sum())) + UNKNOWN

    def unlike(self, floor: Mask, limit: float) -> Mask:
        """Patches (count,) of a colour that hardly any floor (H, W) near them has."""
        share = self.patches.mean(floor) > 0.5
        return np.asarray(self._likeness(share) < limit + UNKNOWN)

    def _joined(self, floor: Mask) -> Mask:
        """Of these patches those that hang together with a seed."""
        first, second = self.patches.pairs[floor[self.patches.pairs].all(axis=1)].T
        size = self.patches.count
        _, group = connected_components(coo_matrix((np.ones(len(first)), (first, second)), (size, size)), False)
        return floor & np.isin(group, np.unique(group[self.seed & floor]))


def _foot(distance: Float, upright: Mask) -> Mask:
    height, width = distance.shape
    foot = np.zeros(distance.shape, bool)
    foot[int(height * 0.92) :, int(width * 0.15) : int(width * 0.85)] = True
    return np.asarray(foot & (distance < NEAR_FLOOR_M) & ~upright)


def _alike(patches: Patches, lab: Float) -> Float:
    """(count, count) how much each patch (column, by its area) tells of each other: near in colour and in the photo."""
    colour = patches.mean(lab).astype(np.float32)
    rows, columns = np.indices(patches.labels.shape, np.float32)
    place = np.stack([patches.mean(columns), patches.mean(rows)], axis=1).astype(np.float32) / lab.shape[1]
    alike = _fading(place, NEARBY)
    alike += np.float32(ANYWHERE)
    alike *= _fading(colour, LIKE)
    alike *= patches.area.astype(np.float32)
    return alike


def _fading(points: Float, reach: float) -> Float:
    """(N, N) from 1 where two points (N, D) are the same to 0 far beyond a reach: the Gaussian of their distance."""
    scaled = points / np.float32(reach)
    scaled -= scaled.mean(axis=0)
    half = np.float32(0.5) * (scaled * scaled).sum(axis=1)
    fading = scaled @ scaled.T
    fading -= half[:, None]
    fading -= half[None, :]
    return np.asarray(np.exp(np.minimum(fading, np.float32(0.0), out=fading), out=fading))


def _unlike(lab: Float, foot: Mask, above: Mask) -> Mask:
    """Pixels whose colour is commoner at the photo's foot than above the horizon; the commoner half at least."""
    bins = [np.clip((lab[..., c] + o) / s, 0, 15).astype(int) for c, o, s in ((0, 0, 6.5), (1, 64, 8), (2, 64, 8))]
    key = bins[0] * 256 + bins[1] * 16 + bins[2]
    low = np.bincount(key[foot], minlength=4096).reshape(16, 16, 16).astype(np.float32)
    high = np.bincount(key[above], minlength=4096).reshape(16, 16, 16).astype(np.float32)
    low, high = (ndimage.gaussian_filter(h, 0.7) / max(h.sum(), 1.0) for h in (low, high))
    ratio = (low / (high + 1e-5)).ravel()[key]
    return np.asarray(ratio >= min(1.5, float(np.median(ratio[foot]))))


def _whole(mask: Mask, seed: Mask) -> Mask:
    """A mask without slivers, and only its parts that meet the seed."""
    opened = cv2.morphologyEx(mask.astype(np.uint8), cv2.MORPH_OPEN, disk(2)) > 0
    labels, _ = ndimage.label(opened)
    wanted = np.unique(labels[seed & opened])
    return np.asarray(np.isin(labels, wanted[wanted > 0]))


def _flat(added: Mask, upright: Mask, edges: Wide) -> Mask:
    """The parts of a mask in and around which hardly any upright edge runs, and rugs that things stand on."""
    labels, count = ndimage.label(cv2.morphologyEx(added.astype(np.uint8), cv2.MORPH_OPEN, disk(2)))
    flat = np.zeros(count + 1, bool)
    for label in range(1, count + 1):
        part = labels == label
        around = cv2.dilate(part.astype(np.uint8), disk(3)) > 0
        calm = upright[around].mean() < MOST_UPRIGHT
        flat[label] = part.mean() > LEAST_ADDED and (calm or _carries(part, around, upright, edges))
    return np.asarray(flat[labels])


def _carries(part: Mask, around: Mask, upright: Mask, edges: Wide) -> bool:
    """Whether a large area has upright edges at its rim only, and does not lie on top of them as a table does."""
    inner = cv2.erode(part.astype(np.uint8), disk(3)) > 0
    if part.mean() < LEAST_RUG or not inner.any() or upright[inner].mean() > MOST_UPRIGHT:
        return False
    limit = np.array(part.shape[::-1]) - 1
    feet, tops = np.clip(edges, 0, limit).astype(int).transpose(1, 0, 2)
    stands = cv2.erode(ndimage.binary_fill_holes(part).astype(np.uint8), disk(2))[feet[:, 1], feet[:, 0]] > 0
    hangs = ~stands & around[tops[:, 1], tops[:, 0]]
    return bool(hangs.sum() <= stands.sum() + 1)


def _fill_flat_holes(floor: Mask, upright: Mask) -> Mask:
    """Fills holes that floor and the photo's foot enclose, unless an upright edge says that something stands there."""
    padded = np.vstack([floor, np.ones((1, floor.shape[1]), bool)])
    labels, count = ndimage.label(~padded)
    labels = labels[:-1]
    sizes = np.bincount(labels.ravel(), minlength=count + 1)
    # Legs hang below what they carry, so edges count that only touch a hole.
    around = ndimage.grey_dilation(labels, size=(7, 7))
    edges = np.bincount(around[upright], minlength=count + 1)
    flat = (sizes < LARGEST_HOLE * floor.size) & (edges <= 0.01 * sizes + 4)
    flat[0] = False
    return np.asarray(floor | flat[labels])


def _coloured(odd: Mask, floor: Mask, lab: Float) -> Mask:
    """Those parts of an odd mask most of whose hues the floor all around them has nowhere: they stand on it.

    Light, shade and gloss change a floor's lightness, and its colour in proportion.
    """
    labels, count = ndimage.label(odd)
    stands = np.zeros(count + 1, bool)
    for label, size in enumerate(np.bincount(labels.ravel())):
        if label and LEAST_THING_PX <= size < LARGEST_THING * odd.size:
            stands[label] = _is_coloured(labels == label, floor, lab)
    return np.asarray(stands[labels])


def _is_coloured(hole: Mask, floor: Mask, lab: Float) -> bool:
    rows, columns = np.nonzero(hole)
    part = np.s_[max(0, rows.min() - 9) : rows.max() + 10, max(0, columns.min() - 9) : columns.max() + 10]
    inside, near, colours = hole[part].astype(np.uint8), floor[part], lab[part]
    ring = near & (cv2.dilate(inside, disk(8)) > 0) & (cv2.dilate(inside, disk(2)) == 0)
    core = cv2.erode(inside, disk(1)) > 0
    if ring.sum() < 20 or core.sum() < 10:
        return False
    around, middle = colours[ring], colours[core]
    known, here = around[:: max(1, len(around) // SAMPLED)], middle[:: max(1, len(middle) // SAMPLED)]
    lit = known[None, :, 1:] * np.clip(here[:, None, :1] / np.maximum(known[None, :, :1], 1.0), 0.3, 3.0)
    apart = np.linalg.norm(here[:, None, 1:] - lit, axis=2).min(axis=1)
    return bool((apart > HUE_STEP).mean() > MOSTLY)


def _clarity(lab: Float, floor: Mask) -> float:
    """0..1: median colour step across the floor's outline, for a photo of ordinary contrast."""
    if floor.mean() < 0.02:
        return 0.0
    solid = floor.astype(np.uint8)
    inner, outer = cv2.erode(solid, disk(2)).astype(np.float32), cv2.erode(1 - solid, disk(2)).astype(np.float32)
    means = [
        cv2.blur(lab * s[..., None], (11, 11)) / np.maximum(cv2.blur(s, (11, 11)), 1e-4)[..., None]
        for s in (inner, outer)
    ]
    rim = (cv2.dilate(solid, disk(1)) - solid) > 0
    rim[-4:] = False
    if not rim.any():
        return 0.0
    dark, light = np.percentile(lab[..., 0], [2, 98])
    clear = CLEAR_STEP * float(np.clip((light - dark) / USUAL_RANGE, 0.6, 1.0))
    return float(np.clip(np.median(np.linalg.norm(means[0] - means[1], axis=2)[rim]) / clear, 0.0, 1.0))


__all__ = ["find_floor"]
