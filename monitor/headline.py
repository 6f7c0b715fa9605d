"""One sentence about a run, made from what is recorded and from nothing else."""

from collections.abc import Sequence

from django.utils import timezone

from monitor.templatetags.console import duration, percent
from runs.models import MetricResult, Run, RunError, Step


def write_headline(run: Run, steps: Sequence[Step], errors: Sequence[RunError], metrics: Sequence[MetricResult]) -> str:
    """What happened, in the order in which an operator asks."""
    match run.status:
        case Run.Status.PENDING:
            return _waiting(run)
        case Run.Status.RUNNING:
            where = f"Working on {run.phase}" if run.phase else "Working"
            return f"{where}, {run.steps_done} of {run.steps_expected} steps done."
        case Run.Status.FAILED:
            at = f" at {run.error_stage}" if run.error_stage else ""
            took = f" after {duration(run.latency_ms)}" if run.latency_ms is not None else ""
            return f"Failed{at}{took}: {run.error_message or run.error_code or 'no reason was recorded'}"
        case Run.Status.CANCELLED:
            after = f"after {run.steps_done} of {run.steps_expected} steps"
            who = run.error_message.removeprefix("Cancelled ").strip()
            return f"Cancelled {after}, {who}" if who else f"Cancelled {after}."
    return f"Completed in {duration(run.latency_ms)}{_decisions(steps, errors, metrics)}."


def _waiting(run: Run) -> str:
    if run.due_at <= timezone.now():
        return "Waiting for a worker." if not run.starts else "Waiting for a worker to go on with it."
    return f"Resting; it goes on with {run.phase} when that is due." if run.starts and run.phase else "Not due yet."


def _decisions(steps: Sequence[Step], errors: Sequence[RunError], metrics: Sequence[MetricResult]) -> str:
    parts = []
    narrow = max((step for step in steps if step.drop_ratio), key=lambda step: step.drop_ratio or 0, default=None)
    if narrow is not None:
        kept = f"{narrow} kept {narrow.candidates_out} of {narrow.candidates_in} candidates"
        parts.append(kept if narrow.candidates_in is not None else f"{narrow} dropped {percent(narrow.drop_ratio)}")
    final: dict[object, int] = {step.pk: step.attempt for step in steps}
    judged = [item for item in metrics if item.passed is not None and item.attempt == final.get(item.step_id)]
    if judged:
        required = [item for item in judged if item.must_pass]
        passed = sum(bool(item.passed) for item in judged)
        parts.append(f"{passed} of {len(judged)} metrics passed ({len(required)} required)")
    if errors:
        failed = "1 attempt failed on the way" if len(errors) == 1 else f"{len(errors)} attempts failed on the way"
        lost = sum(error.code == "worker_lost" for error in errors)
        parts.append(f"{failed} ({lost} with {'its worker' if lost == 1 else 'their workers'})" if lost else failed)
    return ": " + ", ".join(parts) if parts else ""
