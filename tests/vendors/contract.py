"""What every vendor must keep to: subclass `VendorContract`, give it a vendor and the calls to try.

One behind a network keeps to `NetworkContract` as well, against its server on loopback (`tests/vendor_servers`).
"""

import asyncio
import pickle
import time
from dataclasses import replace

import pytest

from core.canonical import canonical_json
from tests.vendor_servers.server import HTML, Cut, Half, Never, Reset, Response, Trickle, status
from vendors.base import (
    NOTHING_USED,
    BadResponse,
    Call,
    KeyRefused,
    RateLimited,
    Rejected,
    Reply,
    TimedOut,
    Unavailable,
    Usage,
    Vendor,
    VendorError,
)
from vendors.records import reply_from_record, reply_to_record

SECRETS = ("api_key", "authorization", "x-goog-api-key", "bearer ", "sk-", "password")


class VendorContract:
    """The contract. `vendor` and `good_calls` are fixtures of the subclass."""

    def ask(self, vendor: Vendor, call: Call) -> Reply:
        return asyncio.run(vendor.call(call))

    def test_it_says_what_it_is(self, vendor):
        assert isinstance(vendor, Vendor)
        assert vendor.kind in {"network", "cpu"}
        assert vendor.name
        assert len(vendor.tasks) > 0

    def test_good_calls_cover_every_task(self, vendor, good_calls):
        assert {call.task for call in good_calls} == set(vendor.tasks)

    def test_replies_are_json_with_pictures_named_by_hash(self, vendor, good_calls):
        for call in good_calls:
            reply = self.ask(vendor, call)
            for part in (reply.request, reply.response, reply.data):
                assert b"base64" not in canonical_json(part)[:200_000]
            named = {image.sha256 for image in reply.images}
            assert all(sha256.encode() in canonical_json(dict(reply.response)) for sha256 in named)

    def test_the_request_names_what_was_asked(self, vendor, good_calls):
        for call in good_calls:
            recorded = canonical_json(dict(self.ask(vendor, call).request))
            assert call.model.encode() in recorded
            assert [image.sha256 for image in call.images if image.sha256.encode() not in recorded] == []

    def test_no_secret_is_recorded(self, vendor, good_calls):
        for call in good_calls:
            reply = self.ask(vendor, call)
            recorded = canonical_json([dict(reply.request), dict(reply.response)]).decode().lower()
            assert [word for word in SECRETS if word in recorded] == []

    def test_usage_and_cost_are_numbers_or_unknown(self, vendor, good_calls):
        for call in good_calls:
            reply = self.ask(vendor, call)
            assert isinstance(reply.usage, Usage)
            assert reply.cost_usd is None or (reply.cost_usd >= 0 and reply.cost_source)

    def test_it_answers_within_the_time_it_was_given(self, vendor, good_calls):
        for call in good_calls:
            started = time.monotonic()
            self.ask(vendor, call)
            assert time.monotonic() - started < call.timeout_s

    def test_a_reply_survives_being_recorded(self, vendor, good_calls):
        for call in good_calls:
            reply = self.ask(vendor, call)
            record, images = reply_to_record(reply)
            stored = {image.sha256: image.content for image in images}
            assert reply_from_record(record, stored.__getitem__) == reply

    def test_calls_and_replies_cross_a_process_boundary(self, vendor, good_calls):
        for call in good_calls:
            reply = self.ask(vendor, pickle.loads(pickle.dumps(call)))
            assert pickle.loads(pickle.dumps(reply)) == reply

    def test_an_unknown_task_is_an_error_of_the_protocol(self, vendor, good_calls):
        unknown = replace(good_calls[0], task="haiku", idempotency_key="unknown")
        with pytest.raises(VendorError) as caught:
            self.ask(vendor, unknown)
        assert isinstance(caught.value, Rejected)
        assert caught.value.message.endswith(".")
        canonical_json([caught.value.request, caught.value.response])


class DeterministicContract(VendorContract):
    """For vendors that promise the same answer to the same call."""

    def test_equal_calls_have_equal_replies(self, vendor, good_calls):
        for call in good_calls:
            assert self.ask(vendor, call) == self.ask(vendor, call)


class NetworkContract(VendorContract):
    """For vendors behind HTTP. More fixtures: `server` (its `VendorServer`), `key`, `with_key` (makes a vendor)."""

    SHORT_S = 0.2

    def fail(self, vendor: Vendor, call: Call) -> VendorError:
        with pytest.raises(VendorError) as caught:
            self.ask(vendor, call)
        return caught.value

    def test_it_waits_and_computes_nothing(self, vendor):
        assert vendor.kind == "network"

    def test_a_call_is_one_request(self, vendor, good_calls, server):
        server.forget()
        for call in good_calls:
            self.ask(vendor, call)
        assert len(server.requests) == len(good_calls)

    def test_requests_carry_their_length_and_the_calls_key(self, vendor, good_calls, server):
        server.forget()
        self.ask(vendor, replace(good_calls[0], idempotency_key="call-1"))
        (request,) = server.requests
        assert int(request.headers["content-length"]) == len(request.body)
        assert request.headers["idempotency-key"] == "call-1"

    def test_the_exchange_is_kept_with_status_headers_and_time(self, vendor, good_calls):
        for call in good_calls:
            reply = self.ask(vendor, call)
            assert set(reply.request) == {"method", "url", "headers", "body"}
            assert reply.response["status"] == 200
            assert "content-type" in reply.response["headers"]
            assert reply.latency_ms is not None and reply.latency_ms >= 0

    @pytest.mark.parametrize(
        ("fault", "kind"),
        [
            (Never(), TimedOut),
            (Trickle(), TimedOut),
            (Reset(), Unavailable),
            (HTML, Unavailable),
            (status(503, {"error": {"code": 503, "message": "overloaded", "status": "UNAVAILABLE"}}), Unavailable),
            (status(500, b""), Unavailable),
            (Half(), BadResponse),
            (Response(HTML.body, 200, {"Content-Type": "text/html"}), BadResponse),
            (Response(b"", 200), BadResponse),
            (Response(b"\x89\xff\x00", 200), BadResponse),
            (Response(b'{"a":' + b"[" * 900 + b"]" * 900 + b"}"), BadResponse),
            (Response(b'{"a":[' + b"[]," * 250_000 + b"[]]}"), BadResponse),
            (Response(b'{"a":1e999}'), BadResponse),
            (Response(b"[" * 100_000, 400), Rejected),
            (status(429, {"error": {"code": 429, "message": "slow down", "details": 5}}), RateLimited),
            (status(302, b"", location="https://elsewhere.example"), Rejected),
            (status(413, b"too large"), Rejected),
            (status(403, b"<html>Request blocked: SQL injection</html>"), Rejected),
        ],
        ids=lambda value: type(value).__name__ if not isinstance(value, type) else value.__name__,
    )
    def test_whatever_goes_wrong_is_an_error_by_meaning_with_its_request(self, vendor, good_calls, server, fault, kind):
        server.forget()
        server.plan(fault)
        timeout_s = self.SHORT_S if isinstance(fault, Never | Trickle) else 10
        error = self.fail(vendor, replace(good_calls[0], timeout_s=timeout_s))
        assert type(error) is kind
        assert "\n" not in error.message
        assert len(server.requests) == 1, "nothing is tried twice in here"
        recorded = canonical_json([error.request, error.response]).decode()
        assert error.request["url"].startswith(server.url)
        assert [image.sha256 for image in good_calls[0].images if image.sha256 not in recorded] == []
        assert pickle.loads(pickle.dumps(error)).request == error.request
        again = self.ask(vendor, good_calls[0])
        assert again.response["status"] == 200, "the vendor works on"

    def test_an_answer_cut_off_in_the_middle_is_a_bad_one_that_is_kept(self, vendor, good_calls, server):
        server.plan(Cut())
        error = self.fail(vendor, good_calls[0])
        assert type(error) is BadResponse
        assert error.response["status"] == 200

    def test_a_service_that_is_not_there_is_unavailable(self, with_key, key, good_calls):
        error = self.fail(with_key(key, "http://127.0.0.1:1"), good_calls[0])
        assert type(error) is Unavailable
        assert error.request["url"].startswith("http://127.0.0.1:1")

    def test_a_wrong_key_is_refused_as_a_key_and_never_recorded(self, with_key, good_calls, server):
        error = self.fail(with_key("AIza-not-the-right-one-0000000000", server.url), good_calls[0])
        assert type(error) is KeyRefused
        assert "not-the-right-one" not in canonical_json([error.request, error.response, error.message]).decode()

    def test_what_is_refused_before_it_is_sent_has_cost_nothing(self, vendor, good_calls, server):
        before = len(server.requests)
        for wrong in ({"task": "haiku"}, {"model": "no such model"}):
            error = self.fail(vendor, replace(good_calls[0], **wrong))
            assert (type(error), error.usage) == (Rejected, NOTHING_USED)
        assert len(server.requests) == before

    @pytest.mark.parametrize("code", [401, 200])
    def test_a_key_that_the_service_says_back_is_never_recorded(self, vendor, good_calls, server, key, code):
        told = f"Incorrect API key provided: {key}."
        body = {"error": {"code": 401, "message": told, "status": "UNAUTHENTICATED"}, "detail": told}
        server.plan(status(code, body, **{"x-request-id": f"of-{key}"}))
        error = self.fail(vendor, good_calls[0])
        assert "Incorrect API key provided: [redacted]" in canonical_json(error.response).decode()
        assert key not in canonical_json([error.request, error.response, error.message]).decode()

    def test_no_model_is_unknown_without_a_word(self, vendor, good_calls):
        error = self.fail(vendor, replace(good_calls[0], model="no-such-model"))
        assert type(error) is Rejected
        assert "no-such-model" in error.message or "not found" in error.message

    def test_loops_come_and_go(self, vendor, good_calls):
        for _ in range(3):
            assert self.ask(vendor, good_calls[0]).response["status"] == 200
