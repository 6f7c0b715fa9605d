"""A pipeline's drawing: nothing overlaps, arrows go forward and around, and large ones stay quick."""

import re
from itertools import combinations
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.graph import WIDTH, Graph, draw_graph


def node(key: str, *before: str, **policy: Any) -> dict[str, Any]:
    return {"key": key, "step": "facts@1", **({"depends_on": list(before)} if before else {}), **policy}


def draw(*nodes: dict[str, Any], **more: Any) -> Graph:
    return draw_graph({"dag_version": 1, "nodes": list(nodes)}, **more)


@st.composite
def dags(draw_from: Any) -> list[dict[str, Any]]:
    keys = [f"n{number}" for number in range(draw_from(st.integers(1, 14)))]
    earlier = [st.lists(st.sampled_from(keys[:place] or keys), unique=True, max_size=4) for place in range(len(keys))]
    return [node(key, *(draw_from(earlier[place]) if place else ())) for place, key in enumerate(keys)]


def overlap(graph: Graph) -> list[tuple[str, str]]:
    return [
        (one.key, other.key)
        for one, other in combinations(graph.nodes, 2)
        if abs(one.x - other.x) < WIDTH and one.y < other.y + other.height and other.y < one.y + one.height
    ]


@given(dags())
@settings(max_examples=60, deadline=None)
def test_no_nodes_overlap_and_every_arrow_goes_forward(nodes: list[dict[str, Any]]) -> None:
    graph = draw(*nodes)
    assert overlap(graph) == []
    place = {item.key: item for item in graph.nodes}
    assert all(place[edge.source].x + WIDTH < place[edge.target].x for edge in graph.edges)
    assert len(graph.edges) == sum(len(entry.get("depends_on", ())) for entry in nodes)
    assert all(item.x + WIDTH <= graph.width and item.y + item.height <= graph.height for item in graph.nodes)
    assert all(item.x >= 0 and item.y >= 0 for item in graph.nodes)


def test_an_arrow_that_passes_a_column_goes_around_its_nodes() -> None:
    graph = draw(node("a"), node("b", "a"), node("c", "a", "b"))
    middle = next(item for item in graph.nodes if item.key == "b")
    [around] = [edge for edge in graph.edges if (edge.source, edge.target) == ("a", "c")]
    [height] = re.findall(r" ([\d.]+)H", around.path)
    assert not middle.y <= float(height) <= middle.y + middle.height


def test_policy_is_said_in_brief_and_in_full() -> None:
    graph = draw(node("a"), node("b", "a", condition="metrics.a.score >= 0.8 && steps.a.status == 'completed'",
                                 retries=2, timeout_ms=30_000, continue_on_fail=True, join="all_done"))  # fmt: skip
    shown = graph.nodes[1]
    assert shown.lines[0].startswith("if metrics.a.score")
    assert "2 retries · ≤ 30 s" in " · ".join(shown.lines)
    assert "steps.a.status == 'completed'" in shown.title
    assert max(map(len, shown.lines)) <= 27


def test_a_stage_that_is_gone_is_marked() -> None:
    graph = draw({"key": "a", "step": "long_gone@7"})
    assert (graph.nodes[0].type, graph.nodes[0].lines) == ("missing", ("stage missing",))


@pytest.mark.parametrize("shape", ["chain", "everything", "fan"])
def test_two_hundred_nodes_are_drawn(shape: str) -> None:
    keys = [f"n{number}" for number in range(200)]
    before = {
        "chain": lambda place: keys[place - 1 : place] if place else [],
        "everything": lambda place: keys[:place],
        "fan": lambda place: keys[:1] if place else [],
    }[shape]
    graph = draw(*(node(key, *before(place)) for place, key in enumerate(keys)))
    assert len(graph.nodes) == 200
    assert overlap(graph) == []
    assert len(graph.edges) == 199
    assert graph.left_out == (19_701 if shape == "everything" else 0)
