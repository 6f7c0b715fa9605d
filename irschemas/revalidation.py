"""Hold stored answers against a schema before it is in force: how many would fail, and of what."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from irschemas.findings import Problem
from irschemas.stored import StoredAnswer
from irschemas.validation import Checker

INDEX = re.compile(r"\[\d+\]")
EXAMPLES = 5
GROUPS_LISTED = 20


@dataclass(slots=True)
class FailureGroup:
    """Answers that would fail for the same reason: the same place, the same rule."""

    json_path: str
    keyword: str
    expected: str
    found: str
    answers: int = 0
    runs: list[UUID] = field(default_factory=list)

    def __str__(self) -> str:
        """`$.candidates[*].box.x0: expected at most 2; found a number.`"""
        return f"{self.json_path}: expected {self.expected}; found {self.found}."

    def to_json(self) -> dict[str, Any]:
        """Words, the number of answers, and the newest runs among them."""
        return {
            "json_path": self.json_path, "keyword": self.keyword, "expected": self.expected, "found": self.found,
            "answers": self.answers, "runs": [str(run) for run in self.runs],
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class Revalidation:
    """How stored answers do under a schema: `checked`, of them `failed`, of those `failing_already` under today's.

    `groups` has the most frequent reasons first, at most 20; one answer may fail for several.
    """

    checked: int
    failed: int
    failing_already: int
    groups: tuple[FailureGroup, ...]
    oldest: datetime | None
    newest: datetime | None

    @property
    def share(self) -> float:
        """The share of the answers that would fail."""
        return self.failed / self.checked if self.checked else 0.0

    def to_json(self) -> dict[str, Any]:
        """Numbers and groups."""
        return {
            "checked": self.checked, "failed": self.failed, "failing_already": self.failing_already,
            "groups": [group.to_json() for group in self.groups],
        }  # fmt: skip


def revalidate(
    schema: Mapping[str, Any],
    target: str,
    answers: Iterable[StoredAnswer],
    *,
    active: Mapping[str, Any] | None = None,
) -> Revalidation:
    """Validate stored answers against a schema, and those that fail also against the one in force.

    Raises:
        SchemaRefused: one of the schemas cannot be used.
    """
    check, check_active = Checker(schema, target), Checker(active, target) if active is not None else None
    groups: dict[Any, FailureGroup] = {}
    found, failed, already = list(answers), 0, 0
    for answer in found:
        validation = check(answer.ir)
        if validation.passed:
            continue
        failed += 1
        already += check_active is not None and not check_active(answer.ir).passed
        for problem in {_place(problem): problem for problem in validation.errors}.values():
            _add(groups, problem, answer)
    moments = [answer.at for answer in found]
    often = sorted(groups.values(), key=lambda group: (-group.answers, group.json_path))[:GROUPS_LISTED]
    return Revalidation(
        len(found), failed, already, tuple(often), min(moments, default=None), max(moments, default=None)
    )


def _place(problem: Problem) -> tuple[str, str, str]:
    """What makes two findings the same reason: which item of a list it is does not matter."""
    return INDEX.sub("[*]", problem.json_path), problem.keyword, problem.expected


def _add(groups: dict[Any, FailureGroup], problem: Problem, answer: StoredAnswer) -> None:
    place = _place(problem)
    group = groups.setdefault(place, FailureGroup(*place, problem.found_type))
    group.answers += 1
    if answer.run_id not in group.runs and len(group.runs) < EXAMPLES:
        group.runs.append(answer.run_id)
