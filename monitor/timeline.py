"""When each step of a run was at work, as shares of the run's whole time."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.utils import timezone

from runs.models import Run, RunError, Step

TICKS_MS = (100, 200, 500, 1000, 2000, 5000, 10_000, 20_000, 30_000, 60_000, 120_000, 300_000, 600_000, 1_800_000)


@dataclass(frozen=True, slots=True)
class Segment:
    """A stretch of time in percent of the run: `kind` is waiting, failed, or a step's status."""

    start: float
    width: float
    kind: str
    title: str


@dataclass(frozen=True, slots=True)
class Row:
    """One step's line."""

    label: str
    anchor: str
    depth: int
    segments: tuple[Segment, ...]
    duration_ms: int | None


@dataclass(frozen=True, slots=True)
class Tick:
    """A mark on the time axis."""

    at: float
    ms: int


@dataclass(frozen=True, slots=True)
class Timeline:
    """All rows over one axis."""

    rows: tuple[Row, ...]
    ticks: tuple[Tick, ...]
    total_ms: int


def draw_timeline(run: Run, steps: Sequence[Step], errors: Iterable[RunError]) -> Timeline:
    """Rows in the order of the steps. An attempt that failed ends where its error was written."""
    now = timezone.now()
    ends = [step.finished_at for step in steps if step.finished_at]
    begins = [step.started_at for step in steps if step.started_at]
    start = min([run.created_at, *begins])
    end = max([run.finished_at or (max(ends, default=start) if run.is_over else now), *ends])
    total_ms = max(1, round((end - start).total_seconds() * 1000))
    scale = _Scale(start, total_ms)
    failed: dict[object, list[RunError]] = {}
    for error in errors:
        failed.setdefault(error.step_id, []).append(error)
    depths = _depths(steps)
    rows = [
        Row(str(step), str(step.pk), depths[step.pk], _segments(scale, step, failed.get(step.pk, []), end),
            step.latency_ms)
        for step in steps
    ]  # fmt: skip
    if run.started_at and scale.at(run.started_at) > 0.5:
        waiting = scale.segment(start, run.started_at, "waiting", "waiting for a worker")
        rows.insert(0, Row("queue", "", 0, (waiting,), round((run.started_at - start).total_seconds() * 1000)))
    return Timeline(tuple(rows), _ticks(total_ms), total_ms)


@dataclass(frozen=True, slots=True)
class _Scale:
    start: datetime
    total_ms: int

    def at(self, moment: datetime) -> float:
        """A moment in percent of the run."""
        return round(min(100, max(0, (moment - self.start).total_seconds() * 100_000 / self.total_ms)), 2)

    def segment(self, begin: datetime, end: datetime, kind: str, title: str) -> Segment:
        """At least a sliver, so that a quick step can be seen."""
        left = self.at(begin)
        width = max(0.4, self.at(end) - left)
        return Segment(min(left, 99.6), round(width, 2), kind, title)


def _segments(scale: _Scale, step: Step, errors: list[RunError], end: datetime) -> tuple[Segment, ...]:
    if step.started_at is None:
        return ()
    parts, begin = [], step.started_at
    ended: datetime | None = None
    final_failed = step.status == Step.Status.FAILED
    for error in errors[: len(errors) - final_failed]:
        said = _begin_of(error) or begin
        begin = max(said, ended) if ended else said
        parts.append(scale.segment(begin, max(begin, error.created_at), "failed",
                                   f"attempt {error.attempt} failed: {error.code}"))  # fmt: skip
        ended = error.created_at
        begin = max(step.started_at, ended)
    finish = step.finished_at or end
    parts.append(scale.segment(begin, max(begin, finish), step.status, f"attempt {step.attempt}: {step.status}"))
    return tuple(parts)


def _begin_of(error: RunError) -> datetime | None:
    """When a failed attempt had begun, if it says so."""
    try:
        said = datetime.fromisoformat(error.details.get("started_at"))
    except (TypeError, ValueError):
        return None
    return said if said.tzinfo else None


def _depths(steps: Sequence[Step]) -> dict[object, int]:
    """How deep each step is nested; reported spans have parents, ours do not."""
    parents = {step.pk: step.parent_id for step in steps}
    depths: dict[object, int] = {}
    for step in steps:
        depth, above = 0, step.parent_id
        while above in parents and depth < 8:
            depth, above = depth + 1, parents[above]
        depths[step.pk] = depth
    return depths


def _ticks(total_ms: int) -> tuple[Tick, ...]:
    """Four to eight round marks."""
    gap = next((gap for gap in TICKS_MS if total_ms / gap <= 6), max(1, total_ms // 5))
    return tuple(Tick(round(ms * 100 / total_ms, 2), ms) for ms in range(0, total_ms + 1, gap))
