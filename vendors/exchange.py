"""One request to a service behind HTTP and its whole answer; whatever goes wrong on the way is an error by meaning."""

import asyncio
import time
from collections.abc import AsyncIterable, Callable, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any, Concatenate, ParamSpec, TypeVar

import httpx

from core.pools import off_loop_if
from vendors.base import NOTHING_USED, BadResponse, TimedOut, Unavailable
from vendors.http import body_pieces

P = ParamSpec("P")
T = TypeVar("T")
MAX_ANSWER = 64 * 2**20
LARGE = 256 * 1024  # what takes longer to go through than an event loop should be held up
REDACTED, SHORTEST_KEY = "[redacted]", 8  # anything shorter is no key, and may stand for something else
SHOWN = 4000  # characters of an answer that cannot be read
# Headers of an answer that help whoever has to ask the service about a call.
KEPT = frozenset({"content-type", "content-length", "date", "retry-after", "retry-after-ms", "server", "cf-ray", "via"})
# Whose account it is is nobody's who gets a bundle.
LEFT_OUT = frozenset({"openai-organization", "openai-project"})
KEPT_PREFIXES = ("x-ratelimit-", "x-request-id", "request-id", "openai-", "x-goog-", "x-uncertainty", "server-timing")


@dataclass(frozen=True, slots=True)
class Exchange:
    """A request as it is kept, and the answer: its status, the headers that are kept, and its body."""

    request: Mapping[str, Any]
    status: int
    headers: Mapping[str, str]
    body: bytearray
    latency_ms: int

    async def read(self, reader: Callable[Concatenate["Exchange", P], T], *more: P.args, **named: P.kwargs) -> T:
        """What a function makes of it; a large answer is gone through on a thread, so that nobody's loop waits."""
        return await off_loop_if(len(self.body) > LARGE, reader, self, *more, **named)

    def response(self, body: Any) -> dict[str, Any]:
        """The answer as it is kept, with this as its body."""
        return {"status": self.status, "headers": dict(self.headers), "body": body}

    def shown(self) -> str:
        """The beginning of a body that cannot be read as what it should be."""
        text = bytes(self.body[:SHOWN]).decode("utf-8", "replace").replace("\0", "")
        left = len(self.body) - SHOWN
        return f"{text}… [{left:,} more bytes]" if left > 0 else text


def request_record(url: str, headers: Mapping[str, str], body: Any, *, secret: tuple[str, ...]) -> dict[str, Any]:
    """A request as it is kept: everything but the headers that hold a key; without a body it is a GET."""
    shown = {name: value for name, value in headers.items() if name.lower() not in secret}
    return {"method": "GET" if body is None else "POST", "url": url, "headers": shown, "body": body}


async def send(
    client: httpx.AsyncClient,
    url: str,
    *,
    headers: Mapping[str, str],
    content: AsyncIterable[bytes] | None,
    request: Mapping[str, Any],
    timeout_s: float,
    service: str,
    key: str,
) -> Exchange:
    """Send a request (a POST, or a GET where there is no content) and read the answer to its end, whatever its status.

    Some servers say the `key` back when they refuse it: it is taken out of the answer before anybody reads that.

    Raises:
        TimedOut: all of it took longer than `timeout_s` seconds.
        Unavailable: no connection, or it ended before there was an answer.
        BadResponse: the answer ended in the middle, is too large, or is not HTTP.
    """
    started, method = time.monotonic(), "GET" if content is None else "POST"
    status, body = 0, bytearray()
    kept: Mapping[str, str] = {}

    def so_far() -> dict[str, Any]:
        exchange = Exchange(request, status, kept, _without(key, body), 0)
        return {"request": request, "response": exchange.response(exchange.shown()) if status else None}

    try:
        async with asyncio.timeout(timeout_s):
            async with client.stream(method, url, headers=dict(headers), content=content) as answer:
                status, kept = answer.status_code, _kept(answer.headers, key)
                async for piece in body_pieces(answer):
                    body += piece
                    if len(body) > MAX_ANSWER:
                        raise BadResponse(f"{service} sent more than {MAX_ANSWER >> 20} MiB.", **so_far())
    except TimeoutError as error:
        raise TimedOut(f"{service} did not answer within {timeout_s:g} s.", **so_far()) from error
    except (httpx.ConnectTimeout, httpx.ConnectError) as error:
        text = f"{service} cannot be reached: {_told(error)}."
        raise Unavailable(text, usage=NOTHING_USED, **so_far()) from error
    except (httpx.NetworkError, httpx.ProtocolError, httpx.DecodingError) as error:
        if status:
            text = f"{service}'s answer ended in the middle or cannot be read: {_told(error)}."
            raise BadResponse(text, **so_far()) from error
        raise Unavailable(f"{service} ended the connection without an answer: {_told(error)}.", **so_far()) from error
    except httpx.HTTPError as error:
        raise Unavailable(f"{service} could not be asked: {_told(error)}.", **so_far()) from error
    latency_ms = round((time.monotonic() - started) * 1000)
    return Exchange(request, status, kept, await off_loop_if(len(body) > LARGE, _without, key, body), latency_ms)


def retry_after(headers: Mapping[str, str], now: float | None = None) -> float | None:
    """Seconds that a service asks us to wait, from `Retry-After` (seconds or a date) or `Retry-After-Ms`.

    Source: RFC 9110, 10.2.3; the second one is OpenAI's.
    """
    milliseconds = number(headers.get("retry-after-ms"))
    if milliseconds is not None:
        return milliseconds / 1000
    text = headers.get("retry-after", "")
    seconds = number(text)
    if seconds is not None:
        return seconds
    try:
        until = parsedate_to_datetime(text).timestamp()
    except ValueError:
        return None
    return max(0.0, until - (time.time() if now is None else now))


def number(text: str | None) -> float | None:
    """A number of zero or more, or None."""
    try:
        value = float(text or "")
    except ValueError:
        return None
    return value if 0 <= value < float("inf") else None


def _without(key: str, body: bytearray) -> bytearray:
    secret = key.encode()
    return body.replace(secret, REDACTED.encode()) if len(secret) >= SHORTEST_KEY and secret in body else body


def _kept(headers: httpx.Headers, key: str) -> dict[str, str]:
    named = {
        name.lower(): value[:500] for name, value in headers.items() if len(key) < SHORTEST_KEY or key not in value
    }
    kept = (name for name in named if name in KEPT or name.startswith(KEPT_PREFIXES))
    return {name: named[name] for name in kept if name not in LEFT_OUT}


def _told(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"[:300].rstrip(".: ")
