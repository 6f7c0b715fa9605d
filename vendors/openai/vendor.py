"""The vendor `openai`: any server with OpenAI's chat completions (OpenAI, OpenRouter, vLLM, Ollama)."""

import re
from collections.abc import Sequence
from typing import Any, Literal

from vendors.base import Call, Rejected, Reply, before_sending
from vendors.exchange import request_record, send
from vendors.http import LoopClients
from vendors.openai.answer import read_models, read_reply
from vendors.openai.request import OpenAIParams, chat_body, draws, edit_body
from vendors.params import read_params
from vendors.wire import Body, recorded

BASE_URL = "https://api.openai.com/v1"
MODEL = re.compile(r"[A-Za-z0-9~@][A-Za-z0-9._:/@~-]{0,199}")
SECRET = ("authorization",)


class OpenAIVendor:
    """Reads pictures and texts, answers in JSON of a given schema, and draws pictures where the server can.

    A server without keys (vLLM, Ollama) is asked without one.
    """

    name = "openai"
    kind: Literal["network", "cpu"] = "network"
    tasks: Sequence[str] = ("facts", "placement", "composite")

    def __init__(self, key: str = "", base_url: str = BASE_URL) -> None:
        self._key = key
        self._base_url = base_url.rstrip("/")
        self._service = "OpenAI" if self._base_url == BASE_URL else re.sub(r"^https?://", "", self._base_url)
        self._clients = LoopClients()

    async def call(self, call: Call) -> Reply:
        """Answer one call with one request.

        Raises:
            VendorError: by meaning, with the exchange as far as it went.
        """
        with before_sending():
            path, body = self._request(call)
        headers = {
            "Content-Type": "application/json",
            "Accept": "application/json",
            "Accept-Encoding": "identity",
            "Idempotency-Key": call.idempotency_key,
            **({"Authorization": f"Bearer {self._key}"} if self._key else {}),
        }
        content, url = Body(body), f"{self._base_url}{path}"
        exchange = await send(
            await self._clients.here(),
            url,
            headers={**headers, "Content-Length": str(content.length)},
            content=content,
            request=request_record(url, headers, recorded(body), secret=SECRET),
            timeout_s=call.timeout_s,
            service=self._service,
            key=self._key,
        )
        return await exchange.read(read_reply, call, self._service)

    def _request(self, call: Call) -> tuple[str, dict[str, Any]]:
        """Path and body of what is asked."""
        if call.task not in self.tasks:
            raise Rejected(f"The vendor openai is not asked for the task {call.task!r}.")
        if not MODEL.fullmatch(call.model):
            raise Rejected(f"{call.model!r} is no name of a model.")
        params = read_params(OpenAIParams, call.params)
        if draws(call):
            return "/images/edits", edit_body(call, params)
        return "/chat/completions", chat_body(call, params)

    async def list_models(self, timeout_s: float = 30.0) -> frozenset[str]:
        """The models that the server has for this key; costs nothing.

        Raises:
            VendorError: by meaning.
        """
        url = f"{self._base_url}/models"
        headers = {"Accept": "application/json", "Accept-Encoding": "identity"}
        headers |= {"Authorization": f"Bearer {self._key}"} if self._key else {}
        request = request_record(url, headers, None, secret=SECRET)
        client = await self._clients.here()
        exchange = await send(
            client,
            url,
            headers=headers,
            content=None,
            request=request,
            timeout_s=timeout_s,
            service=self._service,
            key=self._key,
        )
        return read_models(exchange, self._service)
