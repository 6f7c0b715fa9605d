"""What decisions rest on: how the nodes before have ended, in the words that a condition may use."""

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from runs.conditions import STEP_FIELDS

VERSION_SUFFIX = re.compile(r"_v\d+$")


@dataclass(frozen=True, slots=True)
class Ended:
    """A node that has ended: its answer (None unless it completed), what its metrics came to, its step's columns."""

    status: str
    ir: Any = None
    metrics: Mapping[str, Any] = field(default_factory=dict)
    columns: Mapping[str, Any] = field(default_factory=dict)

    @property
    def step_values(self) -> dict[str, Any]:
        """What `steps.<node>` has."""
        return {name: self.columns.get(name) for name in STEP_FIELDS} | {"status": self.status}

    @property
    def metric_values(self) -> dict[str, Any]:
        """What `metrics.<node>` has; `passed` says that the node completed and nothing held against it failed."""
        passed = self.status == "completed" and self.columns.get("ir_valid") is not False
        return {**self.metrics, "passed": passed and bool(self.metrics.get("passed", True))}


def metric_values(results: Iterable[tuple[str, Any, bool | None, bool]]) -> dict[str, Any]:
    """Metrics by key from (key, value, passed, must pass), and whether all those passed that must.

    `faithfulness_v1` is there as `faithfulness`, too.
    """
    results = list(results)
    numbers = {key: finite(value) for key, value, _, _ in results}
    short: dict[str, Any] = {VERSION_SUFFIX.sub("", key): number for key, number in numbers.items()}
    failed = any(must_pass and passed is False for _, _, passed, must_pass in results)
    return {**short, **numbers, "passed": not failed}


def finite(value: float | bool | None) -> float | None:
    """A metric's number as its row has it: one that is not finite is none."""
    return None if value is None or not math.isfinite(value) else float(value)
