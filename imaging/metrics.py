"""Measures of a finished composite: is the product in place, of the right size and itself, is the room untouched.

Each measure looks at the picture, not at how it was made, so a model's picture and our own are judged alike. Our own
engine says where it painted; in a model's picture the product is sought (`imaging.seen`), and what can only be asked of
a pasted cutout is measured but not asked. Large photos are measured at a reduced size: a threshold means the same
for a photo of any size, and a shopper does not wait for what nobody can see.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from imaging.checks import inside_share
from imaging.colour import fit_within, luma
from imaging.drift import outside_change, shadow_zone, with_cast_shadow
from imaging.evidence import changed
from imaging.expected import as_rgba, expected_sprite, in_photo, other_side, true_height
from imaging.footing import contact_shadow, support
from imaging.light import light_at, studio_level
from imaging.likeness import identity, laid_out, seam
from imaging.measures import Measure, with_drift
from imaging.occlusion import Cover, cover_of, covered
from imaging.placement import box_iou
from imaging.room import Room
from imaging.scene import Box, Placement, Product
from imaging.seen import aligned, find_product, outline_of, unexplained
from imaging.sharpness import detail_kept, edge_blur
from imaging.sprite import Sprite, resized_sprite
from imaging.stance import flat_share

Pixels = NDArray[np.uint8]
Float = NDArray[np.float32]
Mask = NDArray[np.bool_]
# Longest side (px) at which pictures are measured, and the cutout's longest side as a multiple of its expected one.
WORKING_SIDE, CUTOUT_REACH = 1280, 1.5
CALM_DELTA = 3.0
# A drift (ΔE) from which on it is worth asking whether it is a shadow that falls far.
FAINT_DRIFT = 3.0
# Coverage from which a colour is all the product's.
SURE_COVER = 0.98
# Share of the silhouette that an outline has to have to be one.
LEAST_OUTLINE = 0.6


@dataclass(frozen=True, eq=False)
class Sought:
    """Where a picture shows the product: how surely (0..1), its box (px), the cutout laid into that box as a mask
    (H, W; 0..255), the outline (H, W; 0..255) that the picture itself shows there, and which of the sides that it could
    be seen from it was sought by."""

    score: float
    box: Box
    mask: Pixels
    outline: Pixels
    side: int = 0


COMPARED = (
    ("scale_error", "share"),
    ("aspect_error", "share"),
    ("contact_gap", "share"),
    ("outside_drift", "ΔE"),
    ("outside_changed_share", "share"),
    ("product_found", "share"),
    ("product_complete", "share"),
    ("second_product", "share"),
    ("product_delta_e", "ΔE2000"),
    ("product_ssim", "share"),
    ("sharpness", "ratio"),
    ("edge_blur", "px"),
    ("place_iou", "share"),
    ("silhouette_iou", "share"),
    ("seam", "levels"),
    ("contact_shadow", "share"),
)
# A model may turn the product a little, and its outline is only found: likeness in every detail and a clean edge are
# asked only of a cutout that was pasted.
PASTED = {"product_ssim", "sharpness", "silhouette_iou", "seam"}
# Who says where it painted need not be found, and is told to be sharp by its details.
SOUGHT = {"product_found", "edge_blur"}


def measure(
    result_pixels: Pixels,
    room_pixels: Pixels,
    room: Room,
    cutout_rgba: Pixels,
    product: Product,
    placement: Placement,
    product_mask: Pixels | None,
    repaint: Mapping[str, Any] | None = None,
) -> list[Measure]:
    """All measures of one composite, always the same keys in the same order; without a mask the product is sought.

    Of a model's picture that was brought back into the photo, `repaint` has what `imaging.repaint` found on the way.

    inside_image, on_support, product_found, product_complete, product_ssim, place_iou, silhouette_iou, size_kept: 0..1,
    higher is better. scale_error, contact_gap: shares of the expected height. aspect_error: of width over height.
    outside_drift: ΔE76 of the room (p99). outside_changed_share: of the photo. second_product: share of the product's
    area that shows again elsewhere. product_delta_e: CIEDE2000 in the room's light. sharpness: edges as a share of the
    cutout's. seam: 8-bit levels. contact_shadow: light left beside the product's base, 1 is no shadow.
    """
    inside = Measure("inside_image", _rounded(inside_share(placement)), "share")
    if result_pixels.shape != room_pixels.shape:
        note = f"the picture is {result_pixels.shape[1]} x {result_pixels.shape[0]}, not the room's size"
        placed = [inside, _support(room_pixels, room_pixels, room, product, placement)]
        found = [*placed, *_nothing(note), Measure("size_kept", 0.0, "share", note)]
    else:
        shown = _Shown.of(result_pixels, room_pixels, room, cutout_rgba, product, placement, product_mask, repaint)
        placed = [inside, _support(shown.picture, shown.before, shown.room, product, shown.placement)]
        found = [*placed, *_compared(shown, repaint), Measure("size_kept", 1.0, "share")]
    return with_drift(found, repaint, max(room_pixels.shape))


@dataclass(frozen=True, eq=False)
class _Shown:
    """A picture and its room at working size, what is expected there, and where the picture shows it.

    mask: what covers the room. outline: the product's own edge. seen: the box (px), None where there is no product.
    turned: a side is expected that the cutout does not show.
    """

    picture: Pixels
    before: Pixels
    room: Room
    rgba: Pixels
    product: Product
    placement: Placement
    gains: Float
    expected: Sprite
    cover: Cover | None
    pasted: bool
    found: float | None
    seen: Box | None
    mask: Pixels
    outline: Pixels
    turned: bool

    @classmethod
    def of(
        cls,
        picture: Pixels,
        before: Pixels,
        room: Room,
        rgba: Pixels,
        product: Product,
        placement: Placement,
        told: Pixels | None,
        repaint: Mapping[str, Any] | None,
    ) -> "_Shown":
        size = fit_within(room.width, room.height, WORKING_SIDE)
        scale = size[0] / room.width
        picture, before = _reduced(picture, size), _reduced(before, size)
        room = replace(room, width=size[0], height=size[1], focal_px=room.focal_px * scale)
        placement = replace(placement, px_per_m=placement.px_per_m * scale)
        studio, rgba = studio_level(rgba), _reduced_cutout(rgba, room, placement)
        expected = expected_sprite(room, rgba, product, placement)
        flat = flat_share(expected, room, product, placement)
        gains = light_at(before, room, placement).on(flat, studio).gains
        turned = other_side(room, rgba, product, placement) if told is None else None
        cover = cover_of(before, room, turned or expected, product, placement)
        sides = [covered(each, cover) if cover else each for each in (expected, turned) if each is not None]
        expected, found, seen = sides[0], None, None
        if told is not None:
            mask = outline = _reduced(told, size)
            seen = _box_of(mask > 127)
        else:
            picture = picture if repaint else aligned(picture, before)
            sought = (
                _sought_before(repaint, sides, gains, picture, before, scale)
                if repaint
                else seek_product(picture, before, sides, gains)
            )
            expected = sides[sought.side]
            found, seen, mask, outline = sought.score, sought.box, sought.mask, sought.outline
            # Too little of it stands out where a pale product is before a pale wall: the silhouette has to do.
            if np.count_nonzero(outline > 127) < LEAST_OUTLINE * np.count_nonzero(mask > 127):
                outline = mask
        return cls(
            picture, before, room, rgba, product, placement, gains, expected, cover, told is not None,
            found, seen, mask, outline, told is None and expected is not sides[0],
        )  # fmt: skip

    def expected_mask(self) -> Pixels:
        return in_photo(self.expected, self.mask.shape)


def _compared(shown: _Shown, repaint: Mapping[str, Any] | None) -> list[Measure]:
    """The measures that compare a picture with its room and its product."""
    if shown.seen is None or not (shown.mask > 127).any():
        return _nothing("no product in the mask")
    picture, before, placement = shown.picture, shown.before, shown.placement
    expected = shown.expected_mask()
    wanted = _box_of(expected > 127)
    covers = np.maximum(shown.mask, shown.outline)
    zone = shadow_zone(shown.room, shown.product, placement, np.maximum(covers, expected))
    drift, share = outside_change(picture, before, zone)
    if (drift or 0.0) > FAINT_DRIFT:
        drift, share = outside_change(picture, before, with_cast_shadow(picture, before, zone))
    values = {
        "scale_error": _scale_error(shown, wanted),
        "aspect_error": _aspect_error(shown, wanted),
        "contact_gap": _contact_gap(shown, wanted),
        "outside_drift": drift,
        "outside_changed_share": share,
        "product_found": shown.found,
        "product_complete": _complete(picture, before, shown.mask),
        "second_product": unexplained(picture, before, as_rgba(shown.expected), shown.gains, covers),
        **_identity(shown),
        "sharpness": _detail_kept(shown),
        "edge_blur": _edge_blur(shown, repaint),
        "place_iou": box_iou(shown.seen, wanted) if wanted else 0.0,
        "silhouette_iou": _silhouette_iou(shown.mask > 127, expected > 127),
        "seam": seam(picture, shown.outline, _own_shades(shown)),
        "contact_shadow": contact_shadow(picture, before, shown.room, shown.product, placement, shown.outline),
    }
    return [_measured(key, values[key], unit, shown.pasted) for key, unit in COMPARED]


def _measured(key: str, value: float | None, unit: str, pasted: bool) -> Measure:
    asked = not ((key in PASTED and not pasted) or (key in SOUGHT and pasted))
    note = f"{key} does not apply to this placement" if value is None else "" if asked else "measured, not asked here"
    return Measure(key, _rounded(value), unit, note, asked and value is not None)


def _nothing(note: str) -> list[Measure]:
    return [Measure(key, None, unit, note) for key, unit in COMPARED]


def seek_product(picture: Pixels, room_pixels: Pixels, sides: list[Sprite], gains: Float) -> Sought:
    """Where a picture on the room's grid shows the product, expected as one of some sprites, in a light (3,)."""
    fits = []
    for side, expected in enumerate(sides):
        rgba, box = _tight(expected)
        fit = find_product(picture, room_pixels, rgba, gains, box)
        mask = in_photo(resized_sprite(rgba, fit.box), picture.shape)
        fits.append(Sought(fit.score, fit.box, mask, fit.outline, side))
    return max(fits, key=lambda each: each.score)


def _sought_before(
    repaint: Mapping[str, Any], sides: list[Sprite], gains: Float, picture: Pixels, before: Pixels, scale: float
) -> Sought:
    """Where the product was found in the picture before the room was put back around it."""
    x0, y0, x1, y1 = (float(each) * scale for each in repaint["product_box"])
    seen = x0, y0, x1, y1
    tried = [_tight(each) for each in sides]
    side = min(range(len(tried)), key=lambda each: _shape_apart(tried[each][1], seen))
    rgba, box = tried[side]
    mask = in_photo(resized_sprite(rgba, seen), picture.shape)
    outline = outline_of(picture, before, rgba, gains, box, seen)
    return Sought(float(repaint["product_score"]), seen, mask, outline, side)


def _tight(sprite: Sprite) -> tuple[Pixels, Box]:
    """A sprite as RGBA without its empty rims, and its box (px)."""
    rgba = as_rgba(sprite)
    around = _box_of(rgba[..., 3] > 127)
    if around is None:
        height, width = sprite.alpha.shape
        return rgba, (float(sprite.x), float(sprite.y), float(sprite.x + width), float(sprite.y + height))
    x0, y0, x1, y1 = (int(side) for side in around)
    rgba = np.ascontiguousarray(rgba[y0:y1, x0:x1])
    return rgba, (float(sprite.x + x0), float(sprite.y + y0), float(sprite.x + x1), float(sprite.y + y1))


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(float(value), 4)


def _support(picture: Pixels, before: Pixels, room: Room, product: Product, placement: Placement) -> Measure:
    share, reason = support(picture, before, room, product, placement)
    return Measure("on_support", _rounded(share), "share", reason or "")


def _reduced(pixels: Pixels, size: tuple[int, int]) -> Pixels:
    if pixels.shape[1::-1] == size:
        return pixels
    return np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), np.uint8)


def _reduced_cutout(rgba: Pixels, room: Room, placement: Placement) -> Pixels:
    """The cutout, no larger than it takes to show it at the placement."""
    x0, y0, x1, y1 = placement.box
    needed = CUTOUT_REACH * max((x1 - x0) * room.width, (y1 - y0) * room.height, 200.0)
    size = fit_within(rgba.shape[1], rgba.shape[0], round(needed))
    if size == rgba.shape[1::-1]:
        return rgba
    alpha = np.ascontiguousarray(rgba[..., 3])
    inked = cv2.multiply(np.ascontiguousarray(rgba[..., :3]), cv2.merge([alpha] * 3), scale=1 / 255)
    small, cover = (cv2.resize(each, size, interpolation=cv2.INTER_AREA) for each in (inked, alpha))
    colour = small.astype(np.float32) * (255.0 / np.maximum(cover, 1).astype(np.float32))[..., None]
    return np.dstack([np.clip(np.rint(colour), 0, 255).astype(np.uint8), cover])


def _box_of(solid: Mask) -> Box | None:
    """The box (px) around a mask."""
    rows, columns = np.flatnonzero(solid.any(axis=1)), np.flatnonzero(solid.any(axis=0))
    if not len(rows):
        return None
    return float(columns[0]), float(rows[0]), float(columns[-1] + 1), float(rows[-1] + 1)


def _scale_error(shown: _Shown, wanted: Box | None) -> float | None:
    """|seen height / expected height - 1|, the expected one from the product's size and the camera."""
    if wanted is None or shown.seen is None or shown.product.lies_flat or _cut_off(shown.seen, shown.room):
        return None
    given = (shown.placement.box[3] - shown.placement.box[1]) * shown.room.height
    true = true_height(shown.room, shown.product, shown.placement)
    seen = (shown.seen[3] - shown.seen[1]) / (wanted[3] - wanted[1])
    return abs(seen * given / max(true, 1.0) - 1.0) if true else 1.0


def _aspect_error(shown: _Shown, wanted: Box | None) -> float | None:
    """How far width over height is from the expected one: the larger ratio of the two, less 1."""
    if wanted is None or shown.seen is None or shown.turned or _cut_off(shown.seen, shown.room):
        return None
    return _shape_apart(shown.seen, wanted)


def _shape_apart(one: Box, other: Box) -> float:
    shapes = [(box[2] - box[0]) / max(box[3] - box[1], 1.0) for box in (one, other)]
    return max(shapes) / max(min(shapes), 1e-3) - 1.0


def _cut_off(box: Box, room: Room) -> bool:
    return box[1] <= 0 or box[3] >= room.height


def _contact_gap(shown: _Shown, wanted: Box | None) -> float | None:
    """How far the product's lowest row is from where it should stand, as a share of its height."""
    if wanted is None or shown.seen is None or shown.placement.mount not in ("floor", "tabletop"):
        return None
    given = (shown.placement.box[3] - shown.placement.box[1]) * shown.room.height
    height = max(1.0, wanted[3] - wanted[1] if shown.turned else given)
    return abs(shown.seen[3] - wanted[3]) / height


def _complete(result: Pixels, before: Pixels, mask: Pixels) -> float | None:
    """1 less the largest part (share of the silhouette) in which the picture still is the empty room."""
    around = _box_of(mask > 127)
    if around is None:
        return None
    x0, y0, x1, y1 = (int(side) for side in around)
    size = fit_within(x1 - x0, y1 - y0, 160)
    small = [_reduced(np.ascontiguousarray(each[y0:y1, x0:x1]), size) for each in (result, before)]
    inside = _reduced(np.ascontiguousarray(mask[y0:y1, x0:x1]), size) > 240
    if inside.sum() < 30:
        return None
    bare = (inside & (changed(small[0], small[1]) <= CALM_DELTA)).astype(np.uint8)
    _, _, parts, _ = cv2.connectedComponentsWithStats(cv2.morphologyEx(bare, cv2.MORPH_OPEN, np.ones((3, 3), np.uint8)))
    return 1.0 - float(parts[1:, cv2.CC_STAT_AREA].max(initial=0)) / float(inside.sum())


def _silhouette_iou(solid: Mask, wanted: Mask) -> float:
    """The product's outline in the picture against the cutout's, at the placement's spot."""
    union = int((solid | wanted).sum())
    return float((solid & wanted).sum()) / union if union else 0.0


def _identity(shown: _Shown) -> dict[str, float | None]:
    """Colour and structure, where the cutout shows the side that is expected."""
    if shown.turned or shown.seen is None:
        return {"product_delta_e": None, "product_ssim": None}
    in_place = shown.expected if shown.placement.mount == "wall" or shown.cover else None
    return identity(shown.picture, shown.seen, shown.outline, shown.rgba, shown.gains, in_place)


def _detail_kept(shown: _Shown) -> float | None:
    """Sharpness of a pasted cutout, told where it was to be pasted."""
    if not shown.pasted:
        return None
    sprite = shown.expected
    box = sprite.x, sprite.y, sprite.x + sprite.alpha.shape[1], sprite.y + sprite.alpha.shape[0]
    x0, y0, x1, y1 = (
        int(np.clip(side, 0, most)) for side, most in zip(box, (shown.room.width, shown.room.height) * 2, strict=True)
    )
    colour, alpha = laid_out(sprite, (x0, y0, x1, y1))
    own = np.clip(np.rint(colour), 0, 255).astype(np.uint8)
    both = np.minimum(alpha, shown.outline[y0:y1, x0:x1] / np.float32(255.0))
    return detail_kept(shown.picture[y0:y1, x0:x1], own, both)


def _own_shades(shown: _Shown) -> tuple[Float, Mask] | None:
    """Luma (H, W) of a pasted cutout in the picture's light, and where (H, W) that is no mixture with the room."""
    if not shown.pasted:
        return None
    height, width = shown.mask.shape
    colour, alpha = laid_out(shown.expected, (0, 0, width, height))
    sure = alpha > SURE_COVER
    if not sure.any():
        return None
    own = luma(np.clip(np.rint(colour), 0, 255).astype(np.uint8))
    level = float(np.median(luma(shown.picture)[sure] / np.maximum(own[sure], 1.0)))
    return own * np.float32(level), sure


def _edge_blur(shown: _Shown, repaint: Mapping[str, Any] | None) -> float | None:
    """Blur of a sought product, in px of the picture that was sent where that is smaller than the one measured."""
    if shown.pasted or shown.turned:
        return None
    own = as_rgba(shown.expected)
    solid = (shown.mask > 127) & (shown.outline > 127)
    blur = edge_blur(shown.picture, solid, np.ascontiguousarray(own[..., :3]), own[..., 3] > 127)
    sent = max(repaint["size"]) if repaint and "size" in repaint else WORKING_SIDE
    return None if blur is None else blur * min(1.0, sent / max(shown.room.width, shown.room.height))


__all__ = ["COMPARED", "Measure", "Sought", "measure", "seek_product"]
