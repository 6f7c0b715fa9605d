"""Rows and bytes brought together again, after processes that died between the one and the other."""

import logging
import time
from datetime import timedelta
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from core.ids import parse_id
from core.storage import BlobStore
from runs.blobs import NO_SHOP, delete_condemned
from runs.models import Blob
from runs.writing import new_row, upsert_blobs

logger = logging.getLogger(__name__)
AT_ONCE = timedelta(minutes=1)  # a deletion that is under way does it itself
UNCLAIMED = timedelta(hours=24)  # a shopper's picture that came to nothing
GRACE = timedelta(hours=6)  # bytes that a run may still write a row for: longer than any node may take
BATCH = 500
FOLDERS_A_TURN = 16
PARTS = 256  # a shop's folder is divided by the first two digits of the hash


def delete_leftover_blobs(*, store: BlobStore | None = None) -> int:
    """Delete blobs whose deletion was begun and broken off, and shoppers' pictures that nothing came to refer to."""
    now = timezone.now()
    unclaimed = Blob.objects.unreferenced().filter(retention=Blob.Retention.SHOPPER, created_at__lt=now - UNCLAIMED)
    ids = list(unclaimed.values_list("id", flat=True)[:BATCH])
    Blob.objects.filter(id__in=ids, condemned_at=None).update(condemned_at=now - AT_ONCE)
    condemned = Blob.objects.filter(condemned_at__lte=now - AT_ONCE).order_by("condemned_at")
    return delete_condemned(list(condemned.values_list("id", flat=True)[:BATCH]), store=store)


def delete_orphaned_bytes(*, store: BlobStore | None = None, turn: int | None = None) -> int:
    """Delete stored bytes that have no row and are older than `GRACE`: a few folders of the store at each turn.

    The turn is the clock's minute, so that the workers walk through the whole store together and keep no place.
    Returns how many were deleted.
    """
    store = store or BlobStore()
    turn = int(time.time() // 60) if turn is None else turn
    owners = sorted(store.folders("blobs"))
    deleted = 0
    for place in range(turn * FOLDERS_A_TURN, (turn + 1) * FOLDERS_A_TURN):
        if owners:
            part, owner = (place // len(owners)) % PARTS, owners[place % len(owners)]
            deleted += _clear(store, owner, f"blobs/{owner}/{part:02x}")
    if deleted:
        logger.warning("bytes without a row deleted", extra={"count": deleted})
    return deleted


def _clear(store: BlobStore, owner: str, folder: str) -> int:
    """Delete what a folder holds for too long without a row."""
    try:
        shop_id = None if owner == NO_SHOP else parse_id(owner)
    except ValueError:  # no folder of ours
        return 0
    names = store.files(folder)
    rows = Blob.objects.filter(shop=shop_id, sha256__in=names).exclude(storage_key="")
    known = set(rows.values_list("sha256", flat=True))
    before = timezone.now() - GRACE
    orphans = [name for name in names if name not in known and store.is_older(f"{folder}/{name}", before)]
    return sum(_delete_orphan(store, shop_id, f"{folder}/{name}") for name in orphans)


def _delete_orphan(store: BlobStore, shop_id: UUID | None, key: str) -> bool:
    """Delete bytes while nobody can write a row for them: our own row holds the name until we have taken it back."""
    with transaction.atomic():
        sha256 = key.rsplit("/", 1)[-1]
        row = new_row(Blob, shop_id=shop_id, sha256=sha256, size=0, media_type="", storage_key=key)
        _, fresh = upsert_blobs([row])
        if fresh:
            store.delete_key(key)
        transaction.set_rollback(True)
    return bool(fresh)
