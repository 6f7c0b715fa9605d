"""Leases while a worker computes, and how soon a killed worker's run goes on elsewhere."""

import time
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import psutil
from django.conf import settings
from django.db.models import ExpressionWrapper, F, Min, fields
from django.db.models.functions import Now

from bench.figures import MEDIAN, Figure, Section, percentile
from bench.processes import Program, running_workers, wait_for
from bench.scratch import scratch_database
from runs.models import Run, Worker
from runs.services import publish_dag, start_run

WORKERS, KILLS, BURN_SECONDS, SAMPLES = 2, 5, 20, 10
DISPATCH_TARGET_MS = 250
LEASE, SWEEP = settings.RUN_LEASE_SECONDS, settings.RUN_SWEEP_SECONDS


def measure(title: str) -> Section:
    """The shortest lease left while everything computes; the time from SIGKILL to the next claim."""
    how = (
        f"{WORKERS} workers with the production lease of {LEASE} s and a sweep every {SWEEP} s. First their computing "
        f"children burn processor time for {BURN_SECONDS} s and the leases are watched. Then, {KILLS} times, a worker "
        "that waits for a model is killed (SIGKILL), until another worker has claimed its run. Then the worker that "
        "did not take the newest run is killed while it has nothing to do, and runs are started as before; then the "
        "pusher and the monitor. Last the parent is killed, until none of its processes is left."
    )
    with scratch_database("recovery"):
        _publish("burn", "bench_burn@1", BURN_SECONDS)
        _publish("wait", "bench_wait@1", 60)
        _publish("noop", "bench_noop@1", 0)
        with running_workers(WORKERS=str(WORKERS), RUNS_IN_FLIGHT="100") as program:
            left, restarts = _watch_leases()
            before = [_dispatch() for _ in range(SAMPLES)]
            reclaims = [_kill_busy() for _ in range(KILLS)]
            _kill_idle()
            after = [_dispatch() for _ in range(SAMPLES)]
            _kill_helpers(program)
            helped = [_dispatch() for _ in range(SAMPLES)]
            orphaned_ms = _kill_parent(program)
    beat = min(LEASE / 3, 5.0)
    section = Section(title, how)
    section.figures = [
        Figure("longest silence of a heartbeat while computing", LEASE - left, "s", "beat interval", beat, LEASE),
        Figure("runs that lost their lease while computing", restarts, "", target=0),
        Figure("SIGKILL to next claim, p50", percentile(reclaims, MEDIAN), "s", "lease", LEASE, LEASE + SWEEP),
        Figure("SIGKILL to next claim, slowest", max(reclaims), "s", "lease", LEASE, LEASE + SWEEP),
        Figure("start_run to claim after an idle worker was killed, p50", percentile(after, MEDIAN), "ms", "before",
               percentile(before, MEDIAN), DISPATCH_TARGET_MS),
        Figure("start_run to claim after pusher and monitor were killed, p50", percentile(helped, MEDIAN), "ms",
               "before", percentile(before, MEDIAN), DISPATCH_TARGET_MS),
        Figure("SIGKILL of the parent to the end of its last process", orphaned_ms, "ms"),
    ]  # fmt: skip
    section.notes = [
        "Target of a reclaim: what is left of the lease, and at most one sweep; a successor on the same host sees that "
        "the process is gone and does not wait for either.",
    ]
    return section


def _publish(slug: str, step: str, seconds: float) -> None:
    node = {"key": "only", "step": step, "params": {"seconds": seconds}, "timeout_ms": 120_000}
    publish_dag(slug, {"dag_version": 1, "nodes": [node]})


def _watch_leases() -> tuple[float, int]:
    """Seconds left on the shortest lease ever seen while all children computed, and how many runs began anew."""
    runs = [start_run(pipeline="burn", shop=None, input={"number": number}) for number in range(WORKERS)]
    shortest = float(LEASE)

    def watched() -> bool:
        nonlocal shortest
        held = Run.objects.filter(status=Run.Status.RUNNING).annotate(
            left=ExpressionWrapper(F("lease_until") - Now(), output_field=fields.DurationField())
        )
        least: timedelta | None = held.aggregate(least=Min("left"))["least"]
        shortest = min(shortest, least.total_seconds()) if least is not None else shortest
        return not Run.objects.unfinished().exists()

    wait_for(watched, "the computing ends", seconds=4 * BURN_SECONDS)
    started = Run.objects.filter(pk__in=[run.pk for run in runs]).values_list("starts", flat=True)
    return shortest, sum(starts - 1 for starts in started)


def _kill_busy() -> float:
    """Kill the worker of a waiting run; seconds until another has it. The run is then cancelled by hand."""
    run = start_run(pipeline="wait", shop=None, input={})
    wait_for(lambda: Run.objects.filter(pk=run.pk, status=Run.Status.RUNNING).exists(), "a worker takes the run")
    owner = Run.objects.get(pk=run.pk).lease_owner
    psutil.Process(int(owner.rsplit(":", 1)[1])).kill()
    killed = time.monotonic()
    wait_for(lambda: Run.objects.filter(pk=run.pk, starts=2).exclude(lease_owner=owner).exists(), "another takes it")
    seconds = time.monotonic() - killed
    Run.objects.filter(pk=run.pk).update(status=Run.Status.CANCELLED, lease_until=None)
    return seconds


def _kill_idle() -> None:
    """Kill the worker that is next in line for a message, and wait until its successor has reported."""
    _dispatch()
    last = Run.objects.order_by("-id").values_list("lease_owner", flat=True)[0]
    fresh = Worker.objects.filter(beat_at__gte=Now() - timedelta(seconds=LEASE))
    alive = {worker.name: worker.pid for worker in fresh if psutil.pid_exists(worker.pid)}
    known = set(Worker.objects.values_list("name", flat=True))
    psutil.Process(next(pid for name, pid in alive.items() if name != last)).kill()
    wait_for(lambda: Worker.objects.exclude(name__in=known).exists(), "its successor reports")


def _kill_helpers(program: Program) -> None:
    """Kill the pusher and the monitor, and wait until others are there."""
    for role in ("pusher", "monitor"):
        (pid,) = _role(program, role)
        psutil.Process(pid).kill()
        wait_for(lambda role=role, pid=pid: len(_role(program, role) - {pid}) == 1, f"another {role} is there")  # type: ignore[misc]


def _role(program: Program, role: str) -> set[int]:
    """The cluster's processes of one role, by the name that they give themselves."""
    found = set()
    for process in program.family():
        with suppress(OSError):
            if Path(f"/proc/{process.pid}/comm").read_text().strip() == f"seeit-{role}":
                found.add(process.pid)
    return found


def _kill_parent(program: Program) -> float:
    """Kill the parent; milliseconds until none of its processes runs."""
    family = program.family()
    killed = time.monotonic()
    program.process.kill()
    program.process.wait()
    wait_for(lambda: not any(_runs(process) for process in family), "all processes end", every=0.002)
    return (time.monotonic() - killed) * 1000


def _runs(process: psutil.Process) -> bool:
    with suppress(psutil.NoSuchProcess):
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    return False


def _dispatch() -> float:
    """Milliseconds from starting a run of nothing to its claim."""
    asked = time.time()
    run = start_run(pipeline="noop", shop=None, input={})
    wait_for(lambda: Run.objects.filter(pk=run.pk, status=Run.Status.COMPLETED).exists(), "the run ends")
    started = Run.objects.get(pk=run.pk).started_at
    assert started is not None
    return (started.timestamp() - asked) * 1000
