"""What must hold after chaos; each check gives the sentences of what does not."""

from collections import Counter
from collections.abc import Iterator
from decimal import Decimal

from django.db import connection
from django.db.models import Q, Sum

from runs.models import Run, RunError, Step
from tests.chaos.harness import Story
from tests.chaos.stages import PIPELINES

# How a run may end that did not complete: its computing child was killed more often than its policy repeats it, or
# nobody knows whether it has paid.
HONEST_ENDS = ("worker_lost", "outcome_unknown")


def problems(story: Story) -> list[str]:
    """Everything that is wrong, in sentences; nothing when nothing was lost and nothing was done twice."""
    found = [*_ends(story), *_effects(story), *_steps(), *_attempts(), *_costs()]
    found += [f"an orphan was left: {orphan}" for orphan in story.orphans]
    found += [f"SIGTERM ended a cluster with {code}" for code in story.exit_codes if code]
    found += [f"{key} was paid {count} times" for key, count in story.paid.items() if count > 1]
    return found


def effects() -> tuple[int, int]:
    """How many effects there are, and how many distinct ones."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*), count(DISTINCT (run, node)) FROM chaos_effect")
        total, distinct = cursor.fetchone()
        return total, distinct


def _ends(story: Story) -> Iterator[str]:
    runs = {run.pk: run for run in Run.objects.filter(pk__in=story.runs)}
    for pk in story.runs:
        run = runs.get(pk)
        if run is None:
            yield f"run {pk} is gone"
        elif not run.is_over:
            yield f"run {pk} is {run.status}"
        elif run.status == Run.Status.FAILED and run.error_code not in HONEST_ENDS:
            yield f"run {pk} failed at {run.error_stage}: {run.error_code} {run.error_message}"
        elif run.lease_until is not None:
            yield f"run {pk} is over and has a lease"


def _effects(story: Story) -> Iterator[str]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT run, node, count(*) FROM chaos_effect GROUP BY run, node HAVING count(*) > 1")
        for run, node, count in cursor.fetchall():
            yield f"node {node} of run {run} had its effect {count} times"
    completed = Step.objects.filter(status="completed", run__in=story.runs).count()
    if effects()[1] != completed:
        yield f"{completed} completed steps have {effects()[1]} effects"


def _steps() -> Iterator[str]:
    for step in Step.objects.filter(status__in=("pending", "running")).exclude(run__status__in=Run.ACTIVE)[:20]:
        yield f"step {step} of run {step.run_id} is {step.status}, its run is over"
    for run in Run.objects.filter(status="completed"):
        done = run.steps.filter(status="completed").count()
        nodes = len(PIPELINES[run.pipeline_slug])
        if not done == run.steps_done == nodes:
            yield f"run {run.pk} completed with {done} steps, counted {run.steps_done}, of {nodes}"


def _attempts() -> Iterator[str]:
    """Every attempt before the last has exactly one error."""
    logged = Counter(RunError.objects.exclude(step=None).values_list("step_id", "attempt"))
    for step_id, attempt, status in Step.objects.filter(~Q(status="pending")).values_list("pk", "attempt", "status"):
        for number in range(1, attempt + (status == "failed")):
            if logged[step_id, number] != 1:
                yield f"attempt {number} of step {step_id} has {logged[step_id, number]} errors"


def _costs() -> Iterator[str]:
    """What a run has cost is what its steps and its failed attempts have cost."""
    for run in Run.objects.all():
        steps = run.steps.aggregate(cost=Sum("cost_usd"))["cost"] or Decimal(0)
        errors = run.errors.aggregate(cost=Sum("cost_usd"))["cost"] or Decimal(0)
        if (run.cost_usd or Decimal(0)) != steps + errors:
            yield f"run {run.pk} cost {run.cost_usd}, its steps {steps} and its failed attempts {errors}"
