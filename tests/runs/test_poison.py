"""Stages that kill, block or leave: the run ends with a reason, and nobody else's does."""

from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from runs.models import Run, RunError, Worker
from runs.services import start_run
from tests.runs.engine import publish, run_inline
from tests.workers import Cluster, wait_until


def cluster_of(files: Path, **environment: str) -> Iterator[Cluster]:
    running = Cluster(files, **environment)
    wait_until(lambda: Worker.objects.count() >= int(environment.get("WORKERS", "2")), "the workers report")
    yield running
    running.kill()


@pytest.fixture
def cluster(files_of_its_own: Path) -> Iterator[Cluster]:
    """A cluster of one worker, so that everybody shares the fate of everybody."""
    yield from cluster_of(files_of_its_own, WORKERS="1", RUNS_IN_FLIGHT="20")


def ended(run: Run) -> bool:
    run.refresh_from_db()
    return run.is_over


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("how", "says"),
    [("exit", "SystemExit"), ("interrupt", "KeyboardInterrupt"), ("memory", "Memory"), ("depth", "Rec")],
)
def test_a_stage_that_wants_to_end_the_process_fails_and_the_loop_goes_on(how: str, says: str) -> None:
    publish("exiting", {"key": "a", "step": "exiting@1", "params": {"how": how}})
    run = run_inline("exiting")
    assert (run.status, run.error_code) == (Run.Status.FAILED, "stage_crashed")
    assert says in run.error_message


@pytest.mark.django_db(transaction=True)
@pytest.mark.xdist_group("workers")
def test_a_stage_that_blocks_the_loop_is_named_and_its_worker_replaced(cluster: Cluster) -> None:
    publish("blocking", {"key": "a", "step": "blocking@1", "params": {"seconds": 600}})
    publish("waiting", {"key": "a", "step": "marking@1", "params": {"seconds": 1}})
    neighbours = [start_run(pipeline="waiting", shop=None, input={"folder": "/tmp"}) for _ in range(3)]
    worker = Worker.objects.get()
    wait_until(lambda: Run.objects.filter(status="running").count() == 3, "the neighbours are under way")
    blocking = start_run(pipeline="blocking", shop=None, input={})
    wait_until(lambda: ended(blocking), "the watchdog bites")
    assert (blocking.status, blocking.error_stage, blocking.error_code) == (Run.Status.FAILED, "a", "loop_blocked")
    assert "blocking@1" in blocking.error_message and "stages.py" in blocking.error_message
    wait_until(lambda: all(ended(run) for run in neighbours), "the neighbours end")
    assert {(run.status, run.starts) for run in neighbours} == {(Run.Status.COMPLETED, 1)}, "it is not their fault"
    assert not psutil.pid_exists(worker.pid)


@pytest.mark.django_db(transaction=True)
@pytest.mark.xdist_group("workers")
def test_a_run_that_kills_every_worker_is_parked_and_its_neighbours_are_not(cluster: Cluster, tmp_path: Path) -> None:
    publish("killing", {"key": "a", "step": "killing@1"})
    publish("waiting", {"key": "a", "step": "marking@1", "params": {"seconds": 1.5}})
    poison = start_run(pipeline="killing", shop=None, input={})
    neighbours = [start_run(pipeline="waiting", shop=None, input={"folder": str(tmp_path)}) for _ in range(6)]
    wait_until(lambda: ended(poison), "the poison is parked")
    assert (poison.status, poison.error_code, poison.error_retryable) == (Run.Status.FAILED, "worker_lost", False)
    assert "started 5 times" in poison.error_message
    wait_until(lambda: all(ended(run) for run in neighbours), "the neighbours end")
    assert {run.status for run in neighbours} == {Run.Status.COMPLETED}
    assert max(run.starts for run in neighbours) <= 5
    assert RunError.objects.filter(run=poison, step__isnull=False).count() >= 4, "every lost attempt is told"
