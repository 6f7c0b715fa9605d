"""What sets one version of a pipeline apart from another, in words."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import fields
from typing import Any

from runs.dag import Dag, Node, read_dag

WORDS = {
    "step": "stage",
    "depends_on": "comes after",
    "retry_on": "retries on",
    "timeout_ms": "time limit (ms)",
    "ir_mode": "check of answers",
    "metric_profile": "metric profile",
    "side_effects": "side effects",
    "cached": "reuse of earlier answers",
    "continue_on_fail": "the run goes on when it fails",
    "on_condition_error": "when the condition cannot be decided",
    "parallel_group": "parallel group",
}
APART = ("key", "params", "backoff", "condition")


def describe_changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """A sentence for each difference between two DAGs in their stored form, defaults applied; empty when equal."""
    before, after = read_dag(old), read_dag(new)
    found = [f"{key} is added: {_node(after.nodes[key])}." for key in after.nodes if key not in before.nodes]
    found += [f"{key} is removed." for key in before.nodes if key not in after.nodes]
    conditions = [{entry["key"]: entry.get("condition") for entry in raw["nodes"]} for raw in (old, new)]
    for key in after.nodes:
        if key in before.nodes:
            differences = dict(_differences(before.nodes[key], after.nodes[key]))
            if conditions[0][key] != conditions[1][key]:
                differences["condition"] = (conditions[0][key], conditions[1][key])
            found += [f"{key}: {name} {_shown(was)} → {_shown(now)}." for name, (was, now) in differences.items()]
    found += list(_groups(before, after))
    if not found and old != new:
        found.append("Only the order or the spelling differs; it is executed in the same way.")
    return found


def _node(node: Node) -> str:
    return f"{node.step}, after {', '.join(node.depends_on)}" if node.depends_on else f"{node.step}, at the beginning"


def _differences(before: Node, after: Node) -> Iterator[tuple[str, tuple[Any, Any]]]:
    for column in fields(Node):
        was, now = getattr(before, column.name), getattr(after, column.name)
        if column.name not in APART and was != now:
            yield WORDS.get(column.name, column.name), (was, now)
    for column in fields(before.backoff):
        was, now = getattr(before.backoff, column.name), getattr(after.backoff, column.name)
        if was != now:
            yield f"backoff {column.name}", (was, now)
    for name in sorted({*before.params, *after.params}):
        was, now = before.params.get(name), after.params.get(name)
        if was != now:
            yield f"params.{name}", (was, now)


def _groups(before: Dag, after: Dag) -> Iterator[str]:
    used = {node.parallel_group for dag in (before, after) for node in dag.nodes.values()}
    for group in sorted(name for name in used if name is not None):
        was, now = before.group_limit(group), after.group_limit(group)
        if was != now:
            yield f"group {group}: at most {was} → {now} at once."


def _shown(value: Any) -> str:
    if value is None or value in ((), ""):
        return "nothing"
    if isinstance(value, tuple):
        return ", ".join(map(str, value))
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 120 else f"{text[:119]}…"
