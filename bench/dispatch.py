"""How long a shopper's request, a run and a task wait for a worker, beside other queues; and what waiting costs."""

import statistics
import tempfile
import time
from collections.abc import Callable
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import httpx
from django.db import connection
from django_q.tasks import async_task
from psycopg.conninfo import make_conninfo

from bench.engine import noop_chain
from bench.figures import Figure, Section, spread
from bench.peer_queues import celery_workers, procrastinate_workers
from bench.processes import Program, processor_seconds, resident_mib, running_web, running_workers, wait_for
from bench.scratch import scratch_database
from prep.models import ProductAsset
from runs.models import Run
from runs.services import publish_dag, start_run
from shops.models import ApiKey
from storefront.demo_catalog import load_catalog
from storefront.demo_shop import ensure_demo_key, ensure_demo_shop, prepare_products, seed_products

WARM_UP, TIMES = 3, 40
TARGET_MS = 250
CLAIM_MS, SLOW_CLAIM_MS = 15, 40
IDLE_SECONDS, IDLE_TARGET_PERCENT = 20, 1.0
API = "/proxy/v1/"


def measure(title: str) -> Section:
    """POST to claim through the real web server, beside the parts of the way."""
    how = (
        f"`POST {API}composites` over loopback to Gunicorn (two processes, four threads each), with two workers and "
        "the demo shop's real pictures; from just before the request to the run's `started_at`, which the "
        f"claiming worker writes by the database's clock. {TIMES} requests, each after the run before has ended. Then "
        f"{TIMES} runs of one no-op node from the return of `start_run`, which is when they are committed, to their "
        "claim; and as many tasks that look at the clock, from the call that sends them to their body, through "
        "django-q2 on our broker, procrastinate on the same PostgreSQL (one process, concurrency 2) and Celery with "
        f"Redis (two processes). Idle: nothing to do for {IDLE_SECONDS} s."
    )
    with scratch_database("dispatch"), running_workers() as program:
        publish_dag("bench", noop_chain(1))
        idle = Idle(program)
        shop = ensure_demo_shop()
        asset = seed_products(shop)[0]
        prepare_products([asset])
        with running_web() as base:
            page = Page(base, ensure_demo_key(shop, [base]), asset)
            posted = _repeated(page.post)
            answered = page.answered_ms[WARM_UP:]
            page.client.close()
        started = _repeated(_start)
        queued = _repeated(partial(_stamped, partial(async_task, "bench.tasks.stamp")))
        with procrastinate_workers(_conninfo()) as send:
            on_procrastinate = _repeated(partial(_stamped, send))
        with celery_workers() as send:
            on_celery = _repeated(partial(_stamped, send))
    section = Section(title, how)
    section.figures = [
        *spread("POST to claim", posted, "ms", beside="without HTTP", peer=started, targets=(TARGET_MS, None)),
        *spread("commit to claim", started, "ms", beside="procrastinate, call to body", peer=on_procrastinate,
                targets=(CLAIM_MS, SLOW_CLAIM_MS)),
        *spread("commit to claim", started, "ms", beside="Celery with Redis, call to body", peer=on_celery),
        *spread("bare django-q2 task, call to body", queued, "ms", beside="procrastinate", peer=on_procrastinate),
        *spread("POST to its answer", answered, "ms"),
        Figure("idle cluster of two workers, processor time", idle.percent, "% of a core", target=IDLE_TARGET_PERCENT),
        Figure("idle cluster of two workers, transactions a second", idle.transactions, ""),
        Figure("idle cluster of two workers, memory (PSS)", idle.memory, "MiB"),
        Figure("idle cluster of two workers, database connections", idle.connections, ""),
    ]  # fmt: skip
    section.notes = [
        "Where the peers time a call, ours times from the commit: `start_run` writes the run and all its steps before.",
        f"POST to claim: {min(posted):.0f} to {max(posted):.0f} ms, mean {statistics.mean(posted):.0f} ms.",
    ]
    return section


class Page:
    """A product page of the demo shop, with the shopper's room photo uploaded."""

    def __init__(self, base: str, key: ApiKey, asset: ProductAsset) -> None:
        headers = {"Authorization": f"Bearer {key.publishable_value}", "Origin": base}
        self.client = httpx.Client(base_url=base, headers=headers, timeout=30, trust_env=False)
        self.answered_ms: list[float] = []
        self._asset = asset
        photo = load_catalog().rooms[0].photo_path.read_bytes()
        announced = self._post("uploads", {"content_type": "image/jpeg", "bytes": len(photo)})
        brought = self.client.put(announced["url"], content=photo, headers=announced["headers"])
        brought.raise_for_status()
        self._upload_id = announced["upload_id"]

    def post(self, number: int) -> float:
        """Ask for a picture; milliseconds until a worker had claimed its run."""
        body = {
            "product_id": self._asset.product_id,
            "upload_id": self._upload_id,
            "consent": True,
            "n": f"bench-{number}",
        }
        asked, clock = time.time(), time.perf_counter()
        composite = self._post("composites", body)
        self.answered_ms.append((time.perf_counter() - clock) * 1000)
        return _claimed(composite["id"], asked)

    def _post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        answer = self.client.post(API + path, json=body).raise_for_status()
        data: dict[str, Any] = answer.json()["data"]
        return data


class Idle:
    """What a cluster with nothing to do takes: processor, transactions, memory, connections."""

    def __init__(self, program: Program) -> None:
        wait_for(lambda: _is_calm(program), "the workers have come up")
        family = program.family()
        before, commits = processor_seconds(family), _commits()
        time.sleep(IDLE_SECONDS)
        self.percent = (processor_seconds(family) - before) / IDLE_SECONDS * 100
        self.transactions = (_commits() - commits) / IDLE_SECONDS
        self.memory = resident_mib(family)
        self.connections = _asked(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )


def _is_calm(program: Program) -> bool:
    before = processor_seconds(program.family())
    time.sleep(1)
    return processor_seconds(program.family()) - before < 0.05


def _commits() -> float:
    return _asked("SELECT xact_commit + xact_rollback FROM pg_stat_database WHERE datname = current_database()")


def _asked(question: str) -> float:
    with connection.cursor() as cursor:
        cursor.execute(question)
        return float(cursor.fetchone()[0])


def _conninfo() -> str:
    info = connection.connection.info
    return make_conninfo(host=info.host, user=info.user, dbname=info.dbname)


def _start(number: int) -> float:
    run = start_run(pipeline="bench", shop=None, input={"number": number})
    return _claimed(str(run.id), time.time())


def _claimed(identifier: str, asked: float) -> float:
    """Wait for a run's end; milliseconds from `asked` to its claim."""

    def ended() -> datetime | None:
        run = Run.objects.only("status", "started_at", "error_message").get(pk=identifier)
        if run.status == Run.Status.FAILED:
            raise RuntimeError(f"A run failed: {run.error_message}")
        return run.started_at if run.is_over else None

    started_at = wait_for(ended, "the run ends")
    assert started_at is not None
    return (started_at.timestamp() - asked) * 1000


def _stamped(send: Callable[[str], object], number: int) -> float:
    """Milliseconds from sending a task that looks at the clock to its body."""
    with tempfile.TemporaryDirectory(prefix="seeit-bench-stamp-") as folder:
        path = Path(folder) / "stamp"
        asked = time.time()
        send(str(path))
        began = wait_for(lambda: path.exists() and path.read_text(), "the task runs", every=0.005)
        return (float(began) - asked) * 1000


def _repeated(once: Callable[[int], float]) -> list[float]:
    return [once(number) for number in range(WARM_UP + TIMES)][WARM_UP:]
