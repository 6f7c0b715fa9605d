"""A pipeline's DAG as typed values, checked once at publication."""

import heapq
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator

from runs.conditions import Condition, ConditionInvalid, check_condition
from runs.dag_import import MAX_PROBLEMS, check_size, normalise_document, refused
from runs.registry import find_stage

SCHEMA = json.loads((Path(__file__).parent / "dag.schema.json").read_text())
POLICY, NODE = (set(SCHEMA["$defs"][name]["properties"]) for name in ("policy", "node"))
DEFAULT_TIMEOUT_MS = 180_000
DEFAULT_RETRY_ON = ("timeout", "rate_limit", "vendor", "worker_lost")
DEFAULT_GROUP_LIMIT = 4


@dataclass(frozen=True, slots=True)
class Backoff:
    """How long to wait before a retry: initial, times factor each time, at most max, with a share of jitter."""

    initial_ms: int = 500
    factor: float = 2.0
    max_ms: int = 30_000
    jitter: float = 0.5


@dataclass(frozen=True, slots=True)
class Node:
    """One node and its policy, defaults already applied."""

    key: str
    step: str
    depends_on: tuple[str, ...] = ()
    order: int = 0
    params: Mapping[str, Any] = field(default_factory=dict)
    join: str = "all_success"
    condition: Condition | None = None
    on_condition_error: str = "fail"
    continue_on_fail: bool = False
    parallel_group: str | None = None
    retries: int = 0
    retry_on: tuple[str, ...] = DEFAULT_RETRY_ON
    backoff: Backoff = Backoff()
    timeout_ms: int = DEFAULT_TIMEOUT_MS
    ir_mode: str | None = None
    metric_profile: str | None = None
    side_effects: str = "none"
    cached: bool = False


@dataclass(frozen=True)
class Dag:
    """The nodes of a published DAG."""

    nodes: Mapping[str, Node]
    parallel_groups: Mapping[str, int] = field(default_factory=dict)

    @cached_property
    def order(self) -> tuple[str, ...]:
        """Node keys, every one after those it depends on, otherwise by `order` and as written.

        Nodes on a cycle, and those behind one, are left out.
        """
        ranks = {key: (node.order, place, key) for place, (key, node) in enumerate(self.nodes.items())}
        missing = {key: len(node.depends_on) for key, node in self.nodes.items()}
        free = [ranks[key] for key, number in missing.items() if number == 0]
        heapq.heapify(free)
        found = []
        while free:
            key = heapq.heappop(free)[2]
            found.append(key)
            for child in self.children[key]:
                missing[child] -= 1
                if missing[child] == 0:
                    heapq.heappush(free, ranks[child])
        return tuple(found)

    @cached_property
    def children(self) -> Mapping[str, tuple[str, ...]]:
        """For every node, the nodes that depend on it directly."""
        found: dict[str, list[str]] = {key: [] for key in self.nodes}
        for key, node in self.nodes.items():
            for parent in node.depends_on:
                found[parent].append(key)
        return {key: tuple(children) for key, children in found.items()}

    @cached_property
    def ancestors(self) -> Mapping[str, frozenset[str]]:
        """For every node, all nodes it depends on, directly or not."""
        found: dict[str, frozenset[str]] = {}
        for key in self.order:
            direct = self.nodes[key].depends_on
            found[key] = frozenset(direct).union(*(found[parent] for parent in direct))
        return found

    def group_limit(self, group: str) -> int:
        """How many nodes of a parallel group may be at work at once."""
        return self.parallel_groups.get(group, DEFAULT_GROUP_LIMIT)


def import_dag(document: Any) -> tuple[dict[str, Any], Dag]:
    """A document in any of the known spellings, in the form that is stored, and typed.

    Raises:
        PipelineInvalid: with the problems found, at most 20, each with its path, in `details`.
    """
    normal = normalise_document(document)
    return normal, parse_dag(normal)


def parse_dag(raw: Mapping[str, Any]) -> Dag:
    """Check a DAG in its stored form and give it types.

    Raises:
        PipelineInvalid: with the problems found, at most 20, each with its path, in `details`.
    """
    dag = check_form(raw)
    problems = list(_node_problems(dag, raw))
    if problems:
        raise refused("The pipeline cannot run", problems)
    return _with_conditions(dag, raw)


def check_form(raw: Mapping[str, Any]) -> Dag:
    """A DAG in its stored form, typed, that any release may have published: it can be drawn, and perhaps not run here.

    Raises:
        PipelineInvalid: it is too large, does not follow the schema, or is no graph.
    """
    check_size(raw)
    problems = list(islice(_schema_problems(raw), MAX_PROBLEMS + 1))
    if problems:
        raise refused("The pipeline does not follow the DAG schema", problems)
    problems = list(_key_problems(raw["nodes"]))
    if problems:
        raise refused("The pipeline cannot run", problems)
    dag = read_dag(raw)
    problems = list(_cycle(dag))
    if problems:
        raise refused("The pipeline cannot run", problems)
    return dag


def _schema_problems(raw: Mapping[str, Any]) -> Iterator[str]:
    """What the schema finds. An object with a fault elsewhere counts all of its members as unevaluated: only those that
    no schema names are said to be unknown."""
    for error in Draft202012Validator(SCHEMA).iter_errors(raw):
        message = error.message[:200]
        if error.validator == "unevaluatedProperties":
            known = POLICY | (NODE if "nodes" in error.absolute_path else set())
            unknown = sorted(set(error.instance) - known)
            if not unknown:
                continue
            message = f"unknown: {', '.join(repr(name[:63]) for name in unknown)}"[:200]
        yield f"{error.json_path}: {message}"


def read_dag(raw: Mapping[str, Any]) -> Dag:
    """A DAG in its stored form with types and without its conditions, unchecked: for looking at, also at an old one."""
    nodes = {entry["key"]: _node(raw.get("defaults", {}), entry) for entry in raw["nodes"]}
    return Dag(nodes, raw.get("parallel_groups", {}))


_published: dict[str, Dag] = {}


def published_dag(sha256: str, raw: Mapping[str, Any] | Callable[[], Mapping[str, Any]]) -> Dag:
    """The DAG of a published version: such a row never changes, so a process reads it once and keeps it by its hash.

    Raises:
        PipelineInvalid: this release lacks a stage that it names.
    """
    if sha256 not in _published:
        _published[sha256] = parse_dag(raw() if callable(raw) else raw)
    return _published[sha256]


def _node(defaults: Mapping[str, Any], entry: Mapping[str, Any]) -> Node:
    """A node with the defaults applied; its condition is added once the graph is known."""
    policy = {**defaults, **entry}
    side_effects = policy.get("side_effects", "none")
    return Node(
        key=policy["key"],
        step=policy["step"],
        depends_on=tuple(policy.get("depends_on", ())),
        order=int(policy.get("order", 0)),
        params=policy.get("params", {}),
        join=policy.get("join", "all_success"),
        on_condition_error=policy.get("on_condition_error", "fail"),
        continue_on_fail=policy.get("continue_on_fail", False),
        parallel_group=policy.get("parallel_group"),
        retries=int(policy.get("retries", 0)),
        retry_on=tuple(policy.get("retry_on", DEFAULT_RETRY_ON)),
        backoff=Backoff(**policy.get("backoff", {})),
        timeout_ms=int(policy.get("timeout_ms", DEFAULT_TIMEOUT_MS)),
        ir_mode=policy.get("ir_mode"),
        metric_profile=policy.get("metric_profile"),
        side_effects=side_effects,
        cached=policy.get("cache") == "input_hash" and side_effects != "external",
    )


def _key_problems(entries: list[Mapping[str, Any]]) -> Iterator[str]:
    """What has to be right before there is a graph: unique keys, known dependencies."""
    places: dict[str, int] = {}
    for index, entry in enumerate(entries):
        if entry["key"] in places:
            yield f"$.nodes[{index}].key: {entry['key']} is defined twice, first as $.nodes[{places[entry['key']]}]"
        places.setdefault(entry["key"], index)
    for index, entry in enumerate(entries):
        for name in entry.get("depends_on", ()):
            if name not in places:
                yield f"$.nodes[{index}].depends_on: {entry['key']} depends on {name}, which is not there"


def _cycle(dag: Dag) -> Iterator[str]:
    """One cycle, as its nodes in order."""
    behind = set(dag.nodes) - set(dag.order)
    if not behind:
        return
    path = [min(behind)]
    while (parent := next(name for name in dag.nodes[path[-1]].depends_on if name in behind)) not in path:
        path.append(parent)
    ring = [*path[path.index(parent) :], parent]
    yield "$.nodes: the nodes form a cycle: " + " -> ".join(reversed(ring))


def _node_problems(dag: Dag, raw: Mapping[str, Any]) -> Iterator[str]:
    """What a schema cannot say of single nodes: stages that exist, params that they take, policies that agree."""
    for index, node in enumerate(dag.nodes.values()):
        path, stage = f"$.nodes[{index}]", find_stage(node.step)
        if stage is None:
            yield f"{path}.step: there is no stage {node.step}"
        else:
            yield from (f"{path}.params{problem}" for problem in stage.param_problems(node.params))
        if raw["nodes"][index].get("cache") == "input_hash" and node.side_effects == "external":
            yield f"{path}.cache: what a node does outside ({node.key} is external) is never reused"
    used = {node.parallel_group for node in dag.nodes.values()}
    yield from (f"$.parallel_groups.{name}: no node is in this group" for name in dag.parallel_groups.keys() - used)


def _with_conditions(dag: Dag, raw: Mapping[str, Any]) -> Dag:
    """The same DAG with its conditions, each checked against the ancestors of its node."""
    nodes, problems = dict(dag.nodes), []
    for index, entry in enumerate(raw["nodes"]):
        if "condition" in entry:
            key = entry["key"]
            try:
                condition = check_condition(entry["condition"], dag.ancestors[key])
            except ConditionInvalid as error:
                problems.append(f"$.nodes[{index}].condition: {error}")
            else:
                nodes[key] = replace(nodes[key], condition=condition)
    if problems:
        raise refused("The pipeline cannot run", problems)
    return Dag(nodes, dag.parallel_groups)
