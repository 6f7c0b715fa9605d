"""A shopper's photo on its way in: opened once, normalised, stored without its metadata."""

from runs.blobs import store_blob
from runs.models import Blob
from shops.models import Shop
from storefront.errors import PhotoRefused
from storefront.room_photo import RoomPhoto

JPEG_QUALITY = 95
CONTENT_TYPES = ("image/jpeg", "image/png", "image/webp")


def max_bytes() -> int:
    """The largest photo that is taken."""
    from imaging.photo import ROOM_LIMITS  # here, as below: the workers know this module and open no picture

    return ROOM_LIMITS.max_bytes


def store_room_photo(*, shop: Shop, content: bytes) -> RoomPhoto:
    """Open a photo from outside, normalise it (upright, at most 2560 px, JPEG quality 95, no metadata) and store it.

    Not inside a transaction: it decodes a picture and writes a file.

    Raises:
        PhotoRefused: by the photo's own code.
    """
    from imaging.photo import ROOM_LIMITS, PhotoError, encode_jpeg, open_photo

    try:
        photo = open_photo(content, ROOM_LIMITS)
    except PhotoError as error:
        raise PhotoRefused.of(error) from error
    jpeg = encode_jpeg(photo.pixels, quality=JPEG_QUALITY)
    blob = store_blob(shop=shop, content=jpeg, media_type="image/jpeg", retention=Blob.Retention.SHOPPER)
    return RoomPhoto(blob, photo.f35_mm)
