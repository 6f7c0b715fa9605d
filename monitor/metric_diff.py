"""Metrics of two runs side by side: which way each has moved, and whether that is for the better."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import isclose
from typing import Literal

from monitor.steps import MetricRow, StepView

Verdict = Literal["better", "worse", "changed", "only one", "hardly better", "hardly worse", "same", "unknown"]
RANK = ("worse", "better", "changed", "only one", "hardly worse", "hardly better", "same", "unknown")
HARDLY = 0.01  # of the threshold: what another compression of the same picture does


@dataclass(frozen=True, slots=True)
class MetricPair:
    """One metric of one node in both runs, each as its last attempt was measured."""

    node: str
    before: MetricRow | None
    after: MetricRow | None

    @property
    def row(self) -> MetricRow:
        """Either one: name, unit and direction are the metric's."""
        found = self.after or self.before
        assert found is not None
        return found

    @property
    def delta(self) -> float | None:
        """By how much the second is greater; None for a yes or no, and where a value is unknown."""
        values = self._values
        return None if values is None or self.row.is_flag else values[1] - values[0]

    @property
    def verdict(self) -> Verdict:
        """By the definition's direction: lower is better, higher is better, or true is."""
        values = self._values
        if values is None:
            return "only one" if self.before is None or self.after is None else "unknown"
        before, after = values
        if isclose(before, after, rel_tol=1e-9, abs_tol=1e-12):
            return "same"
        direction = self.row.definition.direction if self.row.definition else ""
        if direction not in ("higher", "lower", "boolean"):
            return "changed"
        better = after < before if direction == "lower" else after > before
        if self.size < HARDLY and not self.turned:
            return "hardly better" if better else "hardly worse"
        return "better" if better else "worse"

    @property
    def turned(self) -> str:
        """`passes` or `fails` where the second's verdict against the threshold is another than the first's."""
        if self.before is None or self.after is None:
            return ""
        old, new = self.before.result.passed, self.after.result.passed
        return "" if old is None or new is None or old == new else ("passes" if new else "fails")

    @property
    def size(self) -> float:
        """How far it moved, as a share of its threshold, or of the greater value where there is none; 0 if unknown."""
        values = self._values
        if values is None:
            return 0.0
        before, after = values
        measure = abs(self.row.result.threshold or 0.0) or max(abs(before), abs(after)) or 1.0
        return abs(after - before) / measure

    @property
    def quiet(self) -> bool:
        """Whether there is nothing to see: hardly moved, the same, or unknown in both."""
        return RANK.index(self.verdict) >= RANK.index("hardly worse") and not self.turned

    @property
    def _values(self) -> tuple[float, float] | None:
        if self.before is None or self.after is None:
            return None
        old, new = self.before.result.value, self.after.result.value
        return None if old is None or new is None else (old, new)


def pair_metrics(pairs: Mapping[str, tuple[StepView | None, StepView | None]]) -> list[MetricPair]:
    """Every metric that either run has: what turned first, then worse before better, what moved farthest first."""
    found = [metric for key, (old, new) in pairs.items() for metric in _of_a_node(key, old, new)]
    return sorted(found, key=lambda metric: (not metric.turned, RANK.index(metric.verdict), -metric.size))


def _of_a_node(key: str, old: StepView | None, new: StepView | None) -> Iterator[MetricPair]:
    before, after = _by_key(old), _by_key(new)
    for name in [*before, *(name for name in after if name not in before)]:
        yield MetricPair(key, before.get(name), after.get(name))


def _by_key(view: StepView | None) -> dict[str, MetricRow]:
    return {row.result.key: row for row in view.last.metrics} if view else {}
