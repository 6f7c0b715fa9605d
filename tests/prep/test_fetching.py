"""Fetching product photos: named hosts, HTTPS, no redirects, no private networks, a cap on bytes."""

import asyncio
from collections.abc import Callable

import httpx
import pytest

from prep.fetching import MAX_BYTES, check_address, fetch_picture
from runs.errors import AttemptFailed, StageError

HOSTS = ["cdn.shopify.com"]
URL = "https://cdn.shopify.com/photo.jpg"


def fetch(answer: Callable[[httpx.Request], httpx.Response]) -> bytes:
    return asyncio.run(fetch_picture(URL, HOSTS, transport=httpx.MockTransport(answer)))


def test_the_bytes_come_back() -> None:
    assert fetch(lambda request: httpx.Response(200, content=b"jpeg")) == b"jpeg"


@pytest.mark.parametrize(
    "url",
    [
        "http://cdn.shopify.com/a.jpg",
        "https://evil.test/a.jpg",
        "https://cdn.shopify.com.evil.test/a.jpg",
        "https://cdn.shopify.com:8443/a.jpg",
        "https://user:pass@cdn.shopify.com/a.jpg",
        "file:///etc/passwd",
        "https://169.254.169.254/latest",
        "https://[::ffff:10.0.0.1]/x",
        "//cdn.shopify.com/a.jpg",
        "",
    ],
)
def test_other_addresses_are_refused(url: str) -> None:
    with pytest.raises(StageError) as refused:
        check_address(url, HOSTS, resolve=False)
    assert refused.value.code == "source_refused"


def test_an_allowed_name_that_leads_into_a_private_network_is_refused() -> None:
    with pytest.raises(StageError) as refused:
        check_address("https://localhost/a.jpg", ["localhost"])
    assert "private network" in refused.value.message


def test_a_redirect_is_not_followed() -> None:
    with pytest.raises(StageError) as missing:
        fetch(lambda request: httpx.Response(302, headers={"location": "https://169.254.169.254/"}))
    assert missing.value.code == "source_missing"


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_busy_server_is_worth_another_try(status: int) -> None:
    with pytest.raises(AttemptFailed) as failed:
        fetch(lambda request: httpx.Response(status))
    assert (failed.value.code, failed.value.retryable, failed.value.kind) == ("source_unavailable", True, "vendor")


def test_an_endless_photo_is_cut_off() -> None:
    with pytest.raises(StageError) as refused:
        fetch(lambda request: httpx.Response(200, content=b"x" * (MAX_BYTES + 1)))
    assert refused.value.code == "photo_too_large"
