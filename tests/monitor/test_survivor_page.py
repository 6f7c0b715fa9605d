"""The page of a run that outlived three of its workers: every attempt is told, with whom it had asked."""

from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from django.db import connection
from django.test import Client

from runs.models import Run, RunError, Worker
from runs.services import publish_dag, start_run
from tests.chaos.stages import EFFECTS, PIPELINES
from tests.chaos.vendor import Model
from tests.workers import Cluster, wait_until

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.xdist_group("workers")]


@pytest.fixture
def model() -> Iterator[Model]:
    """A model that takes its time."""
    model = Model(seconds=2)
    yield model
    model.shutdown()
    model.server_close()


@pytest.fixture
def cluster(files_of_its_own: Path, model: Model) -> Iterator[Cluster]:
    """A cluster of two workers that asks the model."""
    running = Cluster(
        files_of_its_own,
        DJANGO_SETTINGS_MODULE="tests.chaos.settings",
        CHAOS_MODEL_URL=model.url,
        CHAOS_LEASE_SECONDS="2",
        CHAOS_SWEEP_SECONDS="0.5",
    )
    wait_until(lambda: Worker.objects.count() >= 2, "two workers report")
    yield running
    running.kill()


def test_a_run_that_survived_three_kills_tells_of_each(cluster: Cluster, model: Model, console: Client) -> None:
    with connection.cursor() as cursor:
        cursor.execute(EFFECTS)
    publish_dag("chaos_mixed", {"dag_version": 1, "nodes": PIPELINES["chaos_mixed"]})
    run = start_run(pipeline="chaos_mixed", shop=None, input={}, title="A run that will not die")
    for kills in range(3):
        wait_until(lambda asked=kills + 1: model.asked.total() >= asked, "the model is being asked")
        run.refresh_from_db()
        psutil.Process(int(run.lease_owner.rsplit(":", 1)[1])).kill()
    wait_until(lambda: Run.objects.get(pk=run.pk).is_over, "the run ends")
    run.refresh_from_db()
    assert run.status == Run.Status.COMPLETED, run.error_message
    lost = RunError.objects.filter(run=run, code="worker_lost")
    assert [(error.attempt, error.vendor, error.model) for error in lost] == [
        (number, "loopback", "loopback-1") for number in (1, 2, 3)
    ]
    page = console.get(f"/admin/runs/run/{run.pk}/change/").content.decode()
    assert "its worker was lost, 3 times" in page
    for number in (1, 2, 3):
        assert f"attempt {number} failed" in page
    assert page.count("It had asked loopback/loopback-1") >= 3
