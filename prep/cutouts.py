"""A cutout on its way through the `cutout` stage: a vendor's, the merchant's own, or made with a service's matte."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from runs.errors import StageError
from vendors.base import Image, Reply

if TYPE_CHECKING:
    from imaging.cutout import Cutout


@dataclass(frozen=True, slots=True)
class FoundCutout:
    """An encoded cutout with what is to be said about it; `crop` is its box in the photo, as fractions."""

    content: bytes
    media_type: str
    accepted: bool
    warnings: list[str]
    crop: Mapping[str, float]
    signals: Mapping[str, float]


def own_cutout(photo: bytes) -> FoundCutout | None:
    """The cutout that a merchant's own alpha is; None where that hides next to nothing. This computes."""
    from imaging.cutout import cut_out, is_usable
    from imaging.photo import decode

    picture = decode(photo)
    if picture.ndim != 3 or picture.shape[2] != 4 or not is_usable(picture[..., 3]):
        return None
    return _encoded(cut_out(picture[..., :3].copy(), picture[..., 3]), picture.shape)


def cutout_by_matte(photo: bytes, matte: bytes, uncertainty: float | None) -> FoundCutout:
    """The cutout of a photo by a service's matte, judged by our own signs. This computes.

    Raises:
        StageError: the matte cannot be read, or belongs to a picture of another size.
    """
    from imaging.mattes import cut_by
    from imaging.photo import PhotoError, decode, decode_matte

    pixels = decode(photo)[..., :3]
    try:
        cover = decode_matte(matte, pixels.shape[1], pixels.shape[0])
    except PhotoError as error:
        raise StageError("vendor_bad_response", error.message, kind="metric_failed") from error
    return _encoded(cut_by(pixels, cover, uncertainty), pixels.shape)


def whole_cutout(reply: Reply) -> FoundCutout | None:
    """The cutout of a vendor that answers with a whole one; None where it answers with a matte."""
    image = next((image for image in reply.images if image.role == "cutout"), None)
    if image is None:
        return None
    told = reply.data
    given = told["accepted"], told["warnings"], told["crop"], told.get("signals", {})
    return FoundCutout(image.content, image.media_type, *given)


def matte_in(reply: Reply) -> tuple[bytes, float | None]:
    """The matte that a service answered with, and how unsure it says it is (0..1).

    Raises:
        StageError: there is none.
    """
    matte: Image | None = next((image for image in reply.images if image.role == "matte"), None)
    if matte is None:
        raise StageError("vendor_bad_response", "The service answered without a cutout.", kind="metric_failed")
    return matte.content, (reply.data or {}).get("uncertainty")


def _encoded(cutout: "Cutout", shape: tuple[int, ...]) -> FoundCutout:
    from imaging.photo import encode_png

    x0, y0, x1, y1 = cutout.crop
    height, width = shape[:2]
    sides = {"x0": x0 / width, "y0": y0 / height, "x1": x1 / width, "y1": y1 / height}
    crop = {name: round(value, 5) for name, value in sides.items()}
    signals = {name: round(float(value), 5) for name, value in cutout.signals.items()}
    return FoundCutout(
        encode_png(cutout.rgba), "image/png", bool(cutout.accepted), list(cutout.warnings), crop, signals
    )


def cutout_why(found: FoundCutout) -> str:
    """Why a cutout is trusted, in one or two sentences."""
    signals: Mapping[str, Any] = found.signals
    if signals.get("merchant_alpha"):
        text = "Kept the merchant's own transparency."
    elif "left_out" in signals:
        unsure = f", its own uncertainty {signals['uncertainty']:.2f}" if "uncertainty" in signals else ""
        text = f"The service's outline follows the photo's edges ({signals['edge_support'] * 100:.0f} % of it{unsure})."
    else:
        text = "The outline is clean on a plain ground."
    return text + (f" But {in_words(found.warnings)}." if found.warnings else "")


WARNINGS = {
    "nothing_found": "no product was found in the picture",
    "unsure": "the service that cut it out is not sure what the product is",
    "incomplete": "a part of the product seems to be missing",
    "touches_border": "the product touches the edge of the picture and may be cut off",
    "busy_background": "the background is busy",
    "weak_edge": "the product hardly stands out from the background",
    "several_products": "more than one thing is in the picture",
    "text_or_badge": "text or a badge was left out",
    "person": "a person or a mannequin seems to be in the picture and was kept",
    "low_resolution": "the product is small in the picture and will look blurred",
}


def in_words(warnings: Sequence[str]) -> str:
    """A cutout's warnings as half a sentence."""
    return " and ".join(WARNINGS.get(name, name) for name in warnings)
