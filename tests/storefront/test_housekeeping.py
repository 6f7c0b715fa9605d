"""What shoppers were promised happens by itself."""

from datetime import timedelta
from pathlib import Path

import pytest
import time_machine
from django.core.management import call_command
from django.utils import timezone

from runs.sweeping import keep_house
from storefront.endings import delete_composite
from storefront.models import CompositeRun
from tests.factories import CompositeFactory
from tests.storefront.doors import finish

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("door")]


def test_within_a_day_every_picture_of_a_shopper_is_gone(door: Path) -> None:
    old = CompositeFactory.create()
    result = finish(old)
    with time_machine.travel(timezone.now() + timedelta(hours=12)):
        young = CompositeFactory.create(asset=old.asset)
        call_command("sweep")
        old.refresh_from_db()
        assert old.deleted_at is None
    with time_machine.travel(timezone.now() + timedelta(hours=23, minutes=45)):
        call_command("sweep")
    old.refresh_from_db()
    young.refresh_from_db()
    assert (old.room, old.result, young.deleted_at) == (None, None, None)
    assert not (door / result.storage_key).exists()
    assert old.run.steps.count() == 4, "the decisions stay"


def test_the_workers_share_one_turn_a_minute() -> None:
    assert keep_house()
    assert keep_house() == {}
    assert keep_house(now=True)


def test_one_broken_chore_does_not_stop_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    old = CompositeFactory.create()

    def broken() -> None:
        raise RuntimeError("broken")

    from runs import registry

    monkeypatch.setattr(registry, "_chores", [broken, *registry._chores])
    with time_machine.travel(timezone.now() + timedelta(days=2)):
        keep_house(now=True)
    assert CompositeRun.objects.get(pk=old.pk).deleted_at is not None


def test_a_worker_killed_in_the_middle_of_its_chores_leaves_the_rest_for_the_next_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    old = [CompositeFactory.create() for _ in range(3)]

    def killed_at_the_second(*, composite: CompositeRun, why: str) -> None:
        if CompositeRun.objects.filter(deleted_at__isnull=False).exists():
            raise SystemExit
        delete_composite(composite=composite, why=why)

    with time_machine.travel(timezone.now() + timedelta(days=2)):
        with monkeypatch.context() as patched, pytest.raises(SystemExit):
            patched.setattr("storefront.housekeeping.delete_composite", killed_at_the_second)
            keep_house(now=True)
        assert CompositeRun.objects.filter(deleted_at__isnull=True).count() == 2
        keep_house(now=True)
    assert not CompositeRun.objects.filter(pk__in=[one.pk for one in old], deleted_at__isnull=True).exists()
