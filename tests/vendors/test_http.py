"""The client for services behind a network, against a server on loopback."""

import asyncio
import gzip
import threading
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress

import httpx
import pytest

from vendors.exchange import LARGE, Exchange, _kept
from vendors.http import PIECE, POOL_CALLS, ManyPools, body_pieces, make_client

CALLS = 10 * POOL_CALLS
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"


class Server:
    """Answers when it is allowed to, and counts who waits and who has connected."""

    def __init__(self) -> None:
        self.waiting = self.connections = 0
        self.all_wait = asyncio.Event()
        self.go = asyncio.Event()

    async def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while await reader.readuntil(b"\r\n\r\n"):
                self.waiting += 1
                if self.waiting == CALLS:
                    self.all_wait.set()
                await self.go.wait()
                self.waiting -= 1
                writer.write(ANSWER)
        writer.close()


def with_server(scenario: Callable[[Server, httpx.AsyncClient], Awaitable[None]]) -> None:
    async def play() -> None:
        server = Server()
        listening = await asyncio.start_server(server.connected, "127.0.0.1", 0, backlog=CALLS)
        port = listening.sockets[0].getsockname()[1]
        async with make_client(f"http://127.0.0.1:{port}", timeout=30) as client:
            await asyncio.wait_for(scenario(server, client), 30)
        listening.close()

    asyncio.run(play())


def transport(client: httpx.AsyncClient) -> ManyPools:
    assert isinstance(client._transport, ManyPools)
    return client._transport


def test_all_calls_are_under_way_at_once_and_no_pool_is_long() -> None:
    async def scenario(server: Server, client: httpx.AsyncClient) -> None:
        calls = [asyncio.create_task(client.get("/")) for _ in range(CALLS)]
        await server.all_wait.wait()
        assert [pool.calls for pool in transport(client)._pools] == [POOL_CALLS] * 10
        server.go.set()
        assert {(await call).text for call in calls} == {"hi"}
        assert {pool.calls for pool in transport(client)._pools} == {0}

    with_server(scenario)


def test_calls_one_after_another_use_one_connection() -> None:
    async def scenario(server: Server, client: httpx.AsyncClient) -> None:
        server.go.set()
        for _ in range(5):
            await client.get("/")
        assert (server.connections, len(transport(client)._pools)) == (1, 1)

    with_server(scenario)


def test_a_call_that_is_broken_off_or_refused_gives_its_place_back() -> None:
    async def scenario(server: Server, client: httpx.AsyncClient) -> None:
        call = asyncio.create_task(client.get("/"))
        while not server.waiting:
            await asyncio.sleep(0)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        with pytest.raises(httpx.ConnectError):
            await client.get("http://127.0.0.1:1/")
        server.go.set()
        async with client.stream("GET", "/") as answer:
            assert answer.status_code == 200, "and nobody reads its body"
        assert [pool.calls for pool in transport(client)._pools] == [0]

    with_server(scenario)


def pieces_of(encoding: str, body: bytes) -> list[bytes]:
    """An answer's body as it is read, when it arrives whole."""

    async def arriving() -> AsyncIterator[bytes]:
        yield body

    async def read() -> list[bytes]:
        response = httpx.Response(200, headers={"content-encoding": encoding} if encoding else {}, content=arriving())
        return [piece async for piece in body_pieces(response)]

    return asyncio.run(read())


@pytest.mark.parametrize(
    ("encoding", "packed"),
    [("", bytes), ("identity", bytes), ("gzip", gzip.compress), ("X-GZIP", gzip.compress), ("deflate", zlib.compress)],
)
def test_a_body_is_read_in_whatever_it_may_be_packed(encoding: str, packed: Callable[[bytes], bytes]) -> None:
    assert b"".join(pieces_of(encoding, packed(b"hello " * 1000))) == b"hello " * 1000


def test_what_grows_when_it_is_unpacked_grows_piece_by_piece() -> None:
    pieces = pieces_of("gzip", gzip.compress(bytes(8 * PIECE)))
    assert max(map(len, pieces)) <= PIECE and sum(map(len, pieces)) == 8 * PIECE


@pytest.mark.parametrize(
    ("encoding", "body"),
    [
        ("gzip, gzip", gzip.compress(gzip.compress(b"twice", mtime=0), mtime=0)),
        ("br", b"whatever"),
        ("gzip", b"no gzip"),
        ("gzip", gzip.compress(b"cut short" * 100, mtime=0)[:-20]),
    ],
    ids=["twice", "another way", "not at all", "cut short"],
)
def test_what_is_packed_as_nobody_asked_for_is_no_answer(encoding: str, body: bytes) -> None:
    with pytest.raises(httpx.DecodingError):
        pieces_of(encoding, body)


def test_headers_are_kept_that_help_and_not_whose_account_it_is() -> None:
    said = {
        "x-request-id": "r",
        "openai-version": "1",
        "OpenAI-Organization": "org",
        "openai-project": "p",
        "Set-Cookie": "c",
    }
    assert _kept(httpx.Headers(said), key="") == {"x-request-id": "r", "openai-version": "1"}


def test_a_large_answer_is_gone_through_on_a_thread_and_a_small_one_at_once() -> None:
    def reader(exchange: Exchange, more: str) -> tuple[int, str, str]:
        return len(exchange.body), more, threading.current_thread().name

    async def read(size: int) -> tuple[int, str, str]:
        return await Exchange({}, 200, {}, bytearray(size), 1).read(reader, "more")

    assert asyncio.run(read(LARGE)) == (LARGE, "more", threading.current_thread().name)
    size, _, thread = asyncio.run(read(LARGE + 1))
    assert (size, thread[:6]) == (LARGE + 1, "store-")
