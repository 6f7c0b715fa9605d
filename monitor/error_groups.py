"""Failures by what makes them alike: how many, since when, in which shops, and how they are spread over time."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django import forms
from django.db.models import Count, F, Func, IntegerField, QuerySet, Value
from django.db.models.functions import Extract
from django.http import QueryDict
from django.utils import timezone

from monitor.run_filters import DEFAULT_RANGE, MAX_SHOPS
from runs.models import Run
from shops.models import Shop

RANGES = {
    "1h": ("last hour", timedelta(hours=1)),
    "24h": ("last 24 hours", timedelta(hours=24)),
    "7d": ("last 7 days", timedelta(days=7)),
    "30d": ("last 30 days", timedelta(days=30)),
}
BARS = 24
GROUPS = 50


class ErrorFilters(forms.Form):
    """Whose failures, and since when."""

    range = forms.ChoiceField(label="Time", choices=[(key, text) for key, (text, _) in RANGES.items()], required=False)
    shop = forms.ChoiceField(label="Shop", required=False)
    reruns = forms.ChoiceField(label="Whose runs", choices=[("", "shoppers'"), ("yes", "and staff's")], required=False)

    def __init__(self, query: QueryDict) -> None:
        data = query.copy()
        data.setdefault("range", DEFAULT_RANGE)
        super().__init__(data)
        shops = Shop.objects.order_by("domain").values_list("id", "name", "domain")[:MAX_SHOPS]
        choices = [("", "All shops"), *((str(pk), name or domain) for pk, name, domain in shops)]
        self.fields["shop"].choices = choices  # type: ignore[attr-defined]

    @property
    def chosen(self) -> dict[str, Any]:
        """What makes sense of it."""
        self.is_valid()
        return {name: value for name, value in self.cleaned_data.items() if value}


@dataclass(frozen=True, slots=True)
class Bar:
    """Failures of one stretch of the window; height and place in percent."""

    number: int
    x: float
    height: float

    @property
    def top(self) -> float:
        """Where it begins, from the top."""
        return round(100 - self.height, 1)


@dataclass(frozen=True, slots=True)
class ErrorGroup:
    """Failures that are alike. `number`, `shops` and `bars` are of the window; `first` is of all time."""

    signature: str
    number: int
    shops: int
    latest: Run
    first: datetime
    is_new: bool
    bars: tuple[Bar, ...]

    @property
    def pattern(self) -> str:
        """What they have in common beyond stage and code."""
        lead = f"{self.latest.error_stage}: " if self.latest.error_stage else ""
        return self.signature.removeprefix(f"{lead}{self.latest.error_code}").removeprefix(": ")

    @property
    def last(self) -> datetime:
        """When it was last seen."""
        return self.latest.created_at


@dataclass(frozen=True, slots=True)
class ErrorPage:
    """Everything the errors page shows."""

    form: ErrorFilters
    groups: list[ErrorGroup]
    range_key: str
    range_text: str
    query: str
    more: bool

    @property
    def number(self) -> int:
        """How many failures these are."""
        return sum(group.number for group in self.groups)

    @property
    def new(self) -> int:
        """How many kinds were never seen before this window."""
        return sum(group.is_new for group in self.groups)


def read_error_page(query: QueryDict) -> ErrorPage:
    """The most frequent kinds of failure of a window, in four queries however many there are."""
    form = ErrorFilters(query)
    chosen = form.chosen
    range_key = chosen.get("range", DEFAULT_RANGE)
    text, span = RANGES[range_key]
    start = timezone.now() - span
    failed = _failed(chosen)
    counts = list(
        failed.filter(created_at__gte=start)
        .values("error_signature")
        .annotate(number=Count("pk"), shops=Count("shop", distinct=True))
        .order_by("-number", "error_signature")[: GROUPS + 1]
    )
    wanted = {row["error_signature"]: row for row in counts[:GROUPS]}
    passed = {name: value for name, value in chosen.items() if name == "shop"}
    more = QueryDict(mutable=True)
    more.update({"range": range_key, **passed, **({} if chosen.get("reruns") else {"mode": "live"})})
    groups = _groups(failed, wanted, start, span) if wanted else []
    return ErrorPage(form, groups, range_key, text, more.urlencode(), len(counts) > GROUPS)


def _failed(chosen: Mapping[str, Any]) -> QuerySet[Run]:
    failed: QuerySet[Run] = Run.objects.exclude(error_signature="")
    if not chosen.get("reruns"):
        failed = failed.filter(mode=Run.Mode.LIVE)
    return failed.filter(shop_id=chosen["shop"]) if "shop" in chosen else failed


def _groups(failed: QuerySet[Run], wanted: Mapping[str, Any], start: datetime, span: timedelta) -> list[ErrorGroup]:
    alike = failed.filter(error_signature__in=wanted)
    newest = alike.select_related("shop").defer("input", "summary").order_by("error_signature", "-id")
    latest = {run.error_signature: run for run in newest.distinct("error_signature")}
    oldest = alike.order_by("error_signature", "id").distinct("error_signature")
    first = dict(oldest.values_list("error_signature", "created_at"))
    spread = _spread(alike.filter(created_at__gte=start), start, span)
    return [
        ErrorGroup(
            signature, row["number"], row["shops"], latest[signature], first[signature], first[signature] >= start,
            _bars(spread.get(signature, {})),
        )
        for signature, row in wanted.items()
        if signature in latest and signature in first
    ]  # fmt: skip


def _spread(alike: QuerySet[Run], start: datetime, span: timedelta) -> dict[str, dict[int, int]]:
    """How many of each kind fell into each stretch of the window."""
    ends = [Value(moment.timestamp()) for moment in (start, start + span)]
    stretch = Func(
        Extract(F("created_at"), "epoch"), *ends, Value(BARS), function="width_bucket", output_field=IntegerField()
    )
    found: dict[str, dict[int, int]] = {}
    for row in alike.annotate(stretch=stretch).values("error_signature", "stretch").annotate(number=Count("pk")):
        found.setdefault(row["error_signature"], {})[row["stretch"]] = row["number"]
    return found


def _bars(counts: Mapping[int, int]) -> tuple[Bar, ...]:
    most = max(counts.values(), default=0) or 1
    return tuple(_bar(number, counts.get(number, 0), most) for number in range(1, BARS + 1))


def _bar(place: int, number: int, most: int) -> Bar:
    return Bar(number, round((place - 1) * 100 / BARS, 2), round(number * 100 / most, 1))
