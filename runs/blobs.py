"""Rows for stored bytes: put once, referred to by artifacts, gone with the last reference."""

import io
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING
from uuid import UUID

from django.db import transaction
from django.db.models import ProtectedError
from django.utils import timezone
from PIL import Image

from core.canonical import sha256_hex
from core.storage import BlobStore
from runs.models import Artifact, Blob, Run

if TYPE_CHECKING:
    from shops.models import Shop

NO_SHOP = "shared"


@dataclass(frozen=True, slots=True)
class BlobDraft:
    """Bytes already in the store whose row is still to be written; it travels from the computing child."""

    sha256: str
    size: int
    media_type: str
    storage_key: str
    width: int | None = None
    height: int | None = None


def owner_of(shop_id: object | None) -> str:
    """The storage folder of a shop's blobs."""
    return str(shop_id) if shop_id else NO_SHOP


def picture_size(content: bytes, media_type: str) -> tuple[int | None, int | None]:
    """Width and height in pixels from a picture's header; (None, None) for anything else."""
    if not media_type.startswith("image/"):
        return None, None
    try:
        with Image.open(io.BytesIO(content)) as image:
            return image.size
    except (OSError, Image.DecompressionBombError):  # claimed to be a picture; whoever opens it will say what it is
        return None, None


def describe_blob(owner: str, content: bytes, media_type: str) -> BlobDraft:
    """What a draft of these bytes says; they are still to be put into the store."""
    sha256 = sha256_hex(content)
    return BlobDraft(
        sha256, len(content), media_type, BlobStore.key_for(owner, sha256), *picture_size(content, media_type)
    )


def draft_blob(store: BlobStore, owner: str, content: bytes, media_type: str) -> BlobDraft:
    """Put bytes into the store and describe them; no database."""
    store.put(owner, content, media_type)
    return describe_blob(owner, content, media_type)


def store_blob(
    *,
    shop: "Shop | None",
    content: bytes,
    media_type: str,
    retention: str = Blob.Retention.EVIDENCE,
    store: BlobStore | None = None,
) -> Blob:
    """Store bytes of a shop and return their row; the same bytes again return the same row."""
    draft = draft_blob(store or BlobStore(), owner_of(shop.pk if shop else None), content, media_type)
    return write_blobs(shop.pk if shop else None, [draft], retention)[draft.sha256]


def write_blobs(shop_id: UUID | None, drafts: Iterable[BlobDraft], retention: str) -> dict[str, Blob]:
    """Write or find the rows of stored bytes, by hash."""
    unique = {draft.sha256: draft for draft in drafts}
    if not unique:
        return {}
    rows = [
        Blob(
            shop_id=shop_id,
            sha256=draft.sha256,
            size=draft.size,
            media_type=draft.media_type,
            width=draft.width,
            height=draft.height,
            storage_key=draft.storage_key,
            retention=retention,
        )
        for draft in sorted(unique.values(), key=lambda draft: draft.sha256)
    ]
    Blob.objects.bulk_create(rows, ignore_conflicts=True)
    # Whoever wrote a row first, it is that row that counts.
    mine = {"shop_id": shop_id} if shop_id else {"shop": None}
    known = Blob.objects.filter(**mine, sha256__in=unique)
    return {row.sha256: row for row in known}


def delete_pictures(run: Run, *, store: BlobStore | None = None) -> int:
    """Delete every picture of a run that belongs to a shopper, at once; steps and decisions stay.

    References go first, bytes with the last reference. Returns how many references were deleted.
    """
    references = Artifact.objects.filter(run=run, blob__isnull=False, blob__media_type__startswith="image/").exclude(
        blob__retention=Blob.Retention.KEEP
    )
    blob_ids = list(references.values_list("blob_id", flat=True))
    deleted = references.update(blob=None, deleted_at=timezone.now())
    delete_unreferenced(blob_ids, store=store)
    return deleted


def delete_unreferenced(blob_ids: Iterable[object], *, store: BlobStore | None = None) -> None:
    """Delete those of these blobs that no artifact names and no row of another app protects. Inside a transaction."""
    for blob in Blob.objects.unreferenced().filter(id__in=list(blob_ids)):
        try:
            delete_blob(blob, store=store)
        except ProtectedError:  # raised before anything is written
            continue


def delete_blob(blob: Blob, *, store: BlobStore | None = None) -> None:
    """Delete a blob that nothing refers to: the row now, the bytes when the transaction commits."""
    key = blob.storage_key
    blob.delete()
    transaction.on_commit(lambda: (store or BlobStore()).delete_key(key))
