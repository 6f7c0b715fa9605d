"""Who answers what, and how well: every task's routes with their health, what stands in the way, and what it costs."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from django.conf import settings
from django.db import connection
from django.utils import timezone

from core.ids import first_id
from monitor.spending import DaySpend, ShopSpend, spend_by_day, spend_by_shop
from runs.models import Step
from runs.pace import LimitState, limit_states
from vendors.prices import FREE, Price, Prices, load_prices
from vendors.registry import SET_UP_BY, build_vendors
from vendors.routes import TASKS, Limit, Route, RunBudget, load_routes

WINDOW, RECENT = timedelta(hours=24), timedelta(hours=1)
FEW_CALLS, OFTEN = 3, 0.5  # so many calls, and so large a share of them failed: something is wrong

# Every call has a row: the last attempt of a step that completed, or an attempt that failed. Replays call nobody, and
# what an imported run has asked it has asked from elsewhere.
CALLS = """
WITH call AS (
  SELECT vendor, model, coalesce(finished_at, created_at) AS at, call_ms AS ms, cost_usd, '' AS code FROM runs_step
  WHERE id >= %(day)s AND vendor <> '' AND status = 'completed' AND reused_from_id IS NULL
    AND cost_source <> 'recording'
    AND NOT EXISTS (SELECT FROM runs_run WHERE runs_run.id = run_id AND mode = 'imported')
  UNION ALL
  SELECT vendor, model, created_at, latency_ms, cost_usd, code FROM runs_runerror
  WHERE id >= %(day)s AND vendor <> '' AND cost_source <> 'recording' AND code <> 'worker_lost'
    AND NOT EXISTS (SELECT FROM runs_run WHERE runs_run.id = run_id AND mode = 'imported')
), judged AS (SELECT *, code LIKE 'vendor\\_%%' OR code = 'timeout' AS failed FROM call)
SELECT vendor, model, count(*), count(*) FILTER (WHERE failed),
  count(*) FILTER (WHERE at >= %(hour)s), count(*) FILTER (WHERE failed AND at >= %(hour)s),
  percentile_cont(0.5) WITHIN GROUP (ORDER BY ms) FILTER (WHERE NOT failed),
  percentile_cont(0.95) WITHIN GROUP (ORDER BY ms) FILTER (WHERE NOT failed),
  max(at) FILTER (WHERE NOT failed), max(at) FILTER (WHERE failed),
  (array_agg(code ORDER BY at DESC) FILTER (WHERE failed))[1],
  sum(cost_usd) FILTER (WHERE at >= %(midnight)s), count(*) FILTER (WHERE at >= %(midnight)s AND cost_usd IS NULL)
FROM judged GROUP BY vendor, model
"""


@dataclass(frozen=True, slots=True)
class Health:
    """What became of a model's calls: of the last 24 hours, of the last one, and what they cost today."""

    calls: int = 0
    failed: int = 0
    calls_hour: int = 0
    failed_hour: int = 0
    p50_ms: float | None = None
    p95_ms: float | None = None
    answered_at: datetime | None = None
    failed_at: datetime | None = None
    error: str | None = None
    cost_usd: Decimal | None = None
    cost_unknown: int = 0

    @property
    def rate(self) -> float | None:
        """The share of the last 24 hours' calls that failed; None without any."""
        return self.failed / self.calls if self.calls else None

    @property
    def rate_hour(self) -> float | None:
        """The same of the last hour."""
        return self.failed_hour / self.calls_hour if self.calls_hour else None

    @property
    def is_poor(self) -> bool:
        """Whether it fails so often now that somebody should look."""
        return self.calls_hour >= FEW_CALLS and (self.rate_hour or 0.0) >= OFTEN


@dataclass(frozen=True, slots=True)
class RouteRow:
    """One route of a task: whether it can be taken, and how it does."""

    place: int
    route: Route
    health: Health
    price: Price | None
    is_free: bool
    state: str  # open, closed, resting, poor, no_key
    answered_at: datetime | None

    @property
    def is_open(self) -> bool:
        """Whether a call would be made."""
        return self.state in ("open", "poor")


@dataclass(frozen=True, slots=True)
class TaskRows:
    """A task's routes in order."""

    task: str
    rows: list[RouteRow]

    @property
    def answering(self) -> RouteRow | None:
        """Who would be asked for any shop now."""
        return next((row for row in self.rows if row.is_open and not row.route.feature), None)


@dataclass(frozen=True, slots=True)
class VendorRow:
    """A service: set up or not, its limits, and whether it is left alone."""

    name: str
    is_set_up: bool
    set_up_by: tuple[str, ...]
    state: LimitState | None

    @property
    def share(self) -> float:
        """How many of its places are taken, in percent."""
        places = self.state.concurrency if self.state else None
        return round(min(100.0, self.state.under_way * 100 / places), 1) if self.state and places else 0.0


@dataclass(frozen=True, slots=True)
class ModelsPage:
    """Everything the page shows."""

    tasks: list[TaskRows]
    vendors: list[VendorRow]
    budget: RunBudget
    days: list[DaySpend]
    shops: list[ShopSpend]
    notes: list[str] = field(default_factory=list)

    @property
    def unanswered(self) -> list[str]:
        """Tasks that nobody would answer now."""
        return [task.task for task in self.tasks if task.answering is None]

    @property
    def today(self) -> DaySpend:
        """What has been spent since midnight UTC."""
        return self.days[-1]


def read_models() -> ModelsPage:
    """Read it all: one look at the calls of a day, three at the limits, two at what was spent."""
    now = timezone.now()
    routes, prices = load_routes(settings.MODEL_ROUTES), load_prices(settings.MODEL_PRICES)
    set_up = build_vendors(settings.VENDORS)
    names = sorted(routes.vendors)
    limits = {name: Limit() for name in names if name not in FREE} | dict(routes.limits)
    states = {state.vendor: state for state in limit_states(limits)}
    health = _health(now)
    rows = [
        TaskRows(
            task,
            [
                _route_row(place, route, health, prices, set_up, states, now)
                for place, route in enumerate(routes.for_task(task), start=1)
            ],
        )
        for task in TASKS
    ]
    vendors = [VendorRow(name, name in set_up, SET_UP_BY.get(name, ()), states.get(name)) for name in names]
    page = ModelsPage(rows, vendors, routes.run, spend_by_day(now), spend_by_shop(now))
    page.notes.extend(_notes(page))
    return page


def _route_row(
    place: int,
    route: Route,
    health: Mapping[tuple[str, str], Health],
    prices: Prices,
    set_up: Mapping[str, Any],
    states: Mapping[str, LimitState],
    now: datetime,
) -> RouteRow:
    found = health.get((route.vendor, route.model), Health())
    limit = states.get(route.vendor)
    state = "poor" if found.is_poor else "open"
    if limit is not None and limit.rests_until is not None:
        state = "closed" if limit.closed_by else "resting"
    if route.vendor not in set_up:
        state = "no_key"
    price = prices.find(route.vendor, route.model, now)
    answered = found.answered_at or _last_answer(route)
    return RouteRow(place, route, found, price, route.vendor in FREE, state, answered)


def _last_answer(route: Route) -> datetime | None:
    """When a model that nobody has asked for a day answered last."""
    steps = Step.objects.filter(vendor=route.vendor, model=route.model, status=Step.Status.COMPLETED, reused_from=None)
    return steps.order_by("-id").values_list("finished_at", flat=True).first()


def _health(now: datetime) -> dict[tuple[str, str], Health]:
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    since: dict[str, str | datetime] = {"day": first_id(now - WINDOW).hex, "hour": now - RECENT, "midnight": midnight}
    with connection.cursor() as cursor:
        cursor.execute(CALLS, since)
        return {(vendor, model): Health(*numbers) for vendor, model, *numbers in cursor.fetchall()}


def _notes(page: ModelsPage) -> list[str]:
    """What somebody should do something about, in sentences, the worst first."""
    found = [f"Nobody answers {task}: every run that needs it fails." for task in page.unanswered]
    for row in page.vendors:
        if row.is_set_up and row.state is not None and row.state.rests_until is not None:
            until = f"{row.state.rests_until:%H:%M:%S} UTC"
            found.append(f"{row.name} {CLOSED.get(row.state.closed_by, RESTING)} It is left alone until {until}.")
    poor = {row.route.name: row for task in page.tasks for row in task.rows if row.state == "poor"}
    for name, route in poor.items():
        share = f"{route.health.failed_hour} of {route.health.calls_hour}"
        found.append(f"{name} fails: {share} calls in the last hour, the latest with {route.health.error}.")
    return found


RESTING = "has asked for a rest."
CLOSED = {
    "vendor_key_refused": "refuses our key. Set a valid one and start the workers again.",
    "vendor_quota_exhausted": "says that our quota is used up. Look at the plan and the bill there.",
}
