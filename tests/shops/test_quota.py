"""Quotas are exact, however many shoppers come at once."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime

import pytest
import time_machine
from django.db import connection, transaction

from shops.errors import QuotaExceeded
from shops.models import Shop, Usage
from shops.services import give_back_quota, reserve_quota
from tests.factories import ShopFactory

NOON = datetime(2026, 3, 15, 12, tzinfo=UTC)


def try_reserve(shop: Shop) -> bool:
    """One request in a thread of its own: whether it got a picture."""
    try:
        reserve_quota(shop)
        return True
    except QuotaExceeded:
        return False
    finally:
        connection.close()


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(("daily", "monthly"), [(5, 1000), (1000, 5)])
def test_of_many_requests_at_once_exactly_the_quota_get_through(daily: int, monthly: int) -> None:
    shop = ShopFactory.create(quota_daily=daily, quota_monthly=monthly)
    with ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(try_reserve, [shop] * 24))
    assert answers.count(True) == 5
    assert Usage.objects.get(shop=shop).composites == 5


@pytest.mark.django_db
@time_machine.travel(NOON, tick=False)
def test_the_months_earlier_days_count() -> None:
    shop = ShopFactory.create(quota_daily=10, quota_monthly=4)
    Usage.objects.create(shop=shop, day=date(2026, 3, 1), composites=3)
    Usage.objects.create(shop=shop, day=date(2026, 2, 28), composites=50)
    reserve_quota(shop)
    with pytest.raises(QuotaExceeded):
        reserve_quota(shop)


@pytest.mark.django_db
def test_a_new_day_starts_anew() -> None:
    shop = ShopFactory.create(quota_daily=1)
    with time_machine.travel(NOON, tick=False):
        reserve_quota(shop)
    with time_machine.travel(NOON.replace(day=16), tick=False):
        assert reserve_quota(shop) == date(2026, 3, 16)


@pytest.mark.django_db
def test_what_is_given_back_can_be_used_again() -> None:
    shop = ShopFactory.create(quota_daily=1)
    give_back_quota(shop, reserve_quota(shop))
    reserve_quota(shop)
    assert Usage.objects.get(shop=shop).composites == 1


@pytest.mark.django_db
def test_giving_back_too_often_never_goes_below_zero() -> None:
    shop = ShopFactory.create()
    day = reserve_quota(shop)
    give_back_quota(shop, day)
    give_back_quota(shop, day)
    assert Usage.objects.get(shop=shop).composites == 0


@pytest.mark.django_db
def test_a_lowered_quota_counts_at_once_even_for_a_stale_row() -> None:
    shop = ShopFactory.create(quota_daily=5)
    Shop.objects.filter(pk=shop.pk).update(quota_daily=0)
    with pytest.raises(QuotaExceeded):
        reserve_quota(shop)


@pytest.mark.django_db(transaction=True)
def test_a_request_that_fails_later_counts_nothing() -> None:
    shop = ShopFactory.create()
    with pytest.raises(RuntimeError), transaction.atomic():
        reserve_quota(shop)
        raise RuntimeError
    assert not Usage.objects.filter(shop=shop).exists()
