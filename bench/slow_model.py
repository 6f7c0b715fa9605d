"""A model behind HTTP that takes its time: `python -m bench.slow_model PORT SECONDS`, and the vendor that asks it."""

import asyncio
import json
import os
import sys
from collections.abc import Sequence
from typing import Any, Literal

from vendors.base import Call, Reply, Unavailable, Usage

ADDRESS = "BENCH_MODEL_URL"
BACKLOG = 4096


class SlowModel:
    """A network vendor: one HTTP client of the loop for all calls, as many connections as there are calls."""

    name = "slow"
    kind: Literal["network", "cpu"] = "network"
    tasks: Sequence[str] = ("facts",)

    def __init__(self) -> None:
        self._client: Any = None

    async def call(self, call: Call) -> Reply:
        """Ask, and wait for the answer."""
        import httpx  # only where it is measured

        from vendors.http import make_client

        if self._client is None:
            self._client = make_client(os.environ[ADDRESS], timeout=120)
        asked = {"model": call.model, "key": call.idempotency_key, "params": dict(call.params)}
        try:
            answer = await self._client.post("/", json=asked)
        except httpx.HTTPError as error:
            raise Unavailable(f"{type(error).__name__}: {error}", request=asked) from error
        body = answer.json()
        usage = Usage(tokens_in=body["usage"]["in"], tokens_out=body["usage"]["out"])
        return Reply(model=call.model, data=body["answer"], usage=usage, request=asked, response=body)


async def serve(port: int, seconds: float) -> None:
    """Answer every request `seconds` after it has arrived."""

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                lines = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:] if b": " in line)
                await reader.readexactly(int(lines.get(b"content-length", b"0")))
                await asyncio.sleep(seconds)
                body = json.dumps({"answer": {"text": "x" * 400}, "usage": {"in": 900, "out": 120}}).encode()
                kind = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: "
                writer.write(kind + str(len(body)).encode() + b"\r\n\r\n" + body)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(connected, "127.0.0.1", port, backlog=BACKLOG)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1]), float(sys.argv[2])))
