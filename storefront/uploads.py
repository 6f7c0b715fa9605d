"""One-time uploads: a place is announced, filled once, and forgotten."""

import hashlib
import logging
import secrets
from datetime import timedelta

from django.db import transaction
from django.utils import timezone

from core.errors import Invalid, NotFound
from core.ids import parse_id
from runs.blobs import delete_unreferenced
from runs.messages import expect_work
from shops.models import Shop
from storefront.errors import PhotoRefused, UploadExpired, UploadIncomplete, UploadTooShort
from storefront.models import Upload
from storefront.photos import CONTENT_TYPES, max_bytes, store_room_photo
from storefront.room_photo import RoomPhoto

logger = logging.getLogger(__name__)
LIFETIME = timedelta(minutes=10)


def announce_upload(*, shop: Shop, content_type: str, declared_bytes: int) -> tuple[Upload, str]:
    """A place for one photo of exactly this many bytes, and the token that opens it.

    Raises:
        PhotoRefused: too large, or of a kind that we do not open.
    """
    check_size(declared_bytes)
    if content_type.lower() not in CONTENT_TYPES:
        raise PhotoRefused("photo_unsupported", "Please send a JPEG, PNG or WebP.")
    token = secrets.token_urlsafe(32)
    upload = Upload.objects.create(
        shop=shop,
        token_sha256=_digest(token),
        content_type=content_type.lower(),
        declared_bytes=declared_bytes,
        expires_at=timezone.now() + LIFETIME,
    )
    expect_work()
    return upload, token


def check_size(size: int) -> None:
    """Refuse a size before a byte of it is read.

    Raises:
        PhotoRefused: `photo_too_large`.
    """
    if size > max_bytes():
        limit = max_bytes() // 2**20
        raise PhotoRefused(
            "photo_too_large",
            f"This photo is {size / 2**20:.0f} MB; the limit is {limit} MB. Please send a smaller copy.",
        )


def find_waiting_upload(*, token: str, announced: int) -> Upload:
    """The upload that a token opens, if the body announced for it is of the right size.

    Raises:
        UploadExpired: unknown, used or expired.
        PhotoRefused: the body is larger than was declared.
        UploadTooShort: it is smaller.
    """
    upload = Upload.objects.waiting().select_related("shop").filter(token_sha256=_digest(token)).first()
    if upload is None or not upload.shop.is_active:
        raise UploadExpired()
    if announced > upload.declared_bytes:
        raise PhotoRefused("photo_too_large", "This photo is larger than was announced.")
    if announced < upload.declared_bytes:
        raise UploadTooShort()
    return upload


def receive_photo(*, upload: Upload, content: bytes) -> None:
    """Fill an upload with its photo, once.

    1. A body that broke off changes nothing: the same link may be tried again.
    2. Whoever marks the row as used is the one; everybody else is late.
    3. A photo that we refuse leaves nothing behind, and its link is used up.

    Raises:
        UploadIncomplete, UploadExpired, PhotoRefused: as the steps say.
    """
    if len(content) != upload.declared_bytes:
        raise UploadIncomplete()
    if not Upload.objects.waiting().filter(pk=upload.pk).update(used_at=timezone.now()):
        raise UploadExpired()
    fill_upload(upload=upload, room=store_room_photo(shop=upload.shop, content=content))


def fill_upload(*, upload: Upload, room: RoomPhoto) -> None:
    """Tie a stored photo to its upload; from now on it may be used for ten minutes."""
    Upload.objects.filter(pk=upload.pk).update(
        blob=room.blob,
        f35_mm=room.f35_mm,
        width=room.blob.width,
        height=room.blob.height,
        expires_at=timezone.now() + LIFETIME,
    )
    upload.refresh_from_db()


def upload_directly(*, shop: Shop, content: bytes, content_type: str) -> Upload:
    """A photo that came with the request itself: announced and filled at once.

    Raises:
        PhotoRefused: by the photo's own code.
    """
    check_size(len(content))
    room = store_room_photo(shop=shop, content=content)
    now = timezone.now()
    return Upload.objects.create(
        shop=shop,
        token_sha256=_digest(secrets.token_urlsafe(32)),
        content_type=content_type[:63],
        declared_bytes=len(content),
        expires_at=now + LIFETIME,
        used_at=now,
        blob=room.blob,
        f35_mm=room.f35_mm,
        width=room.blob.width,
        height=room.blob.height,
    )


def find_filled_upload(*, shop: Shop, upload_id: str) -> Upload:
    """A shop's upload whose photo has arrived.

    Raises:
        NotFound: not this shop's, or no upload at all.
        Invalid: its photo has not arrived yet.
        UploadExpired: its time is over.
    """
    try:
        upload = Upload.objects.filter(shop=shop, pk=parse_id(upload_id)).select_related("blob").first()
    except ValueError:
        upload = None
    if upload is None:
        raise NotFound("There is no upload by that id.")
    if upload.is_expired:
        raise UploadExpired()
    if upload.blob is None:
        raise Invalid("The photo has not arrived yet.", details={"upload_id": ["no photo yet"]})
    return upload


def forget_expired_uploads() -> int:
    """Delete uploads whose time is over, with the photos that no run holds; returns how many uploads went."""
    with transaction.atomic():
        expired = Upload.objects.expired().select_for_update(skip_locked=True).order_by("expires_at")[:500]
        blob_ids = {upload.blob_id for upload in expired if upload.blob_id}
        Upload.objects.filter(pk__in=[upload.pk for upload in expired]).delete()
        delete_unreferenced(blob_ids)
    return len(expired)


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
