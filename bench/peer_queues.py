"""The queues that dispatch is measured beside, each with two workers: procrastinate on our PostgreSQL, Celery on Redis.

This module is also what their worker programs import; `BENCH_CONNINFO` and `BENCH_REDIS` lead them to their servers.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import celery
import procrastinate
import redis

from bench.processes import Program, free_port, wait_for
from bench.tasks import stamp

COLD = {"BENCH_CONNINFO": "dbname=none", "BENCH_REDIS": "redis://127.0.0.1:1/0"}
Send = Callable[[str], object]

on_postgresql = procrastinate.App(
    connector=procrastinate.PsycopgConnector(conninfo=os.environ.get("BENCH_CONNINFO", COLD["BENCH_CONNINFO"]))
)
on_redis = celery.Celery("bench", broker=os.environ.get("BENCH_REDIS", COLD["BENCH_REDIS"]))
on_redis.conf.update(task_ignore_result=True, worker_hijack_root_logger=False, broker_connection_retry_on_startup=True)
procrastinate_stamp = on_postgresql.task(name="stamp")(stamp)
celery_stamp = on_redis.task(name="stamp")(stamp)


@contextmanager
def procrastinate_workers(conninfo: str) -> Iterator[Send]:
    """Gives what sends a stamp to a procrastinate worker with two places."""
    connector = procrastinate.SyncPsycopgConnector(conninfo=conninfo)
    with on_postgresql.replace_connector(connector) as app, app.open():
        app.schema_manager.apply_schema()
        start = "from bench.peer_queues import on_postgresql; on_postgresql.run_worker(concurrency=2)"
        program = Program([sys.executable, "-c", start], BENCH_CONNINFO=conninfo)
        try:
            yield lambda path: app.configure_task("stamp").defer(path=path)
        finally:
            program.stop()


@contextmanager
def celery_workers() -> Iterator[Send]:
    """Gives what sends a stamp to a Celery worker with two processes, on a Redis of its own."""
    with _redis() as url:
        options = ["--concurrency", "2", "--loglevel", "ERROR", "--without-gossip", "--without-mingle"]
        start = [sys.executable, "-m", "celery", "-A", "bench.peer_queues:on_redis", "worker", *options]
        program = Program(start, BENCH_REDIS=url)
        sender = celery.Celery("bench", broker=url)
        try:
            yield lambda path: sender.send_task("stamp", args=[path], ignore_result=True)
        finally:
            program.stop()
            sender.close()


@contextmanager
def _redis() -> Iterator[str]:
    program = shutil.which("redis-server")
    if program is None:
        raise RuntimeError("There is no redis-server: install it (Debian: apt-get install redis-server).")
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="seeit-bench-redis-") as folder:
        options = ["--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", folder]
        process = subprocess.Popen([program, *options], stdout=subprocess.DEVNULL)
        url = f"redis://127.0.0.1:{port}/0"
        try:
            wait_for(lambda: _answers(url), "Redis answers")
            yield url
        finally:
            process.kill()
            process.wait()


def _answers(url: str) -> bool:
    with suppress(redis.ConnectionError):
        return bool(redis.Redis.from_url(url).ping())
    return False
