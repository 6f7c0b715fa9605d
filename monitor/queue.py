"""The queue's read model: who waits and for how long, who works on what, and which limits hold everybody back."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import connection
from django.db.models import Count, Min
from django.utils import timezone

from runs.admission import line_for
from runs.models import Run, Worker
from runs.pace import LimitState, limit_states
from shops.models import Shop
from vendors.routes import load_routes

HELD_SHOWN = 200
PARKED_SHOWN = 10
SHOPS_SHOWN = 6
PARKED_DAYS = timedelta(days=7)

# Only what has not ended, by the partial indexes of claims: the runs that have are not read.
CLASSES = """
SELECT priority > 0,
       count(*) FILTER (WHERE status = 'pending' AND due_at <= statement_timestamp()),
       min(due_at) FILTER (WHERE status = 'pending' AND due_at <= statement_timestamp()),
       count(*) FILTER (WHERE status = 'pending' AND due_at > statement_timestamp()),
       min(due_at) FILTER (WHERE status = 'pending' AND due_at > statement_timestamp()),
       count(*) FILTER (WHERE status = 'running' AND lease_until >= statement_timestamp()),
       count(*) FILTER (WHERE status = 'running' AND lease_until < statement_timestamp())
FROM runs_run WHERE status IN ('pending', 'running') GROUP BY 1
"""


@dataclass(frozen=True, slots=True)
class ClassRow:
    """Shoppers' runs or bulk work: due, due later, in hand, and in the hand of workers that went silent."""

    name: str
    due: int = 0
    oldest: datetime | None = None
    later: int = 0
    next_due: datetime | None = None
    in_hand: int = 0
    silent: int = 0


@dataclass(slots=True)
class WorkerRow:
    """A worker that is alive, and the runs it holds."""

    worker: Worker
    runs: list[Run] = field(default_factory=list)

    @property
    def share(self) -> float:
        """How full it is, in percent."""
        capacity = self.worker.capacity
        return round(min(100.0, self.worker.runs_in_flight * 100 / capacity), 1) if capacity else 0.0


@dataclass(frozen=True, slots=True)
class LimitRow:
    """A model service's limits and how much of them is left."""

    state: LimitState

    @property
    def share(self) -> float:
        """How many of its places are taken, in percent."""
        places = self.state.concurrency
        return round(min(100.0, self.state.under_way * 100 / places), 1) if places else 0.0


@dataclass(frozen=True, slots=True)
class QueuePage:
    """Everything the queue's page shows."""

    classes: list[ClassRow]
    expected_wait_ms: float
    shops: list[tuple[Shop | None, int, datetime]]
    workers: list[WorkerRow]
    elsewhere: list[Run]
    limits: list[LimitRow]
    parked: list[Run]

    @property
    def due(self) -> int:
        """All runs that a worker could take now."""
        return sum(row.due for row in self.classes)


def read_queue() -> QueuePage:
    """Read it all, in nine queries at most, however many runs wait."""
    workers = {worker.name: WorkerRow(worker) for worker in Worker.objects.alive().order_by("name")}
    held = Run.objects.filter(status=Run.Status.RUNNING).select_related("shop").defer("input", "summary")
    elsewhere = []
    for run in held.order_by("started_at")[:HELD_SHOWN]:
        if run.lease_owner in workers:
            workers[run.lease_owner].runs.append(run)
        else:
            elsewhere.append(run)
    parked = Run.objects.filter(status=Run.Status.FAILED, error_code="worker_lost", error_stage="")
    return QueuePage(
        classes=_classes(),
        expected_wait_ms=line_for(None, "composite").expected_wait_s * 1000,
        shops=_shops(),
        workers=list(workers.values()),
        elsewhere=elsewhere,
        limits=[LimitRow(state) for state in limit_states(load_routes(settings.MODEL_ROUTES).limits)],
        parked=list(parked.since(timezone.now() - PARKED_DAYS).defer("input").order_by("-id")[:PARKED_SHOWN]),
    )


def _classes() -> list[ClassRow]:
    with connection.cursor() as cursor:
        cursor.execute(CLASSES)
        found = {bulk: numbers for bulk, *numbers in cursor.fetchall()}
    return [ClassRow(name, *found.get(bulk, ())) for name, bulk in (("Shoppers", False), ("Bulk work", True))]


def _shops() -> list[tuple[Shop | None, int, datetime]]:
    """The shops with the longest lines."""
    waiting = Run.objects.due().values("shop").annotate(number=Count("id"), oldest=Min("due_at"))
    rows: list[Any] = list(waiting.order_by("-number", "oldest")[:SHOPS_SHOWN])
    shops = Shop.objects.in_bulk([row["shop"] for row in rows if row["shop"]])
    return [(shops.get(row["shop"]), row["number"], row["oldest"]) for row in rows]
