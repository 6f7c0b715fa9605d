"""A pipeline's drawing: nodes in columns from left to right, arrows around those they do not concern.

The layered layout of Sugiyama, Tagawa and Toda ("Methods for Visual Understanding of Hierarchical System Structures",
1981): a column for each step of the longest path, bends where an arrow passes a column, barycentres for the order.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from runs.dag import DEFAULT_TIMEOUT_MS, Dag, Node, read_dag
from runs.registry import find_stage

WIDTH, COLUMN, GAP, MARGIN = 190, 256, 22, 14  # px: a node, from column to column, between neighbours, around all
HEAD, LINE, BEND = 52, 16, 10  # px: a node without policy, each line of policy, an arrow that passes
LETTERS = 27
SWEEPS = 6
MANY_BENDS = 1500


@dataclass(frozen=True, slots=True)
class GraphNode:
    """One node where it is drawn; `lines` is its policy in brief, `title` in full."""

    key: str
    name: str
    step: str
    x: float
    y: float
    height: float
    lines: tuple[str, ...]
    title: str
    type: str
    status: str = ""
    url: str = ""

    @property
    def baselines(self) -> list[tuple[str, float]]:
        """The lines with their heights."""
        return [(text, self.y + HEAD + 8 + LINE * place) for place, text in enumerate(self.lines)]


@dataclass(frozen=True, slots=True)
class GraphEdge:
    """An arrow as an SVG path, and how the node that it comes from stands."""

    path: str
    source: str
    target: str
    status: str


@dataclass(frozen=True, slots=True)
class Graph:
    """A drawing of `width` x `height` px."""

    nodes: tuple[GraphNode, ...]
    edges: tuple[GraphEdge, ...]
    width: float
    height: float
    left_out: int = 0  # arrows that others imply, where all would be too many
    node_width: int = WIDTH


@dataclass(slots=True)
class _Item:
    """A node in its column, or the bend of an arrow that passes it."""

    key: str
    column: int
    height: float
    before: list["_Item"] = field(default_factory=list)
    after: list["_Item"] = field(default_factory=list)
    centre: float = 0.0


def draw_graph(
    raw: Mapping[str, Any], statuses: Mapping[str, str] | None = None, links: Mapping[str, str] | None = None
) -> Graph:
    """A DAG in its stored form as a drawing; with `statuses` and `links` by node key, that of a run."""
    dag, statuses, links = read_dag(raw), statuses or {}, links or {}
    conditions = {entry["key"]: entry.get("condition", "") for entry in raw["nodes"]}
    lines = {key: _wrapped(badges(dag, node, conditions[key])) for key, node in dag.nodes.items()}
    edges, left_out = _edges(dag)
    items, chains = _items(dag, edges, lines)
    columns = _ordered(items)
    _place(columns)
    top = min(item.centre - item.height / 2 for item in items) - MARGIN
    nodes = []
    for key in dag.order:
        node, item, stage = dag.nodes[key], chains[key, key][0], find_stage(dag.nodes[key].step)
        title = "\n".join([f"{key}: {node.step}", *badges(dag, node, conditions[key])])
        nodes.append(
            GraphNode(
                key=key, name=_short(key, 23), step=_short(node.step, LETTERS), x=MARGIN + item.column * COLUMN,
                y=round(item.centre - item.height / 2 - top, 1), height=item.height, lines=lines[key], title=title,
                type=stage.type if stage else "missing", status=statuses.get(key, ""), url=links.get(key, ""),
            )
        )  # fmt: skip
    arrows = [
        GraphEdge(_path(chains[edge], top), *edge, statuses.get(edge[0], "")) for edge in edges
    ]  # fmt: skip
    bottom = max(item.centre + item.height / 2 for item in items) - top + MARGIN
    width = 2 * MARGIN + WIDTH + COLUMN * (len(columns) - 1)
    return Graph(tuple(nodes), tuple(arrows), width, round(bottom, 1), left_out)


def badges(dag: Dag, node: Node, condition: str = "") -> list[str]:
    """What a node's policy asks for beyond the usual, in a few letters each."""
    group = node.parallel_group
    found = {
        "stage missing": find_stage(node.step) is None,
        f"if {condition}": bool(condition),
        f"join {node.join}": node.join != "all_success",
        f"{node.retries} retr{'y' if node.retries == 1 else 'ies'}": node.retries > 0,
        f"≤ {node.timeout_ms / 1000:g} s": node.timeout_ms != DEFAULT_TIMEOUT_MS,
        "may fail": node.continue_on_fail,
        f"group {group} ≤ {dag.group_limit(group or '')}": group is not None,
        "cached": node.cached,
        "external": node.side_effects == "external",
        f"IR {node.ir_mode}": node.ir_mode is not None,
        f"gate {node.metric_profile}": node.metric_profile is not None,
    }
    return [text for text, said in found.items() if said]


def _wrapped(texts: Sequence[str]) -> tuple[str, ...]:
    """Badges in as few lines as they fit in; one that is too long is cut."""
    found: list[str] = []
    for text in texts:
        if found and len(found[-1]) + len(text) + 3 <= LETTERS:
            found[-1] += f" · {text}"
        else:
            found.append(_short(text, LETTERS))
    return tuple(found)


def _short(text: str, letters: int) -> str:
    return text if len(text) <= letters else f"{text[: letters - 1]}…"


def _columns(dag: Dag) -> dict[str, int]:
    found: dict[str, int] = {}
    for key in dag.order:
        found[key] = max((found[parent] + 1 for parent in dag.nodes[key].depends_on), default=0)
    return found


def _edges(dag: Dag) -> tuple[list[tuple[str, str]], int]:
    """All arrows; where they are too many to be told apart, those that no path of others implies."""
    columns = _columns(dag)
    edges = [(parent, key) for key in dag.order for parent in dag.nodes[key].depends_on]
    if sum(columns[key] - columns[parent] - 1 for parent, key in edges) <= MANY_BENDS:
        return edges, 0
    kept = [
        (parent, key)
        for parent, key in edges
        if not any(parent in dag.ancestors[other] for other in dag.nodes[key].depends_on)
    ]
    return kept, len(edges) - len(kept)


def _items(
    dag: Dag, edges: Sequence[tuple[str, str]], lines: Mapping[str, Sequence[str]]
) -> tuple[list[_Item], dict[tuple[str, str], list[_Item]]]:
    """Nodes and bends, tied to their neighbours; and for every arrow the items it runs through."""
    columns = _columns(dag)
    nodes = {key: _Item(key, columns[key], HEAD + LINE * len(lines[key]) + 4 * bool(lines[key])) for key in dag.order}
    items = list(nodes.values())
    chains = {(key, key): [item] for key, item in nodes.items()}
    for parent, key in edges:
        bends = [_Item("", column, BEND) for column in range(columns[parent] + 1, columns[key])]
        items += bends
        chains[parent, key] = [nodes[parent], *bends, nodes[key]]
        for left, right in pairwise(chains[parent, key]):
            left.after.append(right)
            right.before.append(left)
    return items, chains


def _ordered(items: Sequence[_Item]) -> list[list[_Item]]:
    """The columns, each in the order that leaves few crossings: by the mean place of the neighbours, to and fro."""
    columns: list[list[_Item]] = [[] for _ in range(max(item.column for item in items) + 1)]
    for item in items:
        columns[item.column].append(item)
    places: dict[int, float] = {}
    for column in columns:
        places |= {id(item): place - len(column) / 2 for place, item in enumerate(column)}
    for sweep in range(SWEEPS):
        forward = sweep % 2 == 0
        for column in columns if forward else reversed(columns):
            column.sort(key=lambda item: _mean(item.before if forward else item.after, places, item))
            places |= {id(item): place - len(column) / 2 for place, item in enumerate(column)}
    return columns


def _mean(neighbours: Sequence[_Item], places: Mapping[int, float], item: _Item) -> float:
    return sum(places[id(other)] for other in neighbours) / len(neighbours) if neighbours else places[id(item)]


def _place(columns: Sequence[Sequence[_Item]]) -> None:
    """Heights: each item as near its neighbours as the column's order and gaps allow."""
    for column in columns:
        _stack(column, [0.0] * len(column))
    for sweep in range(SWEEPS):
        for column in columns if sweep % 2 == 0 else reversed(columns):
            wanted = []
            for item in column:
                near = [other.centre for other in (*item.before, *item.after)]
                wanted.append(sum(near) / len(near) if near else item.centre)
            _stack(column, wanted)


def _stack(column: Sequence[_Item], wanted: Sequence[float]) -> None:
    """Put a column's items where they want to be without overlapping: pushed down, pushed up, and the mean of both."""
    down: list[float] = []
    up: list[float] = []
    for item, wish in zip(column, wanted, strict=True):
        above = column[len(down) - 1] if down else None
        least = down[-1] + (above.height + item.height) / 2 + GAP if above else wish
        down.append(max(wish, least))
    for item, wish in zip(reversed(column), reversed(wanted), strict=True):
        below = column[len(column) - len(up)] if up else None
        most = up[-1] - (below.height + item.height) / 2 - GAP if below else wish
        up.append(min(wish, most))
    for item, low, high in zip(column, down, reversed(up), strict=True):
        item.centre = (low + high) / 2


def _path(chain: Sequence[_Item], top: float) -> str:
    """A curve from a node's right side through the bends to the next one's left side."""
    parts = [f"M{MARGIN + chain[0].column * COLUMN + WIDTH} {chain[0].centre - top:.1f}"]
    for left, right in pairwise(chain):
        begin, end = MARGIN + left.column * COLUMN + WIDTH, MARGIN + right.column * COLUMN
        last = right is chain[-1]
        end -= 7 * last  # room for the head of the arrow
        middle = (begin + end) / 2
        here, there = left.centre - top, right.centre - top
        parts.append(f"C{middle:g} {here:.1f} {middle:g} {there:.1f} {end} {there:.1f}")
        if not last:
            parts.append(f"H{end + WIDTH}")
    return "".join(parts)
