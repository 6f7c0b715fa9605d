"""A small HTTP/1.1 server on loopback for tests of vendors: real sockets, strict handlers, and faults on demand.

    with VendorServer(gemini.answer) as server:       # a handler: Request -> Response
        server.plan(Half(), status(503), None)        # the next answers; None is the handler's own
        vendor = GeminiVendor("key", server.url)
        ...
        assert len(server.requests) == 3

A handler is a plain function in the server's thread. What it raises is a defect of the test: `stop` raises it again.
"""

import asyncio
import json
import threading
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

MAX_BODY = 100 * 2**20
READY_S = 10.0


@dataclass(frozen=True)
class Request:
    """What has arrived: names of headers in lower case, the body as bytes."""

    method: str
    path: str
    query: Mapping[str, list[str]]
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body as JSON; raises ValueError where it is none."""
        return json.loads(self.body)


@dataclass(frozen=True)
class Response:
    """An answer; a body that is not bytes goes out as JSON."""

    body: Any = b""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def content(self) -> bytes:
        """The bytes that go out."""
        return self.body if isinstance(self.body, bytes) else json.dumps(self.body).encode()

    @property
    def media_type(self) -> str:
        """The content type, unless the headers say another."""
        return "application/octet-stream" if isinstance(self.body, bytes) else "application/json; charset=UTF-8"


class Fault:
    """Something else than a good answer."""

    async def play(self, connection: "Connection", good: Callable[[], Response]) -> bool:
        """Do it; True if the connection may be used for another request."""
        raise NotImplementedError


@dataclass(frozen=True)
class Answer(Fault):
    """Exactly this response."""

    response: Response

    async def play(self, connection: "Connection", good: Callable[[], Response]) -> bool:
        return await connection.send(self.response)


def status(status: int, body: Any = b"", **headers: str) -> Answer:
    """An answer with this status, body and headers (`retry_after="2"`)."""
    return Answer(Response(body, status, {name.replace("_", "-"): value for name, value in headers.items()}))


HTML = Response(
    b"<!DOCTYPE html><html><body><h1>502 Bad Gateway</h1></body></html>", 502, {"Content-Type": "text/html"}
)


@dataclass(frozen=True)
class Half(Fault):
    """The good answer, broken off after a share of its body; the length in the header is the whole one's."""

    share: float = 0.5

    async def play(self, connection: "Connection", good: Callable[[], Response]) -> bool:
        response = good()
        content = response.content
        await connection.send(response, content[: int(len(content) * self.share)])
        return False


@dataclass(frozen=True)
class Cut(Fault):
    """The good answer's body cut off as if that were all of it."""

    share: float = 0.5

    async def play(self, connection: "Connection", good: Callable[[], Response]) -> bool:
        response = good()
        content = response.content[: int(len(response.content) * self.share)]
        headers = {"Content-Type": response.media_type, **response.headers}
        return await connection.send(Response(content, response.status, headers))


class Reset(Fault):
    """The connection ends without an answer."""

    async def play(self, connection: "Connection", good: Callable[[], Response]) -> bool:
        return False


class Never(Fault):
    """No answer for as long as the other side waits."""

    async def play(self, connection: "Connection", good: Callable[[], Response]) -> bool:
        await connection.reader.read()
        return False


class Trickle(Fault):
    """The head and some bytes of the good answer, and then nothing for as long as the other side waits."""

    async def play(self, connection: "Connection", good: Callable[[], Response]) -> bool:
        await connection.send(good(), b'{"')
        await connection.reader.read()
        return False


@dataclass(frozen=True)
class Late(Fault):
    """The good answer (or another fault), once this event is set."""

    event: threading.Event
    then: Fault | None = None

    async def play(self, connection: "Connection", good: Callable[[], Response]) -> bool:
        await asyncio.to_thread(self.event.wait, READY_S)
        return await (self.then or Answer(good())).play(connection, good)


@dataclass
class Connection:
    """One connection, as faults see it."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def send(self, response: Response, content: bytes | None = None) -> bool:
        """Send an answer; `content` instead of its body, whatever its head says about the length."""
        body = response.content
        headers = {"Content-Type": response.media_type, "Content-Length": str(len(body)), **response.headers}
        head = f"HTTP/1.1 {response.status} X\r\n" + "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        self.writer.write(head.encode() + b"\r\n" + (body if content is None else content))
        await self.writer.drain()
        return True


class VendorServer:
    """The server, in a thread of its own; `requests` are those that have arrived, in order."""

    def __init__(self, handler: Callable[[Request], Response], *, port: int = 0) -> None:
        self._handler = handler
        self._port = port
        self._planned: deque[Fault | Response | None] = deque()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="vendor-server", daemon=True)
        self._ready = threading.Event()
        self._over: asyncio.Event
        self._defects: list[BaseException] = []
        self.requests: list[Request] = []
        self.url = ""

    def __enter__(self) -> Self:
        self._thread.start()
        if not self._ready.wait(READY_S):
            raise RuntimeError("the vendor's server did not start")
        return self

    def __exit__(self, *_: Any) -> None:
        self.stop()

    def plan(self, *answers: Fault | Response | None) -> None:
        """What the next requests get, one each; None stands for the handler's answer, and so does what follows."""
        self._planned.extend(answers)

    def forget(self) -> None:
        """As new: no requests, nothing planned."""
        self.requests.clear()
        self._planned.clear()

    def stop(self) -> None:
        """Close everything; raises what a handler has raised."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._over.set)
            self._thread.join(READY_S)
        if self._defects:
            raise self._defects[0]

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._serve())
        self._loop.run_until_complete(self._loop.shutdown_default_executor())
        self._loop.close()

    async def _serve(self) -> None:
        self._over = asyncio.Event()
        listening = await asyncio.start_server(self._connected, "127.0.0.1", self._port, backlog=1024)
        self.url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
        self._ready.set()
        await self._over.wait()
        listening.close()
        tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = Connection(reader, writer)
        try:
            with suppress(asyncio.IncompleteReadError, ConnectionError):
                while await self._exchange(connection):
                    pass
        except Exception as defect:  # the test that made the handler has to hear of it
            self._defects.append(defect)
        finally:
            writer.close()

    async def _exchange(self, connection: Connection) -> bool:
        request = await _read(connection.reader)
        self.requests.append(request)
        planned = self._planned.popleft() if self._planned else None
        if isinstance(planned, Fault):
            return await planned.play(connection, lambda: self._handler(request))
        return await connection.send(planned or self._handler(request))


async def _read(reader: asyncio.StreamReader) -> Request:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    first, *lines = head.rstrip("\r\n").split("\r\n")
    method, target, _ = first.split(" ", 2)
    pairs = (line.split(":", 1) for line in lines)
    headers = {name.strip().lower(): value.strip() for name, value in pairs}
    if "transfer-encoding" in headers:
        raise ValueError("bodies are sent with their length here")
    body = await reader.readexactly(min(int(headers.get("content-length", 0)), MAX_BODY))
    url = urlsplit(target)
    return Request(method, url.path, parse_qs(url.query), headers, body)
