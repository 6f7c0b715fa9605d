"""A thousand runs in flight: three slow model calls each, over HTTP, in two worker processes."""

import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from django.db import transaction
from django.db.models import Max, Min, Q

from bench.figures import MEDIAN, SLOWEST, Figure, Section, percentile
from bench.processes import Program, free_port, resident_mib, running_workers, wait_for
from bench.scratch import scratch_database
from bench.slow_model import ADDRESS
from bench.waiting import weigh
from runs.models import Run
from runs.services import publish_dag, start_run

RUNS, CALLS, SECONDS, WORKERS = 1000, 3, 20.0, 2
IDEAL_S, SLACK, MEMORY_MIB, LINKS = CALLS * SECONDS, 1.5, 250, 20
SAMPLE_SECONDS = 2.0
MODELS = {"facts": "slow", "cutout": "local", "placement": "local", "composite": "local"}
ROUTES = "".join(f'[[tasks.{task}]]\nvendor = "{vendor}"\nmodel = "{vendor}-1"\n' for task, vendor in MODELS.items())


def measure(title: str) -> Section:
    """All runs due at one moment, from the first claim to the last commit, and what their workers weigh meanwhile."""
    how = (
        f"{RUNS} runs of {CALLS} model calls one after another, {SECONDS:g} s each, by an HTTP client to a loopback "
        f"server, each with its prompt's evidence, request, response and reply kept; all visible with one commit to "
        f"{WORKERS} idle workers with `RUNS_IN_FLIGHT={RUNS // WORKERS}`. Ideal: {IDEAL_S:g} s."
    )
    with scratch_database("many"), slow_model() as environment:
        publish_dag("bench", asking_chain(CALLS))
        with running_workers(WORKERS=str(WORKERS), RUNS_IN_FLIGHT=str(RUNS // WORKERS), **environment) as program:
            idle = resident_mib(program.family())
            with heaviest(program) as peak:
                _start(RUNS)
                wait_for(_all_fly, "all runs are in flight", seconds=IDEAL_S)
                flying, memory, server, links = weigh(program)
                wait_for(lambda: not Run.objects.unfinished().exists(), "all runs end", seconds=IDEAL_S * 4, every=0.5)
        figures = _figures(idle, max([memory, *peak]), server, links)
    return Section(title, how, figures, _notes(flying))


def asking_chain(calls: int) -> dict[str, object]:
    """A DAG of model calls, one after another."""
    keys = [f"ask{number}" for number in range(1, calls + 1)]
    before: list[list[str]] = [[], *([key] for key in keys)]
    nodes = [
        {"key": key, "step": "bench_ask@1", "depends_on": depends} for key, depends in zip(keys, before, strict=False)
    ]
    return {"dag_version": 1, "nodes": nodes}


@contextmanager
def slow_model() -> Iterator[dict[str, str]]:
    """The server, and the environment of workers that ask it."""
    port = free_port()
    program = Program([sys.executable, "-m", "bench.slow_model", str(port), str(SECONDS)])
    with tempfile.TemporaryDirectory(prefix="seeit-bench-routes-") as folder:
        routes = Path(folder) / "models.toml"
        routes.write_text(ROUTES)
        try:
            yield {"MODEL_ROUTES": str(routes), ADDRESS: f"http://127.0.0.1:{port}"}
        finally:
            program.stop()


@contextmanager
def heaviest(program: Program) -> Iterator[list[float]]:
    """MiB of a program's processes, looked at again and again."""
    seen: list[float] = []
    over = threading.Event()

    def look() -> None:
        while not over.wait(SAMPLE_SECONDS):
            seen.append(resident_mib(program.family()))

    watcher = threading.Thread(target=look)
    watcher.start()
    try:
        yield seen
    finally:
        over.set()
        watcher.join()


def _start(runs: int) -> None:
    with transaction.atomic():
        for number in range(runs):
            start_run(pipeline="bench", shop=None, input={"number": number})


def _all_fly() -> bool:
    return Run.objects.filter(status=Run.Status.RUNNING).count() >= RUNS or not Run.objects.unfinished().exists()


def _figures(idle: float, memory: float, server: float, links: int) -> list[Figure]:
    ends = Run.objects.aggregate(first=Min("started_at"), last=Max("finished_at"))
    total = (ends["last"] - ends["first"]).total_seconds()
    moments = Run.objects.values_list("started_at", "finished_at")
    each = [(end - start).total_seconds() for start, end in moments if start and end]
    ideal = "three calls"
    return [
        Figure(f"{RUNS} runs, first claim to last end", total, "s", ideal, IDEAL_S, IDEAL_S * SLACK),
        Figure("one run, claim to end, p50", percentile(each, MEDIAN), "s", ideal, IDEAL_S),
        Figure("one run, claim to end, p95", percentile(each, SLOWEST), "s", ideal, IDEAL_S),
        Figure("memory of all worker processes (PSS), peak", memory, "MiB", "idle", idle, MEMORY_MIB),
        Figure("memory a run in flight", (memory - idle) * 1024 / RUNS, "KiB"),
        Figure("database connections of the workers", links, "", target=LINKS),
        Figure("memory of their database backends (PSS)", server, "MiB"),
        Figure("runs that did not complete", Run.objects.filter(~Q(status=Run.Status.COMPLETED)).count(), "", target=0),
    ]


def _notes(flying: int) -> list[str]:
    return [f"{flying} runs were in flight when connections were counted; memory was looked at every few seconds."]
