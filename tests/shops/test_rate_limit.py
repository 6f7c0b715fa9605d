"""The token bucket is exact across connections and says when to come back."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.db import connection
from django.db.models import F

from shops.errors import Throttled
from shops.models import RateBucket
from shops.services import forget_idle_buckets, require_token, take_token


def take(key: str) -> bool:
    """One request in a thread of its own."""
    try:
        return take_token(key, rate_per_minute=1, burst=5).allowed
    finally:
        connection.close()


@pytest.mark.django_db(transaction=True)
def test_of_many_requests_at_once_exactly_the_burst_get_through() -> None:
    with ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(take, ["crowd"] * 24))
    assert answers.count(True) == 5


@pytest.mark.django_db
def test_a_refused_request_learns_how_long_to_wait() -> None:
    assert take_token("k", rate_per_minute=6, burst=1).allowed
    token = take_token("k", rate_per_minute=6, burst=1)
    assert not token.allowed
    assert token.retry_after_s == 10


@pytest.mark.django_db
def test_being_refused_does_not_make_the_wait_longer() -> None:
    take_token("k", rate_per_minute=6, burst=1)
    waits = [take_token("k", rate_per_minute=6, burst=1).retry_after_s for _ in range(5)]
    assert waits == [10] * 5


@pytest.mark.django_db
def test_a_token_comes_back_after_its_time() -> None:
    take_token("k", rate_per_minute=6, burst=1)
    RateBucket.objects.update(tat=F("tat") - timedelta(seconds=10))
    assert take_token("k", rate_per_minute=6, burst=1).allowed
    assert not take_token("k", rate_per_minute=6, burst=1).allowed


@pytest.mark.django_db
def test_a_long_rest_gives_the_burst_and_no_more() -> None:
    take_token("k", rate_per_minute=60, burst=3)
    RateBucket.objects.update(tat=F("tat") - timedelta(hours=5))
    answers = [take_token("k", rate_per_minute=60, burst=3).allowed for _ in range(4)]
    assert answers == [True, True, True, False]


@pytest.mark.django_db
def test_buckets_do_not_share_tokens() -> None:
    take_token("a", rate_per_minute=1, burst=1)
    assert take_token("b", rate_per_minute=1, burst=1).allowed


@pytest.mark.django_db
def test_a_throttled_request_carries_retry_after() -> None:
    take_token("k", rate_per_minute=6, burst=1)
    with pytest.raises(Throttled) as caught:
        require_token("k", rate_per_minute=6, burst=1)
    assert caught.value.headers == {"Retry-After": "10"}


@pytest.mark.django_db
def test_idle_buckets_are_forgotten() -> None:
    take_token("old", rate_per_minute=60, burst=3)
    RateBucket.objects.update(tat=F("tat") - timedelta(hours=5))
    take_token("new", rate_per_minute=60, burst=3)
    assert forget_idle_buckets() == 1
    assert list(RateBucket.objects.values_list("key", flat=True)) == ["new"]
