"""The trace's other lists: read-only, by key, never counted."""

import pytest
from django.contrib import admin
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from runs.models import Artifact, Run, RunError, Step, Worker
from tests.monitor.factories import RunErrorFactory, StepFactory, artifact

pytestmark = pytest.mark.django_db


def rows(console: Client, path: str) -> list[object]:
    return list(console.get(path).context["cl"].result_list)


def test_the_decision_filter_finds_filters_that_dropped_more_than_90_percent(console: Client) -> None:
    steep = StepFactory(type="filter", candidates_in=100, candidates_out=2, drop_ratio=0.98)
    StepFactory(type="filter", candidates_in=100, candidates_out=10, drop_ratio=0.9)
    StepFactory(type="ranking", candidates_in=100, candidates_out=1, drop_ratio=0.99)
    assert rows(console, "/admin/runs/step/?dropped=0.9") == [steep]


def test_a_step_is_read_on_its_runs_page(console: Client) -> None:
    step = StepFactory()
    answer = console.get(f"/admin/runs/step/{step.pk}/change/")
    assert answer.url == f"/admin/runs/run/{step.run_id}/change/#step-{step.pk}"


@pytest.mark.parametrize("model", ["run", "step", "runerror", "artifact", "worker"])
def test_nobody_changes_the_trace(console: Client, model: str) -> None:
    assert console.get(f"/admin/runs/{model}/add/").status_code == 403
    step = StepFactory()
    target = {"run": step.run, "step": step, "runerror": RunErrorFactory(step=step), "artifact": artifact(
        step.run, "a", {}), "worker": Worker.objects.create(name="w", host="h", pid=1, started_at=timezone.now(),
                                                            beat_at=timezone.now())}[model]  # fmt: skip
    assert console.post(f"/admin/runs/{model}/{target.pk}/delete/", {"post": "yes"}).status_code == 403
    assert type(target).objects.filter(pk=target.pk).exists()
    listed = console.post(f"/admin/runs/{model}/", {"action": "delete_selected", "_selected_action": [str(target.pk)]})
    assert listed.status_code in (200, 302, 405)
    assert type(target).objects.filter(pk=target.pk).exists()


@pytest.mark.parametrize("model", [Step, RunError, Artifact])
def test_lists_of_the_trace_never_count(console: Client, model: type) -> None:
    for _ in range(3):
        step = StepFactory()
        RunErrorFactory(step=step)
        artifact(step.run, "a", {"n": str(step.pk)})
    with CaptureQueriesContext(connection) as queries:
        assert len(rows(console, f"/admin/runs/{model._meta.model_name}/")) == 3
    assert not [query["sql"] for query in queries if "COUNT(" in query["sql"].upper()]
    assert len(queries) <= 6


def test_a_list_of_steps_goes_on_by_key(console: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("monitor.admin.StepAdmin.list_per_page", 2)
    made = [StepFactory() for _ in range(3)]
    page = console.get("/admin/runs/step/").context["cl"].keyset
    assert page.rows == made[:0:-1]
    assert rows(console, f"/admin/runs/step/?{page.older_query}") == made[:1]


def test_errors_can_be_narrowed_to_one_code(console: Client) -> None:
    refused = RunErrorFactory(code="vendor_refused")
    RunErrorFactory()
    assert rows(console, "/admin/runs/runerror/?code=vendor_refused") == [refused]


def test_the_queues_own_tables_are_not_shown(console: Client) -> None:
    assert not [model for model in admin.site._registry if model._meta.app_label == "django_q"]
    assert admin.site.is_registered(Run)


def test_pipelines_show_their_dag_and_cannot_be_edited(console: Client, published: None) -> None:
    page = console.get("/admin/runs/pipelineversion/").content.decode()
    assert "facts → placement → select → composite" in page
    assert console.get("/admin/runs/pipeline/add/").status_code == 403
