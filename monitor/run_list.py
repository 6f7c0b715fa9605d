"""The run list's read model: filters from the address, one page by key, pictures for its rows; nothing is counted."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django import forms
from django.db.models import Exists, OuterRef, QuerySet
from django.http import QueryDict
from django.utils import timezone

from core.ids import Ulid, parse_id
from monitor.keyset import KeysetPage, read_page
from monitor.known_values import known_prompts, known_values
from monitor.pictures import Picture, Pictures, summary_pictures
from runs.models import Run, RunError, Step
from runs.summary import RunSummary
from shops.models import Shop

PAGE_SIZE = 50
DEFAULT_RANGE = "24h"
RANGES = {
    "1h": ("last hour", timedelta(hours=1)),
    "24h": ("last 24 hours", timedelta(hours=24)),
    "7d": ("last 7 days", timedelta(days=7)),
    "30d": ("last 30 days", timedelta(days=30)),
    "all": ("all time", None),
}
MAX_SHOPS = 300


def check_id(text: str) -> None:
    """A ULID or a UUID."""
    try:
        parse_id(text)
    except ValueError as error:
        raise forms.ValidationError("This is no id.") from error


class RunFilters(forms.Form):
    """What a reader may ask for. Choices come from what runs have recorded, so every choice finds something."""

    q = forms.CharField(label="Run id or title", max_length=100)
    range = forms.ChoiceField(label="Time", choices=[(key, text) for key, (text, _) in RANGES.items()])
    until = forms.DateTimeField(
        label="Until (UTC)", widget=forms.DateTimeInput(attrs={"type": "datetime-local"}, format="%Y-%m-%dT%H:%M")
    )
    status = forms.ChoiceField(label="Status")
    shop = forms.ChoiceField(label="Shop")
    pipeline = forms.ChoiceField(label="Pipeline")
    model = forms.ChoiceField(label="Model")
    prompt = forms.ChoiceField(label="Prompt")
    error = forms.ChoiceField(label="Error")
    product = forms.CharField(max_length=255, widget=forms.HiddenInput)
    group = forms.CharField(max_length=36, validators=[check_id], widget=forms.HiddenInput)

    def __init__(self, query: QueryDict) -> None:
        data = query.copy()
        data.setdefault("range", DEFAULT_RANGE)
        super().__init__(data)
        shops = Shop.objects.order_by("domain").values_list("id", "name", "domain")[:MAX_SHOPS]
        prompts = [(f"{name}:{version}", f"{name} {version}") for name, version in known_prompts()]
        self._offer("status", Run.Status.choices, "Any status")
        self._offer("shop", [(str(pk), name or domain) for pk, name, domain in shops], "All shops")
        self._offer("pipeline", _same(known_values("runs_run", "pipeline_slug")), "All pipelines")
        self._offer("model", _same(known_values("runs_step", "model")), "Any model")
        self._offer("prompt", prompts, "Any prompt")
        self._offer("error", _same(known_values("runs_runerror", "code")), "Any error")
        for field in self.fields.values():
            field.required = False

    def _offer(self, name: str, choices: list[Any], none: str) -> None:
        self.fields[name].choices = [("", none), *choices]  # type: ignore[attr-defined]

    @property
    def chosen(self) -> dict[str, Any]:
        """The values that make sense; others are left out, and the form says so."""
        self.is_valid()
        return {name: value for name, value in self.cleaned_data.items() if value not in (None, "")}


def _same(values: list[str]) -> list[tuple[str, str]]:
    return [(value, value) for value in values]


@dataclass(frozen=True, slots=True)
class StageTime:
    """One stage's share of a run's time, in percent of the slowest run on the page."""

    name: str
    ms: int
    start: float
    width: float
    index: int


@dataclass(frozen=True, slots=True)
class RunRow:
    """One run as the list shows it."""

    run: Run
    summary: RunSummary
    pictures: Pictures
    stages: tuple[StageTime, ...]

    @property
    def shown(self) -> list[tuple[str, Picture | None]]:
        """Product, room and result, in this order; None where there is none."""
        find = self.pictures.get
        product = find("product_photo") or find("source") or find("product")
        return [("product", product or find("cutout")), ("room", find("room")), ("result", self._result)]

    @property
    def _result(self) -> Picture | None:
        find = self.pictures.get
        return find("result") or (find("cutout") if self.run.pipeline_slug == "prep" else None)

    @property
    def models(self) -> list[str]:
        """Each model once, in the order of the stages."""
        return list(dict.fromkeys(self.summary.models.values()))


@dataclass(frozen=True, slots=True)
class RunList:
    """A page of runs and how it was asked for."""

    form: RunFilters
    rows: list[RunRow]
    page: KeysetPage
    range_text: str
    narrowed: bool
    all_time_query: str

    @property
    def active(self) -> bool:
        """Whether a run on this page still moves."""
        return any(not row.run.is_over for row in self.rows)


def find_run(text: str) -> Ulid | None:
    """The run whose id somebody pasted into the search, if it is one (ULID or UUID)."""
    try:
        identifier = parse_id(text)
    except ValueError:
        return None
    return identifier if Run.objects.filter(pk=identifier).exists() else None


def read_run_list(query: QueryDict) -> RunList:
    """One page of runs, newest first."""
    form = RunFilters(query)
    chosen = form.chosen
    page = read_page(_filtered(chosen), query, PAGE_SIZE)
    pictures = summary_pictures(page.rows)
    summaries = {run.pk: RunSummary.from_json(run.summary) for run in page.rows}
    slowest = max((sum(summary.latencies.values()) for summary in summaries.values()), default=0)
    rows = [RunRow(run, summaries[run.pk], pictures[run.pk], _stages(summaries[run.pk], slowest)) for run in page.rows]
    all_time = query.copy()
    all_time["range"] = "all"
    return RunList(
        form=form,
        rows=rows,
        page=page,
        range_text=RANGES[chosen.get("range", DEFAULT_RANGE)][0],
        narrowed=bool(chosen.keys() - {"range"}),
        all_time_query=all_time.urlencode(),
    )


def _filtered(chosen: dict[str, Any]) -> QuerySet[Run]:
    runs = Run.objects.select_related("shop").defer("input")
    end = chosen.get("until")
    span = RANGES[chosen.get("range", DEFAULT_RANGE)][1]
    if span is not None:
        runs = runs.since((end or timezone.now()) - span)
    if end is not None:
        runs = runs.filter(created_at__lte=end)
    for name, field in FIELDS.items():
        if name in chosen:
            runs = runs.filter(**{field: chosen[name]})
    if "q" in chosen:
        runs = runs.filter(subject_label__icontains=chosen["q"])
    if "error" in chosen:
        runs = runs.filter(Exists(RunError.objects.filter(run=OuterRef("pk"), code=chosen["error"])))
    steps = {}
    if "model" in chosen:
        steps["model"] = chosen["model"]
    if "prompt" in chosen:
        steps["prompt_name"], steps["prompt_version"] = chosen["prompt"].split(":", 1)
    if steps:
        runs = runs.filter(Exists(Step.objects.filter(run=OuterRef("pk"), **steps)))
    return runs


FIELDS = {
    "status": "status",
    "shop": "shop_id",
    "pipeline": "pipeline_slug",
    "product": "subject_id",
    "group": "run_group_id",
}


def _stages(summary: RunSummary, slowest: int) -> tuple[StageTime, ...]:
    """Bars side by side, so that one glance down the list finds the slow stage."""
    start, bars = 0.0, []
    for index, (name, ms) in enumerate(summary.latencies.items()):
        width = round(ms * 100 / slowest, 2) if slowest else 0.0
        bars.append(StageTime(name, ms, round(start, 2), width, index % 6))
        start += width
    return tuple(bars)
