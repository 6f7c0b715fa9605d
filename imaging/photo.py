"""The one door for pictures from outside: what comes through is upright, sRGB, small enough and has no metadata.

1. Count bytes, then read the kind and the declared size from the header; nothing is decoded yet.
2. Decode, turn upright, convert the colour profile to sRGB, flatten on white, shrink to the limit.
3. Only pixels leave, with one number kept from EXIF: the 35 mm equivalent focal length.

What follows the picture in the file (archives, scripts) never survives, because we store our own encoding.
"""

import struct
from dataclasses import dataclass
from io import BytesIO
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms, UnidentifiedImageError

from imaging.sniff import FORMATS, declared_size, unsupported_message

Pixels = NDArray[np.uint8]

EXIF_IFD, ORIENTATION, FOCAL_35MM, EXIF_WIDTH, EXIF_HEIGHT = (
    0x8769,
    0x0112,
    0xA405,
    0xA002,
    0xA003,
)
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
SRGB = ImageCms.createProfile("sRGB")
# What Pillow's readers raise for bytes that are not the picture they claim to be.
DECODE_ERRORS = (
    OSError,
    SyntaxError,
    ValueError,
    TypeError,
    IndexError,
    KeyError,
    EOFError,
    struct.error,
    OverflowError,
)


class PhotoError(Exception):
    """A picture that we refuse; `code` is public (CONTRACT), `message` tells the shopper what to do."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


@dataclass(frozen=True)
class PhotoLimits:
    """What the door lets in, and the long side (px) of what comes out."""

    max_bytes: int = 15 * 2**20
    max_pixels: int = 50_000_000
    min_side: int = 256
    max_aspect: float = 4.0
    max_side: int = 2560


ROOM_LIMITS = PhotoLimits()
# Merchants' pictures: tall lamps are cropped tight, and a cutout needs no more than 2000 px.
PRODUCT_LIMITS = PhotoLimits(max_bytes=25 * 2**20, max_aspect=8.0, max_side=2000)

# What a service answers about a picture that came through this door before.
MATTE_LIMITS = PhotoLimits(max_bytes=40 * 2**20, min_side=1, max_aspect=50.0)


@dataclass(frozen=True, eq=False)
class Photo:
    """An upright sRGB picture: pixels (H, W, 3), alpha (H, W) or None, and the number kept from its metadata."""

    pixels: Pixels
    alpha: Pixels | None
    f35_mm: float | None
    source_format: str
    source_size: tuple[int, int]


def open_photo(data: bytes, limits: PhotoLimits = ROOM_LIMITS, keep_alpha: bool = False) -> Photo:
    """Decodes a picture from outside, or raises PhotoError.

    `source_size` is the upright size (width, height) before shrinking. With `keep_alpha`, a picture that has
    transparent pixels keeps its alpha, and `pixels` are its own (straight) colours; else they are flattened on white.
    """
    if len(data) > limits.max_bytes:
        raise PhotoError(
            "photo_too_large",
            f"This picture is {len(data) / 2**20:.0f} MB; the limit is {limits.max_bytes // 2**20} MB. "
            "Please send a smaller copy, for example a screenshot of it.",
        )
    image = _open_header(data, limits)
    try:
        with image:
            return _decode_upright(image, limits, keep_alpha)
    except MemoryError:
        raise _too_many_pixels(*image.size, limits) from None
    except DECODE_ERRORS as error:
        raise _corrupt() from error


def encode_jpeg(pixels: Pixels, quality: int = 92) -> bytes:
    """JPEG bytes of (H, W, 3) pixels, full colour resolution, no metadata."""
    out = BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels)).save(out, "JPEG", quality=quality, subsampling=0, optimize=True)
    return out.getvalue()


def encode_png(pixels: Pixels) -> bytes:
    """PNG bytes of RGB (H, W, 3), RGBA (H, W, 4) or a mask (H, W; bool becomes 0 and 255), no metadata."""
    out = BytesIO()
    if pixels.dtype == np.bool_:
        pixels = pixels.astype(np.uint8) * 255
    Image.fromarray(np.ascontiguousarray(pixels)).save(out, "PNG", compress_level=6)
    return out.getvalue()


def decode(data: bytes) -> Pixels:
    """Pixels of a picture that we stored ourselves: RGB, RGBA and L stay as they are, anything else becomes RGB.

    Raises PhotoError (photo_corrupt). Not for pictures from outside: those go through `open_photo`.
    """
    try:
        with Image.open(BytesIO(data), formats=["JPEG", "PNG", "WEBP"]) as image:
            image.load()
            kept = image if image.mode in ("RGB", "RGBA", "L") else image.convert("RGB")
            return np.array(kept, dtype=np.uint8)
    except (*DECODE_ERRORS, Image.DecompressionBombError) as error:
        raise _corrupt() from error


def decode_matte(data: bytes, width: int, height: int) -> Pixels:
    """The coverage (H, W; 0..255) that a service answered with: a grey picture, or the alpha of one that has any.

    Raises PhotoError: it cannot be read, is huge, or is not of this size.
    """
    image = _open_header(data, MATTE_LIMITS)
    if image.size != (width, height):
        raise PhotoError(
            "photo_corrupt", f"The matte is {image.width} x {image.height} px, the photo {width} x {height} px."
        )
    try:
        with image:
            image.load()
            kept = image.getchannel("A") if _has_transparency(image) and image.mode == "RGBA" else image.convert("L")
            return np.array(kept, dtype=np.uint8)
    except DECODE_ERRORS as error:
        raise _corrupt() from error


def _open_header(data: bytes, limits: PhotoLimits) -> Image.Image:
    """The undecoded picture, its kind and declared size checked."""
    if not data:
        raise PhotoError("photo_corrupt", "This picture is empty. Please choose it again.")
    message = unsupported_message(data)
    if message and not _is_animated_gif(data):
        raise PhotoError("photo_unsupported", message)
    if message:
        raise _animated()
    size = declared_size(data)
    if size:
        _check_pixels(*size, limits)
    try:
        image = Image.open(BytesIO(data), formats=FORMATS)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise PhotoError(
            "photo_too_many_pixels",
            f"This picture has more than {limits.max_pixels / 1e6:.0f} megapixels. Please send a smaller copy of it.",
        ) from error
    except (UnidentifiedImageError, *DECODE_ERRORS) as error:
        raise _corrupt() from error
    _check_pixels(*image.size, limits)
    _check_still(image)
    _check_shape(*image.size, limits)
    return image


def _decode_upright(image: Image.Image, limits: PhotoLimits, keep_alpha: bool) -> Photo:
    orientation, f35_mm = _read_exif(image)
    source_format = "JPEG" if image.format == "MPO" else str(image.format)
    width, height = image.size
    image.draft(None, (limits.max_side, limits.max_side))  # a JPEG decodes straight to a size above this one
    image.load()
    upright = _shrink(_to_rgba_or_rgb(image), limits.max_side)
    if orientation in TURNS:
        upright = upright.transpose(TURNS[orientation])
    pixels, alpha = _straight(upright) if keep_alpha else (_flatten_on_white(upright), None)
    return Photo(
        pixels=pixels,
        alpha=alpha,
        f35_mm=f35_mm,
        source_format=source_format,
        source_size=(height, width) if orientation >= 5 else (width, height),
    )


def _to_rgba_or_rgb(image: Image.Image) -> Image.Image:
    """Eight-bit sRGB of any mode that JPEG, PNG and WebP can hold."""
    profile = image.info.get("icc_profile")
    if image.mode.startswith("I"):  # 16-bit grey
        grey = np.asarray(image).astype(np.float64)
        image = Image.fromarray(np.clip(np.rint(grey / 257.0), 0, 255).astype(np.uint8))
    elif image.mode in ("1", "LA", "La", "PA", "P", "RGBa") or "transparency" in image.info:
        image = image.convert("RGBA" if _has_transparency(image) else "RGB")
    if not profile:
        return image if image.mode in ("RGB", "RGBA") else image.convert("RGB")
    alpha = image.getchannel("A") if image.mode == "RGBA" else None
    colour = _profile_to_srgb(image.convert("RGB") if alpha else image, profile)
    if alpha:
        colour.putalpha(alpha)
    return colour


def _has_transparency(image: Image.Image) -> bool:
    return image.mode in ("LA", "La", "PA", "RGBa", "RGBA") or "transparency" in image.info


def _profile_to_srgb(image: Image.Image, profile: bytes) -> Image.Image:
    """Colours as the embedded profile means them; a broken or mismatched profile is ignored, as browsers do."""
    try:
        source = ImageCms.ImageCmsProfile(BytesIO(profile))
        converted = ImageCms.profileToProfile(image, source, SRGB, outputMode="RGB")
    except (ImageCms.PyCMSError, *DECODE_ERRORS):
        return image.convert("RGB")
    return converted if converted is not None else image.convert("RGB")


def _straight(image: Image.Image) -> tuple[Pixels, Pixels | None]:
    """Colours as they are stored, and the alpha of a picture that has transparent pixels."""
    if image.mode != "RGBA" or image.getchannel("A").getextrema() == (255, 255):
        return np.array(image.convert("RGB"), dtype=np.uint8), None
    both = np.array(image, dtype=np.uint8)
    return np.ascontiguousarray(both[..., :3]), np.ascontiguousarray(both[..., 3])


def _flatten_on_white(image: Image.Image) -> Pixels:
    if image.mode != "RGBA":
        return np.array(image.convert("RGB"), dtype=np.uint8)
    white = Image.new("RGBA", image.size, (255, 255, 255, 255))
    return np.array(Image.alpha_composite(white, image).convert("RGB"), dtype=np.uint8)


def _shrink(image: Image.Image, max_side: int) -> Image.Image:
    longest = max(image.size)
    if longest <= max_side:
        return image
    size = (
        max(1, round(image.width * max_side / longest)),
        max(1, round(image.height * max_side / longest)),
    )
    return image.resize(size, Image.Resampling.LANCZOS)


def _read_exif(image: Image.Image) -> tuple[int, float | None]:
    """(orientation 1..8, 35 mm focal length or None); unreadable EXIF counts as none, it must not refuse a photo."""
    try:
        exif = image.getexif()
        orientation = int(exif.get(ORIENTATION, 1))
        details: dict[int, Any] = exif.get_ifd(EXIF_IFD)
        focal = float(details.get(FOCAL_35MM, 0))
        recorded = float(details.get(EXIF_WIDTH, 0)), float(details.get(EXIF_HEIGHT, 0))
    except (*DECODE_ERRORS, AttributeError, ZeroDivisionError):
        return 1, None
    plausible = 8.0 <= focal <= 300.0 and not _was_cropped(image.size, recorded)
    return (orientation if orientation in range(1, 9) else 1), (focal if plausible else None)


def _was_cropped(size: tuple[int, int], recorded: tuple[float, float]) -> bool:
    """Whether the camera recorded another aspect than the file has: its focal length does not fit a crop."""
    if min(recorded) <= 0:
        return False
    return abs(max(size) / min(size) / (max(recorded) / min(recorded)) - 1.0) > 0.03


def _is_animated_gif(data: bytes) -> bool:
    if not data.startswith((b"GIF87a", b"GIF89a")):
        return False
    try:
        with Image.open(BytesIO(data), formats=["GIF"]) as image:
            return bool(getattr(image, "is_animated", False))
    except (
        *DECODE_ERRORS,
        Image.DecompressionBombError,
        Image.DecompressionBombWarning,
    ):
        return False


def _check_pixels(width: int, height: int, limits: PhotoLimits) -> None:
    if width * height > limits.max_pixels:
        raise _too_many_pixels(width, height, limits)


def _check_still(image: Image.Image) -> None:
    """A JPEG with a second view (MPO) and a HEIF burst show one picture; WebP and PNG frames are an animation."""
    if image.format in ("WEBP", "PNG") and getattr(image, "is_animated", False):
        raise _animated()


def _check_shape(width: int, height: int, limits: PhotoLimits) -> None:
    if min(width, height) < limits.min_side:
        raise PhotoError(
            "photo_too_small",
            f"This picture is only {width} x {height} pixels; each side needs at least {limits.min_side}. "
            "Please send the original photo, not a thumbnail.",
        )
    if max(width, height) > limits.max_aspect * min(width, height):
        raise PhotoError(
            "photo_too_small",
            f"This picture ({width} x {height}) is too narrow to show a room, perhaps a panorama or a strip. "
            "Please take an ordinary photo.",
        )


def _too_many_pixels(width: int, height: int, limits: PhotoLimits) -> PhotoError:
    return PhotoError(
        "photo_too_many_pixels",
        f"This picture has {width * height / 1e6:.0f} megapixels; the limit is {limits.max_pixels / 1e6:.0f}. "
        "Please send a smaller copy of it.",
    )


def _animated() -> PhotoError:
    return PhotoError(
        "photo_animated",
        "This picture is animated. Please send a still photo, as JPEG or PNG.",
    )


def _corrupt() -> PhotoError:
    return PhotoError(
        "photo_corrupt",
        "This picture is damaged or was not uploaded completely. Please try again, or take the photo anew.",
    )


__all__ = [
    "PRODUCT_LIMITS",
    "ROOM_LIMITS",
    "Photo",
    "PhotoError",
    "PhotoLimits",
    "decode",
    "decode_matte",
    "encode_jpeg",
    "encode_png",
    "open_photo",
]
