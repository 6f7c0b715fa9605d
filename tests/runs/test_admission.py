"""Back-pressure: what the line looks like to one more run of a shop."""

from datetime import timedelta

import pytest
from django.utils import timezone

from core.ids import new_id
from runs.admission import line_for, place_in_line, require_room
from runs.claims import beat, claim_runs
from runs.errors import LineTooLong
from runs.groups import Member, start_group
from runs.models import Run, Worker
from shops.models import Shop
from tests.factories import ShopFactory
from tests.runs.engine import chain, publish, run_inline

pytestmark = pytest.mark.django_db


def waiting(count: int, shop: Shop | None, priority: int = 0, seconds: float = 0) -> list[Run]:
    """Runs that have been due for so many seconds."""
    publish("noops", *chain("noop@1"))
    members = [Member(shop, {"number": number}) for number in range(count)]
    runs = start_group(pipeline="noops", members=members, group_id=new_id(), priority=priority)
    due = timezone.now() - timedelta(seconds=seconds, milliseconds=count)  # all are due by now
    for number, run in enumerate(runs):
        Run.objects.filter(pk=run.pk).update(due_at=due + timedelta(milliseconds=number))
    return list(Run.objects.filter(pk__in=[run.pk for run in runs]).order_by("due_at"))


def usual_run(seconds: float) -> None:
    publish("noops", *chain("noop@1"))
    run = run_inline("noops")
    Run.objects.filter(pk=run.pk).update(finished_at=run.started_at + timedelta(seconds=seconds))


def test_nobody_waits_where_nobody_is_in_line() -> None:
    assert line_for(ShopFactory(), "noops").expected_wait_s == 0
    require_room(None, "noops")


def test_the_wait_is_the_turns_before_it_by_places_and_usual_length(settings: object) -> None:
    settings.RUNS_PER_SHOP = 100
    shop, other = ShopFactory(), ShopFactory()
    beat("w", "host", 1, 0, 10)
    usual_run(20)
    waiting(15, shop)
    waiting(100, other)
    line = line_for(shop, "noops")
    assert (line.own, line.others, line.places) == (15, 16, 10)
    assert line.run_s == pytest.approx(20)
    assert line.expected_wait_s == pytest.approx(20 * 31 / 10)
    assert line_for(ShopFactory(), "noops").expected_wait_s == pytest.approx(20 * 2 / 10), (
        "a newcomer has its turn soon"
    )


def test_a_shops_own_cap_counts(settings: object) -> None:
    settings.RUNS_PER_SHOP = 2
    shop = ShopFactory()
    beat("w", "host", 1, 0, 100)
    usual_run(20)
    waiting(10, shop)
    assert line_for(shop, "noops").expected_wait_s == pytest.approx(100)


def test_bulk_work_later_attempts_and_what_is_in_hand_are_not_in_line() -> None:
    shop = ShopFactory()
    waiting(5, shop, priority=10, seconds=600)
    (later,) = waiting(1, shop)
    Run.objects.filter(pk=later.pk).update(due_at=timezone.now() + timedelta(hours=1))
    waiting(2, shop)
    assert len([claim for claim in claim_runs("w", 2) if not claim.bulk]) == 2
    assert line_for(shop, "noops").expected_wait_s == 0


def test_a_line_that_does_not_move_is_as_long_as_it_has_been_seen_to_be() -> None:
    shop = ShopFactory()
    waiting(1, shop, seconds=500)
    assert 495 < line_for(shop, "noops").expected_wait_s < 560, "nobody works"
    beat("w", "host", 1, 0, 1000)
    assert 495 < line_for(shop, "noops").expected_wait_s < 560, "they work, but not for this shop"
    assert line_for(ShopFactory(), "noops").expected_wait_s < 60
    Worker.objects.update(beat_at=timezone.now() - timedelta(minutes=1))
    assert line_for(ShopFactory(), "noops").places == 0, "a silent worker has no places"


def test_beyond_the_bound_one_is_asked_to_come_back(settings: object) -> None:
    settings.MAX_WAIT_SECONDS = 100
    waiting(1, None, seconds=90)
    require_room(None, "noops")
    Run.objects.update(due_at=timezone.now() - timedelta(seconds=120))
    with pytest.raises(LineTooLong) as caught:
        require_room(None, "noops")
    assert 20 <= int(caught.value.headers["Retry-After"]) <= 30
    Run.objects.update(due_at=timezone.now() - timedelta(days=1))
    with pytest.raises(LineTooLong) as caught:
        require_room(None, "noops")
    assert caught.value.headers["Retry-After"] == "60", "never so long that it reads like never"
    assert (caught.value.code, caught.value.status, caught.value.retryable) == ("temporarily_unavailable", 503, True)


def test_the_place_in_line_is_by_turns() -> None:
    big, small = ShopFactory(), ShopFactory()
    bulk = waiting(20, big)
    (mine,) = waiting(1, small)
    assert [place_in_line(run) for run in bulk[:3]] == [2, 3, 4], "one of the other shop's comes before"
    assert place_in_line(mine) == 2
    claim_runs("w", 4)
    assert place_in_line(Run.objects.filter(status="pending").order_by("due_at").first()) == 1
