"""How long a shopper's request waits for a worker: from the POST to the claim of its run."""

import statistics
import tempfile
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
from django_q.tasks import async_task

from bench.engine import noop_chain
from bench.figures import Section, spread
from bench.processes import running_web, running_workers, wait_for
from bench.scratch import scratch_database
from prep.models import ProductAsset
from runs.models import Run
from runs.services import publish_dag, start_run
from shops.models import ApiKey
from storefront.demo_catalog import load_catalog
from storefront.demo_shop import ensure_demo_key, ensure_demo_shop, prepare_products, seed_products

WARM_UP, TIMES = 3, 40
TARGET_MS = 250
API = "/proxy/v1/"


def measure(title: str) -> Section:
    """POST to claim through the real web server, beside the parts of the way."""
    how = (
        f"`POST {API}composites` over loopback to Gunicorn (two processes, four threads each), with two workers and "
        "the demo shop's real pictures; from just before the request to the run's `started_at`, which the "
        f"claiming worker writes by the database's clock. {TIMES} requests, each after the run before has ended."
    )
    with scratch_database("dispatch"), running_workers():
        publish_dag("bench", noop_chain(1))
        shop = ensure_demo_shop()
        asset = seed_products(shop)[0]
        prepare_products([asset])
        with running_web() as base:
            page = Page(base, ensure_demo_key(shop, [base]), asset)
            posted = _repeated(page.post)
            answered = page.answered_ms[WARM_UP:]
            page.client.close()
        started = _repeated(_start)
        queued = _repeated(_queue)
    section = Section(title, how)
    section.figures = [
        *spread("POST to claim", posted, "ms", beside="without HTTP", peer=started, targets=(TARGET_MS, None)),
        *spread("start_run to claim", started, "ms", beside="bare django-q2 task", peer=queued),
        *spread("POST to its answer", answered, "ms"),
    ]
    section.notes = [
        "A bare task is `async_task` of a function that only looks at the clock, on the same broker and workers.",
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


def _start(number: int) -> float:
    asked = time.time()
    run = start_run(pipeline="bench", shop=None, input={"number": number})
    return _claimed(str(run.id), asked)


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


def _queue(number: int) -> float:
    with tempfile.TemporaryDirectory(prefix="seeit-bench-stamp-") as folder:
        path = Path(folder) / "stamp"
        asked = time.time()
        async_task("bench.tasks.stamp", str(path))
        began = wait_for(lambda: path.exists() and path.read_text(), "the task runs")
        return (float(began) - asked) * 1000


def _repeated(once: Callable[[int], float]) -> list[float]:
    return [once(number) for number in range(WARM_UP + TIMES)][WARM_UP:]
