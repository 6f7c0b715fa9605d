"""A line that is too long is said at the door, before anything is kept or counted."""

from datetime import timedelta
from pathlib import Path

import pytest
from django.utils import timezone

from runs.models import Blob, Run
from shops.models import RateBucket, Usage
from storefront.models import CompositeRun, Upload
from tests.factories import CompositeFactory, room_jpeg
from tests.storefront.doors import Page, a_page, code_of, finish

pytestmark = pytest.mark.django_db


def stuck() -> None:
    """The line stands still: what waits has waited for ten minutes."""
    Run.objects.update(due_at=timezone.now() - timedelta(minutes=10))


def kept() -> tuple[int, ...]:
    counted = sum(Usage.objects.values_list("composites", flat=True))
    models = (Run, CompositeRun, Upload, Blob, RateBucket)
    return (counted, *(model.objects.count() for model in models))


@pytest.fixture
def waiting(door: Path) -> CompositeRun:
    return CompositeFactory()


def test_a_shopper_is_asked_to_come_back_and_nothing_is_kept_or_counted(waiting: CompositeRun) -> None:
    stuck()
    page, before = Page.of(waiting.shop), kept()
    answer = page.post_photo(waiting.asset, room_jpeg(seed=5))
    assert code_of(answer) == (503, "temporarily_unavailable")
    assert answer.json()["error"]["retryable"] is True
    assert 1 <= int(answer["Retry-After"]) <= 60
    assert kept() == before


def test_a_repeated_request_gets_its_picture_however_long_the_line_is(door: Path) -> None:
    page, asset = a_page()
    upload = page.upload(room_jpeg())
    first = page.ask(asset, upload, n="once")
    stuck()
    assert page.ask(asset, upload, n="once").json()["data"]["id"] == first.json()["data"]["id"]
    assert code_of(page.ask(asset, page.upload(room_jpeg(seed=2)), n="twice")) == (503, "temporarily_unavailable")


def test_a_refinement_waits_in_the_same_line(waiting: CompositeRun) -> None:
    finish(waiting)
    CompositeFactory(asset=waiting.asset)
    stuck()
    page = Page.of(waiting.shop)
    answer = page.post(f"composites/{waiting.pk}/refine", {"hint": "left", "visitor": waiting.visitor})
    assert code_of(answer) == (503, "temporarily_unavailable")
    assert CompositeRun.objects.count() == 2


def test_who_waits_is_told_which_one_in_line_they_are(waiting: CompositeRun) -> None:
    second = CompositeFactory(asset=waiting.asset)
    page = Page.of(waiting.shop)

    def message(composite: CompositeRun) -> str:
        return str(page.get(f"composites/{composite.pk}?visitor={composite.visitor}").json()["data"]["message"])

    assert message(waiting) == "Your photo is next in line."
    assert message(second) == "Your photo is number 2 in line."
