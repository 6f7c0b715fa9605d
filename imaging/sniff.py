"""What a file is, by its bytes alone: the kinds we open, and advice for the kinds we do not.

File names and declared content types are never asked; both are whatever the sender says.
"""

import importlib.util

# HEIC is opened only where the optional pillow-heif is installed (see DESIGN, Dependencies).
HEIF_AVAILABLE = importlib.util.find_spec("pillow_heif") is not None
FORMATS = ("JPEG", "PNG", "WEBP", "HEIF") if HEIF_AVAILABLE else ("JPEG", "PNG", "WEBP")

if HEIF_AVAILABLE:
    import pillow_heif  # type: ignore[import-not-found,unused-ignore]

    pillow_heif.register_heif_opener()

HEIC_BRANDS = (
    b"heic",
    b"heix",
    b"heim",
    b"heis",
    b"hevc",
    b"hevx",
    b"hevm",
    b"hevs",
    b"mif1",
    b"msf1",
)
AVIF_BRANDS = (b"avif", b"avis")

ASK_FOR_JPEG = "Please send a JPEG, PNG or WebP."
HEIC_ADVICE = (
    "This is a HEIC photo, which we cannot open. On an iPhone choose Settings > Camera > Formats > Most Compatible "
    "and take it again, or send a screenshot of the photo."
)
# First bytes of what people really send, with its name.
KNOWN_KINDS = (
    (b"GIF8", "This is a GIF, not a photo."),
    (b"%PDF", "This is a PDF document, not a photo."),
    (b"BM", "This is a BMP picture, which we cannot open."),
    (b"II*\0", "This is a TIFF or camera raw file, which we cannot open."),
    (b"MM\0*", "This is a TIFF or camera raw file, which we cannot open."),
    (b"8BPS", "This is a Photoshop file, which we cannot open."),
    (b"PK\x03\x04", "This is an archive or a document, not a photo."),
    (b"\xff\x0a", "This is a JPEG XL picture, which we cannot open."),
    (b"\0\0\0\x0cJXL ", "This is a JPEG XL picture, which we cannot open."),
    (b"\0\0\0\x0cjP  ", "This is a JPEG 2000 picture, which we cannot open."),
)


def unsupported_message(data: bytes) -> str | None:
    """A sentence for a shopper when the bytes are of no kind that we open, else None."""
    if data.startswith((b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n")) or (data[:4] == b"RIFF" and data[8:12] == b"WEBP"):
        return None
    if data[4:8] == b"ftyp":
        return _iso_media_message(data)
    for magic, sentence in KNOWN_KINDS:
        if data.startswith(magic):
            return f"{sentence} {ASK_FOR_JPEG}"
    if data[:1024].lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<"):
        is_svg = b"<svg" in data[:4096].lower()
        return f"{'This is an SVG drawing' if is_svg else 'This is a web page'}, not a photo. {ASK_FOR_JPEG}"
    return f"This file is not a photo that we can open. {ASK_FOR_JPEG}"


def declared_size(data: bytes) -> tuple[int, int] | None:
    """Width and height that a WebP header declares, None for other kinds.

    Pillow's WebP reader allocates its canvas on opening, so the size has to be known before. PNG and JPEG headers it
    reads without decoding. Layout: RFC 9649, sections 2.5 to 2.7.
    """
    if data[:4] != b"RIFF" or data[8:12] != b"WEBP" or len(data) < 30:
        return None
    if data[12:16] == b"VP8X":
        return 1 + int.from_bytes(data[24:27], "little"), 1 + int.from_bytes(data[27:30], "little")
    if data[12:16] == b"VP8L":
        bits = int.from_bytes(data[21:25], "little")
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    if data[12:16] == b"VP8 ":
        return int.from_bytes(data[26:28], "little") & 0x3FFF, int.from_bytes(data[28:30], "little") & 0x3FFF
    return None


def _iso_media_message(data: bytes) -> str | None:
    """Advice for ISO base media files (ISO/IEC 14496-12, file type box) by their brands."""
    box_end = min(max(int.from_bytes(data[:4], "big"), 16), 256)
    brands = [data[8:12], *(data[at : at + 4] for at in range(16, box_end, 4))]
    if any(brand in AVIF_BRANDS for brand in brands):
        return f"This is an AVIF picture, which we cannot open. {ASK_FOR_JPEG}"
    if any(brand in HEIC_BRANDS for brand in brands):
        return None if HEIF_AVAILABLE else HEIC_ADVICE
    return f"This is a video, not a photo. {ASK_FOR_JPEG}"


__all__ = ["FORMATS", "HEIF_AVAILABLE", "declared_size", "unsupported_message"]
