"""Runs in real worker processes: executed, and not lost when a worker dies."""

from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from runs.models import Run, RunError, Worker
from runs.services import start_run
from tests.runs.engine import chain, publish
from tests.workers import Cluster, wait_until

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.xdist_group("workers")]


@pytest.fixture
def cluster(files_of_its_own: Path) -> Iterator[Cluster]:
    """A cluster of two workers."""
    running = Cluster(files_of_its_own)
    wait_until(lambda: Worker.objects.count() >= 2, "two workers report")
    yield running
    running.kill()


def ended(run: Run) -> bool:
    run.refresh_from_db()
    return run.is_over


def test_a_worker_executes_a_run_and_computes_in_a_child_process(cluster: Cluster) -> None:
    publish("computing", *chain("noop@1", "computed@1"))
    run = start_run(pipeline="computing", shop=None, input={"number": 21})
    wait_until(lambda: ended(run), "the run ends")
    assert run.status == Run.Status.COMPLETED, run.error_message
    answer = run.steps.get(node_key="b").payload.ir
    worker_pid = int(run.lease_owner.rsplit(":", 1)[1])
    assert answer["double"] == 42
    assert answer["pid"] != worker_pid
    assert psutil.Process(answer["pid"]).ppid() == worker_pid


def test_a_run_goes_on_from_its_memory_when_its_worker_is_killed(cluster: Cluster, tmp_path: Path) -> None:
    publish(
        "marking",
        {"key": "first", "step": "marking@1"},
        {"key": "second", "step": "marking@1", "depends_on": ["first"], "params": {"seconds": 3}},
    )
    run = start_run(pipeline="marking", shop=None, input={"folder": str(tmp_path)})
    wait_until(lambda: list(tmp_path.glob(f"{run.id}.second.*")), "the second node begins")
    run.refresh_from_db()
    psutil.Process(int(run.lease_owner.rsplit(":", 1)[1])).kill()
    wait_until(lambda: ended(run), "the run ends")
    assert run.status == Run.Status.COMPLETED, run.error_message
    assert len(list(tmp_path.glob(f"{run.id}.first.*"))) == 1, "a completed node never runs again"
    assert len(list(tmp_path.glob(f"{run.id}.second.*"))) == 2
    assert run.starts == 2
    assert RunError.objects.get(run=run).code == "worker_lost"
    assert run.steps.get(node_key="second").attempt == 2


def test_a_stage_that_hangs_in_the_child_is_killed_at_its_time_out(cluster: Cluster) -> None:
    publish("hanging", {"key": "a", "step": "hanging@1", "timeout_ms": 700})
    run = start_run(pipeline="hanging", shop=None, input={})
    wait_until(lambda: ended(run), "the run ends")
    assert (run.status, run.error_code, run.error_retryable) == (Run.Status.FAILED, "timeout", True)
    other = start_run(pipeline="hanging", shop=None, input={})
    wait_until(lambda: ended(other), "the worker takes the next run")


def test_a_stage_that_kills_the_computing_child_fails_its_run_and_nothing_else(cluster: Cluster) -> None:
    publish("dying", *chain("dying@1"))
    publish("computing", *chain("computed@1"))
    dying = start_run(pipeline="dying", shop=None, input={})
    fine = [start_run(pipeline="computing", shop=None, input={}) for _ in range(3)]
    wait_until(lambda: ended(dying) and all(ended(run) for run in fine), "all runs end")
    assert (dying.status, dying.error_code) == (Run.Status.FAILED, "worker_lost")
    assert {run.status for run in fine} == {Run.Status.COMPLETED}


def test_a_lost_hint_does_not_lose_its_run(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    publish("noops", *chain("noop@1", "noop@1"))
    monkeypatch.setattr("runs.services.send_hint", lambda run_id: None)
    run = start_run(pipeline="noops", shop=None, input={})
    wait_until(lambda: ended(run), "the sweep finds the run")
    assert run.status == Run.Status.COMPLETED


def test_sigterm_hands_a_run_over_and_leaves_no_process_behind(
    cluster: Cluster, files_of_its_own: Path, tmp_path: Path
) -> None:
    publish("marking", {"key": "first", "step": "marking@1", "params": {"seconds": 1}})
    run = start_run(pipeline="marking", shop=None, input={"folder": str(tmp_path)})
    wait_until(lambda: list(tmp_path.glob(f"{run.id}.*")), "the node begins")
    family = cluster.family()
    assert cluster.stop() == 0
    run.refresh_from_db()
    assert run.status == Run.Status.COMPLETED, "what was under way was finished"
    assert not [process for process in family if process.is_running() and process.status() != psutil.STATUS_ZOMBIE]
