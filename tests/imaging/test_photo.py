"""Every picture that the door refuses, and what it does to those it lets in."""

import hashlib
import struct
import zlib
from io import BytesIO

import numpy as np
import pytest
from PIL import Image, ImageCms, TiffImagePlugin

from imaging.photo import (
    PRODUCT_LIMITS,
    ROOM_LIMITS,
    PhotoError,
    PhotoLimits,
    decode,
    encode_jpeg,
    encode_png,
    open_photo,
)
from imaging.sniff import HEIF_AVAILABLE


def scene(width: int = 640, height: int = 480) -> Image.Image:
    """Dark blue with a red top-left quarter, so that every turn can be told."""
    image = Image.new("RGB", (width, height), (20, 30, 120))
    image.paste((220, 30, 30), (0, 0, width // 2, height // 2))
    return image


def saved(image: Image.Image, kind: str, **options: object) -> bytes:
    out = BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def refusal(data: bytes, limits: PhotoLimits = ROOM_LIMITS) -> PhotoError:
    with pytest.raises(PhotoError) as caught:
        open_photo(data, limits)
    return caught.value


def exif_with(orientation: int = 1, f35: int | None = None) -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = orientation
    exif[0x010F] = "SecretCam"
    details = exif.get_ifd(0x8769)
    if f35:
        details[0xA405] = f35
    gps = exif.get_ifd(0x8825)
    gps[1], gps[2] = "N", tuple(TiffImagePlugin.IFDRational(n) for n in (48, 12, 30))
    return exif


def png_claiming(width: int, height: int) -> bytes:
    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0")) + chunk(b"IEND", b"")


def webp_claiming(width: int, height: int) -> bytes:
    body = (
        b"VP8X"
        + struct.pack("<I", 10)
        + b"\0\0\0\0"
        + (width - 1).to_bytes(3, "little")
        + (height - 1).to_bytes(3, "little")
    )
    return b"RIFF" + struct.pack("<I", len(body) + 4) + b"WEBP" + body


def ftyp(brand: bytes) -> bytes:
    return struct.pack(">I", 24) + b"ftyp" + brand + b"\0\0\0\0" + brand + b"miaf" + b"\0" * 4000


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_the_three_kinds_are_opened(kind: str) -> None:
    photo = open_photo(saved(scene(), kind))
    assert photo.pixels.shape == (480, 640, 3)
    assert photo.pixels.dtype == np.uint8
    assert (photo.source_format, photo.source_size, photo.alpha) == (
        kind,
        (640, 480),
        None,
    )


@pytest.mark.parametrize(
    ("orientation", "corner"),
    [
        (1, (0, 0)),
        (2, (0, -1)),
        (3, (-1, -1)),
        (4, (-1, 0)),
        (5, (0, 0)),
        (6, (0, -1)),
        (7, (-1, -1)),
        (8, (-1, 0)),
    ],
)
def test_each_exif_orientation_is_applied(orientation: int, corner: tuple[int, int]) -> None:
    photo = open_photo(saved(scene(), "JPEG", exif=exif_with(orientation)))
    turned = orientation >= 5
    assert photo.pixels.shape == ((640, 480, 3) if turned else (480, 640, 3))
    assert photo.source_size == ((480, 640) if turned else (640, 480))
    assert photo.pixels[corner][0] > 180


def test_focal_length_is_kept_as_a_number_and_nothing_else_of_the_metadata() -> None:
    data = saved(scene(), "JPEG", exif=exif_with(6, f35=26), comment=b"taken at home")
    photo = open_photo(data)
    assert photo.f35_mm == 26.0
    stored = encode_jpeg(photo.pixels)
    with Image.open(BytesIO(stored)) as again:
        assert not dict(again.getexif())
        assert "comment" not in again.info and "icc_profile" not in again.info
    assert b"SecretCam" in data and b"SecretCam" not in stored and b"taken at home" not in stored


def test_a_focal_length_from_before_cropping_is_not_believed() -> None:
    exif = exif_with(f35=26)
    exif.get_ifd(0x8769)[0xA002], exif.get_ifd(0x8769)[0xA003] = 4032, 2268
    assert open_photo(saved(scene(), "JPEG", exif=exif)).f35_mm is None


def test_unreadable_exif_does_not_refuse_a_photo() -> None:
    photo = open_photo(saved(scene(), "JPEG", exif=b"Exif\0\0MM\0*\xff\xff\xff\xff garbage"))
    assert photo.f35_mm is None


def test_large_photos_are_shrunk_to_the_long_side() -> None:
    photo = open_photo(saved(scene(4000, 3000), "JPEG"))
    assert photo.pixels.shape == (1920, 2560, 3)
    assert photo.source_size == (4000, 3000)


def test_too_many_bytes_are_refused_first() -> None:
    error = refusal(b"x" * 2000, PhotoLimits(max_bytes=1000))
    assert error.code == "photo_too_large"


@pytest.mark.parametrize(
    "data",
    [
        png_claiming(8000, 8000),
        png_claiming(30_000, 30_000),
        webp_claiming(16_000, 16_000),
    ],
    ids=["png", "bomb", "webp"],
)
def test_a_pixel_bomb_is_refused_by_its_header(data: bytes) -> None:
    error = refusal(data)
    assert error.code == "photo_too_many_pixels"
    assert "smaller copy" in error.message


@pytest.mark.filterwarnings("error")
def test_pillow_bomb_warning_counts_as_too_many_pixels() -> None:
    assert refusal(png_claiming(10_000, 10_000)).code == "photo_too_many_pixels"


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_a_truncated_file_is_corrupt(kind: str, share: float) -> None:
    noisy = Image.fromarray(np.random.default_rng(1).integers(0, 255, (480, 640, 3), dtype=np.uint8))
    data = saved(noisy, kind)
    assert refusal(data[: int(len(data) * share)]).code == "photo_corrupt"


def test_an_empty_file_and_a_bare_magic_are_corrupt() -> None:
    assert refusal(b"").code == "photo_corrupt"
    assert refusal(b"\xff\xd8\xff\xe0 and then words").code == "photo_corrupt"


def test_heic_is_refused_with_advice_where_it_cannot_be_opened() -> None:
    error = refusal(ftyp(b"heic"))
    assert error.code == {False: "photo_unsupported", True: "photo_corrupt"}[HEIF_AVAILABLE]
    assert {False: "Most Compatible", True: "damaged"}[HEIF_AVAILABLE] in error.message


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (ftyp(b"avif"), "AVIF"),
        (ftyp(b"isom"), "video"),
        (b"%PDF-1.7 ...", "PDF"),
        (b"<?xml version='1.0'?><svg xmlns='http://www.w3.org/2000/svg'/>", "SVG"),
        (b"\n <!doctype html><script>alert(1)</script>", "web page"),
        (b"II*\0" + b"\0" * 100, "TIFF"),
        (b"PK\x03\x04" + b"\0" * 100, "archive"),
        (b"just words", "not a photo"),
    ],
)
def test_other_kinds_are_unsupported_and_the_message_names_them(data: bytes, words: str) -> None:
    error = refusal(data)
    assert error.code == "photo_unsupported"
    assert words in error.message and "JPEG" in error.message


def test_a_still_gif_and_a_bmp_are_unsupported() -> None:
    assert refusal(saved(scene(), "GIF")).code == "photo_unsupported"
    assert refusal(saved(scene(), "BMP")).code == "photo_unsupported"


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG"])
def test_animations_are_refused(kind: str) -> None:
    data = saved(
        scene(),
        kind,
        save_all=True,
        append_images=[scene().rotate(90), scene().rotate(45)],
    )
    assert refusal(data).code == "photo_animated"


def test_a_jpeg_with_a_second_view_is_a_still_photo() -> None:
    data = saved(scene(), "MPO", save_all=True, append_images=[scene().rotate(180)])
    photo = open_photo(data)
    assert photo.source_format == "JPEG"
    assert photo.pixels[0, 0, 0] > 180


@pytest.mark.parametrize("size", [(200, 600), (600, 200), (1600, 300)])
def test_tiny_and_narrow_pictures_are_too_small(size: tuple[int, int]) -> None:
    assert refusal(saved(scene(*size), "JPEG")).code == "photo_too_small"


def test_product_pictures_may_be_narrower() -> None:
    assert open_photo(saved(scene(300, 1500), "JPEG"), PRODUCT_LIMITS).pixels.shape == (
        1500,
        300,
        3,
    )


@pytest.mark.parametrize("mode", ["L", "CMYK", "P", "1", "LA", "RGBA"])
def test_every_colour_mode_becomes_rgb(mode: str) -> None:
    kind = {"CMYK": "JPEG"}.get(mode, "PNG")
    photo = open_photo(saved(scene().convert(mode), kind))
    assert photo.pixels.shape == (480, 640, 3)
    assert photo.alpha is None


def test_cmyk_keeps_its_colours() -> None:
    photo = open_photo(saved(scene().convert("CMYK"), "JPEG", quality=95))
    assert np.abs(photo.pixels[100, 100].astype(int) - (220, 30, 30)).max() < 12


def test_sixteen_bit_grey_is_scaled_and_not_clipped() -> None:
    ramp = np.tile(np.linspace(0, 65535, 640), (480, 1)).astype(np.uint16)
    photo = open_photo(saved(Image.fromarray(ramp), "PNG"))
    assert (int(photo.pixels[0, 0, 0]), int(photo.pixels[0, 639, 0])) == (0, 255)
    assert abs(int(photo.pixels[0, 320, 0]) - 128) <= 1


def test_transparency_is_flattened_on_white_and_kept_when_asked() -> None:
    image = scene().convert("RGBA")
    image.putalpha(Image.linear_gradient("L").resize((640, 480)))
    data = saved(image, "PNG")
    flat = open_photo(data)
    assert flat.alpha is None and flat.pixels[0, 0].min() == 255
    assert abs(int(flat.pixels[-1, -1, 2]) - 120) <= 2
    photo = open_photo(data, keep_alpha=True)
    assert photo.alpha is not None and photo.alpha.shape == (480, 640)
    assert np.array_equal(photo.pixels, np.asarray(scene())), "straight colours, not mixed with white"


def test_a_palette_with_a_transparent_colour_keeps_its_alpha() -> None:
    image = scene().convert("P", palette=Image.Palette.ADAPTIVE, colors=4)
    data = saved(image, "PNG", transparency=int(np.asarray(image)[0, 0]))
    photo = open_photo(data, keep_alpha=True)
    assert photo.alpha is not None and int(photo.alpha[0, 0]) == 0 and int(photo.alpha[-1, -1]) == 255


def swapped_primaries() -> bytes:
    """An sRGB profile whose red and green primaries are exchanged: tag signatures in its table (ICC.1, 7.3)."""
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    red, green = profile.index(b"rXYZ"), profile.index(b"gXYZ")
    profile[red : red + 4], profile[green : green + 4] = b"gXYZ", b"rXYZ"
    return bytes(profile)


def test_an_embedded_profile_is_converted_to_srgb() -> None:
    photo = open_photo(saved(scene(), "PNG", icc_profile=swapped_primaries()))
    red, green, _ = (int(v) for v in photo.pixels[100, 100])
    assert green > 180 > red


def test_a_broken_profile_is_ignored() -> None:
    photo = open_photo(saved(scene(), "PNG", icc_profile=b"not a profile"))
    assert tuple(photo.pixels[100, 100]) == (220, 30, 30)


def test_the_tail_of_a_polyglot_does_not_survive() -> None:
    data = saved(scene(), "PNG") + b"PK\x03\x04<script>alert(1)</script>"
    photo = open_photo(data)
    assert b"script" not in encode_png(photo.pixels) and b"script" not in encode_jpeg(photo.pixels)


def test_stored_pictures_come_back_as_they_were() -> None:
    rng = np.random.default_rng(3)
    for shape in ((40, 50), (40, 50, 3), (40, 50, 4)):
        pixels = rng.integers(0, 255, shape, dtype=np.uint8)
        assert np.array_equal(decode(encode_png(pixels)), pixels)
    assert np.array_equal(decode(encode_png(np.eye(9, dtype=bool))), np.eye(9, dtype=np.uint8) * 255)
    with pytest.raises(PhotoError):
        decode(b"nothing")


def test_the_same_bytes_give_the_same_bytes() -> None:
    data = saved(scene(3000, 2000), "JPEG", exif=exif_with(6))
    first, second = (hashlib.sha256(encode_jpeg(open_photo(data).pixels)).digest() for _ in range(2))
    assert first == second
