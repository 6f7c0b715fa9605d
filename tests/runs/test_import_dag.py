"""Every spelling of a pipeline is accepted and means one thing; one that says two things is refused."""

import json
from typing import Any

import pytest

from runs.dag import import_dag
from runs.dag_import import normalise_document, read_document
from runs.errors import PipelineInvalid
from tests.runs import engine  # noqa: F401 - registers the test stages

NORMAL = {
    "dag_version": 1,
    "nodes": [
        {"key": "split", "step": "noop@1", "metric_profile": "split_profile_v1"},
        {"key": "generate", "step": "noop@1", "depends_on": ["split"]},
        {"key": "validate", "step": "noop@1", "depends_on": ["generate"], "params": {"strict": True}},
    ],
}


def nodes(*extra: dict[str, Any], step: str = "step") -> list[dict[str, Any]]:
    keys = ("split", "generate", "validate")
    return [{"key": key, step: "noop@1", **more} for key, more in zip(keys, extra, strict=True)]


PROFILE = {"metricProfileId": "split_profile_v1"}
STRICT = {"config": {"strict": True}}
EDGES = [{"fromKey": "split", "toKey": "generate"}, {"from_key": "generate", "to_key": "validate"}]
SPELLINGS = {
    "the plan's example": {
        "nodes": nodes(
            PROFILE,
            {"dependsOn": ["split"]},
            {"dependsOn": ["generate"], "params": {"strict": True}},
            step="stepVersionId",
        ),
        "edges": [{"from": "split", "to": "generate"}, {"from": "generate", "to": "validate"}],
    },
    "the addendum's edges and config": {"nodes": nodes(PROFILE, {}, STRICT, step="stepVersionId"), "edges": EDGES},
    "depends_on": {
        "dagVersion": 1,
        "nodes": nodes(PROFILE, {"depends_on": ["split"]}, {"depends_on": ["generate"], **STRICT}),
    },
    "order alone": {"nodes": nodes({"order": 10, **PROFILE}, {"order": 20}, {"order": 30.0, **STRICT})},
    "config and params alike": {
        "nodes": nodes(PROFILE, {}, {**STRICT, "params": {"strict": True}, "nodeKey": "validate"}),
        "edges": [*EDGES, EDGES[0]],
    },
}


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_every_spelling_of_one_flow_is_the_same_pipeline(spelling: str) -> None:
    normal, dag = import_dag(SPELLINGS[spelling])
    assert normal == NORMAL
    assert dag.order == ("split", "generate", "validate")


def test_policies_are_read_in_either_case() -> None:
    node = {
        "key": "publish",
        "stepVersion": "noop@1",
        "continueOnFail": False,
        "retries": 1.0,
        "timeoutMs": 60000,
        "retryOn": ["rateLimit", "provider", "worker_lost"],
        "backoff": {"initialMs": 10, "maxMs": 1000.0, "factor": 1.5},
        "irMode": "enforce",
        "onConditionError": None,
    }
    normal = normalise_document({"defaults": {"timeoutMs": 1000}, "nodes": [node]})
    assert normal == {
        "dag_version": 1,
        "defaults": {"timeout_ms": 1000},
        "nodes": [
            {
                "key": "publish",
                "step": "noop@1",
                "continue_on_fail": False,
                "retries": 1,
                "timeout_ms": 60000,
                "retry_on": ["rate_limit", "vendor", "worker_lost"],
                "backoff": {"initial_ms": 10, "max_ms": 1000, "factor": 1.5},
                "ir_mode": "enforce",
            }
        ],
    }


def test_nodes_of_one_order_stand_side_by_side() -> None:
    normal = normalise_document(
        {
            "nodes": [
                {"key": key, "step": "noop@1", "order": order} for key, order in zip("dcba", (2, 1, 1, 0), strict=True)
            ]
        }
    )
    assert {node["key"]: node.get("depends_on") for node in normal["nodes"]} == {
        "a": None,
        "b": ["a"],
        "c": ["a"],
        "d": ["c", "b"],
    }


def test_beside_dependencies_an_order_says_which_ready_node_begins_first() -> None:
    raw = [{"key": "a", "step": "noop@1"}]
    raw += [{"key": key, "step": "noop@1", "dependsOn": ["a"], "order": order} for key, order in (("b", 2), ("c", 1))]
    assert import_dag({"nodes": raw})[1].order == ("a", "c", "b")


@pytest.mark.parametrize(
    ("document", "problem"),
    [
        (
            {"nodes": nodes({}, {"dependsOn": ["split"]}, {"dependsOn": ["split"]}), "edges": EDGES},
            "$.nodes[2] (validate): depends_on says split, the edges say generate",
        ),
        (
            {"nodes": nodes({}, {}, {"params": {"strict": True}, "config": {"strict": False}})},
            "$.nodes[2]: params and config say different things",
        ),
        ({"nodes": nodes({"timeoutMs": 1000, "timeout_ms": 2000}, {}, {})}, "timeoutMs and timeout_ms say different"),
        (
            {"nodes": nodes({}, {}, {}), "edges": [{"from": "split", "fromKey": "generate", "to": "validate"}]},
            "$.edges[0]: from and fromKey say different things",
        ),
        ({"nodes": nodes({}, {}, {}), "edges": [{"from": "split", "to": "publish"}]}, "publish, which is not there"),
        ({"nodes": nodes({}, {}, {}), "edges": [{"from": "split"}]}, "$.edges[0]: an edge has from and to"),
        ({"nodes": nodes({}, {}, {}), "edges": {"split": "generate"}}, "$.edges: a list of edges is needed"),
        ({"nodes": nodes({"order": 1}, {"order": 2}, {})}, "some nodes have an order and validate not"),
        (
            {"nodes": nodes({"order": 3}, {"order": 1, "dependsOn": ["split"]}, {"order": 4})},
            "$.nodes[1] (generate): order 1 is before split (3), on which it depends",
        ),
        (
            {"nodes": [{"key": "a", "stepVersionId": "0d9f7a52-4c0e"}]},
            "$.nodes[0].step: '0d9f7a52-4c0e' is not a stage; stages are named name@version",
        ),
        ({"nodes": {"a": {}}}, "$.nodes: a list of nodes is needed"),
        ([], "$: a pipeline is an object with nodes, this is a list"),
        (None, "this is null"),
        ({"nodes": [1]}, "$.nodes[0]: 1 is not of type 'object'"),
        ({"nodes": nodes({"params": {"failures": "many"}}, {}, {}, step="x")}, "$.nodes[0]"),
    ],
)
def test_a_document_that_says_two_things_or_nothing_is_refused_with_the_path(document: Any, problem: str) -> None:
    with pytest.raises(PipelineInvalid) as refused:
        import_dag(document)
    assert problem in str(refused.value.details["problems"])


@pytest.mark.parametrize(
    ("document", "sentence"),
    [
        (
            {"nodes": [{"key": f"n{i}", "step": "gone@1", "retries": -1} for i in range(10_000)]},
            "10000 nodes; a pipeline has at most 200",
        ),
        ({"nodes": [{"key": "a", "step": "noop@1", "params": {"x": list(range(30_000))}}]}, "at most 20000 values"),
        ({"nodes": [{"key": "a", "step": "noop@1", "params": {"x": "y" * 600_000}}]}, "characters of text"),
        ({"nodes": [], "edges": [{"from": "a", "to": "b"}] * 20_000}, "at most 20000 values"),
    ],
)
def test_a_document_that_is_too_large_is_refused_with_one_sentence(document: Any, sentence: str) -> None:
    with pytest.raises(PipelineInvalid) as refused:
        import_dag(document)
    (problem,) = refused.value.details["problems"]
    assert sentence in problem


def test_a_document_nested_a_thousand_deep_is_refused() -> None:
    with pytest.raises(PipelineInvalid, match="32 levels deep"):
        import_dag(read_document('{"nodes": [' + "[" * 900 + "]" * 900 + "]}"))
    with pytest.raises(PipelineInvalid, match="not JSON"):
        read_document("[" * 100_000)


def test_at_most_twenty_problems_are_told() -> None:
    with pytest.raises(PipelineInvalid) as refused:
        import_dag({"nodes": [{"key": f"n{i}", "step": "gone@1"} for i in range(150)]})
    problems = refused.value.details["problems"]
    assert len(problems) == 21 and problems[-1] == "and 130 more"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('{"nodes": [}', "line 1, column 12"),
        ('{"nodes": [{"key": "a", "key": "b"}]}', "'key' stands twice"),
        ('{"nodes": [{"retries": NaN}]}', "NaN is not JSON"),
        ("", "line 1, column 1"),
    ],
)
def test_a_text_that_is_not_json_is_refused_with_the_place(text: str, problem: str) -> None:
    with pytest.raises(PipelineInvalid, match=problem):
        read_document(text)


def test_what_is_stored_is_read_again_as_itself() -> None:
    normal, _ = import_dag(SPELLINGS["the plan's example"])
    assert import_dag(json.loads(json.dumps(normal)))[0] == normal
