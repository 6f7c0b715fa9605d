"""What an image model is shown and what becomes of its answer: the work of the `composite` stage that computes.

These functions run in the computing child; what they take and give are plain values.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from core.pictures import PictureRef
from runs.errors import StageError
from storefront.scene import product_of, room_of

if TYPE_CHECKING:
    from imaging.placement import Placement, Product
    from imaging.room import Room

JPEG_QUALITY, ALIGNED_QUALITY = 92, 90


@dataclass(frozen=True, slots=True)
class Setting:
    """A placement in a room, as bytes and JSON: the photo, its label map, the cutout, and what is known of them."""

    photo: bytes
    size: tuple[int, int]
    labels: bytes
    cutout: bytes
    facts: Mapping[str, Any]
    room: Mapping[str, Any]
    placement: Mapping[str, Any]
    scale: float | None = None


@dataclass(frozen=True, slots=True)
class Restored:
    """A model's picture brought back into the photo (JPEG), all of it on the photo's grid (JPEG), what was kept of it
    (PNG mask), what was measured, and all of that in a sentence."""

    picture: bytes
    aligned: bytes
    kept: bytes
    numbers: Mapping[str, Any]
    told: str


def media_type_of(content: bytes) -> str:
    """What a model's picture is by its first bytes, whatever it was called."""
    kinds = ((b"\x89PNG", "image/png"), (b"\xff\xd8\xff", "image/jpeg"), (b"RIFF", "image/webp"))
    return next((kind for start, kind in kinds if content.startswith(start)), "application/octet-stream")


def draw_guide(given: Setting) -> bytes:
    """Our own composite at the placement, as JPEG: where the product stands and how large it is.

    Raises:
        StageError: the placement lies outside of the photo.
    """
    from imaging.compose import PlacementOutside, compose
    from imaging.photo import decode, encode_jpeg

    room, cutout, product, place = _engine(given)
    params = {} if given.scale is None else {"scale": given.scale}
    try:
        drawn = compose(decode(given.photo), room, cutout, product, place, params)
    except PlacementOutside as error:
        raise StageError("no_placement", str(error)) from error
    return encode_jpeg(drawn.pixels, quality=JPEG_QUALITY)


def restore_answer(given: Setting, answer: bytes, guide: bytes | None, painter: str) -> Restored:
    """A model's picture brought back into the photo; `painter` names the model in the sentence.

    Raises:
        StageError: it cannot be read, or is not the photo; the next route may do better.
    """
    from imaging.photo import PhotoError, decode, encode_jpeg, encode_png
    from imaging.repaint import NotThePhoto, bring_back

    room, cutout, product, place = _engine(given)
    drawn = None if guide is None else decode(guide)
    try:
        done = bring_back(answer, decode(given.photo), room, cutout, product, place, drawn)
    except PhotoError as error:
        raise StageError(
            "vendor_bad_response", f"{painter}'s picture: {error.message}", kind="metric_failed"
        ) from error
    except NotThePhoto as error:
        text = f"{painter}'s picture cannot be used. {error}"
        raise StageError("picture_refused", text, kind="metric_failed", details=error.measures()) from error
    return Restored(
        encode_jpeg(done.pixels, quality=JPEG_QUALITY),
        encode_jpeg(done.aligned, quality=ALIGNED_QUALITY),
        encode_png(done.kept),
        done.numbers(),
        _told(painter, done.numbers()),
    )


def _engine(given: Setting) -> "tuple[Room, Any, Product, Placement]":
    from imaging.photo import decode
    from imaging.placement import Placement

    cutout = decode(given.cutout)
    photo = PictureRef("", "", *given.size)
    product = product_of(given.facts, cutout.shape[1] / cutout.shape[0])
    return room_of(given.room, given.labels, photo), cutout, product, Placement.from_json(dict(given.placement))


def _told(painter: str, numbers: Mapping[str, Any]) -> str:
    """What was done to a model's picture, in one sentence."""
    off = f"was off by {numbers['shift_px']:.0f} px" if numbers["shift_px"] >= 0.5 else "lay on the photo"
    tone = numbers["tone"]
    if abs(tone) >= 1:
        off += f" and {abs(tone):.0f} levels {'brighter' if tone > 0 else 'darker'}"
    text = f"{painter}'s picture {off}; outside of product and shadow it had drifted by ΔE {numbers['drift']:.1f}, so "
    text += "the room's own pixels were put back there."
    if numbers["delta_e"] is not None:
        text += f" The product's colour is ΔE {numbers['delta_e']:.1f} from its photo."
    return text


__all__ = ["Restored", "Setting", "draw_guide", "media_type_of", "restore_answer"]
