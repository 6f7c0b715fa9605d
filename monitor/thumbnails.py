"""Small versions of stored pictures, made once and kept beside them."""

import io

from PIL import Image, UnidentifiedImageError

from core.storage import THUMBNAIL_SIZES, BlobMissing, BlobStore
from runs.models import Blob

MEDIA_TYPE = "image/webp"
FORMATS = ("JPEG", "PNG", "WEBP")
MAX_PIXELS = 50_000_000
LABELS = 32  # a grey picture without brighter pixels is a label map: spread out, or it would look black


class NotAPicture(Exception):
    """These bytes are no picture that can be shown."""


def read_thumbnail(blob: Blob, size: int, store: BlobStore | None = None) -> bytes:
    """A picture at most `size` px on its long side, as WebP; made on the first request.

    Raises:
        ValueError: a size that is not offered.
        NotAPicture: the bytes cannot be shown.
        core.storage.BlobMissing: they are gone.
    """
    if size not in THUMBNAIL_SIZES:
        raise ValueError(f"thumbnails have {THUMBNAIL_SIZES} px")
    store = store or BlobStore()
    try:
        return store.read_key(store.thumbnail_key(blob.storage_key, size))
    except BlobMissing:
        content = make_thumbnail(store.read_key(blob.storage_key), size)
    store.put_thumbnail(blob.storage_key, size, content)
    if not Blob.objects.filter(id=blob.id).exists():  # deleted while we made it: leave nothing behind
        store.delete_key(blob.storage_key)
        raise BlobMissing()
    return content


def make_thumbnail(content: bytes, size: int) -> bytes:
    """Scale a picture down (never up), transparency kept, metadata dropped."""
    try:
        with Image.open(io.BytesIO(content), formats=FORMATS) as opened:
            image: Image.Image = opened
            if image.width * image.height > MAX_PIXELS:
                raise NotAPicture
            opened.draft("RGB", (size * 2, size * 2))
            if image.mode == "L" and 0 < (top := max(image.tobytes(), default=0)) < LABELS:
                image = image.point(lambda value: value * 255 // top)
            mode = "RGBA" if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info else "RGB"
            small = image.convert(mode)
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError) as error:
        raise NotAPicture from error
    small.thumbnail((size, size), Image.Resampling.LANCZOS)
    out = io.BytesIO()
    small.save(out, "WEBP", quality=82, method=4)
    return out.getvalue()
