"""The vendor `recorded`, and the record form of replies."""

import asyncio
import json

import pytest

from core.canonical import canonical_json
from tests.vendors.contract import DeterministicContract
from tests.vendors.scenes import cutout, facts_call, picture
from vendors.base import Call, Rejected, Reply, Usage
from vendors.recorded import RecordedVendor
from vendors.records import reply_from_record, reply_to_record

TASKS = ("cutout", "facts", "placement", "composite")


def recording_of(task):
    image = picture("result", cutout())
    asked = facts_call().images[0]
    return Reply(
        model="gemini-3.8-flash",
        text='{"é": 1}',
        data={"é": 1, "list": [1.5, None, True]},
        images=(image,),
        usage=Usage(tokens_in=10, tokens_out=2, images=1),
        finish_reason="stop",
        response_id="r-1",
        request={"model": "gemini-3.8-flash", "task": task, "images": [{"$image": asked.role, "sha256": asked.sha256}]},
        response={"images": [{"$image": "result", "sha256": image.sha256}]},
        thinking_removed=True,
        cost_usd=0.0125,
        cost_source="prices 2026-11",
    )


def recorded_call(task):
    return Call(task, "gemini-3.8-flash", images=facts_call().images, idempotency_key=f"key-{task}")


class TestContract(DeterministicContract):
    @pytest.fixture
    def vendor(self):
        return RecordedVendor({f"key-{task}": recording_of(task) for task in TASKS})

    @pytest.fixture
    def good_calls(self):
        return [recorded_call(task) for task in TASKS]


def test_the_recording_of_exactly_this_call_is_returned():
    vendor = RecordedVendor({"key-facts": recording_of("facts")})
    assert asyncio.run(vendor.call(recorded_call("facts"))) == recording_of("facts")


def test_a_call_that_was_never_recorded_is_rejected():
    with pytest.raises(Rejected, match="no recording of this placement call"):
        asyncio.run(RecordedVendor({}).call(recorded_call("placement")))


def test_a_record_holds_no_bytes_and_comes_back_the_same():
    reply = recording_of("composite")
    record, images = reply_to_record(reply)
    stored = {image.sha256: image.content for image in images}
    assert reply_from_record(json.loads(canonical_json(record)), stored.__getitem__) == reply
    assert len(canonical_json(record)) < 1500


def test_a_record_without_its_picture_cannot_be_replayed():
    record, _ = reply_to_record(recording_of("composite"))
    with pytest.raises(KeyError):
        reply_from_record(record, {}.__getitem__)
