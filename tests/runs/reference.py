"""What a pipeline's policy means, once more and as plainly as possible: no engine, no database, no time.

Written from `docs/runs.md`, not from `runs/`; the property test holds the engine against it.
"""

from dataclasses import dataclass, field
from typing import Any

BAD = ("failed", "skipped")


@dataclass(frozen=True)
class Spec:
    """A node of a random pipeline. `script` is what its attempts come to, the last word for ever."""

    key: str
    parents: tuple[str, ...] = ()
    script: tuple[str, ...] = ("ok",)
    score: int = 1
    join: str = "all_success"
    condition: tuple[str, str] | None = None  # what it is about, and which node
    on_condition_error: str = "fail"
    continue_on_fail: bool = False
    retries: int = 0
    retry_on: tuple[str, ...] = ("vendor",)
    external: bool = False


@dataclass
class End:
    """How a node ends: its status, attempts, failed attempts, and why it was skipped or failed."""

    status: str
    attempts: int = 1
    errors: int = 0
    reason: Any = None


@dataclass
class Outcome:
    """How a run ends; `fatal` are the nodes of which any one may end it."""

    ends: dict[str, End] = field(default_factory=dict)
    fatal: list[str] = field(default_factory=list)

    @property
    def degraded(self) -> list[str]:
        """Nodes that failed without ending the run."""
        return sorted(key for key, end in self.ends.items() if end.status == "failed" and key not in self.fatal)


def condition_text(condition: tuple[str, str]) -> str:
    """The condition in CEL."""
    about, node = condition
    return {
        "always": "true",
        "flag": "input.flag",
        "score": f"ir.{node}.score >= 2",
        "status": f"steps.{node}.status == 'completed'",
        "passed": f"metrics.{node}.passed == true",
        "missing": f"ir.{node}.missing > 1",
        "rescued": f"false && ir.{node}.missing > 1 || steps.{node}.status != 'skipped'",
    }[about]


def holds(condition: tuple[str, str], specs: dict[str, Spec], outcome: Outcome, flag: bool) -> bool | None:
    """True, false, or None where it cannot be decided."""
    about, node = condition
    if about in ("always", "flag"):
        return flag or about == "always"
    completed = outcome.ends[node].status == "completed"
    if about == "score":
        return specs[node].score >= 2 if completed else None
    if about == "rescued":
        return outcome.ends[node].status != "skipped"
    return None if about == "missing" else completed


def execute(spec: Spec, unknown: frozenset[str]) -> End:
    """The attempts of a node that begins."""
    if spec.key in unknown:
        return End("failed", 1, 1, "outcome_unknown")
    for attempt in range(1, 100):
        word = spec.script[min(attempt, len(spec.script)) - 1]
        if word == "ok":
            return End("completed", attempt, attempt - 1)
        if spec.external and word in ("timeout", "worker_lost"):
            return End("failed", attempt, attempt, "outcome_unknown")
        if word not in spec.retry_on or attempt > spec.retries:
            return End("failed", attempt, attempt, "stage_crashed" if word == "crash" else f"scripted_{word}")
    raise AssertionError("a node has at most ten retries")


def settle(spec: Spec, specs: dict[str, Spec], outcome: Outcome, flag: bool, unknown: frozenset[str]) -> End | None:
    """How a node ends whose parents have all ended; None where it is never reached."""
    parents = {name: outcome.ends.get(name) for name in spec.parents}
    if any(end is None or (name in outcome.fatal) for name, end in parents.items()):
        return None
    bad = {word: [name for name, end in parents.items() if end and end.status == word] for word in BAD}
    number = sum(map(len, bad.values()))
    if (spec.join == "all_success" and number) or (spec.join == "any_success" and parents and number == len(parents)):
        return End("skipped", reason={"join": spec.join, **{word: names for word, names in bad.items() if names}})
    if spec.condition is None:
        return execute(spec, unknown)
    text, verdict = condition_text(spec.condition), holds(spec.condition, specs, outcome, flag)
    if verdict is None and spec.on_condition_error == "fail":
        return End("failed", 1, 1, "condition_error")
    if not verdict:
        return End("skipped", reason={"condition": text} | ({"value": False} if verdict is False else {}))
    return execute(spec, unknown)


def interpret(
    pipeline: list[Spec], *, flag: bool, in_turn: bool = False, unknown: frozenset[str] = frozenset()
) -> Outcome:
    """How a run of this pipeline ends.

    `in_turn`: one node at a time, so that the first fatal failure ends the run; else a node that no fatal one stands
    before has this end or is cancelled. `unknown`: external nodes whose worker was lost.
    """
    specs, outcome = {spec.key: spec for spec in pipeline}, Outcome()
    waiting = list(pipeline)
    while waiting:
        settled: list[tuple[Spec, End]] = []
        for spec in waiting:
            end = settle(spec, specs, outcome, flag, unknown) if all(p in outcome.ends for p in spec.parents) else None
            if end is not None and (end.status == "skipped" or not in_turn or not settled):
                settled.append((spec, end))
        skipped = [pair for pair in settled if pair[1].status == "skipped"]
        if not settled:
            break
        for spec, end in skipped or settled[:1]:
            outcome.ends[spec.key] = end
            waiting.remove(spec)
            if end.status == "failed" and not spec.continue_on_fail:
                outcome.fatal.append(spec.key)
        if in_turn and outcome.fatal:
            break
    return outcome
