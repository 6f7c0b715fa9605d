"""Publishing pipelines: checked, deduplicated, immutable; and the documents' names in SQL."""

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction

from core.canonical import json_hash
from runs.dag import parse_dag
from runs.dag_view import describe_dag
from runs.errors import PipelineInvalid
from runs.models import Pipeline, PipelineVersion
from runs.registry import stage
from runs.services import publish_dag, publish_pipeline
from tests.runs.engine import chain, publish, run_inline

pytestmark = pytest.mark.django_db


def dag(*nodes: dict, **extra: object) -> dict:
    return {"dag_version": 1, "nodes": list(nodes), **extra}


@pytest.mark.parametrize(
    ("document", "problem"),
    [
        ({}, "'nodes' is a required property"),
        ({"dag_version": 2, "nodes": []}, "$.dag_version"),
        (dag(), "nodes"),
        (dag({"key": "A", "step": "noop@1"}), "key"),
        (dag({"key": "a", "step": "noop@1"}, {"key": "a", "step": "noop@1"}), "defined twice"),
        (dag({"key": "a", "step": "noop@1", "depends_on": ["b"]}), "which is not there"),
        (dag({"key": "a", "step": "nothing@1"}), "there is no stage"),
        (
            dag(
                {"key": "a", "step": "noop@1", "depends_on": ["b"]}, {"key": "b", "step": "noop@1", "depends_on": ["a"]}
            ),
            "the nodes form a cycle: a -> b -> a",
        ),
        (dag({"key": "a", "step": "noop@1", "depends_on": ["a"]}), "the nodes form a cycle: a -> a"),
        (dag({"key": "a", "step": "noop@1", "condition": "metrics.b.passed"}), "$.nodes[0].condition"),
        (dag({"key": "a", "step": "noop@1", "metric_profile": "Profile"}), "$.nodes[0].metric_profile"),
        (dag({"key": "a", "step": "flaky@1", "params": {"failures": "many"}}), "$.nodes[0].params.failures: 'many'"),
        (dag({"key": "a", "step": "flaky@1", "params": {"falures": 1}}), "'falures' was unexpected"),
        (dag({"key": "a", "step": "noop@1"}, parallel_groups={"images": 2}), "no node is in this group"),
        (dag({"key": "a", "step": "noop@1", "colour": "red"}), "colour"),
        (dag({"key": "a", "step": "noop@1", "retries": 99}), "retries"),
    ],
)
def test_a_pipeline_that_cannot_run_is_refused_with_the_reason(document: dict, problem: str) -> None:
    with pytest.raises(PipelineInvalid) as refused:
        publish_dag("bad", document)
    assert problem in str(refused.value.details["problems"])
    assert not PipelineVersion.objects.exists()


def test_one_fault_of_a_node_is_one_problem_and_an_unknown_word_another() -> None:
    node = {"key": "a", "step": "noop@1", "retries": "many"}
    with pytest.raises(PipelineInvalid) as refused:
        publish_dag("bad", dag(node))
    assert refused.value.details["problems"] == ["$.nodes[0].retries: 'many' is not of type 'integer'"]
    with pytest.raises(PipelineInvalid) as refused:
        publish_dag("bad", dag({**node, "colour": "red"}))
    assert "$.nodes[0]: unknown: 'colour'" in refused.value.details["problems"]
    assert len(refused.value.details["problems"]) == 2


def test_two_stages_of_one_name_are_refused_though_their_functions_are_called_alike() -> None:
    def noop(step: object) -> None: ...

    noop.__qualname__ = "noop"
    with pytest.raises(RuntimeError, match="noop@1 is registered twice"):
        stage("noop", version=1, type="analysis")(noop)


def test_the_same_dag_is_published_once_and_a_changed_one_becomes_the_next_version() -> None:
    first, new = publish_dag("noops", dag(*chain("noop@1")))
    assert (first.number, new) == (1, True)
    again, new = publish_dag("noops", dag(*chain("noop@1")))
    assert (again, new) == (first, False)
    second, new = publish_dag("noops", dag(*chain("noop@1", "noop@1")))
    assert (second.number, new) == (2, True)
    assert list(PipelineVersion.objects.filter(active=True)) == [second]
    back, new = publish_dag("noops", dag(*chain("noop@1")))
    assert (back.pk, back.active, new) == (first.pk, True, True)


def test_two_spellings_of_one_pipeline_are_one_version() -> None:
    first, _ = publish_dag("noops", dag(*chain("noop@1", "noop@1")))
    nodes = [{"key": "a", "stepVersionId": "noop@1"}, {"key": "b", "stepVersionId": "noop@1"}]
    again, new = publish_dag("noops", {"nodes": nodes, "edges": [{"fromKey": "a", "toKey": "b"}]})
    assert (again, new) == (first, False)


@pytest.mark.parametrize(
    "change", [{"dag": {}}, {"dag_sha256": "0" * 64}, {"number": 7}, {"published_by": "somebody else"}]
)
def test_a_published_version_cannot_be_changed_in_the_database_either(change: dict[str, Any]) -> None:
    publish("noops", *chain("noop@1"))
    versions = PipelineVersion.objects.filter(pipeline__slug="noops")
    with pytest.raises(IntegrityError, match="published and never changes"), transaction.atomic():
        versions.update(**change)
    with connection.cursor() as cursor, pytest.raises(IntegrityError), transaction.atomic():
        cursor.execute("UPDATE runs_pipelineversion SET dag = jsonb_set(dag, '{nodes,0,retries}', '9')")
    assert versions.update(active=False) == 1


@pytest.mark.django_db(transaction=True)
def test_of_many_who_publish_at_once_one_is_active_and_every_version_has_its_number() -> None:
    barrier = threading.Barrier(6)

    def work(retries: int) -> None:
        barrier.wait()
        try:
            publish_dag("busy", dag({"key": "a", "step": "noop@1", "retries": retries // 2}))
        finally:
            connection.close()

    with ThreadPoolExecutor(6) as pool:
        for done in [pool.submit(work, number) for number in range(6)]:
            done.result()
    versions = PipelineVersion.objects.filter(pipeline__slug="busy")
    assert sorted(versions.values_list("number", flat=True)) == [1, 2, 3]
    assert versions.filter(active=True).count() == 1


def test_a_name_that_is_none_and_a_pipeline_executed_elsewhere_are_refused() -> None:
    with pytest.raises(PipelineInvalid, match="is no name"):
        publish_dag("../etc", dag(*chain("noop@1")))
    Pipeline.objects.create(slug="theirs", kind=Pipeline.Kind.EXTERNAL)
    with pytest.raises(PipelineInvalid, match="executed elsewhere"):
        publish_dag("theirs", dag(*chain("noop@1")))


def test_a_file_that_is_not_json_is_refused_by_name_and_place(tmp_path: Path) -> None:
    path = tmp_path / "broken.json"
    path.write_text('{"nodes": [}')
    with pytest.raises(PipelineInvalid, match="line 1, column 12"):
        publish_pipeline(path)


def test_the_shipped_pipelines_refuse_params_of_the_wrong_type() -> None:
    document = json.loads(Path("storefront/pipelines/composite.json").read_text())
    document["nodes"][1]["params"] = {"margin": "wide"}
    with pytest.raises(PipelineInvalid) as refused:
        publish_dag("composite", document)
    assert refused.value.details["problems"] == ["$.nodes[1].params.margin: 'wide' is not of type 'number'"]


def test_a_run_keeps_the_version_it_started_with() -> None:
    publish("noops", *chain("noop@1"))
    run = run_inline("noops")
    publish("noops", *chain("noop@1", "noop@1"))
    run.refresh_from_db()
    assert run.pipeline_version.number == 1
    assert run.pipeline_version.dag_sha256 == json_hash(run.pipeline_version.dag)


def test_ancestors_are_transitive() -> None:
    parsed = parse_dag(dag(*chain("noop@1", "noop@1", "noop@1")))
    assert parsed.ancestors["c"] == {"a", "b"}


def test_a_dag_is_drawn_in_columns_with_its_policy_in_words() -> None:
    view = describe_dag(
        dag(
            {"key": "a", "step": "noop@1"},
            {"key": "b", "step": "noop@1", "depends_on": ["a"], "retries": 2, "timeout_ms": 1500},
            {"key": "c", "step": "removed@1", "depends_on": ["a"], "parallel_group": "images"},
            {"key": "d", "step": "noop@1", "depends_on": ["a", "c"], "join": "any_success", "condition": "true"},
            parallel_groups={"images": 3},
        )
    )
    assert [(node.key, node.column, node.row) for node in view.nodes] == [
        ("a", 0, 0),
        ("b", 1, 0),
        ("c", 1, 1),
        ("d", 2, 0),
    ]
    assert (view.columns, view.rows) == (3, 2)
    assert view.edges == (("a", "b"), ("a", "c"), ("a", "d"), ("c", "d"))
    assert view.nodes[1].policy == ("2 retries on what a repetition can mend", "at most 1.5 s an attempt")
    assert view.nodes[2].stage_missing and view.nodes[2].policy == ("group images, 3 at once",)
    assert view.nodes[3].condition == "true"
    assert view.nodes[3].policy == ("begins when all before it have ended and one has succeeded",)


def test_the_killer_query_runs_verbatim_across_pipelines() -> None:
    publish("sieve", *chain("sieve@1"))
    publish("sifting", *chain("sieve@1"))
    steep = run_inline("sieve", {"items": list(range(100)), "limit": 95})
    run_inline("sieve", {"items": [50, 60], "limit": 10})
    steeper = run_inline("sifting", {"items": list(range(100)), "limit": 99})
    with connection.cursor() as cursor:
        cursor.execute("""
            SELECT run_id, step_name, candidates_in, candidates_out, drop_ratio
            FROM xray_steps
            WHERE step_type = 'filter'
              AND drop_ratio > 0.9
            ORDER BY drop_ratio DESC;
        """)
        rows = cursor.fetchall()
    assert [row[0] for row in rows] == [steeper.id, steep.id]
    assert rows[0][1:] == ("sieve", 100, 1, 0.99)


def test_the_other_views_answer_in_the_documents_words() -> None:
    publish("sieve", *chain("sieve@1"))
    run = run_inline("sieve", {"items": [1, 20], "limit": 10})
    with connection.cursor() as cursor:
        cursor.execute("SELECT pipeline_name, status FROM executions WHERE execution_id = %s", [run.id])
        assert cursor.fetchall() == [("sieve", "completed")]
        cursor.execute("SELECT reasoning_payload->>'percentage_eliminated' FROM execution_steps")
        assert float(cursor.fetchone()[0]) == 50
        cursor.execute("SELECT count(*) FROM execution_errors")
        assert cursor.fetchone()[0] == 0
        cursor.execute("SELECT count(*) FROM metrics_results_v")
        assert cursor.fetchone()[0] == 0
