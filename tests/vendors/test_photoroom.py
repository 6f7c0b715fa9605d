"""The vendor `photoroom` against a server on loopback that is as strict as its reference."""

import asyncio
from io import BytesIO

import numpy as np
import pytest
from PIL import Image as Pictures

from tests.vendor_servers import photoroom as wire
from tests.vendor_servers.server import Response, VendorServer, status
from tests.vendors.contract import NetworkContract
from tests.vendors.scenes import jpeg, picture, product_photo
from vendors.base import BadResponse, Call, KeyRefused, QuotaExhausted, RateLimited, Rejected, TimedOut
from vendors.photoroom import MODEL, PhotoroomVendor
from vendors.registry import build_vendors


def cutout(**changes):
    return Call(**{"task": "cutout", "model": MODEL, "images": (picture("product", product_photo()),)} | changes)


@pytest.fixture(scope="module")
def account():
    return wire.Photoroom()


@pytest.fixture(scope="module")
def running(account):
    with VendorServer(account.answer) as running:
        yield running


@pytest.fixture
def server(running, account):
    running.forget()
    account.asked.clear()
    account.uncertainty = "0.12"
    return running


@pytest.fixture
def key():
    return wire.KEY


@pytest.fixture
def with_key():
    return PhotoroomVendor


@pytest.fixture
def vendor(server, key):
    return PhotoroomVendor(key, server.url)


def ask(vendor, call):
    return asyncio.run(vendor.call(call))


class TestContract(NetworkContract):
    @pytest.fixture
    def good_calls(self, server):
        return [cutout(), cutout(images=(jpeg("product", product_photo()),))]


def test_the_answer_is_the_matte_and_how_sure_it_is(vendor, account):
    reply = ask(vendor, cutout())
    (matte,) = reply.images
    with Pictures.open(BytesIO(matte.content)) as found:
        alpha = np.asarray(found)
    assert (matte.role, alpha.shape, alpha[100, 150], alpha[0, 0]) == ("matte", (320, 320), 255, 0)
    assert (reply.data["uncertainty"], reply.usage.images, reply.response_id) == (0.12, 1, "pr-1")
    assert account.asked[0]["channels"] == "alpha" and account.asked[0]["crop"] == "false"
    assert reply.request["body"]["image_file"]["sha256"] == cutout().images[0].sha256
    assert reply.cost_usd is None, "what it costs is the price list's matter"


@pytest.mark.parametrize(("told", "read"), [("1", 1.0), ("-1", None), (None, None), ("soon", None), ("7", None)])
def test_an_uncertainty_that_is_not_told_is_unknown_and_not_zero(vendor, account, told, read):
    account.uncertainty = told
    assert ask(vendor, cutout()).data["uncertainty"] == read


def test_a_sandbox_key_costs_nothing(account, server):
    account.key = "sandbox_key"
    try:
        reply = ask(PhotoroomVendor("sandbox_key", server.url), cutout())
    finally:
        account.key = wire.KEY
    assert (reply.cost_usd, reply.cost_source, reply.data["sandbox"]) == (0.0, "vendor", True)


@pytest.mark.parametrize(
    ("answer", "kind", "words"),
    [
        (wire.error(400, "Please provide an image.", "missing_image"), Rejected, "Please provide an image."),
        (wire.error(402, "API credits exhausted.", "payment"), QuotaExhausted, "credits are used up: API credits"),
        (status(402, {"error": {"detail": "API credits exhausted"}}), QuotaExhausted, "API credits exhausted"),
        (status(403, b""), KeyRefused, "does not accept the API key"),
        (status(401, {"detail": "no key"}), KeyRefused, "no key"),
        (status(429, {"detail": "Slow\ndown"}, retry_after="7"), RateLimited, "slow down: Slow down."),
        (status(504, b"gateway"), TimedOut, "504"),
        (Response({"detail": "all well"}), BadResponse, "application/json"),
        (Response({"base64img": "aGVsbG8="}), BadResponse, "instead of a PNG"),
    ],
)
def test_errors_by_meaning(vendor, server, answer, kind, words):
    server.plan(answer)
    with pytest.raises(kind) as caught:
        ask(vendor, cutout())
    assert type(caught.value) is kind and words in caught.value.message
    if kind is RateLimited:
        assert caught.value.retry_after_s == 7
    assert caught.value.response["status"] == (answer.response.status if hasattr(answer, "response") else answer.status)


def test_without_a_picture_nothing_is_sent(vendor, server):
    with pytest.raises(Rejected, match="one picture with the role product"):
        ask(vendor, cutout(images=()))
    assert server.requests == []


def test_a_key_sets_it_up_and_no_key_does_not():
    assert "photoroom" not in build_vendors({})
    assert isinstance(build_vendors({"PHOTOROOM_API_KEY": "k"})["photoroom"], PhotoroomVendor)
