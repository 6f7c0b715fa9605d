"""A pipeline as a person looks at it: nodes in columns, arrows between them, each node's policy in words."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from jsonschema import Draft202012Validator

from runs.dag import DEFAULT_RETRY_ON, DEFAULT_TIMEOUT_MS, SCHEMA, Backoff, Dag, Node, read_dag
from runs.registry import find_stage


@dataclass(frozen=True, slots=True)
class NodeView:
    """One node: its place in the drawing (column and row from 0) and what its policy says beyond the usual."""

    key: str
    step: str
    type: str
    column: int
    row: int
    depends_on: tuple[str, ...]
    condition: str
    policy: tuple[str, ...]
    params: Mapping[str, Any]
    stage_missing: bool


@dataclass(frozen=True, slots=True)
class DagView:
    """All nodes in the order of their execution, arrows as (from, to), and how many columns and rows they take."""

    nodes: tuple[NodeView, ...]
    edges: tuple[tuple[str, str], ...]
    columns: int
    rows: int


def is_drawable(raw: Any) -> bool:
    """Whether a document in our words is a graph at all, whatever else is wrong with it: for looking at a draft."""
    if not Draft202012Validator(SCHEMA).is_valid(raw):
        return False
    keys = [entry["key"] for entry in raw["nodes"]]
    known = set(keys)
    named = {name for entry in raw["nodes"] for name in entry.get("depends_on", ())}
    if len(known) < len(keys) or named - known:
        return False
    return len(read_dag(raw).order) == len(keys)


def describe_dag(raw: Mapping[str, Any]) -> DagView:
    """A published DAG for a drawing; also one whose stages this release does not have any more.

    A node stands one column behind the last of those it depends on, its row near theirs.
    """
    dag = read_dag(raw)
    conditions = {entry["key"]: entry.get("condition", "") for entry in raw["nodes"]}
    columns: dict[str, int] = {}
    rows: dict[str, int] = {}
    for key in dag.order:
        columns[key] = max((columns[parent] + 1 for parent in dag.nodes[key].depends_on), default=0)
    for column in range(max(columns.values()) + 1):
        members = [key for key in dag.order if columns[key] == column]
        members.sort(key=lambda key: _mean(rows[parent] for parent in dag.nodes[key].depends_on))
        rows |= {key: row for row, key in enumerate(members)}
    nodes = tuple(_view(dag, dag.nodes[key], columns[key], rows[key], conditions[key]) for key in dag.order)
    edges = tuple((parent, key) for key in dag.order for parent in dag.nodes[key].depends_on)
    return DagView(nodes, edges, max(columns.values()) + 1, max(rows.values()) + 1)


def _view(dag: Dag, node: Node, column: int, row: int, condition: str) -> NodeView:
    stage = find_stage(node.step)
    return NodeView(
        key=node.key,
        step=node.step,
        type=stage.type if stage else "",
        column=column,
        row=row,
        depends_on=node.depends_on,
        condition=condition,
        policy=tuple(policy_words(dag, node)),
        params=node.params,
        stage_missing=stage is None,
    )


def policy_words(dag: Dag, node: Node) -> list[str]:
    """What a node's policy asks for beyond the defaults, a phrase each."""
    retry_on, backoff = ", ".join(node.retry_on), node.backoff
    if node.retries and set(node.retry_on) == set(DEFAULT_RETRY_ON):
        retry_on = "what a repetition can mend"
    group = node.parallel_group
    found = {
        f"begins when {JOINS[node.join]}": node.join != "all_success",
        "is skipped when its condition cannot be decided": node.on_condition_error == "skip",
        f"{node.retries} retries on {retry_on}": bool(node.retries),
        f"waits {backoff.initial_ms} ms, then {backoff.factor:g} times as long, at most {backoff.max_ms} ms": (
            bool(node.retries) and backoff != Backoff()
        ),
        f"at most {node.timeout_ms / 1000:g} s an attempt": node.timeout_ms != DEFAULT_TIMEOUT_MS,
        "the run goes on when it fails": node.continue_on_fail,
        f"group {group}, {dag.group_limit(group or '')} at once": group is not None,
        "an earlier answer to the same input is reused": node.cached,
        "acts outside: never repeated after an unknown outcome": node.side_effects == "external",
        f"answers are checked: {node.ir_mode}": node.ir_mode is not None,
        f"measured by {node.metric_profile}": node.metric_profile is not None,
    }
    return [words for words, said in found.items() if said]


JOINS = {
    "all_success": "all before it have succeeded",
    "all_done": "all before it have ended, however",
    "any_success": "all before it have ended and one has succeeded",
}


def _mean(numbers: Any) -> float:
    found = list(numbers)
    return sum(found) / len(found) if found else 0.0
