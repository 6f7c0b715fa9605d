"""Plain records of schemas and profiles: no ORM inside, so a worker can hand them to its computing children."""

import uuid
from dataclasses import dataclass
from typing import Any, Literal

Direction = Literal["lower", "higher", "boolean"]


@dataclass(frozen=True, slots=True)
class ActiveSchema:
    """The schema in force for one target; without an id where this installation has no row of it (a replay)."""

    id: uuid.UUID | None
    target: str
    version: int
    schema: dict[str, Any]
    sha256: str


@dataclass(frozen=True, slots=True)
class ProfileItem:
    """One metric of a profile, with all that is needed to compute and judge it.

    `evaluator` is the key of the function that computes it, empty where the engine records the number itself.
    `threshold` None: measured, not judged.
    """

    metric_key: str
    evaluator: str
    threshold: float | None
    direction: Direction
    must_pass: bool
    weight: float
    unit: str


@dataclass(frozen=True, slots=True)
class Profile:
    """A quality gate: the metrics that a node's work is judged by."""

    key: str
    items: tuple[ProfileItem, ...]
    revision: int = 0

    @property
    def evaluators(self) -> tuple[str, ...]:
        """The keys of the evaluators it needs, each once, in the order of its items."""
        return tuple(dict.fromkeys(item.evaluator for item in self.items if item.evaluator))
