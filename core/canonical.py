"""One byte form for JSON, so that equal values have equal hashes."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any


class Encoded(bytes):
    """JSON that has been brought into its canonical bytes already, so that nobody has to do it again."""


def canonical_object(members: Mapping[str, bytes]) -> bytes:
    """The canonical JSON of an object whose values are canonical JSON already."""
    return b"{" + b",".join(canonical_json(name) + b":" + members[name] for name in sorted(members)) + b"}"


def canonical_json(value: Any) -> bytes:
    """UTF-8 JSON with sorted keys and no spaces.

    Raises:
        ValueError: NaN or infinity in the value.
        TypeError: something that is not JSON.
    """
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def sha256_hex(content: bytes) -> str:
    """SHA-256 as 64 lower-case hexadecimal digits."""
    return hashlib.sha256(content).hexdigest()


def json_hash(value: Any) -> str:
    """SHA-256 of a value's canonical JSON."""
    return sha256_hex(canonical_json(value))
