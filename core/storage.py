"""Content-addressed bytes on Django's storage: files under the data folder, or S3 in production."""

import io
from dataclasses import dataclass
from datetime import datetime

from django.core.files.base import File
from django.core.files.storage import Storage, storages

from core.canonical import sha256_hex
from core.errors import SeeItError

THUMBNAIL_SIZES = (320, 1280)


class BlobMissing(SeeItError):
    """The stored picture is gone: its retention has passed, or it was deleted."""

    code = "blob_missing"
    status = 410


@dataclass(frozen=True, slots=True)
class StoredBlob:
    """Where some bytes ended up."""

    sha256: str
    size: int
    media_type: str
    key: str


class BlobStore:
    """Put and read bytes by owner and hash; the same bytes of one owner are stored once."""

    def __init__(self, storage: Storage | None = None) -> None:
        self._given = self._storage = storage

    def __reduce__(self) -> tuple[type["BlobStore"], tuple[Storage | None]]:
        """A store travels to the computing child as what it was made from."""
        return type(self), (self._given,)

    @property
    def storage(self) -> Storage:
        """Django's storage, opened late so that a computing child opens its own."""
        if self._storage is None:
            self._storage = storages["blobs"]
        return self._storage

    @staticmethod
    def key_for(owner: str, sha256: str) -> str:
        """The storage key: a generated path, never a client's file name."""
        return f"blobs/{owner}/{sha256[:2]}/{sha256}"

    def put(self, owner: str, content: bytes, media_type: str) -> StoredBlob:
        """Store bytes for an owner (a shop's id); storing them again is free."""
        sha256 = sha256_hex(content)
        key = self.key_for(owner, sha256)
        if self._stored_size(key) != len(content):  # not there, or broken off by a process that died while it wrote
            self.storage.save(key, File(io.BytesIO(content), name=key))
        return StoredBlob(sha256, len(content), media_type, key)

    def has_key(self, key: str) -> bool:
        """Whether there are bytes at a storage key."""
        return self._stored_size(key) is not None

    def folders(self, path: str) -> list[str]:
        """The names of the folders in a folder; none where there is none."""
        return self._listed(path)[0]

    def files(self, path: str) -> list[str]:
        """The names of the files in a folder; none where there is none."""
        return self._listed(path)[1]

    def _listed(self, path: str) -> tuple[list[str], list[str]]:
        try:
            folders, files = self.storage.listdir(path)
        except FileNotFoundError:
            return [], []
        return list(folders), list(files)

    def is_older(self, key: str, moment: datetime) -> bool:
        """Whether the bytes at a storage key were stored before a moment; False when there are none."""
        try:
            return self.storage.get_modified_time(key) < moment
        except FileNotFoundError:
            return False

    def _stored_size(self, key: str) -> int | None:
        try:
            return int(self.storage.size(key))
        except FileNotFoundError:
            return None

    def read(self, owner: str, sha256: str) -> bytes:
        """The bytes of one owner's blob.

        Raises:
            BlobMissing: there is none by that hash, or its file is gone.
        """
        return self.read_key(self.key_for(owner, sha256))

    def read_key(self, key: str) -> bytes:
        """The bytes at a storage key.

        Raises:
            BlobMissing: there are none.
        """
        try:
            with self.storage.open(key, "rb") as file:
                return bytes(file.read())
        except FileNotFoundError as error:
            raise BlobMissing() from error

    def delete_key(self, key: str) -> None:
        """Remove the bytes at a storage key and the thumbnails made of them; absent ones are fine."""
        for size in THUMBNAIL_SIZES:
            self.storage.delete(self.thumbnail_key(key, size))
        self.storage.delete(key)

    @staticmethod
    def thumbnail_key(key: str, size: int) -> str:
        """Where the thumbnail of a stored picture is kept, `size` px at most on its long side."""
        return f"thumbs/{size}/{key.removeprefix('blobs/')}"

    def put_thumbnail(self, key: str, size: int, content: bytes) -> None:
        """Keep a thumbnail of the picture at a storage key; it goes with that picture."""
        name = self.thumbnail_key(key, size)
        self.storage.save(name, File(io.BytesIO(content), name=name))
