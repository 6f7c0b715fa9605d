"""One sentence about a run, and notes to it, made from what is recorded and from nothing else.

The run's status decides what the sentence answers. What a pipeline calls its own things comes from its own app
(`runs.telling`); every number stands in a row.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from django.utils import timezone

from monitor.steps import WORKER_LOST, MetricRow, StepView
from monitor.templatetags.console import duration, number, percent, words
from runs.models import Run, RunError, Step
from runs.signatures import GATE
from runs.telling import Judged, Story, words_of

REASONS_TOLD = 3
METRICS_TOLD = 3
SHARES = ("share", "ratio")


@dataclass(frozen=True, slots=True)
class Headline:
    """What happened, and what else one has to know."""

    sentence: str
    notes: tuple[str, ...] = ()


def write_headline(run: Run, views: Sequence[StepView], stepless: Sequence[RunError] = ()) -> Headline:
    """What happened, in the order in which an operator asks."""
    story = _story(run, views)
    match run.status:
        case Run.Status.PENDING:
            sentence = _waiting(run)
        case Run.Status.RUNNING:
            where = f"Working on {run.phase}" if run.phase else "Working"
            sentence = f"{where}, {run.steps_done} of {run.steps_expected} steps done."
        case Run.Status.FAILED:
            sentence = _failed(story)
        case Run.Status.CANCELLED:
            after = f"after {run.steps_done} of {run.steps_expected} steps"
            who = run.error_message.removeprefix("Cancelled ").strip()
            sentence = f"Cancelled {after}, {who}" if who else f"Cancelled {after}."
        case _:
            sentence = _completed(story, views)
    return Headline(sentence, tuple(_notes(story, views, stepless)))


def _story(run: Run, views: Sequence[StepView]) -> Story:
    named = {view.step.node_key: view for view in views if view.step.node_key}
    return Story(
        run,
        {key: view.step for key, view in named.items()},
        {key: view.payload.ir for key, view in named.items() if view.payload},
        tuple(_judged(row) for view in views for row in view.last.metrics),
    )


def _judged(row: MetricRow) -> Judged:
    result, definition = row.result, row.definition
    direction = definition.direction if definition else ""
    unit, reason = result.unit or (definition.unit if definition else ""), str(result.details.get("reason", ""))
    return Judged(result.key, row.name, result.value, result.threshold, result.passed, result.must_pass,
                  unit, direction, reason)  # fmt: skip


def _waiting(run: Run) -> str:
    if run.due_at <= timezone.now():
        return "Waiting for a worker." if not run.starts else "Waiting for a worker to go on with it."
    return f"Resting; it goes on with {run.phase} when that is due." if run.starts and run.phase else "Not due yet."


def _failed(story: Story) -> str:
    run = story.run
    at = f" at {run.error_stage}" if run.error_stage else ""
    took = f" after {duration(run.latency_ms)}" if run.latency_ms is not None else ""
    why = run.error_message or run.error_code or "no reason was recorded"
    did = _did(story)
    failed = _failing(story)
    if run.error_code == GATE and failed:
        meant = list(filter(None, (_means(story, metric) for metric in failed)))
        what = f"{did}, but {_listed(meant[:METRICS_TOLD])}" if did and meant else did or f"Failed{at}{took}"
        return f"{what}; the gate failed {_refusals(failed)}."
    if run.error_stage in story.steps:
        step = story.steps[run.error_stage]
        if step.candidates_in and step.candidates_out == 0:
            lead = f"{did}: " if did else f"Failed{at}{took}: "
            return f"{lead}{step} dropped all {step.candidates_in} candidates{_because(step)}."
    return f"Failed{at}{took}: {why}"


def _completed(story: Story, views: Sequence[StepView]) -> str:
    run = story.run
    parts = []
    if did := _did(story):
        parts.append(did)
    steps = [view.step for view in views]
    narrow = max((step for step in steps if step.drop_ratio), key=lambda step: step.drop_ratio or 0, default=None)
    if narrow is not None:
        kept = f"{narrow} kept {narrow.candidates_out} of {narrow.candidates_in} candidates"
        parts.append(kept if narrow.candidates_in is not None else f"{narrow} dropped {percent(narrow.drop_ratio)}")
    judged = [metric for metric in story.judged if metric.passed is not None]
    if judged:
        passed, required = sum(bool(metric.passed) for metric in judged), sum(metric.must_pass for metric in judged)
        parts.append(f"{passed} of {len(judged)} metrics passed ({required} required)")
    took = "Completed" if run.latency_ms is None else f"Completed in {duration(run.latency_ms)}"
    return f"{took}: {', '.join(parts)}." if parts else f"{took}."


def _did(story: Story) -> str:
    own = words_of(story.run.pipeline_slug)
    return own.did(story) if own else ""


def _means(story: Story, metric: Judged) -> str:
    own = words_of(story.run.pipeline_slug)
    return own.means(story, metric) if own else ""


def _failing(story: Story) -> list[Judged]:
    return [metric for metric in story.judged if metric.must_pass and metric.passed is False]


def _refusals(failed: Sequence[Judged]) -> str:
    """The failed metrics with value and threshold: `on_support (20 %, at least 85 % is required)`."""
    told = [_measured(metric) for metric in failed[:METRICS_TOLD]]
    more = len(failed) - METRICS_TOLD
    return f"{', '.join(told)} and {more} more" if more > 0 else _listed(told)


def _measured(metric: Judged) -> str:
    if metric.value is None or metric.direction == "boolean":
        return f"{metric.key} ({metric.reason or 'no value'})"
    text = _figure(metric.value, metric.unit)
    if metric.threshold is not None:
        bound = {"lower": "at most ", "higher": "at least "}.get(metric.direction, "")
        text += f", {bound}{_figure(metric.threshold, metric.unit)} is required"
    return f"{metric.key} ({text})"


def _figure(value: float, unit: str) -> str:
    if unit == "share":
        return str(percent(value))
    return f"{number(value)} {unit}" if unit and unit not in SHARES else str(number(value))


def _because(step: Step) -> str:
    """The most frequent reasons why candidates were dropped."""
    counts = {name: count for name, count in step.reasons.items() if isinstance(count, int) and count > 0}
    if not counts:
        return ""
    top = sorted(counts.items(), key=lambda item: -item[1])[:REASONS_TOLD]
    return ": " + ", ".join(f"{words(name)} {count}" for name, count in top)


def _notes(story: Story, views: Sequence[StepView], stepless: Sequence[RunError]) -> Iterator[str]:
    """What else one has to know: where it came from, what was in use, what failed on the way."""
    yield from _origin(story.run)
    for view in views:
        yield from _prompt_in_use(view.step)
    for view in views:
        yield from _detours(view)
    if lost := sum(error.code == WORKER_LOST for error in stepless):
        yield f"{lost} worker{'' if lost == 1 else 's'} lost."
    gone_without = [view.step for view in views if view.step.status == Step.Status.FAILED]
    if story.run.status == Run.Status.COMPLETED:
        for step in gone_without:
            yield f"It went on without {step}, which failed ({step.error_code or 'no code'})."
    soft = [metric for metric in story.judged if metric.passed is False and not metric.must_pass]
    if soft:
        yield f"Not required, but failed: {_refusals(soft)}."


def _origin(run: Run) -> Iterator[str]:
    if run.mode == Run.Mode.RECORDED:
        yield "A replay: every model's answer is the original's recording."
    changes = run.fork_changes if isinstance(run.fork_changes, Mapping) else {}
    parts = [f"{name} of its own: {_listed(sorted(given))}" for name, given in _given(changes) if given]
    if parts:
        yield f"Run again with {'; '.join(parts)}."


def _given(changes: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    names = (("prompts", "a prompt"), ("input", "input"), ("routes", "a model"), ("answers", "answers"))
    for key, name in names:
        given = changes.get(key)
        yield name, given if isinstance(given, Mapping) else {}


def _prompt_in_use(step: Step) -> Iterator[str]:
    """Whatever prompt is not what every shop gets."""
    said = {
        "override": f"{step} was asked with the shop's own {step.prompt_name} prompt ({step.prompt_version}).",
        "edit": f"{step} was asked with a {step.prompt_name} prompt that was edited for this run.",
        "experiment": f"{step} was asked with the experimental {step.prompt_name} {step.prompt_version}.",
    }.get(step.prompt_source)
    if said:
        yield said


def _detours(view: StepView) -> Iterator[str]:
    """The attempts before the last one: who failed how, and who took over."""
    errors = [attempt.error for attempt in view.earlier if attempt.error]
    if not errors:
        return
    step = view.step
    told = []
    for who, group in groupby(errors, key=lambda error: _model(error.vendor, error.model)):
        codes = Counter(error.code for error in group)
        told.append(f"{who or 'it'} failed ({', '.join(_times(code, count) for code, count in codes.items())})")
    last = _model(step.vendor, step.model)
    took_over = last and last not in {_model(error.vendor, error.model) for error in errors}
    end = f", {last} took over" if took_over and step.status == Step.Status.COMPLETED else ""
    yield f"{step}: {', then '.join(told)}{end}."


def _model(vendor: str, model: str) -> str:
    return f"{vendor}/{model}" if vendor else ""


def _times(code: str, count: int) -> str:
    said = "its worker was lost" if code == WORKER_LOST else code
    return said if count == 1 else f"{said}, {count} times"


def _listed(parts: Sequence[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}" if parts else ""
