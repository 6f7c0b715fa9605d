"""What our code costs on top of a bare HTTP request: time per call and vendor, and memory for a large picture."""

import asyncio
import json
import statistics
import time
import tracemalloc
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import httpx
import numpy as np

from bench.figures import Figure, Section
from tests.vendor_servers import gemini, openai
from vendors.base import Call, Image, Message, Vendor
from vendors.gemini.vendor import GeminiVendor
from vendors.openai.vendor import OpenAIVendor
from vendors.photoroom import MODEL, PNG_END, PNG_START, PhotoroomVendor

MB = 1_000_000
CALLS = 40
OVERHEAD_TARGET_MS, MEMORY_TARGET = 5.0, 3.0
SCHEMA = {
    "type": "object",
    "additionalProperties": False,
    "required": ["ok"],
    "properties": {"ok": {"type": "boolean"}},
}
MESSAGES = (Message("system", "You measure."), Message("user", "How large is it?"))


@dataclass
class Sink(httpx.AsyncBaseTransport):
    """In place of the network: takes a request's bytes as they come, keeps none, and has the answer ready."""

    answer: bytes
    media_type: str = "application/json"
    taken: int = 0

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Read the request to its end, and answer."""
        self.taken = 0
        assert isinstance(request.stream, httpx.AsyncByteStream)
        async for piece in request.stream:
            self.taken += len(piece)
        return httpx.Response(200, headers={"Content-Type": self.media_type}, stream=_Pieces(self.answer))


class _Pieces(httpx.AsyncByteStream):
    """An answer as a socket gives it, 64 KiB at a time."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    async def __aiter__(self) -> Any:
        for start in range(0, len(self._content), 65_536):
            yield self._content[start : start + 65_536]


@dataclass
class Candidate:
    """A vendor with a call of its kind, and what its service answers."""

    name: str
    vendor: Vendor
    call: Call
    answer: bytes

    def over(self, sink: Sink) -> None:
        """Let the vendor speak to the sink."""
        client = httpx.AsyncClient(transport=sink)

        async def here() -> httpx.AsyncClient:
            return client

        self.vendor._clients.here = here  # type: ignore[attr-defined]


def picture(size: int, role: str = "room") -> Image:
    """So many bytes that begin like a JPEG and do not compress, with their hash known, as the engine has it."""
    noise = np.random.default_rng(1).integers(0, 256, size - 3, dtype=np.uint8).tobytes()
    image = Image(role, b"\xff\xd8\xff" + noise, "image/jpeg")
    return Image(role, image.content, image.media_type, image.sha256)


def candidates(image: Image, drawn: bytes) -> list[Candidate]:
    """A question and a picture for each service."""
    facts = Call("facts", gemini.TEXT_MODEL, MESSAGES, (image,), response_schema=SCHEMA, seed=1)
    draw = Call("composite", gemini.PICTURE_MODEL, MESSAGES, (image,), params={"aspect_ratio": "4:3"})
    product = Image("product", image.content, image.media_type, image.digest)
    cut = Call("cutout", MODEL, images=(product,))
    edit = Call("composite", openai.DRAWING_MODEL, MESSAGES, (image,))
    return [
        Candidate("gemini, a question", GeminiVendor("k"), facts, _json(gemini.text_answer("m", {"ok": True}))),
        Candidate(
            "gemini, a picture", GeminiVendor("k"), draw, _json(gemini.picture_answer("m", "image/jpeg", drawn))
        ),
        Candidate(
            "openai, a question", OpenAIVendor("k"), _asked(facts, openai.TEXT_MODEL),
            _json(openai.chat_answer("m", {"ok": True})),
        ),
        Candidate("openai, a picture", OpenAIVendor("k"), edit, _json(openai.edit_answer("image/jpeg", drawn))),
        Candidate("photoroom, a matte", PhotoroomVendor("k"), cut, PNG_START + drawn + PNG_END),
    ]  # fmt: skip


def _drawing(found: list[Candidate]) -> list[Candidate]:
    return [candidate for candidate in found if not candidate.name.endswith("question")]


def _asked(call: Call, model: str) -> Call:
    return Call(call.task, model, call.messages, call.images, response_schema=call.response_schema, seed=1)


def _json(value: Any) -> bytes:
    return json.dumps(value).encode()


def measure(title: str) -> Section:
    """Time beside a bare POST of the same bytes, then the memory of a 4 MB picture on its way out and in."""
    how = (
        f"One call with a 2 MB picture, {CALLS} times, against a transport inside the process that takes the request's "
        "bytes as they come and has the answer ready: no network. Beside it `httpx` posting the same bytes, encoded "
        "before, and reading the answer. The difference is our code, in processor time: the request built, its picture "
        "brought into base64, the record of the exchange, the answer parsed and read. Drawn pictures are small: to "
        "take them out of base64 is to decode. Then the most memory that a call with a 4 MB picture holds, and one "
        "whose answer is a 4 MB picture, in multiples of it, the caller's own copy included (`tracemalloc`)."
    )
    section = Section(title, how)
    small = picture(20_000).content
    for candidate in candidates(picture(2 * MB), small):
        ours, bare = asyncio.run(_times(candidate))
        section.figures.append(
            Figure(f"{candidate.name}: our code, p50", ours - bare, "ms", "bare POST", bare, OVERHEAD_TARGET_MS)
        )
    large = picture(4 * MB)
    for candidate in candidates(large, small):
        multiple = memory_multiple(candidate, len(large.content))
        section.figures.append(Figure(f"{candidate.name}: 4 MB out", multiple, "×", "", None, MEMORY_TARGET))
    for candidate in _drawing(candidates(picture(20_000), large.content)):
        multiple = memory_multiple(candidate, len(large.content), held=False)
        section.figures.append(Figure(f"{candidate.name}: 4 MB in", multiple, "×", "", None, MEMORY_TARGET))
    return section


async def _times(candidate: Candidate) -> tuple[float, float]:
    """Milliseconds of a call by our code, and of a bare request of the same length; medians, taken in turns."""
    sink = Sink(candidate.answer)
    candidate.over(sink)
    await candidate.vendor.call(candidate.call)
    body, client = b"x" * sink.taken, httpx.AsyncClient(transport=sink)
    ours, bare = [], []
    for _ in range(CALLS):
        started = time.process_time()
        await candidate.vendor.call(candidate.call)
        ours.append(time.process_time() - started)
        started = time.process_time()
        await client.post("http://service/", content=body, headers={"Content-Type": "application/json"})
        bare.append(time.process_time() - started)
    return statistics.median(ours) * 1000, statistics.median(bare) * 1000


def memory_multiple(candidate: Candidate, size: int, *, held: bool = True) -> float:
    """The most memory during a call in multiples of a picture; `held`: the caller has one copy all the time."""
    candidate.over(Sink(candidate.answer))
    run: Callable[[], Any] = lambda: asyncio.run(candidate.vendor.call(candidate.call))  # noqa: E731
    run()
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        run()
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    return (peak - before) / size + held
