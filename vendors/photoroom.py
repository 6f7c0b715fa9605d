"""The vendor `photoroom`: background removal by PhotoRoom's Segment endpoint, asked for the matte alone.

Wire format: "Remove Background (Basic plan)" of PhotoRoom's API reference (OpenAPI 3.1, `POST /v1/segment`), and its
page "Uncertainty score". The product's colours stay the merchant's own: only the matte is taken from the answer, and
whoever asked holds it against the photo.
"""

import secrets
from collections.abc import AsyncIterator, Sequence
from typing import Any, Literal

from vendors.base import (
    BadResponse,
    Call,
    Image,
    KeyRefused,
    QuotaExhausted,
    RateLimited,
    Rejected,
    Reply,
    TimedOut,
    Unavailable,
    Usage,
    VendorError,
    before_sending,
)
from vendors.exchange import Exchange, request_record, retry_after, send
from vendors.http import LoopClients
from vendors.wire import NotJson, read_json

MODEL = "segment-v1"
BASE_URL = "https://sdk.photoroom.com"
PATH = "/v1/segment"
SECRET = ("x-api-key",)
# A key whose name begins so costs nothing, and its answers are watermarked.
SANDBOX = "sandbox_"
FILE_NAMES = {"image/jpeg": "product.jpg", "image/png": "product.png", "image/webp": "product.webp"}
FIELDS = {"format": "png", "channels": "alpha", "size": "full", "crop": "false"}
PNG_START, PNG_END = b"\x89PNG\r\n\x1a\n", b"IEND\xaeB`\x82"


class PhotoroomVendor:
    """Cuts products out of photos of any background."""

    name = "photoroom"
    kind: Literal["network", "cpu"] = "network"
    tasks: Sequence[str] = ("cutout",)

    def __init__(self, key: str, base_url: str = BASE_URL) -> None:
        self._key = key
        self._base_url = base_url.rstrip("/")
        self._clients = LoopClients()

    async def call(self, call: Call) -> Reply:
        """The matte of the picture `product` (role `matte`, PNG); `data` has its `uncertainty`, 0 to 1 or None.

        Raises:
            VendorError: by meaning, with the exchange as far as it went.
        """
        with before_sending():
            product = self._product(call)
        form = _Form(product)
        headers = {
            "Content-Type": form.media_type,
            "Accept": "image/png",
            "Accept-Encoding": "identity",
            "Idempotency-Key": call.idempotency_key,
            "x-api-key": self._key,
        }
        named = {"$image": product.role, "sha256": product.sha256, "media_type": product.media_type}
        url = self._base_url + PATH
        # The endpoint has one model; its name is kept with the request, it is not sent.
        body = {**FIELDS, "image_file": named, "model": call.model}
        exchange = await send(
            await self._clients.here(),
            url,
            headers={**headers, "Content-Length": str(form.length)},
            content=form,
            request=request_record(url, {**headers, "Content-Type": "multipart/form-data"}, body, secret=SECRET),
            timeout_s=call.timeout_s,
            service="PhotoRoom",
            key=self._key,
        )
        return await exchange.read(_reply, sandbox=self._key.startswith(SANDBOX))

    def _product(self, call: Call) -> Image:
        """The picture that is sent."""
        if call.task not in self.tasks:
            raise Rejected(f"PhotoRoom is not asked for the task {call.task!r}; it knows {', '.join(self.tasks)}.")
        if call.model != MODEL:
            raise Rejected(f"PhotoRoom has no model {call.model!r} (not found here); it knows {MODEL}.")
        product = call.image("product")
        if product is None or product.media_type not in FILE_NAMES:
            raise Rejected("PhotoRoom needs one picture with the role product, as JPEG, PNG or WebP.")
        return product


class _Form:
    """The fields and the picture as multipart/form-data (RFC 7578), sent in pieces."""

    def __init__(self, product: Image) -> None:
        boundary = secrets.token_hex(16)
        self.media_type = f"multipart/form-data; boundary={boundary}"
        fields = "".join(
            f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
            for name, value in FIELDS.items()
        )
        name = FILE_NAMES[product.media_type]
        head = f'Content-Disposition: form-data; name="image_file"; filename="{name}"\r\n'
        start = f"{fields}--{boundary}\r\n{head}Content-Type: {product.media_type}\r\n\r\n"
        self._parts = start.encode(), product.content, f"\r\n--{boundary}--\r\n".encode()
        self.length = sum(map(len, self._parts))

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for part in self._parts:
            yield part


def _reply(exchange: Exchange, *, sandbox: bool) -> Reply:
    if exchange.status != 200:
        raise _refusal(exchange)
    body = exchange.body
    told: dict[str, Any] = {"request": exchange.request, "response": exchange.response(exchange.shown())}
    if not body.startswith(PNG_START):
        kind = exchange.headers.get("content-type", "nothing that has a type")
        raise BadResponse(f"PhotoRoom answered with {kind} instead of a PNG picture.", **told)
    if not body.endswith(PNG_END):
        text = f"PhotoRoom's picture ends in the middle, after {len(body):,} bytes."
        raise BadResponse(text, request=exchange.request, response=exchange.response({"received_bytes": len(body)}))
    matte = Image("matte", bytes(body), "image/png")
    return Reply(
        model=MODEL,
        data={"uncertainty": _uncertainty(exchange), "sandbox": sandbox},
        images=(matte,),
        usage=Usage(images=1),
        response_id=exchange.headers.get("x-request-id"),
        request=exchange.request,
        response=exchange.response({"$image": matte.role, "sha256": matte.sha256}),
        latency_ms=exchange.latency_ms,
        cost_usd=0.0 if sandbox else None,
        cost_source="vendor" if sandbox else None,
    )


def _uncertainty(exchange: Exchange) -> float | None:
    """How unsure the model is, 0 to 1; None where it does not say (-1: people in the picture)."""
    try:
        score = float(exchange.headers.get("x-uncertainty-score", ""))
    except ValueError:
        return None
    return score if 0.0 <= score <= 1.0 else None


def _refusal(exchange: Exchange) -> VendorError:
    """The error that an answer other than 200 means."""
    found, status = _json(bytes(exchange.body)), exchange.status
    body = found if isinstance(found, dict) else exchange.shown()
    known: dict[str, Any] = {"request": exchange.request, "response": exchange.response(body)}
    told = _detail(found)
    if status == 429:
        return RateLimited(
            f"PhotoRoom asks us to slow down{told}", retry_after_s=retry_after(exchange.headers), **known
        )
    if status in (408, 504):
        return TimedOut(f"PhotoRoom gave up with status {status}{told}", **known)
    if status >= 500:
        return Unavailable(f"PhotoRoom answered with status {status}{told}", **known)
    if (
        status == 403 and exchange.body and found is None
    ):  # a firewall's page about this request, which is no word about our key
        return Rejected(f"PhotoRoom's door rejects the request with status {status}.", **known)
    if status in (401, 403):
        return KeyRefused(f"PhotoRoom does not accept the API key, or its plan does not include this{told}", **known)
    if status == 402:
        return QuotaExhausted(f"PhotoRoom's credits are used up{told}", **known)
    return Rejected(f"PhotoRoom rejects the request with status {status}{told}", **known)


def _json(body: bytes) -> Any:
    try:
        return read_json(body)
    except NotJson:
        return None


def _detail(found: Any) -> str:
    """What an error says, as the end of a sentence: `detail` of the Segment endpoint, `error.detail` of the others."""
    for value in (found, found.get("error") if isinstance(found, dict) else None):
        if isinstance(value, dict) and isinstance(value.get("detail"), str):
            return f": {' '.join(value['detail'].split())[:300].rstrip('.')}."
    return "."


__all__ = ["BASE_URL", "MODEL", "PhotoroomVendor"]
