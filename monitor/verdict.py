"""How the second of two runs stands to the first, in a sentence or two made from what is recorded."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from monitor.metric_diff import MetricPair
from monitor.templatetags.console import duration, money
from runs.models import Run

if TYPE_CHECKING:
    from monitor.compare import ComparePage

NAMED = 3


def write_verdict(page: "ComparePage") -> str:
    """What an operator asks first: did it end well, is it better, and what did that take."""
    working = [f"{letter} is not over: {side.headline}" for letter, side in (("A", page.before), ("B", page.after))
               if not side.run.is_over]  # fmt: skip
    if working:
        return " ".join(working)
    sentences = [_ended(page.before.run, page.after.run), _judged(page), _spent(page)]
    return " ".join(sentence for sentence in sentences if sentence)


def _ended(before: Run, after: Run) -> str:
    if before.status == after.status == Run.Status.COMPLETED:
        return ""
    if before.status == after.status:
        return f"Both {before.status}{_where(before)}." if _where(before) == _where(after) else (
            f"Both {before.status}: A{_where(before)}, B{_where(after)}.")  # fmt: skip
    return f"A {before.status}{_where(before)}, B {after.status}{_where(after)}."


def _where(run: Run) -> str:
    if run.status != Run.Status.FAILED:
        return ""
    at = f" at {run.error_stage}" if run.error_stage else ""
    return f"{at} ({run.error_code})" if run.error_code else at


def _judged(page: "ComparePage") -> str:
    if not page.metrics:
        return ""
    parts = []
    for word, found in (("better", page.better), ("worse", page.worse)):
        if found:
            parts.append(f"{len(found)} {word} ({_names(found)})")
    quiet = len(page.metrics) - len(page.loud_metrics)
    if quiet:
        parts.append(f"{quiet} as before")
    turned = [f"{pair.row.name} now {pair.turned}" for pair in page.metrics if pair.turned]
    said = f"Metrics of B: {', '.join(parts)}." if parts else ""
    return f"{said} {'; '.join(turned)}.".strip() if turned else said


def _names(pairs: Sequence[MetricPair]) -> str:
    names = ", ".join(pair.row.name.lower() for pair in pairs[:NAMED])
    return f"{names} and {len(pairs) - NAMED} more" if len(pairs) > NAMED else names


def _spent(page: "ComparePage") -> str:
    """Only between runs that were executed whole: what a fork took over it did not spend."""
    if page.after.run.fork_node or page.before.run.fork_node or not page.latency_ms:
        return ""
    time = f"B took {duration(abs(page.latency_ms))} {'more' if page.latency_ms > 0 else 'less'}"
    if not page.cost_usd:
        return f"{time}."
    return f"{time} and cost {money(abs(page.cost_usd))} {'more' if page.cost_usd > 0 else 'less'}."
