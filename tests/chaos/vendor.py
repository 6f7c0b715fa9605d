"""A model on loopback that counts what it is asked, by idempotency key, and the vendor that asks it."""

import asyncio
import json
import os
import threading
import time
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Literal

import httpx

from vendors.base import Call, Reply, Unavailable, Usage

COST_USD = 0.001
EVERY_NTH_FAILS = 9


class Model(ThreadingHTTPServer):
    """Answers after `seconds`; every ninth answer is a 503. Payments are counted by run and node."""

    daemon_threads = True
    request_queue_size = 256

    def __init__(self, seconds: float) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.seconds = seconds
        self.asked: Counter[str] = Counter()
        self.paid: Counter[str] = Counter()
        self.lock = threading.Lock()
        threading.Thread(target=self.serve_forever, name="model", daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that was killed is no news here."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Model

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        counter = self.server.paid if self.path == "/pay" else self.server.asked
        with self.server.lock:
            counter[body["key"]] += 1
            fails = self.path == "/ask" and counter.total() % EVERY_NTH_FAILS == 0
        time.sleep(self.server.seconds)
        answer = json.dumps({"text": body["key"][:8]}).encode()
        self.send_response(503 if fails else 200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_: object) -> None:
        """Quiet."""


class LoopbackVendor:
    """Asks the model of this test over HTTP, on the event loop."""

    name = "loopback"
    kind: Literal["network"] = "network"
    tasks = ("facts",)

    def __init__(self) -> None:
        self._client: httpx.AsyncClient | None = None

    async def post(self, path: str, key: str) -> httpx.Response:
        """Send a key to the model's address."""
        if self._client is None:
            self._client = httpx.AsyncClient(base_url=os.environ["CHAOS_MODEL_URL"], timeout=30)
        return await self._client.post(path, json={"key": key})

    async def call(self, call: Call) -> Reply:
        """One question, one answer."""
        try:
            answer = await self.post("/ask", call.idempotency_key)
        except httpx.HTTPError as error:
            raise Unavailable(str(error)) from error
        if answer.status_code != 200:
            raise Unavailable("503", request={"key": call.idempotency_key}, response={"status": answer.status_code})
        return Reply(
            model=call.model,
            data=answer.json(),
            usage=Usage(tokens_in=10, tokens_out=1),
            request={"key": call.idempotency_key},
            response=answer.json(),
            cost_usd=COST_USD,
            cost_source="vendor",
        )


LOOPBACK = LoopbackVendor()


async def pay(key: str) -> None:
    """Something that must never happen twice."""
    await LOOPBACK.post("/pay", key)
    await asyncio.sleep(0.05)
