"""The dashboard's read model: today in numbers, what failed last, who works. A fixed number of queries."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from django.db.models import Aggregate, Count, FloatField, Min, Q, QuerySet, Sum
from django.db.models.functions import TruncHour
from django.utils import timezone

from monitor.pictures import Pictures, summary_pictures
from runs.models import Run, Step, Worker

ALIVE = timedelta(seconds=30)
LATEST = 8
GALLERY = 6
STEEP = 0.9


class Percentile(Aggregate):
    """PostgreSQL's ordered-set aggregate `percentile_cont` (manual, section 9.21)."""

    function = "percentile_cont"
    template = "%(function)s(%(share)s) WITHIN GROUP (ORDER BY %(expressions)s)"
    output_field = FloatField()


@dataclass(frozen=True, slots=True)
class Today:
    """Shoppers' runs since midnight UTC. Forks and replays of staff do not count, but what they cost does."""

    total: int
    completed: int
    failed: int
    active: int
    p50_ms: float | None
    p95_ms: float | None
    cost_usd: Decimal | None
    cost_unknown: int

    @property
    def success_rate(self) -> float | None:
        """Of the runs that ended; None when none has."""
        ended = self.completed + self.failed
        return self.completed / ended if ended else None


@dataclass(frozen=True, slots=True)
class Hour:
    """One bar: an hour's runs, heights in percent of the busiest hour."""

    start: datetime
    completed: int
    failed: int
    other: int
    x: float
    width: float
    completed_height: float
    failed_height: float
    other_height: float

    @property
    def total(self) -> int:
        """All runs of the hour."""
        return self.completed + self.failed + self.other

    @property
    def other_y(self) -> float:
        """Where each part of the bar begins, from the top."""
        return 100 - self.completed_height - self.failed_height - self.other_height

    @property
    def failed_y(self) -> float:
        """Failures stand on completed runs."""
        return 100 - self.completed_height - self.failed_height

    @property
    def completed_y(self) -> float:
        """Completed runs stand on the ground."""
        return 100 - self.completed_height


@dataclass(frozen=True, slots=True)
class Dashboard:
    """Everything the dashboard shows."""

    today: Today
    hours: list[Hour]
    failures: list[Run]
    gallery: list[tuple[Run, Pictures]]
    steep: list[Step]
    workers: list[Worker]
    waiting: int
    waiting_since: datetime | None

    @property
    def busiest(self) -> int:
        """The tallest bar."""
        return max((hour.total for hour in self.hours), default=0)


def read_dashboard() -> Dashboard:
    """Read it all, in eight queries."""
    now = timezone.now()
    completed = list(_runs().filter(status=Run.Status.COMPLETED, pipeline_slug="composite").order_by("-id")[:GALLERY])
    pictures = summary_pictures(completed)
    waiting = Run.objects.due().aggregate(number=Count("id"), since=Min("due_at"))
    return Dashboard(
        today=_today(now),
        hours=_hours(now),
        failures=list(_runs().filter(status=Run.Status.FAILED).order_by("-id")[:LATEST]),
        gallery=[(run, pictures[run.pk]) for run in completed],
        steep=list(
            Step.objects.filters_dropping_more_than(STEEP).filter(run__mode=Run.Mode.LIVE).select_related("run")[:5]
        ),
        workers=list(Worker.objects.filter(beat_at__gte=now - ALIVE).order_by("name")),
        waiting=waiting["number"],
        waiting_since=waiting["since"],
    )


def _runs() -> QuerySet[Run]:
    """Of shoppers and products: what staff try out is theirs to look at where they do."""
    return Run.objects.shoppers().select_related("shop").defer("input")


def _today(now: datetime) -> Today:
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    shoppers = Q(mode=Run.Mode.LIVE)
    done = shoppers & Q(status=Run.Status.COMPLETED)
    here = ~Q(mode=Run.Mode.IMPORTED)
    row = Run.objects.since(midnight).aggregate(
        total=Count("id", filter=shoppers),
        completed=Count("id", filter=done),
        failed=Count("id", filter=shoppers & Q(status=Run.Status.FAILED)),
        active=Count("id", filter=shoppers & Q(status__in=Run.ACTIVE)),
        p50_ms=Percentile("latency_ms", share="0.5", filter=done),
        p95_ms=Percentile("latency_ms", share="0.95", filter=done),
        cost_unknown=Sum("cost_unknown", default=0, filter=here),
        spent=Sum("cost_usd", filter=here),
    )
    return Today(cost_usd=row.pop("spent"), **row)


def _hours(now: datetime) -> list[Hour]:
    """The last 24 hours, empty ones included."""
    first = now.replace(minute=0, second=0, microsecond=0) - timedelta(hours=23)
    rows = (
        Run.objects.shoppers().since(first)
        .annotate(hour=TruncHour("created_at", tzinfo=UTC)).values("hour", "status")
        .annotate(number=Count("id")).order_by("hour")
    )  # fmt: skip
    counts: dict[tuple[Any, str], int] = {(row["hour"], row["status"]): row["number"] for row in rows}
    found = []
    for index in range(24):
        start = first + timedelta(hours=index)
        parts = [counts.get((start, status), 0) for status in ("completed", "failed")]
        other = sum(counts.get((start, status), 0) for status in ("pending", "running", "cancelled"))
        found.append((start, parts[0], parts[1], other))
    return _bars(found)


def _bars(rows: Sequence[tuple[datetime, int, int, int]]) -> list[Hour]:
    most = max((sum(row[1:]) for row in rows), default=0) or 1
    step = 100 / len(rows)
    return [
        Hour(
            start, done, failed, other, round(index * step, 3), round(step * 0.72, 3),
            done * 100 / most, failed * 100 / most, other * 100 / most,
        )
        for index, (start, done, failed, other) in enumerate(rows)
    ]  # fmt: skip
