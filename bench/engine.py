"""What the engine itself costs: a run of four nodes that do nothing, executed inline."""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import psutil
import psycopg
from django.db import connection

from bench.counting import Asked, counting
from bench.figures import MEDIAN, Figure, Section, percentile, spread
from bench.scratch import scratch_database
from core.ids import new_id
from runs.context import Deps
from runs.inline import default_deps, execute_inline
from runs.services import publish_dag, start_run

NODES, WARM_UP, RUNS = 4, 20, 200
STATEMENTS_TARGET, CPU_TARGET_MS = 25, 20


@dataclass(slots=True)
class Cost:
    """Milliseconds of the processor and of the clock, one value per round, and PostgreSQL's processor time in all."""

    cpu_ms: list[float]
    wall_ms: list[float]
    server_ms: float


def measure(title: str) -> Section:
    """Statements and processor time per run beside bare statements of the same number."""
    how = (
        f"A chain of {NODES} nodes whose stages answer at once, started and executed inline with everything captured "
        f"(`start_run`, `execute_inline`), {RUNS} times after {WARM_UP} to warm up. Beside it: as many bare INSERT and "
        "UPDATE statements through psycopg in as many transactions."
    )
    with scratch_database("engine"):
        publish_dag("bench", noop_chain(NODES))
        deps = default_deps()
        asked = _ask(deps)
        ours = _timed(lambda: _run(deps), connection.connection.info.backend_pid)
        floor = _floor(asked)
    section = Section(title, how, _figures(asked, ours, floor))
    section.notes = [
        f"{asked.count('SELECT')} SELECT, {asked.count('INSERT')} INSERT and {asked.count('UPDATE')} UPDATE statements "
        f"a run, in {asked.transactions} transactions; an inline run sends no queue message.",
        f"PostgreSQL itself used {ours.server_ms:.1f} ms of processor time a run (mean), for the bare statements "
        f"{floor.server_ms:.1f} ms.",
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


def _timed(work: Callable[[], None], backend_pid: int) -> Cost:
    backend = psutil.Process(backend_pid)
    cpu_ms, wall_ms, server = [], [], sum(backend.cpu_times()[:2])
    for _ in range(RUNS):
        cpu, wall = time.process_time(), time.perf_counter()
        work()
        cpu_ms.append((time.process_time() - cpu) * 1000)
        wall_ms.append((time.perf_counter() - wall) * 1000)
    return Cost(cpu_ms, wall_ms, (sum(backend.cpu_times()[:2]) - server) * 1000 / RUNS)


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


def _figures(asked: Asked, ours: Cost, floor: Cost) -> list[Figure]:
    bare = "bare statements"
    writes = asked.count("INSERT", "UPDATE")
    return [
        Figure("SQL statements a run", len(asked.statements), "", "of them writes", writes, STATEMENTS_TARGET),
        *spread(
            "processor time a run",
            ours.cpu_ms,
            "ms",
            beside=bare,
            peer=floor.cpu_ms,
            targets=(CPU_TARGET_MS, None),
        ),
        *spread("wall time a run", ours.wall_ms, "ms", beside=bare, peer=floor.wall_ms),
        Figure("processor time a node", percentile(ours.cpu_ms, MEDIAN) / NODES, "ms"),
    ]
