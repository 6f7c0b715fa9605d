"""Photos that shoppers really send, and files that only look like photos."""

import io
import struct
import zlib
from collections.abc import Callable

import numpy as np
from PIL import Image

from tests.factories import encoded, room_jpeg


def animated_gif() -> bytes:
    """Two frames."""
    frames = [Image.new("L", (300, 300), shade) for shade in (0, 200)]
    out = io.BytesIO()
    frames[0].save(out, "GIF", save_all=True, append_images=frames[1:])
    return out.getvalue()


def animated_webp() -> bytes:
    """Two frames in the kind that we otherwise open."""
    frames = [Image.new("RGB", (300, 300), (shade, 0, 0)) for shade in (10, 200)]
    out = io.BytesIO()
    frames[0].save(out, "WEBP", save_all=True, append_images=frames[1:])
    return out.getvalue()


def png_bomb(side: int = 20_000) -> bytes:
    """A small file that says it is 400 megapixels, and is."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    rows = zlib.compressobj(9)
    packed = b"".join(rows.compress(bytes(1 + side // 8)) for _ in range(side)) + rows.flush()
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", packed) + chunk(b"IEND", b"")


def turned_jpeg() -> bytes:
    """A phone's photo held upright: stored lying down, with GPS and a lens in its EXIF."""
    exif = Image.Exif()
    exif[0x0112] = 6
    exif.get_ifd(0x8769)[0xA405] = 26
    exif.get_ifd(0x8825)[2] = (48.0, 8.0, 0.0)
    return room_jpeg(800, 600, exif=exif.tobytes())


def _pixels(width: int, height: int) -> np.ndarray:
    return np.full((height, width, 3), 120, np.uint8)


REFUSED: dict[str, tuple[Callable[[], bytes], int, str]] = {
    "a PDF named .jpg": (lambda: b"%PDF-1.7\n" + bytes(2000), 415, "photo_unsupported"),
    "HTML": (lambda: b"<html><script>alert(1)</script></html>", 415, "photo_unsupported"),
    "SVG": (lambda: b'<svg xmlns="http://www.w3.org/2000/svg"/>', 415, "photo_unsupported"),
    "HEIC": (lambda: b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(2000), 415, "photo_unsupported"),
    "noise": (lambda: np.random.default_rng(1).bytes(5000), 415, "photo_unsupported"),
    "half a JPEG": (lambda: room_jpeg()[:8000], 422, "photo_corrupt"),
    "a JPEG's first bytes": (lambda: b"\xff\xd8\xff\xe0" + bytes(400), 422, "photo_corrupt"),
    "a bomb": (png_bomb, 422, "photo_too_many_pixels"),
    "a thumbnail": (lambda: encoded(_pixels(120, 90)), 422, "photo_too_small"),
    "an animated GIF": (animated_gif, 422, "photo_animated"),
    "an animated WebP": (animated_webp, 422, "photo_animated"),
}
