"""What a model painted into a photo, brought back into exactly that photo.

1. The picture is decoded like any from outside, and laid over the photo (`registration`).
2. Its tone is brought back to the photo's: level and contrast per channel, told by what should be unchanged.
3. The product is sought in it (`seen`), and what differs from the room there and where its shadow may fall is found.
   How much the rest has drifted is measured now, before anything is put back.
4. Everything else is the photo's own pixels again, with a soft border.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from imaging.checks import pose_of
from imaging.colour import disk, fit_within, luma
from imaging.drift import outside_change, shadow_zone, with_cast_shadow
from imaging.evidence import changed
from imaging.expected import expected_sprite, in_photo, other_side
from imaging.geometry import footprint
from imaging.light import light_at, studio_level
from imaging.likeness import identity
from imaging.metrics import Sought, seek_product
from imaging.occlusion import cover_of, covered
from imaging.photo import PhotoLimits, open_photo
from imaging.registration import Registration, laid_over, register
from imaging.room import Room
from imaging.scene import Placement, Product
from imaging.stance import flat_share

Pixels = NDArray[np.uint8]
Float = NDArray[np.float32]
Mask = NDArray[np.bool_]
LIMITS = PhotoLimits(max_bytes=64 * 2**20, max_pixels=40_000_000, min_side=128, max_aspect=8.0, max_side=4096)
# The picture has to show (nearly) the whole photo, and (nearly) nothing else, in (nearly) its shape.
LEAST_COVERAGE, LEAST_FILLED, MOST_STRETCH, MOST_TURN_DEG = 0.95, 0.93, 1.05, 1.5
LEAST_CORRELATION, MOST_RESIDUAL = 0.4, 0.006
# Tone: sampled at this side; gains and offsets (levels) beyond these are no tone any more but another picture.
TONE_SIDE, GAINS, OFFSET = 320, (0.7, 1.4), 40.0
# ΔE (CIE 1976) that is surely the model's doing, and that belongs to it where it touches such.
REGION_SIDE, PAINTED, TOUCHED, LEAST_PART = 900, 7.0, 3.0, 0.0004
# Borders as shares of the photo's width: how far beyond what was found, how soft, and how soft where the zone ends.
GROWN, SOFT, ZONE_RAMP = 0.004, 0.004, 0.03
# A product may be drawn from another side than its photo shows it; its bulk is this much larger than its size.
BULK_MARGIN = 0.08


class NotThePhoto(ValueError):
    """The picture does not show the photo it was made from, or not in its shape; `measures` say how far it is off."""

    def __init__(self, message: str, registration: Registration) -> None:
        super().__init__(message)
        self.registration = registration

    def measures(self) -> dict[str, float]:
        """How the picture lies on the photo, as far as that could be told."""
        found = self.registration
        names = ("shift_px", "scale", "stretch", "turn_deg", "coverage", "filled", "residual_px", "correlation")
        return {name: round(float(getattr(found, name)), 4) for name in names}


@dataclass(frozen=True, eq=False)
class Repainted:
    """A model's picture brought back into the photo.

    pixels (H, W, 3): the photo with the product and its shadow as the model painted them. aligned (H, W, 3): all of the
    model's picture on the photo's grid, in the photo's tone. kept (H, W; 0..255): how much of the model's a pixel is.
    sought: where the product is seen. tone: mean change of luma (levels, negative is darker) that was taken back.
    drift, raw_drift: 99th percentile (ΔE) of the rest of the room, with and without the tone taken back. changed_share:
    of the rest of the room. delta_e: CIEDE2000 of the product to its cutout in the room's light, None where it is not
    seen. guide_change: mean ΔE to the guide where product and shadow are; None without a guide.
    """

    pixels: Pixels
    aligned: Pixels
    kept: Pixels
    registration: Registration
    sought: Sought
    size: tuple[int, int]
    tone: float
    drift: float
    raw_drift: float
    changed_share: float
    delta_e: float | None
    guide_change: float | None

    def numbers(self) -> dict[str, object]:
        """What was measured, as JSON: lengths in px of the photo."""
        found = self.registration
        values = {
            "shift_px": found.shift_px,
            "scale": found.scale,
            "stretch": found.stretch,
            "turn_deg": found.turn_deg,
            "coverage": found.coverage,
            "residual_px": found.residual_px,
            "correlation": found.correlation,
            "tone": self.tone,
            "raw_drift": self.raw_drift,
            "drift": self.drift,
            "changed_share": self.changed_share,
            "delta_e": self.delta_e,
            "guide_change": self.guide_change,
            "product_score": self.sought.score,
        }
        rounded = {name: None if value is None else round(float(value), 4) for name, value in values.items()}
        return {**rounded, "product_box": [round(side, 2) for side in self.sought.box], "size": list(self.size)}


def bring_back(
    content: bytes,
    photo: Pixels,
    room: Room,
    cutout_rgba: Pixels,
    product: Product,
    placement: Placement,
    guide: Pixels | None = None,
) -> Repainted:
    """A model's picture (encoded) brought back into the photo (H, W, 3) at a placement.

    Raises:
        imaging.photo.PhotoError: it cannot be read.
        NotThePhoto: it cannot be laid over the photo, or shows too little of it, or in another shape.
    """
    picture = open_photo(content, LIMITS).pixels
    expected = expected_sprite(room, cutout_rgba, product, placement)
    bulk = bulk_of(room, product, placement, photo.shape)
    place = shadow_zone(room, product, placement, np.maximum(in_photo(expected, photo.shape), bulk))
    registration = register(picture, photo, place)
    refuse_misfit(registration, picture.shape, photo.shape)
    raw, seen = laid_over(picture, registration, photo.shape)
    aligned, tone = toned(raw, photo, place | ~seen)
    aligned[~seen], raw[~seen] = photo[~seen], photo[~seen]
    flat = flat_share(expected, room, product, placement)
    gains = light_at(photo, room, placement).on(flat, studio_level(cutout_rgba)).gains
    turned = other_side(room, cutout_rgba, product, placement)
    cover = cover_of(photo, room, turned or expected, product, placement)
    sides = [covered(each, cover) if cover else each for each in (expected, turned) if each is not None]
    sought = seek_product(aligned, photo, sides, gains)
    expected = sides[sought.side]
    shown = np.maximum(np.maximum(sought.mask, sought.outline), in_photo(expected, photo.shape))
    zone = shadow_zone(room, product, placement, np.maximum(shown, bulk))
    zone = with_cast_shadow(aligned, photo, zone)
    drift, share = outside_change(aligned, photo, zone)
    raw_drift, _ = outside_change(raw, photo, zone)
    kept = painted_region(aligned, photo, zone, shown)
    return Repainted(
        pixels=mixed(photo, aligned, kept),
        aligned=aligned,
        kept=kept,
        registration=registration,
        sought=sought,
        size=(picture.shape[1], picture.shape[0]),
        tone=tone,
        drift=drift or 0.0,
        raw_drift=raw_drift or 0.0,
        changed_share=share or 0.0,
        delta_e=_delta_e(aligned, sought, cutout_rgba, gains),
        guide_change=None if guide is None else _change_of(aligned, guide, np.maximum(kept, shown)),
    )


def refuse_misfit(found: Registration, picture: tuple[int, ...], photo: tuple[int, ...]) -> None:
    """Refuse a picture that is not the photo, or not all of it in its shape.

    Raises:
        NotThePhoto: with a sentence that says which.
    """
    sizes = f"it is {picture[1]} x {picture[0]} px, the photo {photo[1]} x {photo[0]} px"
    off = found.residual_px > MOST_RESIDUAL * max(photo)
    stretch = max(found.stretch, 1.0 / max(found.stretch, 1e-6))
    if found.correlation < LEAST_CORRELATION or off:
        text = f"shows another room, or another view of it (likeness {found.correlation:.2f}; {sizes})"
    elif found.coverage < LEAST_COVERAGE:
        text = f"is cropped: it shows {found.coverage * 100:.0f} % of the photo ({sizes})"
    elif found.filled < LEAST_FILLED:
        text = f"has bars or added surroundings: the photo fills {found.filled * 100:.0f} % of it ({sizes})"
    elif stretch > MOST_STRETCH or abs(found.turn_deg) > MOST_TURN_DEG:
        text = (
            f"is distorted: its sides are stretched by {found.stretch:.2f}, turned by {found.turn_deg:.1f}° ({sizes})"
        )
    else:
        return
    raise NotThePhoto(f"The picture {text}.", found)


def bulk_of(room: Room, product: Product, placement: Placement, shape: tuple[int, ...]) -> Pixels:
    """The product's bulk in the photo (H, W; 0 or 255): all that a picture may show of it from another side."""
    bulk = np.zeros(shape[:2], np.uint8)
    pose = pose_of(room, product, placement) if placement.mount in ("floor", "tabletop") else None
    if pose is None:
        return bulk
    wide, deep, high = (side * (1.0 + BULK_MARGIN) for side in (product.width_m, product.depth_m, product.height_m))
    base = footprint(pose.x, pose.z, wide, deep, pose.yaw_deg, pose.level_m)
    corners = np.vstack([base, np.add(base, (0.0, high, 0.0))])
    corners[:, 2] = np.maximum(corners[:, 2], 0.5)
    hull = cv2.convexHull(np.rint(np.clip(room.camera().project(corners), -8000, 8000)).astype(np.int32))
    cv2.fillConvexPoly(bulk, hull, 255)
    return bulk


def toned(picture: Pixels, photo: Pixels, differ: Mask) -> tuple[Pixels, float]:
    """The picture in the photo's tone, and by how many levels of luma it was brighter (negative: darker).

    Level and contrast per channel, told by what lies outside of where they may differ; beyond any plausible tone the
    picture stays as it is.
    """
    size = fit_within(photo.shape[1], photo.shape[0], TONE_SIDE)
    given, wanted = (
        cv2.resize(each, size, interpolation=cv2.INTER_AREA).astype(np.float32) for each in (picture, photo)
    )
    alike = cv2.resize(differ.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST) == 0
    if alike.sum() < 500:
        return picture.copy(), 0.0
    out = np.empty_like(picture)
    for channel in range(3):
        gain, offset = _line(wanted[..., channel][alike], given[..., channel][alike])
        table = np.clip(np.rint((np.arange(256) - offset) / gain), 0, 255).astype(np.uint8)
        out[..., channel] = cv2.LUT(np.ascontiguousarray(picture[..., channel]), table)
    shift = float(np.median((luma(given.astype(np.uint8)) - luma(wanted.astype(np.uint8)))[alike]))
    return out, shift


def _line(before: Float, after: Float) -> tuple[float, float]:
    """(gain, offset) of after = gain * before + offset, by least squares with Huber's weights against outliers."""
    weights = np.ones_like(before)
    gain, offset = 1.0, 0.0
    usable = (before > 4) & (before < 250) & (after > 4) & (after < 250)
    if usable.sum() < 200 or float(before[usable].std()) < 4.0:
        return 1.0, float(np.median(after - before))
    before, after, weights = before[usable], after[usable], weights[usable]
    for _ in range(8):
        total = weights.sum()
        middle, level = (weights * before).sum() / total, (weights * after).sum() / total
        away = before - middle
        gain = float((weights * away * (after - level)).sum() / max((weights * away * away).sum(), 1e-6))
        gain = float(np.clip(gain, *GAINS))
        offset = float(np.clip(level - gain * middle, -OFFSET, OFFSET))
        error = np.abs(after - gain * before - offset)
        weights = np.minimum(1.0, max(1.0, 1.5 * float(np.median(error))) / np.maximum(error, 1e-3)).astype(np.float32)
    return gain, offset


def painted_region(picture: Pixels, photo: Pixels, zone: Mask, shown: Pixels) -> Pixels:
    """How much of the model's picture each pixel keeps (H, W; 0..255): what it painted within the zone, with soft rims.

    What surely differs is kept with all that differs a little and touches it; specks of noise are not.
    """
    height, width = photo.shape[:2]
    size = fit_within(width, height, REGION_SIDE)
    small = [_reduced(each, size) for each in (picture, photo)]
    inside = cv2.resize(zone.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST) > 0
    change = changed(small[0], small[1])
    product = cv2.resize(shown, size, interpolation=cv2.INTER_AREA) > 127
    faint = ((change > TOUCHED) | product).astype(np.uint8)
    faint[~inside] = 0
    faint = cv2.morphologyEx(faint, cv2.MORPH_CLOSE, np.ones((5, 5), np.uint8))
    faint = cv2.morphologyEx(faint, cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
    _, labels, parts, _ = cv2.connectedComponentsWithStats(faint)
    sure = np.bincount(labels[(change > PAINTED) & (faint > 0)], minlength=len(parts)) > 0
    large = parts[:, cv2.CC_STAT_AREA] > LEAST_PART * faint.size
    chosen = sure & large
    chosen[0] = False
    region = cv2.dilate(chosen[labels].astype(np.uint8), disk(max(1, round(GROWN * size[0]))))
    soft = cv2.GaussianBlur(region.astype(np.float32), (0, 0), max(1.0, SOFT * size[0]))
    soft = np.clip((soft - 0.15) / 0.7, 0.0, 1.0)
    # The photo's own frame is no border: a zone that reaches it goes on behind.
    wide = cv2.copyMakeBorder(inside.astype(np.uint8), 1, 1, 1, 1, cv2.BORDER_REPLICATE)
    edge = cv2.distanceTransform(wide, cv2.DIST_L2, 3)[1:-1, 1:-1] / (ZONE_RAMP * size[0])
    soft *= np.maximum(np.clip(edge, 0.0, 1.0), product)
    whole = cv2.resize(soft, (width, height), interpolation=cv2.INTER_LINEAR)
    return np.asarray(np.rint(whole * 255.0), np.uint8)


def mixed(photo: Pixels, picture: Pixels, kept: Pixels) -> Pixels:
    """The photo with as much of the picture as the mask (H, W; 0..255) says; its own pixels, bit by bit, elsewhere."""
    out = photo.copy()
    x, y, wide, high = cv2.boundingRect(kept)
    if wide and high:
        part = np.s_[y : y + high, x : x + wide]
        share = kept[part][..., None].astype(np.float32) / 255.0
        blend = photo[part] + (picture[part].astype(np.float32) - photo[part]) * share
        out[part] = np.clip(np.rint(blend), 0, 255).astype(np.uint8)
    return out


def _delta_e(picture: Pixels, sought: Sought, rgba: Pixels, gains: Float) -> float | None:
    mask = sought.outline if (sought.outline > 127).any() else sought.mask
    return identity(picture, sought.box, mask, rgba, gains, None)["product_delta_e"]


def _reduced(pixels: Pixels, size: tuple[int, int]) -> Pixels:
    return np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), np.uint8)


def _change_of(picture: Pixels, guide: Pixels, where: Pixels) -> float | None:
    """Mean ΔE (CIE 1976) between picture and guide where product and shadow are; None where that is nowhere."""
    size = fit_within(guide.shape[1], guide.shape[0], REGION_SIDE)
    small = [_reduced(each, size) for each in (picture, guide)]
    there = cv2.resize(where, size, interpolation=cv2.INTER_AREA) > 127
    return float(changed(small[0], small[1])[there].mean()) if there.any() else None


__all__ = ["NotThePhoto", "Repainted", "bring_back", "bulk_of", "mixed", "painted_region", "toned"]
