"""Many runs that wait for a model at once: how much waits beside them, and what it takes."""

import time

import psutil
import psycopg
from django.db import connection, transaction
from django.db.models import Max, Min

from bench.figures import MEDIAN, SLOWEST, Figure, Section, percentile
from bench.processes import Program, resident_mib, running_workers, wait_for
from bench.scratch import scratch_database
from runs.models import Run
from runs.services import publish_dag, start_run

RUNS, SECONDS, WORKERS, IN_FLIGHT = 200, 2.0, 2, 100


def measure(title: str) -> Section:
    """All runs due at one moment: from the first claim to the last end."""
    how = (
        f"{RUNS} runs of one node that waits {SECONDS:g} s on the event loop, all visible with one commit to {WORKERS} "
        f"idle workers with `RUNS_IN_FLIGHT={IN_FLIGHT}`; from the first claim to the last commit. Ideal: one wait."
    )
    with scratch_database("waiting"):
        _publish(0)
        with running_workers(WORKERS=str(WORKERS), RUNS_IN_FLIGHT=str(IN_FLIGHT)) as program:
            _start(WORKERS * 4)
            _all_end()
            wait_for(lambda: _is_calm(program), "the workers have come up")
            idle = resident_mib(program.family())
            _publish(SECONDS)
            Run.objects.all().delete()
            before = _processor_seconds(program)
            submit_ms = _start(RUNS)
            wait_for(_most_wait, "most runs are in flight", every=0.01)
            flying, memory, server, links = weigh(program)
            _all_end()
            work_ms = (_processor_seconds(program) - before) * 1000 / RUNS
        figures = _times()
    section = Section(title, how, figures)
    section.figures += [
        Figure("processor time of the workers, per run", work_ms, "ms"),
        Figure("memory of the workers (PSS)", memory, "MiB", "the same workers idle", idle),
        Figure("memory of their database backends (PSS)", server, "MiB"),
        Figure("database connections of the workers", links, "", "processes with a worker loop", WORKERS),
        Figure("writing a run with its message", submit_ms, "ms"),
    ]
    section.notes = [f"{flying} runs were in flight when memory and connections were counted."]
    return section


def _publish(seconds: float) -> None:
    node = {"key": "wait", "step": "bench_wait@1", "params": {"seconds": seconds}}
    publish_dag("bench", {"dag_version": 1, "nodes": [node]})


def _start(runs: int) -> float:
    """Write runs and their messages in one transaction; milliseconds for each."""
    begun = time.perf_counter()
    with transaction.atomic():
        for number in range(runs):
            start_run(pipeline="bench", shop=None, input={"number": number})
    return (time.perf_counter() - begun) * 1000 / runs


def _all_end() -> None:
    wait_for(lambda: not Run.objects.unfinished().exists(), "all runs end")


def _is_calm(program: Program) -> bool:
    """Whether the workers, with their computing children, use next to no processor time any more."""
    before = _processor_seconds(program)
    time.sleep(1)
    return _processor_seconds(program) - before < 0.1


def _processor_seconds(program: Program) -> float:
    return sum(sum(process.cpu_times()[:2]) for process in program.family())


def _most_wait() -> bool:
    return Run.objects.filter(status=Run.Status.RUNNING).count() >= RUNS * 0.9 or not Run.objects.unfinished().exists()


def weigh(program: Program) -> tuple[int, float, float, int]:
    """Runs in flight, MiB of the workers, MiB of the server's backends for them, and how many backends those are."""
    info = connection.connection.info
    flying = Run.objects.filter(status=Run.Status.RUNNING).count()
    with psycopg.connect(host=info.host, user=info.user, dbname="postgres") as other:
        rows = other.execute(
            "SELECT pid FROM pg_stat_activity WHERE datname = %s AND pid <> %s", [info.dbname, info.backend_pid]
        ).fetchall()
    backends = [psutil.Process(pid) for (pid,) in rows]
    return flying, resident_mib(program.family()), resident_mib(backends), len(backends)


def _times() -> list[Figure]:
    ends = Run.objects.aggregate(first=Min("started_at"), last=Max("finished_at"))
    total = (ends["last"] - ends["first"]).total_seconds()
    pairs = [(start, end) for start, end in Run.objects.values_list("started_at", "finished_at") if start and end]
    each = [(end - start).total_seconds() for start, end in pairs]
    claims = [(start - ends["first"]).total_seconds() for start, _ in pairs]
    return [
        Figure(f"{RUNS} runs, first claim to last end", total, "s", "one wait", SECONDS),
        Figure("one run, claim to end, p50", percentile(each, MEDIAN), "s", "one wait", SECONDS),
        Figure("one run, claim to end, p95", percentile(each, SLOWEST), "s", "one wait", SECONDS),
        Figure("last claim after the first", max(claims), "s"),
        Figure("engine's share per run (total less one wait)", (total - SECONDS) * 1000 / RUNS, "ms"),
    ]
