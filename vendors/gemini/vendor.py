"""The vendor `gemini`: Google's Gemini API by its REST interface, `POST /v1beta/models/{model}:generateContent`."""

import re
from collections.abc import Sequence
from typing import Literal

from vendors.base import Call, Rejected, Reply, before_sending
from vendors.exchange import request_record, send
from vendors.gemini.answer import read_models, read_reply
from vendors.gemini.request import GeminiParams, request_body
from vendors.http import LoopClients
from vendors.params import read_params
from vendors.wire import Body, recorded

BASE_URL = "https://generativelanguage.googleapis.com"
MODEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
SECRET = ("x-goog-api-key",)


class GeminiVendor:
    """Reads pictures and texts, answers in JSON of a given schema, and draws pictures."""

    name = "gemini"
    kind: Literal["network", "cpu"] = "network"
    tasks: Sequence[str] = ("facts", "placement", "composite")

    def __init__(self, key: str, base_url: str = BASE_URL) -> None:
        self._key = key
        self._base_url = base_url.rstrip("/")
        self._clients = LoopClients()

    async def call(self, call: Call) -> Reply:
        """Answer one call with one request.

        Raises:
            VendorError: by meaning, with the exchange as far as it went.
        """
        with before_sending():
            if call.task not in self.tasks:
                raise Rejected(f"Gemini is not asked for the task {call.task!r}; it knows {', '.join(self.tasks)}.")
            if not MODEL.fullmatch(call.model):
                raise Rejected(f"{call.model!r} is no name of a Gemini model.")
            body = request_body(call, read_params(GeminiParams, call.params))
        url = f"{self._base_url}/v1beta/models/{call.model}:generateContent"
        headers = {
            "Content-Type": "application/json",
            "Accept": "application/json",
            "Accept-Encoding": "identity",
            "X-Server-Timeout": f"{call.timeout_s:g}",
            "Idempotency-Key": call.idempotency_key,
            "x-goog-api-key": self._key,
        }
        content = Body(body)
        exchange = await send(
            await self._clients.here(),
            url,
            headers={**headers, "Content-Length": str(content.length)},
            content=content,
            request=request_record(url, headers, recorded(body), secret=SECRET),
            timeout_s=call.timeout_s,
            service="Gemini",
            key=self._key,
        )
        return await exchange.read(read_reply, call)

    async def list_models(self, timeout_s: float = 30.0) -> frozenset[str]:
        """The models that this key may ask for content; costs nothing (`models.list`).

        Raises:
            VendorError: by meaning.
        """
        url = f"{self._base_url}/v1beta/models?pageSize=1000"
        headers = {"Accept": "application/json", "Accept-Encoding": "identity", "x-goog-api-key": self._key}
        request = request_record(url, headers, None, secret=SECRET)
        client = await self._clients.here()
        exchange = await send(
            client,
            url,
            headers=headers,
            content=None,
            request=request,
            timeout_s=timeout_s,
            service="Gemini",
            key=self._key,
        )
        return read_models(exchange)
