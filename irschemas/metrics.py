"""Measure a step's work with registered evaluators, and judge the numbers by a profile. Pure: no ORM, no Django."""

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from irschemas.records import Direction, Profile, ProfileItem

Value = float | bool | None
NOT_APPLICABLE = "it does not apply here"


@dataclass(frozen=True, slots=True)
class MetricValue:
    """One number an evaluator found; None when it could not be measured, with the reason in `details`.

    `applies` is False where the question makes no sense (the gap to the floor of a picture on a wall): nothing is asked
    of such a metric, however strict the profile.
    """

    key: str
    value: Value
    details: Mapping[str, Any] | None = None
    applies: bool = True


@dataclass(frozen=True, slots=True)
class MetricOutcome:
    """One metric of a profile, judged.

    `value` is None where there is no usable number; `passed` is None where nothing is asked of it; `details` holds what
    the evaluator said, and the `reason` of a failure.
    """

    key: str
    value: Value
    passed: bool | None
    threshold: float | None
    must_pass: bool
    weight: float
    unit: str
    direction: Direction
    details: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """All fields by name."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class GateResult:
    """The verdict of a profile.

    `passed`: no must-pass metric failed. `failed_keys`: the must-pass metrics that did. `score`: the weighted share of
    the judged metrics that passed, None when none was judged.
    """

    passed: bool
    results: tuple[MetricOutcome, ...]
    failed_keys: tuple[str, ...]
    score: float | None

    def to_json(self) -> dict[str, Any]:
        """`{passed, score, failed_keys, metrics: {key: outcome}}`."""
        metrics = {outcome.key: outcome.to_json() for outcome in self.results}
        return {"passed": self.passed, "score": self.score, "failed_keys": list(self.failed_keys), "metrics": metrics}

    def summary(self) -> str:
        """Why the gate failed, in one line, or that it passed."""
        if self.passed:
            return "Every required metric passed."
        return "; ".join(
            f"{item.key}: {item.details['reason']}" for item in self.results if item.key in self.failed_keys
        )


Evaluator = Callable[[Any, Mapping[str, Any], Mapping[str, Any]], Iterable[MetricValue]]
_registry: dict[str, Evaluator] = {}


def evaluator(key: str) -> Callable[[Evaluator], Evaluator]:
    """Register a function `(ir, inputs, artifacts) -> [MetricValue]` under a key that metric definitions name.

    Raises:
        ValueError: another function has the key.
    """

    def register(function: Evaluator) -> Evaluator:
        known = _registry.setdefault(key, function)
        if (known.__module__, known.__qualname__) != (function.__module__, function.__qualname__):
            raise ValueError(f"Two evaluators want the key {key!r}: {known.__module__} and {function.__module__}.")
        _registry[key] = function
        return function

    return register


def registered_evaluators() -> list[str]:
    """The keys of all evaluators, sorted."""
    return sorted(_registry)


def evaluate(profile: Profile, ir: Any, inputs: Mapping[str, Any], artifacts: Mapping[str, Any]) -> list[MetricValue]:
    """Run each evaluator that the profile needs, once; one that is not registered leaves its metrics missing."""
    values: list[MetricValue] = []
    for key in profile.evaluators:
        if function := _registry.get(key):
            values.extend(function(ir, inputs, artifacts))
    return values


def grade(profile: Profile, values: Iterable[MetricValue]) -> GateResult:
    """Judge measured values by a profile; values it does not name are left out.

    `lower` passes at or below the threshold, `higher` at or above, `boolean` when true. A must-pass metric that is
    missing, NaN or infinite fails. Without a threshold a number is measured, not judged.

    Raises:
        ValueError: two values for one metric.
    """
    found: dict[str, MetricValue] = {}
    for value in values:
        if value.key in found:
            raise ValueError(f"Two values for the metric {value.key!r}.")
        found[value.key] = value
    results = tuple(_judge(item, found.get(item.metric_key)) for item in profile.items)
    failed = tuple(outcome.key for outcome in results if outcome.must_pass and outcome.passed is False)
    return GateResult(not failed, results, failed, _score(results))


def _score(results: Iterable[MetricOutcome]) -> float | None:
    judged = [(outcome.weight, bool(outcome.passed)) for outcome in results if outcome.passed is not None]
    total = math.fsum(weight for weight, _ in judged)
    return math.fsum(weight for weight, passed in judged if passed) / total if total > 0 else None


def _judge(item: ProfileItem, found: MetricValue | None) -> MetricOutcome:
    value = found.value if found else None
    passed: bool | None
    reason: str | None
    if found is not None and not found.applies:
        value, passed, reason = None, None, NOT_APPLICABLE
    elif _is_usable(value):
        passed, reason = _compare(item, value)
    else:
        value, passed, reason = None, (False if item.must_pass else None), _absence(found)
    details = dict(found.details or {}) if found else {}
    if reason:
        details["reason"] = reason
    return MetricOutcome(
        item.metric_key, value, passed, item.threshold, item.must_pass, item.weight, item.unit, item.direction, details
    )


def _is_usable(value: Value) -> bool:
    return value is not None and math.isfinite(value)


def _absence(found: MetricValue | None) -> str:
    if found is None:
        return "it was not measured"
    return "it could not be measured" if found.value is None else "it is not a finite number"


def _compare(item: ProfileItem, value: Any) -> tuple[bool | None, str | None]:
    """Whether a usable value passes, and if not, why."""
    if item.direction == "boolean":
        return (True, None) if value else (False, "it is false")
    if item.threshold is None:
        return (True if item.must_pass else None), None
    if item.direction == "lower":
        passed, bound = value <= item.threshold, "at most"
    else:
        passed, bound = value >= item.threshold, "at least"
    return passed, None if passed else f"{float(value):.4g} where {bound} {item.threshold:g} is required"
