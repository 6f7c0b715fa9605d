"""How run input and IR name a picture: by hash, never by bytes."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

BLOB_KEY = "$blob"


@dataclass(frozen=True, slots=True)
class PictureRef:
    """A lazy reference to stored bytes of one shop; `read()` fetches them.

    JSON form: `{"$blob": sha256, "media_type": ..., "width": px, "height": px}`.
    """

    sha256: str
    media_type: str
    width: int | None = None
    height: int | None = None
    reader: Callable[[str], bytes] | None = field(default=None, compare=False, repr=False)

    def read(self) -> bytes:
        """The stored bytes.

        Raises:
            core.storage.BlobMissing: they are gone (retention) or were never stored.
        """
        if self.reader is None:
            raise RuntimeError("This picture reference is not bound to a store.")
        return self.reader(self.sha256)

    def to_json(self) -> dict[str, Any]:
        """The form that stands in run input and IR."""
        return {BLOB_KEY: self.sha256, "media_type": self.media_type, "width": self.width, "height": self.height}


def picture_refs(value: Any) -> list[dict[str, Any]]:
    """Every picture named anywhere inside a JSON value, in order of appearance."""
    if isinstance(value, Mapping):
        if BLOB_KEY in value:
            return [dict(value)]
        return [ref for item in value.values() for ref in picture_refs(item)]
    if isinstance(value, (list, tuple)):
        return [ref for item in value for ref in picture_refs(item)]
    return []


def bind_pictures(value: Any, reader: Callable[[str], bytes]) -> Any:
    """The same JSON value with every named picture replaced by a `PictureRef` that can read itself."""
    if isinstance(value, Mapping):
        if BLOB_KEY in value:
            return PictureRef(
                value[BLOB_KEY], value.get("media_type", ""), value.get("width"), value.get("height"), reader
            )
        return {key: bind_pictures(item, reader) for key, item in value.items()}
    if isinstance(value, list):
        return [bind_pictures(item, reader) for item in value]
    return value


def unbind_pictures(value: Any) -> Any:
    """The reverse of `bind_pictures`: plain JSON again."""
    if isinstance(value, PictureRef):
        return value.to_json()
    if isinstance(value, Mapping):
        return {key: unbind_pictures(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [unbind_pictures(item) for item in value]
    return value
