"""Brings a pipeline document, however it is spelled, to the one form that is checked and stored.

The source documents write a DAG in several ways: `fromKey` or `from`, `config` or `params`, edges or `dependsOn` or an
`order` alone, camelCase or snake_case. Each has one meaning here; a document that says two things is refused.
"""

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

from runs.errors import PipelineInvalid

MAX_NODES = 200
MAX_VALUES = 20_000
MAX_TEXT = 512 * 1024
MAX_DEPTH = 32
MAX_PROBLEMS = 20

# What the documents call a field, where it is not simply our name in camelCase.
NODE_NAMES = {
    "node_key": "key",
    "step_version_id": "step",
    "step_version": "step",
    "metric_profile_id": "metric_profile",
    "config": "params",
}
EDGE_NAMES = {"from_key": "from", "to_key": "to", "source": "from", "target": "to"}
WORDS = {"provider": "vendor"}
INTEGERS = ("retries", "timeout_ms", "order")


def read_document(text: str) -> Any:
    """The document in a file or a form field.

    Raises:
        PipelineInvalid: it is not JSON, by line and column, or names a key twice in one object.
    """
    try:
        return json.loads(text, object_pairs_hook=_unique, parse_constant=_no_constant)
    except json.JSONDecodeError as error:
        problem = f"line {error.lineno}, column {error.colno}: {error.msg}"
    except RecursionError:
        problem = f"it is nested more than {MAX_DEPTH} deep"
    except ValueError as error:
        problem = str(error)
    raise refused("The document is not JSON", [problem])


def normalise_document(raw: Any) -> dict[str, Any]:
    """The document in our words: `depends_on` for every way to give an order, `params`, snake_case.

    Raises:
        PipelineInvalid: it is too large, or says two things about one.
    """
    check_size(raw)
    problems: list[str] = []
    document = _renamed(raw, {}, "$", problems)
    document.setdefault("dag_version", 1)
    edges = document.pop("edges", None)
    if isinstance(document.get("defaults"), Mapping):
        document["defaults"] = _policy(document["defaults"], {}, "$.defaults", problems)
    nodes = [_node(entry, f"$.nodes[{index}]", problems) for index, entry in enumerate(_listed(document, problems))]
    if nodes:
        document["nodes"] = nodes
    written = [] if problems else _edges(edges, problems)
    if not problems and all(isinstance(node, dict) and isinstance(node.get("key"), str) for node in nodes):
        _settle_order(nodes, written, problems, edges_given=edges is not None)
    if problems:
        raise refused("The pipeline contradicts itself or cannot be read", problems)
    return document


def refused(title: str, problems: Iterable[str]) -> PipelineInvalid:
    """The refusal of a document: the first problem in the sentence, at most 20 in the details."""
    found = list(problems)
    shown = found[:MAX_PROBLEMS]
    if len(found) > MAX_PROBLEMS:
        shown.append(f"and {len(found) - MAX_PROBLEMS} more")
    return PipelineInvalid(f"{title}: {found[0]}", details={"problems": shown})


def check_size(raw: Any) -> None:
    """Refuse with one sentence what would take long to check.

    Raises:
        PipelineInvalid: it is no object, or too large.
    """
    if not isinstance(raw, Mapping):
        raise refused("The pipeline cannot be read", [f"$: a pipeline is an object with nodes, this is {_kind(raw)}"])
    nodes = raw.get("nodes")
    if isinstance(nodes, list) and len(nodes) > MAX_NODES:
        raise refused("The pipeline is too large", [f"$.nodes: {len(nodes)} nodes; a pipeline has at most {MAX_NODES}"])
    values = text = 0
    waiting: list[tuple[Any, int]] = [(raw, 0)]
    while waiting:
        value, depth = waiting.pop()
        values += 1
        if isinstance(value, Mapping):
            waiting += [(item, depth + 1) for item in value.values()]
            text += sum(len(str(name)) for name in value)
        elif isinstance(value, (list, tuple)):
            waiting += [(item, depth + 1) for item in value]
        elif isinstance(value, str):
            text += len(value)
        if values + len(waiting) > MAX_VALUES or text > MAX_TEXT or depth > MAX_DEPTH:
            limits = f"at most {MAX_VALUES} values, {MAX_TEXT} characters of text, {MAX_DEPTH} levels deep"
            raise refused("The pipeline is too large", [f"$: a pipeline has {limits}"])


def _node(raw: Any, path: str, problems: list[str]) -> Any:
    if not isinstance(raw, Mapping):
        return raw
    given = {name: value for name, value in raw.items() if value is not None}
    node = _policy(given, NODE_NAMES, path, problems)
    step = node.get("step")
    if isinstance(step, str) and "@" not in step:
        problems.append(f"{path}.step: {step!r} is not a stage; stages are named name@version, such as facts@1")
    return node


def _policy(raw: Mapping[str, Any], names: Mapping[str, str], path: str, problems: list[str]) -> dict[str, Any]:
    """A node's or the defaults' fields in our words, whole numbers as such."""
    fields = _renamed(raw, names, path, problems)
    if isinstance(fields.get("backoff"), Mapping):
        backoff = _renamed(fields["backoff"], {}, f"{path}.backoff", problems)
        fields["backoff"] = {name: _whole(value) if name.endswith("_ms") else value for name, value in backoff.items()}
    for name in INTEGERS:
        if name in fields:
            fields[name] = _whole(fields[name])
    if isinstance(fields.get("retry_on"), list):
        fields["retry_on"] = [_word(value) for value in fields["retry_on"]]
    for name in ("join", "cache", "on_condition_error", "side_effects", "ir_mode"):
        if name in fields:
            fields[name] = _word(fields[name])
    return fields


def _renamed(raw: Mapping[str, Any], names: Mapping[str, str], path: str, problems: list[str]) -> dict[str, Any]:
    """An object's fields in our words; two spellings of one field have to agree."""
    fields: dict[str, Any] = {}
    spelled: dict[str, str] = {}
    for given, value in raw.items():
        snake = _snake(str(given))
        name = names.get(snake, snake)
        if name in fields and fields[name] != value:
            problems.append(f"{path}: {spelled[name]} and {given} say different things")
            continue
        fields[name] = value
        spelled.setdefault(name, str(given))
    return fields


def _listed(document: dict[str, Any], problems: list[str]) -> list[Any]:
    nodes = document.get("nodes", [])
    if isinstance(nodes, list):
        return nodes
    problems.append(f"$.nodes: a list of nodes is needed, this is {_kind(nodes)}")
    return []


def _edges(raw: Any, problems: list[str]) -> list[tuple[str, str]]:
    """The edges as pairs (from, to)."""
    if raw is None:
        return []
    if not isinstance(raw, list):
        problems.append(f"$.edges: a list of edges is needed, this is {_kind(raw)}")
        return []
    pairs = []
    for index, entry in enumerate(raw):
        path = f"$.edges[{index}]"
        if not isinstance(entry, Mapping):
            problems.append(f"{path}: an edge is an object with from and to, this is {_kind(entry)}")
            continue
        edge = _renamed(entry, EDGE_NAMES, path, problems)
        unknown = sorted(edge.keys() - {"from", "to"})
        if unknown or not isinstance(edge.get("from"), str) or not isinstance(edge.get("to"), str):
            problems.append(f"{path}: an edge has from and to, both node keys{_and_no(unknown)}")
            continue
        pairs.append((edge["from"], edge["to"]))
    return pairs


def _settle_order(
    nodes: list[dict[str, Any]], edges: list[tuple[str, str]], problems: list[str], *, edges_given: bool
) -> None:
    """Give every node its `depends_on`, from whichever of edges, dependencies and order the document uses."""
    stated = any("depends_on" in node for node in nodes)
    ordered = [node for node in nodes if "order" in node]
    if ordered and not edges and not stated:
        _from_order(nodes, ordered, problems)
        return
    keys = [node["key"] for node in nodes]
    incoming: dict[str, dict[str, None]] = {key: {} for key in keys}
    for source, target in edges:
        unknown = [end for end in (source, target) if end not in incoming]
        problems += [f"$.edges: {source} -> {target} names {end}, which is not there" for end in unknown]
        incoming.setdefault(target, {})[source] = None
    for index, node in enumerate(nodes):
        before = list(incoming[node["key"]])
        own = node.get("depends_on")
        if own is not None and not isinstance(own, list):
            continue
        if own is not None and edges_given and {*map(str, own)} != {*before}:
            says = f"depends_on says {_names(own)}, the edges say {_names(before)}"
            problems.append(f"$.nodes[{index}] ({node['key']}): {says}")
        _depend(node, before if own is None else own, keys)
    _check_order(nodes, problems)


def _from_order(nodes: list[dict[str, Any]], ordered: list[dict[str, Any]], problems: list[str]) -> None:
    """A document that only has `order`: ascending, those with the same number side by side."""
    if len(ordered) < len(nodes) or not all(isinstance(node["order"], int) for node in nodes):
        without = [node["key"] for node in nodes if not isinstance(node.get("order"), int)]
        problems.append(f"$.nodes: some nodes have an order and {_names(without)} not, and there are no dependencies")
        return
    keys = [node["key"] for node in nodes]
    numbers = sorted({node["order"] for node in nodes})
    earlier = dict(zip(numbers[1:], numbers, strict=False))
    groups = {number: [node["key"] for node in nodes if node["order"] == number] for number in numbers}
    for node in nodes:
        _depend(node, groups.get(earlier.get(node.pop("order"), -1), []), keys)


def _check_order(nodes: list[dict[str, Any]], problems: list[str]) -> None:
    """Beside dependencies an order says which of several ready nodes begins first; it must not say otherwise."""
    orders = {node["key"]: node["order"] for node in nodes if isinstance(node.get("order"), int)}
    for index, node in enumerate(nodes):
        mine = orders.get(node["key"])
        for parent in node.get("depends_on", ()):
            if mine is not None and isinstance(parent, str) and orders.get(parent, mine) > mine:
                says = f"order {mine} is before {parent} ({orders[parent]}), on which it depends"
                problems.append(f"$.nodes[{index}] ({node['key']}): {says}")


def _depend(node: dict[str, Any], before: Iterable[Any], keys: list[str]) -> None:
    """Write a node's dependencies in the document's order, so that equal graphs have equal hashes."""
    node.pop("depends_on", None)
    dependencies = sorted(before, key=lambda name: keys.index(name) if name in keys else len(keys))
    if dependencies:
        node["depends_on"] = dependencies


def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])([A-Z])", r"_\1", name).lower()


def _word(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    return WORDS.get(_snake(value), _snake(value))


def _whole(value: Any) -> Any:
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _names(keys: Iterable[Any]) -> str:
    return ", ".join(sorted(map(str, keys))[:10]) or "nothing"


def _and_no(names: list[str]) -> str:
    return f", and no {', '.join(names[:5])}" if names else ""


def _kind(value: Any) -> str:
    if value is None:
        return "null"
    named = {
        list: "a list",
        dict: "an object",
        str: "a text",
        bool: "true or false",
        int: "a number",
        float: "a number",
    }
    return named.get(type(value), f"a {type(value).__name__}")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    for name, value in pairs:
        if name in fields:
            raise ValueError(f"{name!r} stands twice in one object")
        fields[name] = value
    return fields


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")
