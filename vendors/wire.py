"""JSON bodies with pictures in them, in pieces: base64 is made while a request is sent and taken out before an answer
is parsed, so that a large picture is never held in memory as text."""

import binascii
import json
import math
import re
import secrets
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from vendors.base import Image

# A multiple of three, so that the pieces' base64 joins without padding in between.
PIECE = 3 * 64 * 1024
# Shorter texts are parsed as any other text.
LIFTED = 4096
# An answer of more is no answer: it would take gigabytes, or more stack than whoever goes through it has.
MAX_CONTAINERS, MAX_DEPTH = 200_000, 100
# No database takes these in a text.
UNSTORABLE = re.compile("[\0\ud800-\udfff]")
# More than any call takes or costs: a figure beyond is not known rather than wrong.
MAX_COUNT, MAX_USD = 10**8, 1000
DATA_URI = re.compile(r"data:(?P<type>[\w.+-]+/[\w.+-]+)?(?:;[\w=.+-]+)*;base64,", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Picture:
    """The place of a picture in a request's JSON: its base64 stands there, or a whole data URI."""

    image: Image
    data_uri: bool = False

    @property
    def prefix(self) -> str:
        """What stands before the base64."""
        return f"data:{self.image.media_type};base64," if self.data_uri else ""


class Body:
    """A JSON body that is sent in pieces; iterate it once for each time that it is sent."""

    def __init__(self, value: Any) -> None:
        pictures: list[Picture] = []
        mark = secrets.token_hex(16)

        def keep(found: Any) -> str:
            if not isinstance(found, Picture):
                raise TypeError(f"{type(found).__name__} is not JSON")
            pictures.append(found)
            return f"{found.prefix}{mark}"

        text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"), default=keep)
        self._texts = [part.encode() for part in text.split(mark)]
        self._pictures = [picture.image.content for picture in pictures]
        encoded = sum((len(content) + 2) // 3 * 4 for content in self._pictures)
        self.length = sum(map(len, self._texts)) + encoded

    def pieces(self) -> Iterator[bytes]:
        """The body's bytes in order."""
        for text, content in zip(self._texts, [*self._pictures, b""], strict=True):
            yield text
            view = memoryview(content)
            for start in range(0, len(view), PIECE):
                yield binascii.b2a_base64(view[start : start + PIECE], newline=False)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self.pieces():
            yield piece


def recorded(value: Any) -> Any:
    """A request's JSON as it is kept: pictures named by their role and hash."""
    if isinstance(value, Picture):
        image = value.image
        named = {"$image": image.role, "sha256": image.sha256, "media_type": image.media_type}
        return named | ({"data_uri": True} if value.data_uri else {})
    if isinstance(value, Mapping):
        return {key: recorded(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [recorded(item) for item in value]
    return value


def as_sent(kept: Any, read: Callable[[str], bytes]) -> bytes:
    """A JSON body as it was sent, byte for byte, from the one that was kept; `read` gives a picture's bytes by hash."""
    return b"".join(Body(_with_pictures(kept, read)).pieces())


def _with_pictures(value: Any, read: Callable[[str], bytes]) -> Any:
    if isinstance(value, Mapping) and "$image" in value:
        image = Image(value["$image"], read(value["sha256"]), value["media_type"])
        return Picture(image, data_uri=bool(value.get("data_uri")))
    if isinstance(value, Mapping):
        return {key: _with_pictures(item, read) for key, item in value.items()}
    return [_with_pictures(item, read) for item in value] if isinstance(value, list) else value


class NotJson(ValueError):
    """An answer's body is not JSON."""


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer's JSON, in which long base64 texts are replaced by marks; `lifted` has their bytes."""

    value: Any
    lifted: Mapping[str, bytes]

    def picture(self, text: str) -> bytes:
        """The bytes that a text of the JSON stands for: a mark, base64, or a data URI.

        Raises:
            ValueError: it is none of them.
        """
        if text in self.lifted:
            return self.lifted[text]
        found = DATA_URI.match(text)
        return decode_base64(memoryview(text[found.end() if found else 0 :].encode()))


def parse(body: bytes | bytearray, keys: Sequence[str] = ()) -> Answer:
    """Parse an answer; long base64 texts under these keys are decoded straight from the body.

    Raises:
        NotJson: the body is not JSON in UTF-8, or not all of it.
    """
    pieces: list[memoryview | bytes] = []
    lifted: dict[str, bytes] = {}
    done, view = 0, memoryview(body)
    for start, end in _long_texts(body, keys):
        found = DATA_URI.match(bytes(view[start : start + 100]).decode("latin-1"))
        try:
            content = decode_base64(view[start + (found.end() if found else 0) : end])
        except ValueError:
            continue
        mark = secrets.token_hex(16)
        lifted[mark] = content
        pieces += [view[done:start], mark.encode()]
        done = end
    pieces.append(view[done:])
    return Answer(read_json(b"".join(pieces)), lifted)


def read_json(text: str | bytes) -> Any:
    """JSON from outside as it can be kept: its numbers finite, U+FFFD for what no database takes in a text.

    Raises:
        NotJson: it is none, or more or deeper than any answer is.
    """
    opened: int = text.count("[") + text.count("{") if isinstance(text, str) else text.count(b"[") + text.count(b"{")
    if opened > MAX_CONTAINERS:
        raise NotJson(f"more than {MAX_CONTAINERS:,} lists and objects")
    try:
        return _storable(json.loads(text, parse_constant=_no_constant, parse_float=_finite), MAX_DEPTH)
    except (ValueError, RecursionError) as error:
        raise NotJson(str(error)) from error


def read_count(value: Any) -> int | None:
    """How many tokens a service says, or None for what is no such number."""
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= MAX_COUNT else None


def kind_of(content: bytes) -> str | None:
    """The media type of a picture by its first bytes; what a server calls it is not always right."""
    if content.startswith(b"\x89PNG"):
        return "image/png"
    if content.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    return "image/webp" if content[:4] == b"RIFF" and content[8:12] == b"WEBP" else None


def decode_base64(text: memoryview) -> bytes:
    """Base64 in either alphabet, padded or not.

    Raises:
        ValueError: it is not base64.
    """
    try:
        return binascii.a2b_base64(text, strict_mode=True)
    except ValueError:
        plain = bytes(text).replace(b"-", b"+").replace(b"_", b"/") + b"=" * (-len(text) % 4)
        return binascii.a2b_base64(plain, strict_mode=True)


def _long_texts(body: bytes | bytearray, keys: Sequence[str]) -> Iterator[tuple[int, int]]:
    """Where long texts without escapes stand under the given keys: their first character, and their closing quote.

    A quote inside a text is written with a backslash, so `"key"` in the body is a key or a whole text.
    """
    if not keys:
        return
    names = "|".join(re.escape(key) for key in keys)
    place, opening = 0, re.compile(rf'"(?:{names})"\s*:\s*"'.encode())
    while found := opening.search(body, place):
        start = found.end()
        end = body.find(b'"', start)
        if end < 0:
            return
        place = end + 1
        if end - start >= LIFTED and body.find(b"\\", start, end) < 0:
            yield start, end


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError("a number is too large")
    return value


def _storable(value: Any, depth: int) -> Any:
    if isinstance(value, str):
        return UNSTORABLE.sub("\ufffd", value)
    if not isinstance(value, (list, dict)):
        return value
    if not depth:
        raise ValueError(f"nested more than {MAX_DEPTH} deep")
    if isinstance(value, list):
        return [_storable(item, depth - 1) for item in value]
    return {_storable(key, 0): _storable(item, depth - 1) for key, item in value.items()}
