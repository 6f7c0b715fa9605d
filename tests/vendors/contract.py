"""What every vendor must keep to: subclass `VendorContract`, give it a vendor and the calls to try."""

import asyncio
import pickle
import time
from dataclasses import replace

import pytest

from core.canonical import canonical_json
from vendors.base import Call, Rejected, Reply, Usage, Vendor, VendorError
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
