"""Pictures broken on purpose, each in one way that a shopper would be misled by; the gate has to refuse every kind.

Made from any finished picture, its empty room and the product's mask in it, so that rendered truth, our own pictures
and a model's are broken alike. Product and shadow are lifted off the room as layers and put back wrongly.
"""

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from skimage.color import deltaE_ciede2000

from imaging.colour import luma, to_linear, to_srgb

Pixels = NDArray[np.uint8]
Float = NDArray[np.float32]
HOLE_SIDE = 320


@dataclass(frozen=True, eq=False)
class Picture:
    """A finished picture (H, W, 3), its product's mask (H, W; 0..255), and the cutout (h, w, 4) of another product."""

    pixels: Pixels
    mask: Pixels
    other: Pixels | None = None


Break = Callable[[Pixels, Picture], Picture]


def _box(mask: Pixels) -> tuple[int, int, int, int]:
    rows, columns = np.flatnonzero((mask > 127).any(axis=1)), np.flatnonzero((mask > 127).any(axis=0))
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def _shadow(room: Pixels, good: Picture) -> Float:
    """Light kept (H, W, 3) around the product, and guessed from there behind it: shadows have no holes."""
    kept = np.clip((to_linear(good.pixels) + 1e-3) / (to_linear(room) + 1e-3), 0.02, 1.2)
    behind = cv2.dilate(good.mask, np.ones((5, 5), np.uint8)) > 8
    step = max(1, round(max(room.shape) / HOLE_SIDE))
    seen = cv2.erode((~behind).astype(np.uint8), np.ones((step, step), np.uint8))[::step, ::step].astype(np.float32)
    light, weight = kept[::step, ::step] * seen[..., None], seen
    guess, known = np.ones_like(light), np.zeros_like(seen)
    for sigma in (2.0, 4.0, 8.0, 16.0, 32.0):
        near, told = cv2.GaussianBlur(light, (0, 0), sigma), cv2.GaussianBlur(weight, (0, 0), sigma)
        open_ = (known == 0) & (told > 0.15)
        guess[open_], known[open_] = near[open_] / told[open_][:, None], 1.0
    whole = cv2.resize(guess, (room.shape[1], room.shape[0]), interpolation=cv2.INTER_LINEAR)
    kept[behind] = np.clip(whole[behind], 0.02, 1.2)
    return kept


def _rebuilt(
    room: Pixels, good: Picture, product: NDArray[np.float64] | None, shadow: NDArray[np.float64] | None
) -> Picture:
    """Room, shadow and product put together again; each layer moved by its own affine map, None leaves it out."""
    size = room.shape[1], room.shape[0]
    pixels = room.astype(np.float32)
    if shadow is not None:
        kept = cv2.warpAffine(_shadow(room, good), shadow, size, flags=cv2.INTER_LINEAR, borderValue=(1.0, 1.0, 1.0))
        pixels = to_srgb(to_linear(room) * kept)
    mask = np.zeros_like(good.mask)
    if product is not None:
        alpha = good.mask.astype(np.float32) / 255.0
        layer = np.dstack([good.pixels.astype(np.float32) * alpha[..., None], alpha])
        moved = cv2.warpAffine(layer, product, size, flags=cv2.INTER_LINEAR)
        pixels = moved[..., :3] + pixels * (1.0 - moved[..., 3:])
        mask = np.rint(moved[..., 3] * 255.0).astype(np.uint8)
    return Picture(np.clip(np.rint(pixels), 0, 255).astype(np.uint8), mask)


def _map(
    good: Picture, size: float = 1.0, right: float = 0.0, down: float = 0.0, mirror: bool = False
) -> NDArray[np.float64]:
    """The affine map (2, 3) that scales about the product's foot, then moves by shares of its box."""
    x0, y0, x1, y1 = _box(good.mask)
    foot_x, foot_y = (x0 + x1) / 2, float(y1)
    across = -size if mirror else size
    return np.array([
        [across, 0.0, foot_x - across * foot_x + right * (x1 - x0)],
        [0.0, size, foot_y - size * foot_y + down * (y1 - y0)],
    ])  # fmt: skip


def _floating(share: float) -> Break:
    return lambda room, good: _rebuilt(room, good, _map(good, down=-share), _map(good))


def _sized(size: float) -> Break:
    return lambda room, good: _rebuilt(room, good, _map(good, size), _map(good, size))


def _moved(share: float) -> Break:
    """Beside the place that was asked for, towards the emptier side, its shadow with it."""

    def make(room: Pixels, good: Picture) -> Picture:
        x0, _, x1, _ = _box(good.mask)
        right = share if x0 + x1 < room.shape[1] else -share
        return _rebuilt(room, good, _map(good, right=right), _map(good, right=right))

    return make


def _mirrored(room: Pixels, good: Picture) -> Picture:
    return _rebuilt(room, good, _map(good, mirror=True), _map(good))


def _flattened(room: Pixels, good: Picture) -> Picture:
    """As wide as it was and two thirds as high."""
    _, _, _, foot = _box(good.mask)
    flat = np.array([[1.0, 0.0, 0.0], [0.0, 2 / 3, foot / 3]])
    return _rebuilt(room, good, flat, _map(good))


def _swapped(room: Pixels, good: Picture) -> Picture:
    """Another product at the same place, as high, in the same light as far as its level goes."""
    if good.other is None:
        raise ValueError("There is no other product to show.")
    x0, y0, x1, y1 = _box(good.mask)
    size = max(2, round((y1 - y0) * good.other.shape[1] / good.other.shape[0])), y1 - y0
    sprite = cv2.resize(good.other, size, interpolation=cv2.INTER_AREA).astype(np.float32)
    alpha = sprite[..., 3:] / 255.0
    shown = luma(good.pixels)[good.mask > 200].mean()
    level = shown / max(
        float(luma(np.ascontiguousarray(sprite[..., :3].astype(np.uint8)))[sprite[..., 3] > 200].mean()), 1
    )
    rest = _rebuilt(room, good, None, _map(good))
    pixels, mask = rest.pixels.astype(np.float32), rest.mask
    left = min(max(0, (x0 + x1 - size[0]) // 2), max(0, room.shape[1] - size[0]))
    wide = min(size[0], room.shape[1] - left)
    part = np.s_[y0:y1, left : left + wide]
    pixels[part] = sprite[:, :wide, :3] * level * alpha[:, :wide] + pixels[part] * (1.0 - alpha[:, :wide])
    mask[part] = sprite[:, :wide, 3]
    return Picture(np.clip(np.rint(pixels), 0, 255).astype(np.uint8), mask)


def _missing(room: Pixels, good: Picture) -> Picture:
    return Picture(room.copy(), good.mask)


def _shadowless(share: float) -> Break:
    """A share of its shadow's depth is missing."""

    def make(room: Pixels, good: Picture) -> Picture:
        bare = _rebuilt(room, good, _map(good), None)
        return Picture(_blend(good.pixels, bare.pixels, share), bare.mask)

    return make


def _cropped(share: float) -> Break:
    """The right part of the product is not there."""

    def make(room: Pixels, good: Picture) -> Picture:
        x0, _, x1, _ = _box(good.mask)
        kept = good.mask.copy()
        kept[:, x1 - round((x1 - x0) * share) :] = 0
        rest = _rebuilt(room, good, None, _map(good)).pixels
        alpha = kept[..., None].astype(np.float32) / 255.0
        return Picture(np.rint(good.pixels * alpha + rest * (1.0 - alpha)).astype(np.uint8), kept)

    return make


def _duplicated(room: Pixels, good: Picture) -> Picture:
    """The product stands there twice, the second beside the first where the picture has more space."""
    x0, _, x1, _ = _box(good.mask)
    side = 1.15 if x0 + x1 < room.shape[1] else -1.15
    second = _rebuilt(good.pixels, Picture(good.pixels, good.mask), _map(good, right=side), None)
    return Picture(second.pixels, good.mask)


def _recoloured(room: Pixels, good: Picture) -> Picture:
    """Another colour in the same light: hue turned by a third, and greys dyed."""
    lab = cv2.cvtColor(good.pixels.astype(np.float32) / 255.0, cv2.COLOR_RGB2LAB)
    turn = np.radians(120.0)
    a, b = lab[..., 1].copy(), lab[..., 2].copy()
    lab[..., 1] = a * np.cos(turn) - b * np.sin(turn) - 12.0
    lab[..., 2] = a * np.sin(turn) + b * np.cos(turn) - 22.0
    other = cv2.cvtColor(lab, cv2.COLOR_LAB2RGB) * 255.0
    return _inside(good, np.clip(other, 0, 255))


def _dyed(distance: float) -> Break:
    """Every colour moved towards blue-green by a ΔE2000 of about a distance on the product's mean."""

    def make(room: Pixels, good: Picture) -> Picture:
        lab = cv2.cvtColor(good.pixels.astype(np.float32) / 255.0, cv2.COLOR_RGB2LAB)
        mean = lab[good.mask > 200].mean(axis=0)
        way = np.array([0.0, -0.5, -0.866], np.float32)
        steps = np.linspace(0.0, 80.0, 161)
        moved = mean[None] + steps[:, None] * way
        reached = deltaE_ciede2000(np.broadcast_to(mean, moved.shape), moved)
        step = float(np.interp(distance, reached, steps))
        return _inside(good, np.clip(cv2.cvtColor(lab + step * way, cv2.COLOR_LAB2RGB) * 255.0, 0, 255))

    return make


def _blurred(sigma: float) -> Break:
    """Out of focus by a Gaussian of a standard deviation (px of a photo of 1280 px)."""
    return lambda room, good: _inside(
        good, cv2.GaussianBlur(good.pixels, (0, 0), sigma * max(room.shape) / 1280).astype(np.float32)
    )


def _inside(good: Picture, other: Float) -> Picture:
    alpha = good.mask[..., None].astype(np.float32) / 255.0
    mixed = np.rint(other * alpha + good.pixels * (1.0 - alpha))
    return Picture(np.clip(mixed, 0, 255).astype(np.uint8), good.mask)


def _haloed(opacity: float) -> Break:
    """A pale rim along the outline, as a careless cutout has."""

    def make(room: Pixels, good: Picture) -> Picture:
        solid = (good.mask > 127).astype(np.uint8)
        wide = max(3, round(0.012 * float(np.sqrt(solid.sum())))) | 1
        rim = cv2.dilate(solid, np.ones((wide, wide), np.uint8)) - cv2.erode(solid, np.ones((3, 3), np.uint8))
        soft = cv2.GaussianBlur(rim.astype(np.float32), (0, 0), 0.7)[..., None] * opacity
        return Picture(np.rint(good.pixels * (1.0 - soft) + 250.0 * soft).astype(np.uint8), good.mask)

    return make


def _room_brighter(gain: float) -> Break:
    def make(room: Pixels, good: Picture) -> Picture:
        alpha = good.mask[..., None].astype(np.float32) / 255.0
        lifted = np.clip(good.pixels.astype(np.float32) * gain + 40.0 * (gain - 1.0), 0, 255)
        return Picture(np.rint(lifted * (1.0 - alpha) + good.pixels * alpha).astype(np.uint8), good.mask)

    return make


def _blend(one: Pixels, other: Pixels, share: float) -> Pixels:
    return np.asarray(np.rint(one * (1.0 - share) + other * share), np.uint8)


def _room_altered(room: Pixels, good: Picture) -> Picture:
    """A picture on the wall that was never there: a framed area of 8 % of the photo, in the emptier upper corner."""
    height, width = room.shape[:2]
    x0, _, x1, _ = _box(good.mask)
    left = int(0.08 * width) if x0 + x1 > width else int(0.62 * width)
    pixels = good.pixels.copy()
    cv2.rectangle(pixels, (left, int(0.06 * height)), (left + int(0.3 * width), int(0.33 * height)), (58, 44, 36), -1)
    cv2.rectangle(pixels, (left + 8, int(0.06 * height) + 8), (left + int(0.3 * width) - 8, int(0.33 * height) - 8),
                  (196, 120, 70), -1)  # fmt: skip
    pixels[good.mask > 0] = good.pixels[good.mask > 0]
    return Picture(pixels, good.mask)


def _other_size(room: Pixels, good: Picture) -> Picture:
    size = room.shape[1] * 4 // 5, room.shape[0] * 4 // 5
    return Picture(*(cv2.resize(each, size, interpolation=cv2.INTER_AREA) for each in (good.pixels, good.mask)))


KINDS: dict[str, Break] = {
    "floating": _floating(0.2),
    "twice too large": _sized(2.0),
    "half as large": _sized(0.5),
    "moved": _moved(0.6),
    "flattened": _flattened,
    "recoloured": _recoloured,
    "wrong product": _swapped,
    "mirrored": _mirrored,
    "duplicated": _duplicated,
    "missing": _missing,
    "cropped": _cropped(1 / 3),
    "blurred": _blurred(4.0),
    "haloed": _haloed(0.9),
    "shadowless": _shadowless(1.0),
    "room brighter": _room_brighter(1.1),
    "room altered": _room_altered,
    "another size": _other_size,
}
# One fault, more and more of it: by what it is measured, and the pictures from faint to plain.
SWEEPS: dict[str, dict[str, Break]] = {
    "floating by, of its height": {f"{share:.0%}": _floating(share) for share in (0.05, 0.1, 0.15, 0.2, 0.3)},
    "larger by a factor of": {f"{size:g}": _sized(size) for size in (1.1, 1.2, 1.4, 2.0)},
    "smaller by a factor of": {f"{size:g}": _sized(size) for size in (0.9, 0.8, 0.7, 0.5)},
    "another colour by, ΔE2000": {f"{away:g}": _dyed(away) for away in (5.0, 8.0, 12.0, 16.0, 20.0, 30.0)},
    "moved by, of its width": {f"{share:.0%}": _moved(share) for share in (0.1, 0.2, 0.4, 0.6)},
    "cropped by, of its width": {f"{share:.0%}": _cropped(share) for share in (0.05, 0.1, 0.2, 0.33)},
    "blurred by, px": {f"{sigma:g}": _blurred(sigma) for sigma in (1.0, 1.5, 2.0, 3.0, 4.0)},
    "haloed by, of white": {f"{share:.0%}": _haloed(share) for share in (0.15, 0.3, 0.6, 0.9)},
    "shadowless by": {f"{share:.0%}": _shadowless(share) for share in (0.5, 0.75, 0.9, 1.0)},
    "room brighter by": {f"{gain - 1:.0%}": _room_brighter(gain) for gain in (1.02, 1.04, 1.06, 1.1)},
}

__all__ = ["KINDS", "SWEEPS", "Break", "Picture"]
