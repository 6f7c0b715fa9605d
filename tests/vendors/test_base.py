"""The protocol's own shapes: errors that travel between processes, and pictures that know their hash."""

import pickle

import pytest

from vendors.base import BadResponse, Image, KeyRefused, QuotaExhausted, RateLimited, Refused, Rejected, Usage
from vendors.routes import MOVE_ON_CODES

ERRORS = [
    RateLimited("Slow down.", retry_after_s=2.5, response={"status": 429}),
    QuotaExhausted("Used up."),
    Refused("Declined.", category="IMAGE_SAFETY", usage=Usage(tokens_in=7), cost_usd=0.01, cost_source="prices"),
    KeyRefused("Wrong key.", request={"url": "x"}),
    BadResponse("Half a body.", response_id="r-1", model="m"),
]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: error.code)
def test_an_error_crosses_a_process_boundary_with_all_it_knows(error):
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is type(error)
    assert vars(copy) == vars(error)


def test_every_error_has_a_code_of_its_own_that_a_route_may_name():
    codes = [error.code for error in ERRORS]
    assert len(set(codes)) == len(codes)
    assert set(codes) <= set(MOVE_ON_CODES)


def test_a_refused_key_is_our_fault_and_nothing_to_wait_for():
    assert isinstance(ERRORS[3], Rejected)
    assert [error.retryable for error in ERRORS] == [True, False, False, False, True]


def test_a_picture_takes_a_hash_that_is_known_and_equals_its_twin_without():
    known = Image("room", b"abc", "image/jpeg", "5ca1ab1e")
    assert known.sha256 == "5ca1ab1e"
    assert known == Image("room", b"abc", "image/jpeg")
    assert Image("room", b"abc", "image/jpeg").sha256.startswith("ba7816bf")
