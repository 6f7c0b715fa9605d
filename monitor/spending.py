"""What models have cost, by day and by shop. Everything counts that was paid for, trials of staff included."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

from django.db.models import Count, Sum
from django.db.models.functions import TruncDate

from runs.models import Run
from shops.models import Shop

DAYS, SHOPS = 14, 8


@dataclass(frozen=True, slots=True)
class DaySpend:
    """A day (UTC): its runs, what is known of their cost, and calls whose cost nobody knows."""

    day: date
    runs: int = 0
    cost_usd: Decimal | None = None
    cost_unknown: int = 0
    height: float = 0.0  # of its bar, in percent of the dearest day

    @property
    def top(self) -> float:
        """Where its bar begins, from above."""
        return 100 - self.height


@dataclass(frozen=True, slots=True)
class ShopSpend:
    """A shop's runs since midnight UTC, and what they cost."""

    shop: Shop | None
    runs: int
    cost_usd: Decimal | None
    cost_unknown: int


@dataclass(frozen=True, slots=True)
class Spend:
    """Some days, and what they come to."""

    days: list[DaySpend]

    @property
    def today(self) -> DaySpend:
        """The last of them."""
        return self.days[-1]

    @property
    def runs(self) -> int:
        """All runs of these days."""
        return sum(day.runs for day in self.days)

    @property
    def cost_usd(self) -> Decimal | None:
        """What is known of their cost; None where nothing is."""
        known = [day.cost_usd for day in self.days if day.cost_usd is not None]
        return sum(known, Decimal(0)) if known else None

    @property
    def cost_unknown(self) -> int:
        """Calls whose cost nobody knows."""
        return sum(day.cost_unknown for day in self.days)


def spend_by_day(now: datetime, *, shop: Shop | None = None, days: int = DAYS) -> list[DaySpend]:
    """The last days, those without runs included, today last; of one shop or of all."""
    first = _midnight(now) - timedelta(days=days - 1)
    runs = Run.objects.since(first)
    runs = runs if shop is None else runs.for_shop(shop)
    rows: list[Any] = list(_summed(runs.annotate(day=TruncDate("created_at", tzinfo=UTC)).values("day")))
    known = {row["day"]: row for row in rows}
    most = max((row["cost"] or 0 for row in rows), default=0)
    found = []
    for index in range(days):
        day = (first + timedelta(days=index)).date()
        row = known.get(day)
        if row is None:
            found.append(DaySpend(day))
            continue
        height = float((row["cost"] or 0) * 100 / most) if most else 0.0
        found.append(DaySpend(day, row["runs"], row["cost"], row["unknown"], round(height, 1)))
    return found


def spend_of(now: datetime, shop: Shop) -> Spend:
    """What a shop has cost lately."""
    return Spend(spend_by_day(now, shop=shop))


def spend_by_shop(now: datetime) -> list[ShopSpend]:
    """The shops that cost the most today."""
    rows: list[Any] = list(_summed(Run.objects.since(_midnight(now)).values("shop")))
    rows = sorted(rows, key=lambda row: (row["cost"] or 0, row["runs"]), reverse=True)[:SHOPS]
    shops = Shop.objects.in_bulk([row["shop"] for row in rows if row["shop"]])
    return [ShopSpend(shops.get(row["shop"]), row["runs"], row["cost"], row["unknown"]) for row in rows]


def _summed(runs: Any) -> Any:
    return (
        runs.exclude(mode="imported")
        .annotate(runs=Count("id"), cost=Sum("cost_usd"), unknown=Sum("cost_unknown"))
        .order_by()
    )


def _midnight(now: datetime) -> datetime:
    return now.replace(hour=0, minute=0, second=0, microsecond=0)
