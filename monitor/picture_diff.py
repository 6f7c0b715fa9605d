"""Two pictures beside each other: where they differ, how much of them, and a map of it."""

import io
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image, UnidentifiedImageError

from core.storage import BlobStore
from monitor.thumbnails import FORMATS, MAX_PIXELS, NotAPicture
from runs.models import Blob

SIZE = 1280  # the long side at which pictures are compared
VISIBLE = 8  # of 255: what JPEG alone may change lies below
AMPLIFY = 8  # a difference of 32 of 255 already shines
DIMMED = 0.25  # the picture behind the map
MEDIA_TYPE = "image/webp"
# Of the map, from no difference to the strongest: black, violet, orange, pale yellow.
COLOURS = np.array([(0, 0, 0), (110, 30, 140), (240, 120, 30), (255, 250, 190)], np.float32)


@dataclass(frozen=True, slots=True)
class PictureDiff:
    """How two pictures differ, compared at most 1280 px large.

    `changed` is the share of pixels (0..1) whose strongest channel differs by more than 8 of 255, `strongest` the
    greatest difference of all (0..255), `mean` the mean of the strongest channels'. `box` holds what changed as
    (x0, y0, x1, y1) in fractions of the picture. `scaled` says that their sizes were not the same.
    """

    changed: float
    strongest: int
    mean: float
    box: tuple[float, float, float, float] | None
    scaled: bool
    picture: bytes

    @property
    def same(self) -> bool:
        """Whether every pixel is the same."""
        return self.strongest == 0


def diff_blobs(before: Blob, after: Blob, store: BlobStore | None = None) -> PictureDiff:
    """Compare two stored pictures.

    Raises:
        NotAPicture: one of them cannot be shown.
        core.storage.BlobMissing: one of them is gone.
    """
    store = store or BlobStore()
    return diff_pictures(_small(before, store), _small(after, store))


def _small(blob: Blob, store: BlobStore) -> Image.Image:
    """At most 1280 px, from the stored picture: a thumbnail's own compression would show as a difference."""
    try:
        opened: Image.Image = Image.open(io.BytesIO(store.read_key(blob.storage_key)), formats=FORMATS)
        if opened.width * opened.height > MAX_PIXELS:
            raise NotAPicture
        opened.draft("RGB", (SIZE, SIZE))
        small = opened.convert("RGBA")
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError) as error:
        raise NotAPicture from error
    small.thumbnail((SIZE, SIZE), Image.Resampling.BOX)
    return small


def diff_pictures(before: Image.Image, after: Image.Image) -> PictureDiff:
    """Compare two pictures; the second is scaled to the size of the first. Transparency counts as a channel."""
    scaled = before.size != after.size
    old = np.asarray(before.convert("RGBA"), np.int16)
    resized = after.convert("RGBA").resize(before.size, Image.Resampling.LANCZOS) if scaled else after.convert("RGBA")
    new = np.asarray(resized, np.int16)
    seen = np.maximum(old[..., 3:], new[..., 3:]) > 0  # colours under full transparency are nobody's difference
    apart = np.where(seen, np.abs(old - new), 0).max(axis=2)
    marked = apart > VISIBLE
    return PictureDiff(
        changed=float(marked.mean()),
        strongest=int(apart.max(initial=0)),
        mean=float(apart.mean()),
        box=_box(marked),
        scaled=scaled,
        picture=_map(apart, new),
    )


def _box(marked: "np.ndarray[tuple[int, int], np.dtype[np.bool_]]") -> tuple[float, float, float, float] | None:
    rows, columns = np.flatnonzero(marked.any(axis=1)), np.flatnonzero(marked.any(axis=0))
    if not rows.size:
        return None
    height, width = marked.shape
    return (
        float(columns[0] / width), float(rows[0] / height),
        float((columns[-1] + 1) / width), float((rows[-1] + 1) / height),
    )  # fmt: skip


def _map(apart: "np.ndarray[tuple[int, int], np.dtype[np.int16]]", behind: "np.ndarray[Any, Any]") -> bytes:
    """The amplified difference in colours over the dimmed grey picture, as WebP."""
    strength = np.clip(apart.astype(np.float32) * AMPLIFY / 255, 0, 1)
    position = strength * (len(COLOURS) - 1)
    floor = np.minimum(position.astype(int), len(COLOURS) - 2)
    part = (position - floor)[..., None]
    colours = COLOURS[floor] * (1 - part) + COLOURS[floor + 1] * part
    grey = behind[..., :3].mean(axis=2) * (behind[..., 3] / 255) * DIMMED
    shown = np.clip(np.maximum(colours, grey[..., None] * (1 - strength[..., None])), 0, 255).astype(np.uint8)
    out = io.BytesIO()
    Image.fromarray(shown).save(out, "WEBP", quality=88, method=2)
    return out.getvalue()
