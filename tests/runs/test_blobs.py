"""Stored bytes and their rows: never a row without bytes, and no bytes for long without a row."""

import os
import struct
import threading
import time
import zlib
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import connection, transaction
from django.utils import timezone

from core.storage import BlobMissing, BlobStore, StoredBlob
from runs.blobs import PUTS, delete_pictures, read_blob, store_blob
from runs.errors import BytesGone
from runs.models import Artifact, Blob, Run, RunError
from runs.reconciling import FOLDERS_A_TURN, GRACE, PARTS, delete_leftover_blobs, delete_orphaned_bytes
from shops.models import Shop
from tests.factories import ShopFactory
from tests.runs.engine import ScriptedVendor, chain, deps, publish, run_inline
from tests.runs.test_execute_run import PNG
from vendors.base import Image, Reply

pytestmark = pytest.mark.django_db


def run_with(shop: Shop, content: bytes) -> Run:
    """A run of a shop that refers to a shopper's picture."""
    publish("noops", *chain("noop@1"))
    run = run_inline("noops", shop=shop)
    refer(run, store_blob(shop=shop, content=content, media_type="image/png", retention=Blob.Retention.SHOPPER))
    return run


def refer(run: Run, blob: Blob) -> None:
    Artifact.objects.create(run=run, role=Artifact.Role.INPUT, name=f"room-{blob.sha256[:6]}", blob=blob)


def in_thread(function: Callable[[], Any]) -> threading.Thread:
    def work() -> None:
        try:
            function()
        finally:
            connection.close()

    thread = threading.Thread(target=work)
    thread.start()
    return thread


def somebody_waits_for_a_lock() -> None:
    """Return once a session of this database waits for another one's lock."""
    deadline = time.monotonic() + 30
    with connection.cursor() as cursor:
        while time.monotonic() < deadline:
            cursor.execute("SELECT pg_stat_clear_snapshot()")
            cursor.execute(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
            )
            if cursor.fetchone()[0]:
                return
    raise AssertionError("nobody came to wait")


def test_a_small_document_lives_in_its_row_and_goes_with_it() -> None:
    blob = store_blob(shop=None, content=b'{"n":1}', media_type="application/json")
    assert (blob.storage_key, read_blob(blob)) == ("", b'{"n":1}')
    assert not BlobStore().has_key(BlobStore.key_for("shared", blob.sha256))
    large = store_blob(shop=None, content=b'"' + b"x" * 9000 + b'"', media_type="application/json")
    assert large.body is None and len(read_blob(large)) == 9002
    picture = store_blob(shop=None, content=PNG, media_type="image/png")
    assert picture.body is None, "pictures are read by presigned links"


@pytest.mark.django_db(transaction=True)
def test_a_picture_deleted_while_the_same_bytes_are_stored_is_stored_again() -> None:
    shop = ShopFactory()
    first, second = run_with(shop, PNG), run_with(shop, b"another")
    deleting = threading.Event()

    class SlowStore(BlobStore):
        def delete_key(self, key: str) -> None:
            deleting.set()
            somebody_waits_for_a_lock()
            super().delete_key(key)

    def delete() -> None:
        with transaction.atomic():
            delete_pictures(first, store=SlowStore())

    thread = in_thread(delete)
    assert deleting.wait(30)
    stored = store_blob(shop=shop, content=PNG, media_type="image/png")  # finds its bytes there, for a moment yet
    refer(second, stored)
    thread.join()
    assert read_blob(stored) == PNG
    assert Blob.objects.get(pk=stored.pk).condemned_at is None


@pytest.mark.django_db(transaction=True)
def test_a_picture_that_got_another_reference_while_it_was_deleted_stays() -> None:
    shop = ShopFactory()
    first, second = run_with(shop, PNG), run_with(shop, b"another")

    def delete() -> None:
        with transaction.atomic():
            delete_pictures(first)

    with transaction.atomic():
        stored = store_blob(shop=shop, content=PNG, media_type="image/png")
        refer(second, stored)
        thread = in_thread(delete)
        somebody_waits_for_a_lock()
    thread.join()
    kept = Blob.objects.get(pk=stored.pk)
    assert (read_blob(kept), kept.condemned_at) == (PNG, None)
    assert not first.artifacts.filter(blob=kept).exists()


class Forgetful(BlobStore):
    """A store that has lost what was just put into it, so many times."""

    losses = 1

    def has_key(self, key: str) -> bool:
        self.losses -= 1
        return self.losses < 0 and super().has_key(key)


def test_a_node_whose_bytes_were_deleted_before_its_commit_is_attempted_again() -> None:
    publish("drawn", {"key": "a", "step": "drawing@1", "retries": 1, "backoff": {"initial_ms": 0}})
    run = run_inline("drawn", given=replace(deps(), store=Forgetful()))
    assert run.status == Run.Status.COMPLETED
    assert RunError.objects.get(run=run).code == "bytes_gone"
    assert read_blob(Artifact.objects.get(run=run, attempt=2, name="drawing").blob) == PNG


def test_an_answer_whose_pictures_were_deleted_before_their_rows_is_stored_again_and_not_asked_for_again() -> None:
    publish("asked", {"key": "a", "step": "asking@1"})
    vendor = ScriptedVendor([Reply(model="m", data={}, images=(Image("shown", PNG, "image/png"),))])
    run = run_inline("asked", given=replace(deps(vendor), store=Forgetful()))
    assert (run.status, len(vendor.calls)) == (Run.Status.COMPLETED, 1)
    assert not RunError.objects.filter(run=run).exists()
    assert read_blob(Artifact.objects.get(run=run, name="shown").blob) == PNG


def test_an_answer_that_cannot_be_kept_is_a_failure_that_policy_may_repeat() -> None:
    publish("asked", {"key": "a", "step": "asking@1", "retries": 1, "backoff": {"initial_ms": 0}})
    store = Forgetful()
    store.losses = PUTS
    vendor = ScriptedVendor([Reply(model="m", data={}, images=(Image("shown", PNG, "image/png"),))])
    run = run_inline("asked", given=replace(deps(vendor), store=store))
    assert (run.status, len(vendor.calls)) == (Run.Status.COMPLETED, 2)
    assert RunError.objects.get(run=run).code == "bytes_gone"


def test_bytes_that_are_gone_again_and_again_are_refused() -> None:
    store = Forgetful()
    store.losses = PUTS
    with pytest.raises(BytesGone):
        store_blob(shop=None, content=PNG, media_type="image/png", store=store)
    assert not Blob.objects.exists()


def test_bytes_whose_process_died_before_their_row_are_collected(files_of_its_own: Path) -> None:
    store, shop = BlobStore(), ShopFactory()
    kept = store_blob(shop=shop, content=b"kept", media_type="image/png")
    orphan = store.put(str(shop.pk), b"orphan", "image/png")
    young = store.put(str(shop.pk), b"young", "image/png")
    stranger = store.put("not-a-shop", b"stranger", "image/png")
    old = time.time() - GRACE.total_seconds() - 60
    for key in (kept.storage_key, orphan.key, stranger.key):
        os.utime(files_of_its_own / key, (old, old))
    deleted = sum(delete_orphaned_bytes(turn=turn) for turn in range(2 * PARTS // FOLDERS_A_TURN))
    assert deleted == 1
    there = [store.has_key(key) for key in (kept.storage_key, orphan.key, young.key, stranger.key)]
    assert there == [True, False, True, True]
    assert Blob.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_a_deletion_that_was_broken_off_is_finished_by_the_chore() -> None:
    class Broken(BlobStore):
        def delete_key(self, key: str) -> None:
            raise ConnectionError("no store today")

    run = run_with(ShopFactory(), PNG)
    blob = Blob.objects.get(artifacts__run=run)
    with transaction.atomic():
        delete_pictures(run, store=Broken())
    assert Blob.objects.get(pk=blob.pk).condemned_at is not None
    assert delete_leftover_blobs() == 0, "a deletion has a moment to do it itself"
    Blob.objects.update(condemned_at=timezone.now() - timedelta(minutes=5))
    assert delete_leftover_blobs() == 1
    assert not Blob.objects.exists()
    with pytest.raises(BlobMissing):
        BlobStore().read_key(blob.storage_key)


def test_a_row_whose_deletion_died_after_its_bytes_is_not_taken_up_again_without_them() -> None:
    class Dying(BlobStore):
        """Its first bytes go right after they were found there: the deletion's process died before its commit."""

        puts = 0

        def put(self, owner: str, content: bytes, media_type: str) -> StoredBlob:
            stored = super().put(owner, content, media_type)
            self.puts += 1
            if self.puts == 1:
                self.delete_key(stored.key)
            return stored

    blob = store_blob(shop=None, content=PNG, media_type="image/png")
    Blob.objects.update(condemned_at=timezone.now())
    again = store_blob(shop=None, content=PNG, media_type="image/png", store=(store := Dying()))
    assert (again.pk, again.condemned_at, store.puts) == (blob.pk, None, 2)
    assert read_blob(again) == PNG


def test_a_shoppers_picture_that_came_to_nothing_goes_after_a_day() -> None:
    shop = ShopFactory()
    store_blob(shop=shop, content=PNG, media_type="image/png", retention=Blob.Retention.SHOPPER)
    assert delete_leftover_blobs() == 0
    Blob.objects.update(created_at=timezone.now() - timedelta(days=2))
    assert delete_leftover_blobs() == 1


def test_a_second_artifact_of_the_same_name_gets_a_number() -> None:
    publish("drawn", {"key": "a", "step": "drawing@1", "params": {"times": 3}})
    run = run_inline("drawn")
    named = Artifact.objects.filter(run=run, role="image").values_list("name", "blob__media_type")
    assert [name for name, _ in named.order_by("id")] == ["drawing", "drawing-2", "drawing-3"]


@pytest.mark.parametrize("kind", ["bomb in its words", "header cut short"])
def test_a_header_that_cannot_be_read_is_a_picture_without_a_size(kind: str) -> None:
    def chunk(name: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 8, 8, 8, 2, 0, 0, 0))
    words = chunk(b"zTXt", b"a\0\0" + zlib.compress(b"x" * 3_000_000))
    start = header + words if kind == "bomb in its words" else chunk(b"IHDR", b"xx")
    blob = store_blob(shop=None, content=b"\x89PNG\r\n\x1a\n" + start + chunk(b"IDAT", b""), media_type="image/png")
    assert (blob.width, blob.height) == (None, None)
