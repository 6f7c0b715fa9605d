"""What a published policy says, as plain functions: which nodes begin, which are skipped, and what follows a failure.

Nothing here reads the database, the clock or the loop; the executor asks, and commits what it is told.
"""

import json
import random
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from runs.conditions import Condition, ConditionError, evaluate_condition, seen_values
from runs.dag import Dag, Node
from runs.errors import AttemptFailed
from runs.recording import WHY_LIMIT
from vendors.base import BadResponse, RateLimited
from vendors.routes import IR_INVALID

COMPLETED, FAILED, SKIPPED = "completed", "failed", "skipped"
# A vendor that wants a longer rest than this is not waited for: whoever waits for the run has long gone.
LONGEST_REST_S = 3600.0
REST_WORTH_WAITING_S = 5.0  # for a service that asked for a rest, where another could answer now
# What became of an attempt that ended so is not known: it may have done its work outside, or not.
UNKNOWN_OUTCOMES = ("timeout", "worker_lost")


@dataclass(frozen=True, slots=True)
class Skip:
    """Why a node is not executed: a sentence, and the same for programs."""

    why: str
    reasons: Mapping[str, Any]


@dataclass(slots=True)
class Decisions:
    """What happens now: nodes that begin, nodes that are skipped, and those that begin only to fail at once."""

    begin: list[str] = field(default_factory=list)
    skips: dict[str, Skip] = field(default_factory=dict)
    refused: dict[str, AttemptFailed] = field(default_factory=dict)
    over: bool = False  # every node has ended with this


@dataclass(frozen=True, slots=True)
class Retry:
    """The next attempt: after how many seconds, and whether on the next route."""

    wait_s: float
    next_route: bool
    counts: bool = True  # as a repetition


def decide(
    dag: Dag,
    ends: Mapping[str, str],
    grounds: Callable[[str, Mapping[str, str]], Mapping[str, Any]],
    *,
    at_work: Iterable[str] = (),
    resting: Iterable[str] = (),
    begun: Iterable[str] = (),
) -> Decisions:
    """Which nodes follow from how others have ended.

    `ends` are the statuses of nodes that have ended (completed, failed, skipped). A node is looked at when all those it
    depends on have ended; its join is asked first, then its condition (`grounds` gives what it may name, by the node's
    key and the ends), then its parallel group. A skipped node has ended, so those behind it are looked at as well.
    Nodes `at_work` and those `resting` until a retry are left alone; those `begun` before only need room.
    """
    found, ends, at_work = Decisions(), dict(ends), set(at_work)
    left_alone, begun = at_work | set(resting), set(begun)
    for key in dag.order:
        node = dag.nodes[key]
        if key in ends or key in left_alone or any(parent not in ends for parent in node.depends_on):
            continue
        skip = None if key in begun else unmet_join(node, ends) or _condition(node, grounds, ends, found)
        if skip is not None:
            found.skips[key], ends[key] = skip, SKIPPED
        elif has_room(dag, node, at_work):
            found.begin.append(key)
            at_work.add(key)
    found.refused = {key: failure for key, failure in found.refused.items() if key in found.begin}
    found.over = len(ends) == len(dag.nodes)
    return found


def unmet_join(node: Node, ends: Mapping[str, str]) -> Skip | None:
    """Why a node whose parents have all ended is not executed, or None when its join is met."""
    failed = [parent for parent in node.depends_on if ends[parent] == FAILED]
    skipped = [parent for parent in node.depends_on if ends[parent] == SKIPPED]
    met = {
        "all_success": not failed and not skipped,
        "any_success": not node.depends_on or len(failed) + len(skipped) < len(node.depends_on),
        "all_done": True,
    }[node.join]
    if met:
        return None
    told = [f"{name} {', '.join(keys)}" for name, keys in ((FAILED, failed), (SKIPPED, skipped)) if keys]
    reasons: dict[str, Any] = {"join": node.join, FAILED: failed, SKIPPED: skipped}
    wanted = "all" if node.join == "all_success" else "one"
    return Skip(
        f"Skipped: {wanted} of those before it must have succeeded; {'; '.join(told)}."[:WHY_LIMIT],
        {name: value for name, value in reasons.items() if value},
    )


def has_room(dag: Dag, node: Node, taken: Iterable[str]) -> bool:
    """Whether a node's parallel group lets it begin beside the nodes at work."""
    if node.parallel_group is None:
        return True
    at_work = sum(dag.nodes[key].parallel_group == node.parallel_group for key in taken)
    return at_work < dag.group_limit(node.parallel_group)


def openers(dag: Dag) -> list[str]:
    """The nodes that begin with the run itself, where nothing has to be decided for that: none has a condition."""
    roots = [key for key in dag.order if not dag.nodes[key].depends_on]
    if any(dag.nodes[key].condition for key in roots):
        return []
    found: list[str] = []
    for key in roots:
        if has_room(dag, dag.nodes[key], found):
            found.append(key)
    return found


def _condition(
    node: Node,
    grounds: Callable[[str, Mapping[str, str]], Mapping[str, Any]],
    ends: Mapping[str, str],
    found: Decisions,
) -> Skip | None:
    """Why a node's condition keeps it from being executed; one that cannot be decided fails it, or skips it."""
    condition = node.condition
    if condition is None:
        return None
    values = grounds(node.key, ends)
    try:
        if evaluate_condition(condition, values):
            return None
    except ConditionError as error:
        if node.on_condition_error == "skip":
            reasons = {"condition": condition.text, "error": str(error)}
            return Skip(f"Skipped: its condition could not be decided: {error}."[:WHY_LIMIT], reasons)
        found.refused[node.key] = _condition_error(condition, error)
        return None
    seen = seen_values(condition, values)
    told = ", ".join(f"{path} is {_shown(value)}" for path, value in seen.items())
    text = f"Skipped: its condition is false: {condition.text}{f' ({told})' if told else ''}."
    more = {"seen": seen} if seen else {}
    return Skip(text[:WHY_LIMIT], {"condition": condition.text, "value": False, **more})


def undecidable(node: Node, values: Mapping[str, Any]) -> AttemptFailed | None:
    """Why a node that has begun must fail at once: its condition cannot be decided. None for every other node."""
    if node.condition is None or node.on_condition_error == "skip":
        return None
    try:
        evaluate_condition(node.condition, values)
    except ConditionError as error:
        return _condition_error(node.condition, error)
    return None


def _condition_error(condition: Condition, error: ConditionError) -> AttemptFailed:
    text = f"The condition {condition.text} could not be decided: {error}."
    return AttemptFailed("condition_error", text, details={"condition": condition.text, "error": str(error)})


def after_failure(node: Node, failure: AttemptFailed, *, retries: int, moves: bool) -> Retry | None:
    """What follows a failed attempt; None when the node is given up.

    `retries` is how many repetitions the node has had, `moves` whether the failure moves on to a next route and there
    is one. Neither moving on nor having an answer mended counts as a repetition; an answer that the schema refused is
    asked for again first, and so is a service that asks for a short rest. What is external and may have happened is
    not repeated.
    """
    if (
        failure.code == BadResponse.code and "repair" in failure.details
    ):  # the same model, shown what was wrong with its answer
        return Retry(0.0, next_route=False, counts=False)
    rest = failure.retry_after_s or 0.0
    mendable = failure.retryable and failure.kind in node.retry_on
    first_here = failure.kind == IR_INVALID or _asks_for_a_short_rest(failure)
    if moves and not (first_here and mendable and retries < node.retries):
        return Retry(0.0, next_route=True)
    if not mendable or retries >= node.retries or rest > LONGEST_REST_S:
        return None
    backoff = node.backoff
    delay = min(backoff.initial_ms * backoff.factor**retries, backoff.max_ms) / 1000
    delay *= 1 + backoff.jitter * (random.random() - 0.5)  # noqa: S311 - spreads load, guards nothing
    return Retry(max(delay, rest), next_route=False)


def _asks_for_a_short_rest(failure: AttemptFailed) -> bool:
    """Whether the better route is worth waiting for, as it is for those who would choose it now."""
    rest = failure.retry_after_s
    return failure.code == RateLimited.code and rest is not None and rest <= REST_WORTH_WAITING_S


def outcome_of(node: Node, failure: AttemptFailed) -> AttemptFailed:
    """The failure as policy sees it: of what acts outside, a lost or overdue attempt may have done its work."""
    if node.side_effects != "external" or failure.kind not in UNKNOWN_OUTCOMES:
        return failure
    text = (
        f"It is not known whether {node.key} did its work outside: {failure.message} It is not repeated. Look there;"
        f" if nothing happened, run again from {node.key}, else from what comes after it."
    )
    unknown = AttemptFailed("outcome_unknown", text, details={**failure.details, "cause": failure.code})
    unknown.recording, unknown.answer = failure.recording, failure.answer
    return unknown


def worker_lost() -> AttemptFailed:
    """The attempt that a worker had in hand when it ended."""
    text = "The worker that held this run ended while it worked on this node."
    return AttemptFailed("worker_lost", text, kind="worker_lost", retryable=True, details={"lost": "worker"})


def _shown(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
