"""A pipeline's DAG as typed values, checked once at publication."""

import graphlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator

from runs.errors import PipelineInvalid
from runs.registry import find_stage

SCHEMA = json.loads((Path(__file__).parent / "dag.schema.json").read_text())
DEFAULT_TIMEOUT_MS = 180_000
DEFAULT_RETRY_ON = ("timeout", "rate_limit", "vendor", "worker_lost")
# What the schema allows and this engine does not do yet is refused at publication, never ignored at run time.
# (A policy and the values of it that ask for nothing special.)
NOT_YET: Mapping[str, tuple[Any, ...]] = {
    "condition": (),
    "on_condition_error": (),
    "join": ("all_success",),
    "parallel_group": (),
    "order": (),
    "continue_on_fail": (False,),
    "cache": ("none",),
    "side_effects": ("none", "idempotent"),
}


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
    params: Mapping[str, Any] = field(default_factory=dict)
    retries: int = 0
    retry_on: tuple[str, ...] = DEFAULT_RETRY_ON
    backoff: Backoff = Backoff()
    timeout_ms: int = DEFAULT_TIMEOUT_MS
    ir_mode: str | None = None
    metric_profile: str | None = None


@dataclass(frozen=True)
class Dag:
    """The nodes of a published DAG."""

    nodes: Mapping[str, Node]

    @cached_property
    def order(self) -> tuple[str, ...]:
        """Node keys, every one after those it depends on, otherwise as written."""
        sorter = graphlib.TopologicalSorter({key: node.depends_on for key, node in self.nodes.items()})
        return tuple(sorter.static_order())

    @cached_property
    def ancestors(self) -> Mapping[str, frozenset[str]]:
        """For every node, all nodes it depends on, directly or not."""
        found: dict[str, frozenset[str]] = {}
        for key in self.order:
            direct = self.nodes[key].depends_on
            found[key] = frozenset(direct).union(*(found[parent] for parent in direct))
        return found

    def ready(self, done: set[str], taken: set[str]) -> list[str]:
        """Nodes whose dependencies are all done and that nobody has taken."""
        return [
            key
            for key in self.order
            if key not in done and key not in taken and all(parent in done for parent in self.nodes[key].depends_on)
        ]


def parse_dag(raw: Mapping[str, Any]) -> Dag:
    """Check a DAG document and give it types.

    Raises:
        PipelineInvalid: with every problem found, in `details`.
    """
    problems = [f"{error.json_path}: {error.message[:200]}" for error in Draft202012Validator(SCHEMA).iter_errors(raw)][
        :20
    ]
    if problems:
        raise PipelineInvalid("The pipeline does not follow the DAG schema.", details={"problems": problems})
    nodes = [_node(raw.get("defaults", {}), entry) for entry in raw["nodes"]]
    problems = _graph_problems(raw, nodes)
    if problems:
        raise PipelineInvalid(f"The pipeline cannot run: {problems[0]}", details={"problems": problems})
    return Dag({node.key: node for node in nodes})


_published: dict[str, Dag] = {}


def published_dag(sha256: str, raw: Mapping[str, Any]) -> Dag:
    """The DAG of a published version: such a row never changes, so a process checks it once and keeps it by its hash.

    Raises:
        PipelineInvalid: this release lacks a stage that it names.
    """
    if sha256 not in _published:
        _published[sha256] = parse_dag(raw)
    return _published[sha256]


def _node(defaults: Mapping[str, Any], entry: Mapping[str, Any]) -> Node:
    policy = {**defaults, **entry}
    backoff = Backoff(**policy["backoff"]) if "backoff" in policy else Backoff()
    return Node(
        key=policy["key"],
        step=policy["step"],
        depends_on=tuple(policy.get("depends_on", ())),
        params=policy.get("params", {}),
        retries=int(policy.get("retries", 0)),
        retry_on=tuple(policy.get("retry_on", DEFAULT_RETRY_ON)),
        backoff=backoff,
        timeout_ms=int(policy.get("timeout_ms", DEFAULT_TIMEOUT_MS)),
        ir_mode=policy.get("ir_mode"),
        metric_profile=policy.get("metric_profile"),
    )


def _graph_problems(raw: Mapping[str, Any], nodes: list[Node]) -> list[str]:
    """What a schema cannot say: unique keys, known dependencies, no cycle, stages that exist."""
    keys = [node.key for node in nodes]
    problems = [f"node {key} is defined twice" for key in sorted({key for key in keys if keys.count(key) > 1})]
    for node in nodes:
        problems += [
            f"node {node.key} depends on {name}, which is not there" for name in node.depends_on if name not in keys
        ]
        if find_stage(node.step) is None:
            problems.append(f"node {node.key}: there is no stage {node.step}")
    for entry in [{"key": "defaults", **raw.get("defaults", {})}, *raw["nodes"]]:
        for name, harmless in NOT_YET.items():
            if name in entry and entry[name] not in harmless:
                problems.append(f"{entry['key']}: {name} is not supported by this engine yet")
    if not problems:
        try:
            list(Dag({node.key: node for node in nodes}).order)
        except graphlib.CycleError as error:
            problems.append("the nodes form a cycle: " + " -> ".join(error.args[1]))
    return problems
