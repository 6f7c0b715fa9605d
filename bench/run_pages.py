"""The operator's pages with 50,000 runs in the table: server time and queries of each."""

import random
import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from bench.figures import Figure, Section, spread
from bench.scratch import scratch_database
from core.ids import Ulid
from runs.models import Pipeline, Run, RunError, Step
from shops.models import Shop

RUNS, SHOPS, BATCH, ROUNDS = 50_000, 40, 5_000, 15
DAYS = 30
LIMIT_MS = 150.0
NODES = (("facts", "llm"), ("placement", "llm"), ("select", "filter"), ("composite", "image"))
PRODUCTS = ("Halden sofa", "Otto coffee table", "Marlow chair", "Rill pendant", "Terra print", "Fjord wardrobe")


def measure(title: str) -> Section:
    """Each page, asked for as staff would, in this process; the figures hold everything but the network."""
    how = (
        f"{RUNS:,} runs with {len(NODES)} steps each of {SHOPS} shops over {DAYS} days, and one real composite. "
        f"Every page {ROUNDS} times through the whole middleware, as a superuser."
    )
    with scratch_database("pages"):
        run_id = _real_run()
        begun = time.perf_counter()
        seed_runs(RUNS)
        seeded = time.perf_counter() - begun
        client = _staff()
        section = Section(title, how, notes=[f"Seeding took {seeded:.0f} s."])
        for name, path in _pages(run_id):
            times, queries = _ask(client, path)
            section.figures += spread(name, times, "ms", targets=(LIMIT_MS, None))
            section.figures.append(Figure(f"{name}, queries", queries, "", target=20))
    return section


def _pages(run_id: str) -> Iterator[tuple[str, str]]:
    runs = "/admin/runs/run/"
    shop = Shop.objects.order_by("domain").first()
    middle = str(Run.objects.order_by("id").values_list("id", flat=True)[RUNS // 2])
    yield "dashboard", "/admin/"
    yield "run list, last 24 h", runs
    yield "run list, all time", f"{runs}?range=all"
    yield "run list, one shop", f"{runs}?range=all&shop={shop.pk if shop else ''}"
    yield "run list, failed", f"{runs}?range=all&status=failed"
    yield "run list, one error code", f"{runs}?range=all&error=vendor_timeout"
    yield "run list, one rare model", f"{runs}?range=all&model=rare-1"
    yield "run list, one prompt", f"{runs}?range=all&prompt=placement:v3"
    yield "run list, a title that is rare", f"{runs}?range=all&q=Fjord%20wardrobe%2049"
    yield "run list, a page in the middle", f"{runs}?range=all&before={middle}"
    yield "run page", f"{runs}{run_id}/change/"
    yield "steps that dropped more than 90 %", "/admin/runs/step/?dropped=0.9"


def _ask(client: Client, path: str) -> tuple[list[float], int]:
    """Server times in ms, and the queries of one request."""
    with CaptureQueriesContext(connection) as queries:
        response = client.get(path)
    if response.status_code != 200:
        raise RuntimeError(f"{path} answered {response.status_code}")
    times = []
    for _ in range(ROUNDS):
        begun = time.perf_counter()
        client.get(path)
        times.append((time.perf_counter() - begun) * 1000)
    return times, len(queries)


def _staff() -> Client:
    user = get_user_model().objects.create_superuser("bench")
    client = Client()
    client.force_login(user)
    return client


def _real_run() -> str:
    """One real composite, whose page has everything on it."""
    demo = Path(settings.BASE_DIR) / "storefront" / "demo"
    product, room = demo / "products" / "halden-sofa.jpg", demo / "rooms" / "living-room.jpg"
    with suppress(SystemExit):  # a picture that the gate rejects has a page as well
        call_command("composite", "--product", str(product), "--room", str(room), "--title", "Sofa, 213 x 91 x 84 cm",
                     "--product-type", "Sofa")  # fmt: skip
    return str(Run.objects.order_by("-id").values_list("id", flat=True)[0])


def seed_runs(number: int) -> None:
    """Runs with steps and errors, oldest first, evenly over the last days; ids carry the time they stand for."""
    choose = random.Random(1)  # noqa: S311 - the same table every time
    pipeline = Pipeline.objects.get(slug="composite")
    shops = [Shop.objects.create(domain=f"bench-{index:02}.example") for index in range(SHOPS)]
    now = timezone.now()
    for first in range(0, number, BATCH):
        runs, steps, errors = [], [], []
        for index in range(first, min(first + BATCH, number)):
            moment = now - timedelta(days=DAYS) * (number - index) / number
            run = _run(index, pipeline, shops[choose.randrange(SHOPS)], moment, choose)
            runs.append(run)
            steps += list(_steps(run, index, moment, choose))
            if run.status == Run.Status.FAILED:
                errors.append(_error(run))
        Run.objects.bulk_create(runs)
        Step.objects.bulk_create(steps)
        RunError.objects.bulk_create(errors)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")


def _id(moment: Any, choose: random.Random) -> Ulid:
    """A UUIDv7 of a past moment (RFC 9562, section 5.7)."""
    value = int(moment.timestamp() * 1000) << 80 | 0x7 << 76 | choose.getrandbits(12) << 64 | 0b10 << 62
    return Ulid(int=value | choose.getrandbits(62))


def _run(index: int, pipeline: Pipeline, shop: Shop, moment: Any, choose: random.Random) -> Run:
    failed = choose.random() < 0.03
    product = PRODUCTS[index % len(PRODUCTS)]
    latencies = {name: choose.randrange(40, 3000) for name, _ in NODES}
    return Run(
        id=_id(moment, choose), pipeline=pipeline, pipeline_slug="composite", shop=shop,
        subject_type="product_asset", subject_id=f"{index % 900}", subject_label=f"{product} {index}",
        status=Run.Status.FAILED if failed else Run.Status.COMPLETED, phase="composite",
        error_stage="placement" if failed else "", error_code="vendor_timeout" if failed else "",
        error_message="The model service did not answer in time." if failed else "",
        input={"tap": None}, input_sha256=f"{index:064x}", latency_ms=sum(latencies.values()),
        cost_usd=Decimal("0.039") if index % 3 else None, created_at=moment, finished_at=moment,
        summary={"title": product, "latencies": latencies, "prompt_versions": {"placement": "v3", "composite": "v2"},
                 "models": {"placement": "local/local-1"}, "pictures": {"room": f"{index:064x}"}},
    )  # fmt: skip


def _steps(run: Run, index: int, moment: Any, choose: random.Random) -> Iterator[Step]:
    for seq, (name, kind) in enumerate(NODES, start=1):
        kept = choose.randrange(1, 12)
        yield Step(
            id=_id(moment, choose), run=run, shop_id=run.shop_id, pipeline_slug="composite", environment="production",
            node_key=name, name=name, type=kind, seq=seq, status=Step.Status.COMPLETED, started_at=moment,
            finished_at=moment, latency_ms=100, model="rare-1" if index % 10_000 == 77 else "local-1", vendor="local",
            prompt_name=name if kind == "llm" else "", prompt_version="v3" if kind == "llm" else "",
            candidates_in=24 if kind == "filter" else None, candidates_out=kept if kind == "filter" else None,
            drop_ratio=1 - kept / 24 if kind == "filter" else None, created_at=moment,
        )  # fmt: skip


def _error(run: Run) -> RunError:
    return RunError(run=run, stage="placement", code="vendor_timeout", message=run.error_message, retryable=True)
