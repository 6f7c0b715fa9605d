"""What a reader may ask the run list for: a form over the address, the window of time it means, and the query."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any

from django import forms
from django.db.models import Exists, OuterRef, QuerySet
from django.http import QueryDict
from django.utils import timezone

from core.ids import parse_id
from monitor.finding import Named, find_named, looks_mistyped
from monitor.keyset import AFTER, BEFORE
from monitor.known_values import known_prompts, known_values
from monitor.moments import Moment, read_moment
from runs.models import MetricResult, Run, RunError, Step
from shops.models import Shop

DEFAULT_RANGE = "24h"
RANGES = {
    "1h": ("last hour", timedelta(hours=1)),
    "24h": ("last 24 hours", timedelta(hours=24)),
    "7d": ("last 7 days", timedelta(days=7)),
    "30d": ("last 30 days", timedelta(days=30)),
    "all": ("all time", None),
}
WITHIN = {
    "15m": ("± 15 minutes", timedelta(minutes=15)),
    "1h": ("± 1 hour", timedelta(hours=1)),
    "3h": ("± 3 hours", timedelta(hours=3)),
    "12h": ("± 12 hours", timedelta(hours=12)),
}
DEFAULT_WITHIN = "1h"
MAX_SHOPS = 300
TIMES = ("around", "from", "to")
POSITION = (BEFORE, AFTER)
MORE = ("error", "metric", "model", "prompt", "mode", "degraded", "pipeline", "from", "to")


def check_id(text: str) -> None:
    """A ULID or a UUID."""
    try:
        parse_id(text)
    except ValueError as error:
        raise forms.ValidationError("This is no id.") from error


class MomentField(forms.CharField):
    """A time in words or figures, in the reader's zone."""

    def __init__(self, label: str, placeholder: str) -> None:
        attrs = {"placeholder": placeholder, "autocomplete": "off"}
        super().__init__(label=label, max_length=60, required=False, widget=forms.TextInput(attrs=attrs))

    def clean(self, value: Any) -> Moment | None:
        """The moment, or why it is none."""
        text = super().clean(value)
        try:
            return read_moment(text) if text else None
        except ValueError as error:
            raise forms.ValidationError(str(error)) from error


class Hidden(forms.CharField):
    """What only links set; the page shows it as a chip."""

    def __init__(self, max_length: int, **more: Any) -> None:
        super().__init__(max_length=max_length, required=False, widget=forms.HiddenInput, **more)


class RunFilters(forms.Form):
    """What a reader may ask for. Choices come from what runs have recorded, so every choice finds something."""

    q = forms.CharField(label="Reference, run id or title", max_length=100)
    around = MomentField("When", "yesterday 5 pm")
    within = forms.ChoiceField(label="Give or take", choices=[(key, text) for key, (text, _) in WITHIN.items()])
    range = forms.ChoiceField(label="Or", choices=[(key, text) for key, (text, _) in RANGES.items()])
    shop = forms.ChoiceField(label="Shop")
    status = forms.ChoiceField(label="Status")
    error = forms.ChoiceField(label="Error code")
    metric = forms.ChoiceField(label="Failed metric")
    model = forms.ChoiceField(label="Model")
    prompt = forms.ChoiceField(label="Prompt")
    mode = forms.ChoiceField(label="Mode", choices=[("", "Any mode"), ("live", "shoppers' runs"), ("fork", "run again"),
                                                    ("recorded", "replayed")])  # fmt: skip
    degraded = forms.ChoiceField(label="Degraded", choices=[("", "Or not"), ("yes", "degraded only")])
    pipeline = forms.ChoiceField(label="Pipeline")
    to = MomentField("To", "today 9:00")
    product = Hidden(255)
    group = Hidden(36, validators=[check_id])
    signature = Hidden(255)

    def __init__(self, query: QueryDict) -> None:
        data = query.copy()
        data.setdefault("range", DEFAULT_RANGE)
        data.setdefault("within", DEFAULT_WITHIN)
        super().__init__(data)
        self.fields["from"] = MomentField("From", "Monday 8:00")  # a word of Python's
        self.order_fields([*(name for name in self.fields if name != "to"), "to"])
        shops = Shop.objects.order_by("domain").values_list("id", "name", "domain")[:MAX_SHOPS]
        prompts = [(f"{name}:{version}", f"{name} {version}") for name, version in known_prompts()]
        self._offer("status", Run.Status.choices, "Any status")
        self._offer("shop", [(str(pk), name or domain) for pk, name, domain in shops], "All shops")
        self._offer("pipeline", _same(known_values("runs_run", "pipeline_slug")), "All pipelines")
        self._offer("model", _same(known_values("runs_step", "model")), "Any model")
        self._offer("prompt", prompts, "Any prompt")
        self._offer("error", _same(known_values("runs_runerror", "code")), "Any error")
        self._offer("metric", _same(known_values("runs_metricresult", "key")), "Any metric")
        for field in self.fields.values():
            field.required = False

    def _offer(self, name: str, choices: list[Any], none: str) -> None:
        self.fields[name].choices = [("", none), *choices]  # type: ignore[attr-defined]

    @cached_property
    def chosen(self) -> dict[str, Any]:
        """The values that make sense; others are left out, and the form says so."""
        self.is_valid()
        return {name: value for name, value in self.cleaned_data.items() if value not in (None, "")}

    @property
    def more(self) -> list[forms.BoundField]:
        """The filters that are put away until they are wanted."""
        return [self[name] for name in MORE]

    @property
    def more_open(self) -> bool:
        """Whether one of those is in use, or was not understood."""
        return any(name in self.chosen or name in self.errors for name in MORE)


@dataclass(frozen=True, slots=True)
class Chip:
    """A filter in use, and the address without it."""

    label: str
    value: str
    without: str


@dataclass(frozen=True)
class RunQuestion:
    """What an address asks of the run list."""

    query: QueryDict
    form: RunFilters

    @classmethod
    def read(cls, query: QueryDict) -> "RunQuestion":
        """From the address."""
        return cls(query, RunFilters(query))

    @cached_property
    def named(self) -> Named | None:
        """Runs that the search names by an id; then nothing else narrows."""
        return find_named(text) if (text := self.form.chosen.get("q")) else None

    @property
    def mistyped(self) -> bool:
        """Whether the search has the form of a reference code with a wrong character."""
        return looks_mistyped(self.form.chosen.get("q", ""))

    @cached_property
    def window(self) -> tuple[datetime | None, datetime | None]:
        """From when to when, either end open."""
        chosen = self.form.chosen
        if self.named:
            return None, None
        if "around" in chosen:
            return _window(chosen["around"], WITHIN[chosen.get("within", DEFAULT_WITHIN)][1])
        if "from" in chosen or "to" in chosen:
            start, end = chosen.get("from"), chosen.get("to")
            return (start.at if start else None), (end.window(timedelta(0))[1] if end else None)
        span = RANGES[chosen.get("range", DEFAULT_RANGE)][1]
        return (None if span is None else timezone.now() - span), None

    @property
    def window_text(self) -> str:
        """The same in words."""
        chosen = self.form.chosen
        if self.named:
            return self.named.what
        if not any(name in chosen for name in TIMES):
            return RANGES[chosen.get("range", DEFAULT_RANGE)][0]
        start, end = (None if moment is None else timezone.localtime(moment) for moment in self.window)
        zone = timezone.get_current_timezone_name()
        if start is None or end is None:
            one = start or end
            return f"{'from' if start else 'until'} {one:%a %d %b %Y, %H:%M} {zone}"
        same_day = start.date() == (end - timedelta(microseconds=1)).date()
        last = ("24:00" if end.date() > start.date() else f"{end:%H:%M}") if same_day else f"{end:%a %d %b %Y, %H:%M}"
        return f"{start:%a %d %b %Y, %H:%M} to {last} {zone}"

    @property
    def is_everything(self) -> bool:
        """Whether no run is too old for it."""
        return self.window == (None, None)

    @property
    def settled_query(self) -> str | None:
        """The address with spoken times in figures, so that it means the same tomorrow; None where it does already."""
        said = self.query.copy()
        for name in TIMES:
            if isinstance(moment := self.form.chosen.get(name), Moment):
                said[name] = str(moment)
        return said.urlencode() if said != self.query else None

    @property
    def all_time_query(self) -> str:
        """The same without any window."""
        return self._without(*TIMES, "within", range="all")

    @property
    def filters_query(self) -> str:
        """The filters alone, for links that come back to this list."""
        return self._without()

    @property
    def chips(self) -> Iterator[Chip]:
        """The filters in use beyond time and search."""
        for name, value in self.form.chosen.items():
            if name in ("q", "range", "within", *TIMES):
                continue
            field = self.form.fields[name]
            choices: Any = field.choices if isinstance(field, forms.ChoiceField) else ()
            label = CHIPS.get(name) or str(field.label)
            yield Chip(label, str(dict(choices).get(value, value)), self._without(name))

    def runs(self) -> QuerySet[Run]:
        """The runs that it asks for, in no order."""
        runs: QuerySet[Run] = Run.objects.select_related("shop").defer("input")
        if self.named:
            return runs.filter(pk__in=self.named.ids)
        start, end = self.window
        if start is not None:
            runs = runs.filter(created_at__gte=start)
        if end is not None:
            runs = runs.filter(created_at__lte=end)
        for name, value in self.form.chosen.items():
            if name in NARROWING:
                runs = NARROWING[name](runs, value)
        return runs

    def _without(self, *names: str, **put: str) -> str:
        changed = self.query.copy()
        for name in (*POSITION, *names):
            changed.pop(name, None)
        for name, value in put.items():
            changed[name] = value
        return changed.urlencode()


CHIPS = {"product": "Product", "group": "Group", "signature": "Failed alike"}
Narrow = Callable[[QuerySet[Run], Any], QuerySet[Run]]


def _prompt(runs: QuerySet[Run], value: str) -> QuerySet[Run]:
    name, version = value.split(":", 1)
    return runs.filter(Exists(Step.objects.filter(run=OuterRef("pk"), prompt_name=name, prompt_version=version)))


NARROWING: dict[str, Narrow] = {
    "q": lambda runs, value: runs.filter(subject_label__icontains=value),
    "status": lambda runs, value: runs.filter(status=value),
    "shop": lambda runs, value: runs.filter(shop_id=value),
    "pipeline": lambda runs, value: runs.filter(pipeline_slug=value),
    "mode": lambda runs, value: runs.filter(mode=value),
    "degraded": lambda runs, value: runs.filter(degraded=True),
    "product": lambda runs, value: runs.filter(subject_id=value),
    "group": lambda runs, value: runs.filter(run_group_id=value),
    "signature": lambda runs, value: runs.filter(error_signature=value),
    "error": lambda runs, value: runs.filter(Exists(RunError.objects.filter(run=OuterRef("pk"), code=value))),
    "metric": lambda runs, value: runs.filter(
        Exists(MetricResult.objects.filter(run=OuterRef("pk"), key=value, passed=False))
    ),
    "model": lambda runs, value: runs.filter(Exists(Step.objects.filter(run=OuterRef("pk"), model=value))),
    "prompt": _prompt,
}


def _window(moment: Moment, within: timedelta) -> tuple[datetime, datetime]:
    return moment.window(within)


def _same(values: list[str]) -> list[tuple[str, str]]:
    return [(value, value) for value in values]
