"""The run list's read model: one page by key of what an address asks for, and pictures for its rows; no counts."""

from dataclasses import dataclass
from urllib.parse import urlencode

from django.http import QueryDict

from monitor.keyset import KeysetPage, read_page
from monitor.pictures import Picture, Pictures, summary_pictures
from monitor.run_filters import RunQuestion
from runs.models import Run
from runs.summary import RunSummary

PAGE_SIZE = 50
BACK = "_changelist_filters"  # Django's own name for the list that a page was opened from


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

    question: RunQuestion
    rows: list[RunRow]
    page: KeysetPage

    @property
    def active(self) -> bool:
        """Whether a run on this page still moves."""
        return any(not row.run.is_over for row in self.rows)

    @property
    def back(self) -> str:
        """What links to a run carry, so that its page knows the list around it; empty for the plain list."""
        return back_query(self.question.filters_query)


def back_query(filters: str) -> str:
    """`?_changelist_filters=...`, or nothing where nothing is filtered."""
    return "?" + urlencode({BACK: filters}) if filters else ""


def read_run_list(question: RunQuestion) -> RunList:
    """One page of runs, newest first."""
    page = read_page(question.runs(), question.query, PAGE_SIZE)
    pictures = summary_pictures(page.rows)
    summaries = {run.pk: RunSummary.from_json(run.summary) for run in page.rows}
    slowest = max((sum(summary.latencies.values()) for summary in summaries.values()), default=0)
    rows = [RunRow(run, summaries[run.pk], pictures[run.pk], _stages(summaries[run.pk], slowest)) for run in page.rows]
    return RunList(question, rows, page)


def find_neighbour(run: Run, filters: str, *, older: bool) -> Run | None:
    """The run before or after one in the list that it was opened from; among all runs without a list."""
    runs = RunQuestion.read(QueryDict(filters)).runs() if filters else Run.objects.all()
    beside = runs.filter(pk__lt=run.pk).order_by("-id") if older else runs.filter(pk__gt=run.pk).order_by("id")
    return beside.first()


def _stages(summary: RunSummary, slowest: int) -> tuple[StageTime, ...]:
    """Bars side by side, so that one glance down the list finds the slow stage."""
    start, bars = 0.0, []
    for index, (name, ms) in enumerate(summary.latencies.items()):
        width = round(ms * 100 / slowest, 2) if slowest else 0.0
        bars.append(StageTime(name, ms, round(start, 2), width, index % 6))
        start += width
    return tuple(bars)
