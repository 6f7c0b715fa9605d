"""What the engine itself costs: a run of four nodes that do nothing, executed inline."""

import json
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import psycopg
from django.db import connection
from django_q.tasks import async_task

from bench.counting import Asked, counting
from bench.durable import DATABASE as DBOS_DATABASE
from bench.durable import Peer, dbos_workflow
from bench.figures import MEDIAN, Figure, Section, percentile, spread
from bench.processes import running_workers, wait_for
from bench.scratch import scratch_database
from core.ids import new_id
from runs.context import Deps
from runs.inline import default_deps, execute_inline
from runs.models import Run
from runs.services import publish_dag, start_run

NODES, WARM_UP, RUNS = 4, 20, 200
TURN, QUEUED, REPORTED_S = 20, 20, 1.2
STATEMENTS_TARGET, CPU_TARGET_MS = 10, 20


@dataclass(slots=True)
class Cost:
    """Milliseconds of the processor and of the clock, one value per round, and PostgreSQL's processor time in all."""

    cpu_ms: list[float]
    wall_ms: list[float]
    server_ms: float


def measure(title: str) -> Section:
    """A run beside DBOS Transact, beside bare statements, and beside a bare queue task."""
    how = (
        f"A chain of {NODES} nodes whose stages answer at once, started and executed inline with everything captured "
        f"(`start_run`, `execute_inline`), {RUNS} times after {WARM_UP} to warm up. Beside it, in turns of {TURN} in "
        "the same process and on the same server (`fsync` and `synchronous_commit` on): a DBOS Transact workflow of "
        f"{NODES} steps, called in process. And as many bare INSERT and UPDATE statements through psycopg, in as many "
        "transactions, as our run has."
    )
    with scratch_database("engine"):
        publish_dag("bench", noop_chain(NODES))
        deps = default_deps()
        asked, info = _ask(deps), connection.connection.info
        with dbos_workflow(NODES, info.host, info.user) as dbos:
            ours, theirs = _in_turns(lambda: _run(deps), lambda: dbos.run(1), info.backend_pid)
            commits = _commits(lambda: _run(deps), info.dbname), _commits(lambda: dbos.run(1), DBOS_DATABASE)
            sent = _statements(dbos)
        floor = _floor(asked)
        queued, executed = _through_workers()
    section = Section(title, how, _figures(asked, ours, theirs, floor))
    section.figures += [
        Figure("transactions a run, readers included", commits[0], "", "DBOS Transact", commits[1]),
        Figure("SQL statements a run, all of its threads", len(asked.statements), "", "DBOS Transact", sent),
        *spread("start_run to the run's end, workers", executed, "ms", beside="bare django-q2 task", peer=queued),
        Figure(
            "a run through workers, over a bare task (p50)",
            percentile(executed, MEDIAN) - percentile(queued, MEDIAN),
            "ms",
        ),
    ]
    section.notes = [
        f"{asked.count('SELECT')} SELECT and {asked.count('WITH')} writing statements (data-modifying `WITH`) a run, "
        f"in {asked.transactions} transactions; an inline run sends no queue message.",
        f"PostgreSQL itself used {ours.server_ms:.1f} ms of processor time a run (mean), for the bare statements "
        f"{floor.server_ms:.1f} ms.",
        "DBOS keeps a step's output and status; ours keeps input, params, hashes, timings and IR validity as well.",
    ]
    return section


def noop_chain(nodes: int) -> dict[str, Any]:
    """A DAG of nodes that answer at once, each after the one before."""
    keys = [f"n{number}" for number in range(1, nodes + 1)]
    before = [[], *([key] for key in keys)]
    return {
        "dag_version": 1,
        "nodes": [
            {"key": key, "step": "bench_noop@1", "depends_on": depends}
            for key, depends in zip(keys, before, strict=False)
        ],
    }


def _run(deps: Deps) -> None:
    run = start_run(pipeline="bench", shop=None, input={"number": 1}, title="Nothing", inline_owner="bench")
    if execute_inline(run, deps).status != "completed":
        raise RuntimeError(f"The run of nothing failed: {run.error_code}.")


def _ask(deps: Deps) -> Asked:
    """What one run asks of the database once everything is warm."""
    for _ in range(WARM_UP):
        _run(deps)
    with counting() as asked:
        _run(deps)
    return asked


def _timed(work: Callable[[], object], backend_pid: int, runs: int = RUNS) -> Cost:
    backend = psutil.Process(backend_pid)
    cpu_ms, wall_ms, server = [], [], sum(backend.cpu_times()[:2])
    for _ in range(runs):
        cpu, wall = time.process_time(), time.perf_counter()
        work()
        cpu_ms.append((time.process_time() - cpu) * 1000)
        wall_ms.append((time.perf_counter() - wall) * 1000)
    return Cost(cpu_ms, wall_ms, (sum(backend.cpu_times()[:2]) - server) * 1000 / runs)


def _in_turns(first: Callable[[], object], second: Callable[[], object], backend_pid: int) -> tuple[Cost, Cost]:
    """Both in turns, so that whatever else the machine does falls on both."""
    costs = Cost([], [], 0.0), Cost([], [], 0.0)
    for work in (first, second):
        for _ in range(WARM_UP):
            work()
    for _ in range(RUNS // TURN):
        for cost, work in zip(costs, (first, second), strict=True):
            turn = _timed(work, backend_pid, TURN)
            cost.cpu_ms += turn.cpu_ms
            cost.wall_ms += turn.wall_ms
            cost.server_ms += turn.server_ms * TURN / RUNS
    return costs


def _commits(work: Callable[[], object], database: str) -> float:
    """Transactions of a database per call, by the server's own count, what its other sessions do included."""

    def count() -> int:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_stat_clear_snapshot()")
            cursor.execute("SELECT xact_commit + xact_rollback FROM pg_stat_database WHERE datname = %s", [database])
            return int(cursor.fetchone()[0])

    time.sleep(REPORTED_S)  # a session reports what it did a second ago with its next transaction
    work()
    before = count()
    for _ in range(TURN):
        work()
    time.sleep(REPORTED_S)
    work()
    return round((count() - before) / TURN, 1)


def _statements(dbos: Peer) -> float:
    dbos.statements.clear()
    for _ in range(TURN):
        dbos.run(1)
    return len(dbos.statements) / TURN


def _through_workers() -> tuple[list[float], list[float]]:
    """Milliseconds from the call to the body of a bare task, and from `start_run` to the end of a run of ours."""
    queued, executed = [], []
    with running_workers():
        for number in range(QUEUED + 3):
            queued.append(_queue())
            run = start_run(pipeline="bench", shop=None, input={"number": number})
            mine = Run.objects.filter(pk=run.pk, status=Run.Status.COMPLETED)
            wait_for(mine.exists, "the run ends")
            run.refresh_from_db()
            assert run.finished_at is not None
            executed.append((run.finished_at - run.created_at).total_seconds() * 1000)
    return queued[3:], executed[3:]


def _queue() -> float:
    with tempfile.TemporaryDirectory(prefix="seeit-bench-stamp-") as folder:
        path, asked = Path(folder) / "stamp", time.time()
        async_task("bench.tasks.stamp", str(path))
        began = wait_for(lambda: path.exists() and path.read_text(), "the task runs")
        return (float(began) - asked) * 1000


def _floor(asked: Asked) -> Cost:
    """The same number of INSERTs and UPDATEs, bare, over the same number of transactions."""
    body = json.dumps({"node": "n1", "text": "x" * 200})
    info = connection.connection.info
    with psycopg.connect(host=info.host, user=info.user, dbname=info.dbname) as bare:
        bare.execute("CREATE TABLE bench_floor (id uuid PRIMARY KEY, body jsonb, at timestamptz DEFAULT now())")
        bare.commit()

        def work() -> None:
            left, written = len(asked.statements), new_id()
            for number in range(asked.transactions):
                share = round(left / (asked.transactions - number))
                left -= share
                for place in range(share):
                    if place % 2 == 0:
                        written = new_id()
                        bare.execute("INSERT INTO bench_floor (id, body) VALUES (%s, %s)", [written, body])
                    else:
                        bare.execute("UPDATE bench_floor SET body = %s WHERE id = %s", [body, written])
                bare.commit()

        for _ in range(WARM_UP):
            work()
        return _timed(work, bare.info.backend_pid)


def _figures(asked: Asked, ours: Cost, theirs: Cost, floor: Cost) -> list[Figure]:
    bare, dbos = "bare statements", "DBOS Transact"
    median = percentile(theirs.wall_ms, MEDIAN)
    return [
        *spread("wall time a run", ours.wall_ms, "ms", beside=dbos, peer=theirs.wall_ms, targets=(median, None)),
        *spread(
            "processor time a run", ours.cpu_ms, "ms", beside=dbos, peer=theirs.cpu_ms, targets=(CPU_TARGET_MS, None)
        ),
        Figure("SQL statements a run", len(asked.statements), "", target=STATEMENTS_TARGET),
        *spread("wall time a run", ours.wall_ms, "ms", beside=bare, peer=floor.wall_ms),
        Figure("processor time a node", percentile(ours.cpu_ms, MEDIAN) / NODES, "ms"),
    ]
