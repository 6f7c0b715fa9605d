"""A cluster whose processes are killed: it goes on, or all of it ends; nothing freezes, and nothing is left behind."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from django.core.management import get_commands
from django_q.models import OrmQ
from django_q.tasks import async_task

from runs.cluster import pins
from runs.messages import expect_work
from runs.models import Run, RunError, Worker
from runs.services import start_run
from tests.runs.engine import chain, publish
from tests.workers import ROOT, Cluster, end_other_sessions, living, wait_until

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.xdist_group("workers")]
NEVER = "600"  # as the sweep's interval or a lease: what happens within a test did not wait for it


@pytest.fixture
def clusters(files_of_its_own: Path) -> Iterator[Callable[..., Cluster]]:
    """Starts clusters of two workers that report, and ends them."""
    running: list[Cluster] = []

    def start(**environment: str) -> Cluster:
        before = set(Worker.objects.values_list("name", flat=True))
        cluster = Cluster(files_of_its_own, **environment)
        running.append(cluster)
        wait_until(lambda: Worker.objects.exclude(name__in=before).count() >= 2, "two workers report")
        return cluster

    yield start
    for cluster in running:
        cluster.kill()


@pytest.fixture
def hinted(clusters: Callable[..., Cluster]) -> Cluster:
    """A cluster that hears of runs by hints alone: it does not sweep, and its leases do not run out."""
    return clusters(TEST_SWEEP_SECONDS=NEVER, TEST_LEASE_SECONDS=NEVER)


def completes(pipeline: str, **input: object) -> Run:
    """Start a run and wait for its end."""
    run = start_run(pipeline=pipeline, shop=None, input=input)
    wait_until(lambda: Run.objects.get(pk=run.pk).is_over, "the run ends")
    run.refresh_from_db()
    assert run.status == Run.Status.COMPLETED, run.error_message
    return run


def replaced(cluster: Cluster, role: str, pid: int) -> None:
    count = len(cluster.pids(role))
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: pid not in cluster.pids(role) and len(cluster.pids(role)) == count, f"another {role} is there")


def test_our_command_hosts_the_workers() -> None:
    assert get_commands()["qcluster"] == "runs"


def test_hints_and_messages_arrive_however_often_idle_workers_are_killed(hinted: Cluster, tmp_path: Path) -> None:
    publish("noops", *chain("noop@1"))
    for number in range(4):
        known = set(Worker.objects.values_list("name", flat=True))
        replaced(hinted, "worker", min(hinted.pids("worker")))
        completes("noops")
        mark = tmp_path / str(number)
        async_task("pathlib.Path.touch", mark)
        wait_until(mark.exists, "the task runs")
        wait_until(lambda known=known: Worker.objects.exclude(name__in=known).exists(), "the successor reports")
    assert "Traceback" not in hinted.log


@pytest.mark.parametrize("role", ["pusher", "monitor"])
def test_messages_go_on_when_a_helper_is_killed(hinted: Cluster, role: str, tmp_path: Path) -> None:
    for number in range(3):
        replaced(hinted, role, *wait_until(lambda: hinted.pids(role), f"the {role} is there"))
        mark = tmp_path / str(number)
        async_task("pathlib.Path.touch", mark)
        wait_until(mark.exists, "the task runs")
        wait_until(lambda: not OrmQ.objects.exists(), "it is acknowledged")


def test_a_message_of_any_size_arrives_once(hinted: Cluster, tmp_path: Path) -> None:
    mark = tmp_path / "large"
    async_task("pathlib.Path.write_bytes", mark, b"x" * 500_000)
    wait_until(lambda: mark.exists() and not OrmQ.objects.exists(), "the task runs and is acknowledged")
    assert mark.stat().st_size == 500_000


def test_nothing_outlives_a_killed_parent(clusters: Callable[..., Cluster], tmp_path: Path) -> None:
    cluster = clusters()
    publish("computing", *chain("computed@1"))
    publish("marking", {"key": "first", "step": "marking@1", "params": {"seconds": 30}})
    completes("computing")
    run = start_run(pipeline="marking", shop=None, input={"folder": str(tmp_path)})
    wait_until(lambda: list(tmp_path.glob(f"{run.id}.*")), "the node begins")
    family = cluster.family()
    assert len(family) >= 6, "parent, two workers, pusher, monitor and a computing child"
    cluster.process.kill()
    assert cluster.process.wait(timeout=10) == -signal.SIGKILL, "whoever started it sees how it ended"
    wait_until(lambda: not living(family), "all its processes end", seconds=10)


def test_a_killed_workers_run_goes_on_before_its_lease_ends(hinted: Cluster, tmp_path: Path) -> None:
    publish("marking", {"key": "first", "step": "marking@1", "params": {"seconds": 2}})
    run = start_run(pipeline="marking", shop=None, input={"folder": str(tmp_path)})
    wait_until(lambda: list(tmp_path.glob(f"{run.id}.*")), "the node begins")
    run.refresh_from_db()
    replaced(hinted, "worker", int(run.lease_owner.rsplit(":", 1)[1]))
    wait_until(lambda: Run.objects.get(pk=run.pk).is_over, "the run ends")
    run.refresh_from_db()
    assert (run.status, run.starts) == (Run.Status.COMPLETED, 2)
    assert RunError.objects.get(run=run).code == "worker_lost"


@pytest.mark.parametrize("whom", ["parent", "group"])
def test_sigterm_finishes_what_is_under_way(clusters: Callable[..., Cluster], tmp_path: Path, whom: str) -> None:
    cluster = clusters()
    publish("marking", {"key": "first", "step": "marking@1", "params": {"seconds": 1}})
    runs = [start_run(pipeline="marking", shop=None, input={"folder": str(tmp_path)}) for _ in range(4)]
    wait_until(lambda: len(list(tmp_path.glob("*.first.*"))) == 4, "all nodes begin")
    family = cluster.family()
    (os.kill if whom == "parent" else os.killpg)(cluster.process.pid, signal.SIGTERM)
    assert cluster.process.wait(timeout=30) == 0
    assert set(Run.objects.values_list("status", flat=True)) == {Run.Status.COMPLETED}
    assert len(list(tmp_path.glob("*.first.*"))) == len(runs), "nothing was done twice"
    assert not living(family)
    assert not Worker.objects.exists(), "who has ended is not heard of any more"


def test_a_second_signal_hands_over_at_once(clusters: Callable[..., Cluster], tmp_path: Path) -> None:
    cluster = clusters(TEST_LEASE_SECONDS=NEVER)
    publish("marking", {"key": "first", "step": "marking@1", "params": {"seconds": 60}, "timeout_ms": 90_000})
    run = start_run(pipeline="marking", shop=None, input={"folder": str(tmp_path)})
    wait_until(lambda: list(tmp_path.glob("*.first.*")), "the node begins")
    family = cluster.family()
    cluster.process.send_signal(signal.SIGTERM)
    wait_until(lambda: not cluster.pids("pusher"), "the cluster takes no more messages")
    with pytest.raises(psutil.TimeoutExpired):
        psutil.Process(cluster.process.pid).wait(timeout=1.5)
    cluster.process.send_signal(signal.SIGINT)
    assert cluster.process.wait(timeout=10) == 0
    assert not living(family)
    run.refresh_from_db()
    assert run.starts == 0, "an orderly hand-over does not count as a start"
    assert Run.objects.expired().filter(pk=run.pk).exists(), "it is due"


def test_it_goes_on_when_its_database_sessions_are_ended(hinted: Cluster, tmp_path: Path) -> None:
    publish("noops", *chain("noop@1"))
    publish("marking", {"key": "first", "step": "marking@1", "params": {"seconds": 1}})
    before = completes("noops")
    run = start_run(pipeline="marking", shop=None, input={"folder": str(tmp_path)})
    wait_until(lambda: list(tmp_path.glob(f"{run.id}.*")), "the node begins")
    workers = hinted.pids("worker")
    end_other_sessions()
    for number in range(3):
        completes("noops")
        mark = tmp_path / f"task-{number}"
        async_task("pathlib.Path.touch", mark)
        wait_until(mark.exists, "a task runs")
    wait_until(lambda: Run.objects.get(pk=run.pk).is_over, "what was under way goes on without waiting for its lease")
    assert before.is_over and hinted.pids("worker") == workers, "nobody had to be replaced"
    assert "Traceback" not in hinted.log, hinted.log
    assert len(hinted.log.splitlines()) < 20, hinted.log


def test_another_django_q_is_refused_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    assert pins.unexpected() == ""
    monkeypatch.setattr(pins, "version", lambda name: "1.12.0")
    assert "1.12.0" in pins.unexpected()
    monkeypatch.undo()
    monkeypatch.setitem(pins.SIGNATURES, "worker", (lambda tasks: None, "task_queue"))
    assert pins.unexpected() == "django-q2's worker takes (tasks); the cluster expects (task_queue)."
    monkeypatch.undo()
    monkeypatch.delattr("django_q.cluster.Value")
    assert "Value" in pins.unexpected()


def test_an_announced_photo_has_a_computing_child_ready_and_an_idle_cluster_has_none(hinted: Cluster) -> None:
    assert not computing(hinted)

    def announced() -> bool:
        expect_work()  # a worker that has reported may not listen yet, and a hint may be lost
        return len(computing(hinted)) == 2

    wait_until(announced, "each worker has a child")
    children = {process.pid for process in computing(hinted)}
    publish("computing", *chain("computed@1"))
    assert completes("computing").steps.get().payload.ir["pid"] in children


def computing(cluster: Cluster) -> list[psutil.Process]:
    return [process for process in cluster.family() if "runs.child" in process.cmdline()]


def test_no_process_but_the_computing_ones_loads_a_picture_library() -> None:
    program = "import django, sys; django.setup(); import runs.loop, runs.cluster.guard, runs.cluster.pg_broker;"
    program += "print(sorted({'cv2', 'numpy', 'scipy', 'skimage', 'boto3', 'redis'} & set(sys.modules)))"
    environment = {**os.environ, "DJANGO_SETTINGS_MODULE": "config.settings"}
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.stdout == "[]\n", done.stderr
