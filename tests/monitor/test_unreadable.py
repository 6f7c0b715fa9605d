"""Whatever stands in the JSON of a run, an imported one for example: its pages open, and say what they cannot read."""

import copy
import random
from collections.abc import Iterator
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from monitor.templatetags import console
from runs.models import MetricResult, Run, RunError, Step, StepPayload
from tests.monitor.factories import MetricFactory, RunErrorFactory, artifact, composite_run

pytestmark = pytest.mark.django_db
JUNK: dict[str, Any] = {
    "text": "<b>soon</b>", "number": -1e300, "great": 10**400, "list": [[], {"id": []}, None], "object": {"x0": {}},
    "true": True, "null": None,
}  # fmt: skip
PAYLOAD = ("params", "input", "output", "reasoning", "variables", "ir", "validation_errors", "extra", "truncated")
DEEP = 12


@pytest.fixture(autouse=True)
def everything_is_readable() -> None:
    """It is not."""


@pytest.fixture
def run() -> Run:
    """An imported run with something in every JSON column."""
    made = composite_run(mode="imported")
    step = made.steps.get(node_key="composite")
    RunErrorFactory(step=step, attempt=1, details={"started_at": "2026-11-21T10:00:00+00:00", "traceback": "in x"})
    Step.objects.filter(pk=step.pk).update(attempt=2)
    MetricFactory(step=step, attempt=2, details={"reason": "blurred"}, passed=False)
    reasoning = {"skipped_routes": [{"route": "a/b", "reason": "budget", "why": "spent"}],
                 "limit": {"vendor": "a", "limit": "per_minute", "waited_ms": 12}}  # fmt: skip
    filled = {"reasoning": reasoning, "params": {"a": 1}, "truncated": ["ir"], "variables": {"title": "x"},
              "validation_errors": [{"path": "$.a", "message": "no"}]}  # fmt: skip
    StepPayload.objects.filter(step=step).update(**filled)
    return made


def columns(run: Run) -> Iterator[tuple[Any, str]]:
    """Every JSON column of the run's rows."""
    yield run, "input"
    yield run, "summary"
    for step in run.steps.all():
        yield step, "reasons"
        yield from ((step.payload, name) for name in PAYLOAD)
    for row in (*RunError.objects.filter(run=run), *MetricResult.objects.filter(run=run)):
        yield row, "details"


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The paths of everything inside a JSON value."""
    members = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, inner in members:
        yield (*path, name)
        yield from places(inner, (*path, name))


def replaced(value: Any, path: tuple[Any, ...], junk: Any) -> Any:
    value = copy.deepcopy(value)
    around = value
    for name in path[:-1]:
        around = around[name]
    around[path[-1]] = junk
    return value


def opens(console: Client, run: Run) -> str:
    page = console.get(reverse("admin:runs_run_change", args=[str(run.pk)]))
    assert page.status_code == 200
    return str(page.content.decode())


@pytest.mark.parametrize("kind", JUNK)
def test_its_page_opens_with_junk_in_all_values_of_its_columns(console: Client, run: Run, kind: str) -> None:
    """Each column keeps its own kind of JSON, which is what an import checks, unless it may hold any."""
    for row, column in columns(run):
        was = getattr(row, column)
        for junk in (replaced(was, (name,), JUNK[kind]) for name in (was if isinstance(was, dict) else ())):
            setattr(row, column, was := junk)
        if column in ("ir", "output"):
            setattr(row, column, JUNK[kind])
        if isinstance(row, StepPayload) and column in ("validation_errors", "truncated"):
            setattr(row, column, [JUNK[kind]])
        if column != "summary":  # which an import checks in full
            type(row).objects.filter(pk=row.pk).update(**{column: getattr(row, column)})
    page = opens(console, run)
    assert "<b>soon" not in page
    for name in ("rerun", "compare"):
        other = [str(composite_run().pk)] if name == "compare" else []
        assert console.get(reverse(f"admin:monitor_{name}", args=[str(run.pk), *other])).status_code == 200, name


def test_its_page_opens_with_junk_at_any_depth(console: Client, run: Run) -> None:
    dice = random.Random(4)
    found = [(row, column, path) for row, column in columns(run) if column != "summary"
             for path in places(getattr(row, column)) if len(path) > 1]  # fmt: skip
    for row, column, path in dice.sample(found, DEEP):
        was, junk = getattr(row, column), dice.choice(list(JUNK.values()))
        type(row).objects.filter(pk=row.pk).update(**{column: replaced(was, path, junk)})
        opens(console, run)
        type(row).objects.filter(pk=row.pk).update(**{column: was})


def test_what_cannot_be_read_is_said_where_it_is(console: Client, run: Run) -> None:
    step = run.steps.get(node_key="placement")
    StepPayload.objects.filter(step=step).update(ir={"room": {"horizon_y": {}}, "candidates": 5})
    page = opens(console, run)
    assert page.count("What the pictures show is unreadable: what is recorded has another shape.") == 1
    assert "Kept 2 of 6 places." in page, "everything else is there"
    StepPayload.objects.filter(step=step).update(reasoning={"limit": {"waited_ms": "soon"}})
    assert "unreadable</span> for" in opens(console, run)


def test_a_prompt_that_is_none_opens(console: Client, run: Run) -> None:
    step = run.steps.get(node_key="composite")
    Step.objects.filter(pk=step.pk).update(prompt_name="composite")
    sents = ([1], {"messages": 5}, {"messages": [{"role": {}, "text": []}], "filled": 3}, {"messages": ["x"]})
    for attempt, sent in enumerate(sents, 2):
        artifact(run, "prompt", sent, step=step, role="prompt", attempt=attempt)
        for name, *more in (("monitor_asked",), ("monitor_prompt_diff", "library"), ("monitor_prompt_diff", "good")):
            address = reverse(f"admin:{name}", args=[str(step.pk), attempt, *more])
            assert console.get(address).status_code == 200, (name, sent)


@pytest.mark.parametrize("junk", ["soon", [], {}, 10**400, object()])
def test_figures_that_are_none_are_unreadable(junk: Any) -> None:
    filters = (console.duration, console.percent, console.number, console.bytes_text, console.signed, console.points,
               console.signed_percent, console.signed_duration, console.signed_money, console.money,
               console.age)  # fmt: skip
    for write in filters:
        assert write(junk) == console.UNREADABLE or junk == 10**400
