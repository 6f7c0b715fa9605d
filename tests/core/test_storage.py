"""Stored bytes are whole, whatever happened to the process that stored them first."""

from pathlib import Path

from core.canonical import sha256_hex
from core.storage import BlobStore


def test_a_file_broken_off_by_a_killed_process_is_written_anew(files_of_its_own: Path) -> None:
    content = b"picture" * 1000
    store = BlobStore()
    path = files_of_its_own / store.key_for("shop", sha256_hex(content))
    path.parent.mkdir(parents=True)
    path.write_bytes(content[:100])
    store.put("shop", content, "image/png")
    assert store.read("shop", sha256_hex(content)) == content


def test_bytes_that_are_there_are_not_written_again(files_of_its_own: Path) -> None:
    store = BlobStore()
    stored = store.put("shop", b"picture", "image/png")
    before = (files_of_its_own / stored.key).stat().st_mtime_ns
    store.put("shop", b"picture", "image/png")
    assert (files_of_its_own / stored.key).stat().st_mtime_ns == before
