"""Publishing pipelines: checked, deduplicated, immutable; and the documents' names in SQL."""

import pytest
from django.db import connection

from core.canonical import json_hash
from runs.dag import parse_dag
from runs.errors import PipelineInvalid
from runs.models import PipelineVersion
from runs.services import publish_dag
from tests.runs.engine import chain, publish, run_inline

pytestmark = pytest.mark.django_db


def dag(*nodes: dict, **extra: object) -> dict:
    return {"dag_version": 1, "nodes": list(nodes), **extra}


@pytest.mark.parametrize(
    ("document", "problem"),
    [
        ({}, "dag_version"),
        (dag(), "nodes"),
        (dag({"key": "A", "step": "noop@1"}), "key"),
        (dag({"key": "a", "step": "noop@1"}, {"key": "a", "step": "noop@1"}), "defined twice"),
        (dag({"key": "a", "step": "noop@1", "depends_on": ["b"]}), "which is not there"),
        (dag({"key": "a", "step": "nothing@1"}), "there is no stage"),
        (
            dag(
                {"key": "a", "step": "noop@1", "depends_on": ["b"]}, {"key": "b", "step": "noop@1", "depends_on": ["a"]}
            ),
            "cycle",
        ),
        (dag({"key": "a", "step": "noop@1", "condition": "true"}), "not supported"),
        (dag({"key": "a", "step": "noop@1", "colour": "red"}), "colour"),
        (dag({"key": "a", "step": "noop@1", "retries": 99}), "retries"),
    ],
)
def test_a_pipeline_that_cannot_run_is_refused_with_the_reason(document: dict, problem: str) -> None:
    with pytest.raises(PipelineInvalid) as refused:
        publish_dag("bad", document)
    assert problem in str(refused.value.details["problems"])
    assert not PipelineVersion.objects.exists()


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
