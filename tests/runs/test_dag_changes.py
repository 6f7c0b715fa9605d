"""Differences between two versions of a pipeline, in words."""

from typing import Any

from runs.dag_changes import describe_changes

BASE = {"dag_version": 1, "nodes": [{"key": "facts", "step": "facts@1"},
                                    {"key": "select", "step": "select@1", "depends_on": ["facts"]}]}  # fmt: skip


def changed(**values: Any) -> dict[str, Any]:
    """The same pipeline, its second node with other values."""
    return {**BASE, "nodes": [BASE["nodes"][0], {**BASE["nodes"][1], **values}]}  # type: ignore[index, dict-item]


def test_equal_ones_have_no_difference() -> None:
    assert describe_changes(BASE, BASE) == []


def test_nodes_are_added_and_removed() -> None:
    more = {**BASE, "nodes": [*BASE["nodes"], {"key": "check", "step": "facts@1", "depends_on": ["select"]}]}  # type: ignore[misc]
    assert describe_changes(BASE, more) == ["check is added: facts@1, after select."]
    assert describe_changes(more, BASE) == ["check is removed."]


def test_policies_params_and_conditions_change() -> None:
    new = changed(retries=2, params={"margin": 2}, condition="metrics.facts.confidence > 0.5", depends_on=[])
    assert describe_changes(BASE, new) == [
        "select: comes after facts → nothing.",
        "select: retries 0 → 2.",
        "select: params.margin nothing → 2.",
        "select: condition nothing → metrics.facts.confidence > 0.5.",
    ]


def test_a_default_counts_where_it_applies() -> None:
    new = {**changed(retries=0), "defaults": {"retries": 3}}
    assert describe_changes(BASE, new) == ["facts: retries 0 → 3."]


def test_a_group_changes_its_size() -> None:
    old = {**changed(parallel_group="pair"), "parallel_groups": {"pair": 2}}
    new = {**changed(parallel_group="pair"), "parallel_groups": {"pair": 5}}
    assert describe_changes(old, new) == ["group pair: at most 2 → 5 at once."]


def test_another_spelling_is_said_to_be_no_difference() -> None:
    assert describe_changes(BASE, changed(retries=0)) == [
        "Only the order or the spelling differs; it is executed in the same way."
    ]
