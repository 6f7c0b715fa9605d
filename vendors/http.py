"""The HTTP client for vendors behind a network: what a call costs does not grow with the calls under way.

httpcore goes through all connections of a pool whenever a call begins or ends. With 500 calls at once that takes more
processor time than everything else that is done for them; so no pool here has more than a few connections.
"""

from collections.abc import AsyncIterator
from typing import Any

import httpx

POOL_CALLS = 16


def make_client(base_url: str = "", **options: Any) -> httpx.AsyncClient:
    """A client for any number of calls at once; make one for each event loop and keep it.

    `options` are those of `httpx.AsyncClient`. Proxies named by the environment are not used.
    """
    return httpx.AsyncClient(base_url=base_url, transport=ManyPools(), **options)


class ManyPools(httpx.AsyncBaseTransport):
    """Small connection pools, as many as the calls under way need; the first ones are filled first and stay warm."""

    def __init__(self) -> None:
        self._tls = httpx.create_ssl_context()
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
