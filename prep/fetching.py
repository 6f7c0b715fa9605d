"""Fetching a product photo from the merchant's storefront: named hosts, over HTTPS, never inside our network."""

import ipaddress
import socket
from collections.abc import Sequence
from urllib.parse import urlsplit

import httpx

from runs.errors import AttemptFailed, StageError
from vendors.http import body_pieces

MAX_BYTES = 25 * 2**20
PLAIN = {"Accept-Encoding": "identity"}  # pictures are compressed as they are
TIMEOUT = httpx.Timeout(20.0, connect=5.0)


async def fetch_picture(
    url: str, allowed_hosts: Sequence[str], transport: httpx.AsyncBaseTransport | None = None
) -> bytes:
    """The bytes behind a product photo's address, at most 25 MiB; redirects are not followed.

    Raises:
        StageError: `source_refused`, the address is not one we fetch from; `source_missing`, the photo is not there.
        AttemptFailed: `source_unavailable`, worth another try.
    """
    host = check_address(url, allowed_hosts, resolve=transport is None)
    try:
        client = httpx.AsyncClient(timeout=TIMEOUT, transport=transport, follow_redirects=False, headers=PLAIN)
        async with client, client.stream("GET", url) as response:
            if response.status_code >= 500 or response.status_code == 429:
                raise AttemptFailed(
                    "source_unavailable", f"{host} answered {response.status_code}.", kind="vendor", retryable=True
                )
            if response.status_code != 200:
                raise StageError("source_missing", f"{host} answered {response.status_code} for the product photo.")
            return await _read_capped(response)
    except httpx.HTTPError as error:
        raise AttemptFailed(
            "source_unavailable", f"{host} could not be reached: {type(error).__name__}.", kind="vendor", retryable=True
        ) from error


async def _read_capped(response: httpx.Response) -> bytes:
    body = bytearray()
    async for chunk in body_pieces(response):
        body += chunk
        if len(body) > MAX_BYTES:
            raise StageError("photo_too_large", "The product photo is larger than 25 MB.")
    return bytes(body)


def check_address(url: str, allowed_hosts: Sequence[str], *, resolve: bool = True) -> str:
    """The host of an address that we are willing to fetch.

    Raises:
        StageError: `source_refused`: not HTTPS on port 443, not an allowed host, or inside a private network.
    """
    parts = urlsplit(url)
    host = (parts.hostname or "").lower()
    if parts.scheme != "https" or parts.port not in (None, 443) or parts.username or parts.password:
        raise StageError("source_refused", "Product photos are fetched over HTTPS on the standard port only.")
    if host not in {allowed.lower() for allowed in allowed_hosts}:
        raise StageError("source_refused", f"Product photos are not fetched from {host or 'nowhere'}.")
    if resolve:
        _refuse_private(host)
    return host


def _refuse_private(host: str) -> None:
    try:
        found = {entry[4][0] for entry in socket.getaddrinfo(host, 443, type=socket.SOCK_STREAM)}
    except OSError as error:
        raise AttemptFailed("source_unavailable", f"{host} has no address.", kind="vendor", retryable=True) from error
    for text in found:
        address = ipaddress.ip_address(str(text).split("%")[0])
        mapped = getattr(address, "ipv4_mapped", None) or address
        if not mapped.is_global:
            raise StageError("source_refused", f"{host} leads into a private network.")
