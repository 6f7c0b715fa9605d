"""The client for services behind a network, against a server on loopback."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

import httpx
import pytest

from vendors.http import POOL_CALLS, ManyPools, make_client

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
