"""Rows for stored bytes: put once, referred to by artifacts, gone with the last reference.

Small texts live in their row, everything else in the store (decision 0010). Bytes in the store are deleted under their
row's lock, and a row that is written anew is only committed with its bytes in place: so no row points at nothing.
"""

import io
import struct
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
from runs.errors import BytesGone
from runs.models import Artifact, Blob, Run
from runs.writing import Row, new_row, upsert_blobs

if TYPE_CHECKING:
    from shops.models import Shop

NO_SHOP = "shared"
ROW_LIMIT = 8 * 1024
PUTS = 3
# What Pillow raises over the header of a picture that was damaged, or made to do damage.
UNREADABLE = (OSError, ValueError, SyntaxError, TypeError, LookupError, OverflowError, struct.error)


@dataclass(frozen=True, slots=True)
class BlobDraft:
    """Bytes whose row is still to be written, in the store already or (`body`) small enough for the row.

    It travels from the computing child.
    """

    sha256: str
    size: int
    media_type: str
    storage_key: str
    width: int | None = None
    height: int | None = None
    body: bytes | None = None


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
    except (*UNREADABLE, Image.DecompressionBombError):  # claimed to be one; whoever opens it will say what it is
        return None, None


def describe_blob(owner: str, content: bytes, media_type: str) -> BlobDraft:
    """What a draft of these bytes says; unless it holds them itself they are still to be put into the store."""
    sha256 = sha256_hex(content)
    if media_type == "application/json" and len(content) <= ROW_LIMIT:
        return BlobDraft(sha256, len(content), media_type, "", body=bytes(content))
    return BlobDraft(
        sha256, len(content), media_type, BlobStore.key_for(owner, sha256), *picture_size(content, media_type)
    )


def draft_blob(store: BlobStore, owner: str, content: bytes, media_type: str) -> BlobDraft:
    """Describe bytes, put into the store unless their row can hold them; no database."""
    draft = describe_blob(owner, content, media_type)
    if draft.body is None:
        store.put(owner, content, media_type)
    return draft


def draft_row(draft: BlobDraft, shop_id: UUID | None, retention: str) -> Row:
    """A draft as a row."""
    return new_row(
        Blob,
        shop_id=shop_id,
        sha256=draft.sha256,
        size=draft.size,
        media_type=draft.media_type,
        storage_key=draft.storage_key,
        width=draft.width,
        height=draft.height,
        body=draft.body,
        retention=retention,
    )


def read_blob(blob: Blob, store: BlobStore | None = None) -> bytes:
    """A blob's bytes, wherever they are.

    Raises:
        core.storage.BlobMissing: they are gone.
    """
    return bytes(blob.body) if blob.body is not None else (store or BlobStore()).read_key(blob.storage_key)


def store_blob(
    *,
    shop: "Shop | None",
    content: bytes,
    media_type: str,
    retention: str = Blob.Retention.EVIDENCE,
    store: BlobStore | None = None,
) -> Blob:
    """Store bytes of a shop and return their row; the same bytes again return the same row."""
    store, shop_id = store or BlobStore(), shop.pk if shop else None
    for left in reversed(range(PUTS)):
        draft = draft_blob(store, owner_of(shop_id), content, media_type)
        try:
            with transaction.atomic():
                ids, fresh = upsert_blobs([draft_row(draft, shop_id, retention)])
                require_bytes(store, fresh)
            return Blob.objects.get(id=ids[draft.sha256])
        except BytesGone:  # the same picture was being deleted elsewhere; we still have its bytes
            if not left:
                raise
    raise AssertionError("unreachable")


def require_bytes(store: BlobStore, fresh: Iterable[str]) -> None:
    """See that the bytes of rows just written, or saved from deletion, are there. Inside the transaction that wrote.

    Between `put` and the row somebody may have deleted the same bytes with the last row that named them. From the row
    on nobody can: deleting needs the row's lock.

    Raises:
        BytesGone: they have to be put again.
    """
    for key in fresh:
        if not store.has_key(key):
            raise BytesGone()


def delete_pictures(run: Run, *, why: str = "", store: BlobStore | None = None) -> int:
    """Delete every picture of a run that belongs to a shopper, at once; steps and decisions stay, and `why` they went.

    References go first, bytes with the last reference. Returns how many references were deleted.
    """
    references = Artifact.objects.filter(run=run, blob__isnull=False, blob__media_type__startswith="image/").exclude(
        blob__retention=Blob.Retention.KEEP
    )
    blob_ids = list(references.values_list("blob_id", flat=True))
    deleted = references.update(blob=None, deleted_at=timezone.now(), deleted_for=why)
    delete_unreferenced(blob_ids, store=store)
    return deleted


def delete_unreferenced(blob_ids: Iterable[object], *, store: BlobStore | None = None) -> None:
    """Delete those of these blobs that nothing refers to once the transaction has committed: rows and bytes.

    Inside a transaction. They are condemned in it, so that a process that dies right after it leaves them to the
    workers' chore.
    """
    condemned = list(Blob.objects.unreferenced().filter(id__in=list(blob_ids)).values_list("id", flat=True))
    Blob.objects.filter(id__in=condemned).update(condemned_at=timezone.now())

    def delete() -> None:
        delete_condemned(condemned, store=store)

    transaction.on_commit(delete, robust=True)  # a store that is down costs a delay: the chore does it then


def delete_condemned(blob_ids: Iterable[UUID], *, store: BlobStore | None = None) -> int:
    """Delete those of these blobs that are condemned and that nothing refers to; returns how many went."""
    return sum(_delete_condemned(blob_id, store or BlobStore()) for blob_id in blob_ids)


@transaction.atomic
def _delete_condemned(blob_id: UUID, store: BlobStore) -> bool:
    """Delete a blob under its lock: whoever stores the same bytes waits, and puts them again if it has to."""
    blob = Blob.objects.select_for_update().filter(id=blob_id, condemned_at__isnull=False).first()
    if blob is None:
        return False
    if Artifact.objects.filter(blob=blob).exists() or not _is_free(blob):
        Blob.objects.filter(id=blob.id).update(condemned_at=None)
        return False
    if blob.storage_key:
        store.delete_key(blob.storage_key)
    return True


def _is_free(blob: Blob) -> bool:
    """Delete the row unless another app's row protects it."""
    try:
        blob.delete()
    except ProtectedError:  # raised before anything is written
        return False
    return True
