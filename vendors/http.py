"""The HTTP client for vendors behind a network: what a call costs does not grow with the calls under way.

A client belongs to one event loop, a vendor to a process with any number of them: `LoopClients` keeps one for each.

httpcore goes through all connections of a pool whenever a call begins or ends. With 500 calls at once that takes more
processor time than everything else that is done for them; so no pool here has more than a few connections.
"""

import asyncio
import zlib
from collections.abc import AsyncGenerator, AsyncIterator
from functools import cache
from typing import Any
from weakref import WeakKeyDictionary

import httpx

POOL_CALLS = 16
CONNECT_S = 10.0
PIECE = 2**20


class LoopClients:
    """The clients of one vendor, one for each event loop, closed when their loop shuts down."""

    def __init__(self, **options: Any) -> None:
        # How long a call may take in all is the caller's matter; only connecting has a time of its own.
        self._options = {"timeout": httpx.Timeout(None, connect=CONNECT_S), **options}
        self._kept: WeakKeyDictionary[asyncio.AbstractEventLoop, tuple[httpx.AsyncClient, AsyncGenerator[None]]]
        self._kept = WeakKeyDictionary()

    async def here(self) -> httpx.AsyncClient:
        """The client of the running loop."""
        loop = asyncio.get_running_loop()
        kept = self._kept.get(loop)
        if kept is None:
            client = make_client(**self._options)
            # Loops close the generators that were begun in them before they end (`shutdown_asyncgens`).
            until_the_end = _closing(client)
            await anext(until_the_end)
            kept = self._kept[loop] = client, until_the_end
        return kept[0]


async def _closing(client: httpx.AsyncClient) -> AsyncGenerator[None]:
    try:
        yield
    finally:
        await client.aclose()


async def body_pieces(response: httpx.Response) -> AsyncIterator[bytes]:
    """An answer's decoded body in pieces of which none is large, however well it was compressed.

    httpx decodes a whole piece at once, and one encoding inside another as often as the header says: a few kilobytes
    can become gigabytes before anybody has counted them.

    Raises:
        httpx.DecodingError: it is not what its header says, or encoded as we did not ask for.
    """
    encoding = response.headers.get("content-encoding", "").strip().lower()
    if encoding in ("", "identity"):
        async for piece in response.aiter_bytes():
            yield piece
        return
    if encoding not in ("gzip", "x-gzip", "deflate"):
        raise httpx.DecodingError(f"it is encoded as {encoding[:40]!r}, which nobody asked for")
    inflate = zlib.decompressobj(zlib.MAX_WBITS | 32)  # it finds out which of the two headers there is
    try:
        async for piece in response.aiter_raw():
            while piece:
                yield inflate.decompress(piece, PIECE)
                piece = inflate.unconsumed_tail
    except zlib.error as error:
        raise httpx.DecodingError(f"it is not {encoding}: {error}") from error
    if not inflate.eof:
        raise httpx.DecodingError("it ends in the middle")


@cache
def _tls() -> Any:
    """Reading the certificates takes tens of milliseconds; all clients of a process share them."""
    return httpx.create_ssl_context()


def make_client(base_url: str = "", **options: Any) -> httpx.AsyncClient:
    """A client for any number of calls at once; make one for each event loop and keep it.

    `options` are those of `httpx.AsyncClient`. Proxies named by the environment are not used.
    """
    return httpx.AsyncClient(base_url=base_url, transport=ManyPools(), **options)


class ManyPools(httpx.AsyncBaseTransport):
    """Small connection pools, as many as the calls under way need; the first ones are filled first and stay warm."""

    def __init__(self) -> None:
        self._tls = _tls()
        self._pools: list[_Pool] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request on a pool that has a place."""
        pool = next((pool for pool in self._pools if pool.calls < POOL_CALLS), None) or self._add_pool()
        pool.calls += 1
        try:
            response = await pool.transport.handle_async_request(request)
        except BaseException:
            pool.calls -= 1
            raise
        assert isinstance(response.stream, httpx.AsyncByteStream)
        response.stream = _Body(response.stream, pool)
        return response

    async def aclose(self) -> None:
        """Close all connections."""
        for pool in self._pools:
            await pool.transport.aclose()

    def _add_pool(self) -> "_Pool":
        self._pools.append(_Pool(self._tls))
        return self._pools[-1]


class _Pool:
    """Connections for at most `POOL_CALLS` calls at once."""

    def __init__(self, tls: Any) -> None:
        limits = httpx.Limits(max_connections=POOL_CALLS, max_keepalive_connections=POOL_CALLS)
        self.transport = httpx.AsyncHTTPTransport(verify=tls, limits=limits)
        self.calls = 0


class _Body(httpx.AsyncByteStream):
    """An answer's bytes; the call's place is free when they have been read or given up."""

    def __init__(self, stream: httpx.AsyncByteStream, pool: _Pool) -> None:
        self._stream = stream
        self._pool: _Pool | None = pool

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for part in self._stream:
            yield part

    async def aclose(self) -> None:
        try:
            await self._stream.aclose()
        finally:
            if self._pool is not None:
                self._pool.calls -= 1
                self._pool = None
