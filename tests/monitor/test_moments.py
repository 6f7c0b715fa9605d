"""Times in words: what operators type, read as one of the past in their zone."""

import zoneinfo
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from monitor.moments import read_moment

NOW = datetime(2026, 11, 21, 16, 30, tzinfo=UTC)  # a Saturday, 17:30 in Berlin
BERLIN = zoneinfo.ZoneInfo("Europe/Berlin")


@pytest.fixture(autouse=True)
def berlin() -> Iterator[None]:
    with timezone.override(BERLIN):
        yield


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("yesterday about 5 pm", "2026-11-20 17:00+01:00"),
        ("5:30 p.m. yesterday", "2026-11-20 17:30+01:00"),
        ("around 17:30", "2026-11-21 17:30+01:00"),
        ("18:00", "2026-11-20 18:00+01:00"),
        ("noon", "2026-11-21 12:00+01:00"),
        ("12 am", "2026-11-21 00:00+01:00"),
        ("today at 9 o'clock", "2026-11-21 09:00+01:00"),
        ("yesterday evening", "2026-11-20 19:00+01:00"),
        ("last friday at 11 pm", "2026-11-20 23:00+01:00"),
        ("mon 9:15", "2026-11-16 09:15+01:00"),
        ("2 hours ago", "2026-11-21 15:30+01:00"),
        ("an hour ago", "2026-11-21 16:30+01:00"),
        ("20 Nov 5 pm", "2026-11-20 17:00+01:00"),
        ("july 3rd 8:00", "2026-07-03 08:00+02:00"),
        ("2026-11-20T17:05Z", "2026-11-20 18:05+01:00"),
        ("2026-11-20 17:05", "2026-11-20 17:05+01:00"),
        ("Monday", "2026-11-16"),
        ("yesterday", "2026-11-20"),
        ("3 days ago", "2026-11-18"),
        ("24 december", "2025-12-24"),
        ("2026-11-20", "2026-11-20"),
    ],
)
def test_what_people_say_is_understood(said: str, meant: str) -> None:
    assert str(read_moment(said, NOW)) == meant


@pytest.mark.parametrize(
    "said", ["", "5", "25:00", "13 pm", "0 am", "31 feb", "gestern", "yesterday yesterday", "99999 h ago", "2026-13-01"]
)
def test_what_is_not_understood_says_how_to_say_it(said: str) -> None:
    with pytest.raises(ValueError, match=r"is no time\. Say it as `yesterday 5 pm`"):
        read_moment(said, NOW)


PARTS = ["yesterday", "monday", "about", "5", "pm", "17:30", "9999 weeks ago", "2026-11-20", "31", "feb", "a", "-", "0"]


@given(st.text(max_size=40) | st.lists(st.sampled_from(PARTS), max_size=4).map(" ".join))
def test_nothing_typed_is_a_crash_and_what_is_understood_reads_back_as_itself(said: str) -> None:
    try:
        moment = read_moment(said, NOW)
    except ValueError as error:
        assert "is no time" in str(error)
        return
    assert read_moment(str(moment), NOW) == moment


def test_a_day_is_its_hours_by_the_clock_of_the_zone() -> None:
    start, end = (moment.astimezone(UTC) for moment in read_moment("2026-10-25", NOW).window(timedelta(hours=1)))
    assert end - start == timedelta(hours=25)  # summer time ends
