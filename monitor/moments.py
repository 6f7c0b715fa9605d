"""When something happened, in the words of whoever reports it: `yesterday about 5 pm`, `17:30`, `2 hours ago`."""

import re
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta

from django.utils import timezone

DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
PARTS = {"midnight": time(0), "noon": time(12), "midday": time(12), "morning": time(9), "afternoon": time(15),
         "evening": time(19), "night": time(22)}  # fmt: skip
FILLERS = re.compile(r"\b(about|around|approximately|approx|circa|ca|at|on|in|the|this|last|of)\b\.?|[~,]")
ISO = re.compile(r"\d{4}-\d\d-\d\d([ t]\d\d?:\d\d(:\d\d(\.\d+)?)?( ?(z|utc|[+-]\d\d:?\d\d))?)?")
AGO = re.compile(r"(\d{1,4}|an?) ?(m|min|mins|minutes?|h|hrs?|hours?|d|days?|w|weeks?) ago")
CLOCK = re.compile(r"(?<![\d.])(\d{1,2})(?:[:.h](\d\d))? ?(am|pm|a\.m\.|p\.m\.|h)?(?![\d.])")
MONTH = "|".join(MONTHS)
DATE = re.compile(
    rf"(\d{{1,2}})\.? ?({MONTH})[a-z]*\.?(?: (\d{{4}}))?|({MONTH})[a-z]* (\d{{1,2}})(?:st|nd|rd|th)?\b(?: (\d{{4}}))?"
)
UNITS = {"m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1)}
HOW = "Say it as `yesterday 5 pm`, `17:30`, `Monday`, `2 hours ago` or `2026-11-20 17:05`."


@dataclass(frozen=True, slots=True)
class Moment:
    """An instant, or a whole day of the reader's zone that begins with it."""

    at: datetime
    whole_day: bool = False

    def window(self, within: timedelta) -> tuple[datetime, datetime]:
        """From when to when it may have been."""
        if self.whole_day:
            return self.at, _local(self.at.date() + timedelta(days=1), time(0))
        return self.at - within, self.at + within

    def __str__(self) -> str:
        """In figures, so that whoever gets it understands the same; with the zone's offset where it is an instant."""
        return self.at.date().isoformat() if self.whole_day else self.at.isoformat(sep=" ", timespec="minutes")


def read_moment(text: str, now: datetime | None = None) -> Moment:
    """Understand a time, in the current time zone, as one of the past.

    Raises:
        ValueError: it is not understood; the message says how to say it.
    """
    now = timezone.localtime(now)
    said = " ".join(text.lower().replace(" o'clock", "h").split())
    try:
        found = _iso(said) or _ago(said, now) or _spoken(said, now)
    except (ValueError, OverflowError):  # the 31st of February, 25 o'clock, 9999 weeks ago
        found = None
    if found is None:
        raise ValueError(f"“{text.strip()[:40]}” is no time. {HOW}")
    return found


def _iso(said: str) -> Moment | None:
    if not ISO.fullmatch(said):
        return None
    if len(said) == 10:
        return Moment(_local(date.fromisoformat(said), time(0)), whole_day=True)
    moment = datetime.fromisoformat(re.sub(r" ?(z|utc)$", "+00:00", said).replace("t", " ").upper())
    local = timezone.make_aware(moment) if timezone.is_naive(moment) else timezone.localtime(moment)
    return Moment(local)


def _ago(said: str, now: datetime) -> Moment | None:
    found = AGO.fullmatch(FILLERS.sub(" ", said).strip())
    if found is None:
        return None
    number = 1 if found[1].startswith("a") else int(found[1])
    moment = now - number * UNITS[found[2][0]]
    if found[2][0] in "dw":
        return Moment(_local(moment.date(), time(0)), whole_day=True)
    return Moment(moment.replace(second=0, microsecond=0))


def _spoken(said: str, now: datetime) -> Moment | None:
    """A day, a time of day, or both; a time alone is the latest that is past."""
    rest = " ".join(FILLERS.sub(" ", said).split())
    day, rest = _day(rest, now.date())
    clock, rest = _clock(rest)
    if rest or (day is None and clock is None):
        return None
    if clock is None:
        return Moment(_local(day or now.date(), time(0)), whole_day=True)
    moment = _local(day or now.date(), clock)
    return Moment(moment if day or moment <= now else _local(now.date() - timedelta(days=1), clock))


def _day(rest: str, today: date) -> tuple[date | None, str]:
    """The day that a text names, and what is left of it; a day without a year is the latest that is not ahead."""
    for word, back in (("today", 0), ("tonight", 0), ("yesterday", 1)):
        if word in rest.split():
            return today - timedelta(days=back), rest.replace(word, "", 1).strip()
    weekday = next((name for name in DAYS for word in rest.split() if word in (name, name[:3])), None)
    if weekday is not None:
        back = (today.weekday() - DAYS.index(weekday)) % 7
        return today - timedelta(days=back), re.sub(rf"\b{weekday[:3]}\w*\b", "", rest, count=1).strip()
    found = DATE.search(rest)
    if found is None:
        return None, rest
    number, month, year = (found[1], found[2], found[3]) if found[1] else (found[5], found[4], found[6])
    day = date(int(year or today.year), MONTHS.index(month) + 1, int(number))
    if not year and day > today:
        day = day.replace(year=day.year - 1)
    return day, (rest[: found.start()] + rest[found.end() :]).strip()


def _clock(rest: str) -> tuple[time | None, str]:
    """The time of day that a text names, and what is left of it."""
    if rest in PARTS:
        return PARTS[rest], ""
    found = CLOCK.fullmatch(rest)
    if found is None:
        return None, rest
    hour, half = int(found[1]), (found[3] or "").replace(".", "")
    if half in ("am", "pm"):
        if not 1 <= hour <= 12:
            return None, rest
        hour = hour % 12 + 12 * (half == "pm")
    elif found[2] is None and half != "h":
        return None, rest  # a bare number may be anything
    return time(hour, int(found[2] or 0)), ""


def _local(day: date, clock: time) -> datetime:
    return timezone.make_aware(datetime.combine(day, clock))
