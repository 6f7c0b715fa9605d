"""The operator's run list and run page, with few runs in the table and with many."""

import time
from dataclasses import dataclass
from urllib.parse import quote

from django.contrib.auth import get_user_model
from django.test import Client
from django.urls import reverse

from bench.counting import counting
from bench.figures import MEDIAN, SLOWEST, Figure, Section, percentile
from bench.scratch import scratch_database
from bench.seeding import (
    METRIC,
    RARE_MODEL,
    SIGNATURE,
    make_large_run,
    make_model_run,
    seed_runs,
    seeded_counts,
)
from monitor.run_list import BACK
from runs.models import Run

FEW, MANY, WARM_UP, TIMES = 50, 50_000, 3, 40
TARGET_MS, LARGE_TARGET_MS = 150, 300
STEPS, EVIDENCE = 30, 200
LARGE = f"run page of {STEPS} steps and {EVIDENCE} artifacts"
QUERIES = {"run page": 20, LARGE: 20, "errors of 30 days": 8}
LIST = "run list"
HOUR, MONTH = 3600, 30 * 24 * 3600


@dataclass(frozen=True, slots=True)
class Visit:
    """One page, asked for many times: how many queries, which bytes, and milliseconds of each answer."""

    queries: int
    size: int
    ms: list[float]


def measure(title: str) -> Section:
    """The same pages at both sizes of the table, beside a view that does nothing."""
    how = (
        f"Django's test client with a signed-in member of staff: the whole request through middleware, view, template "
        f"and database, {TIMES} times after {WARM_UP} to warm up. All runs are copies of one real picture of the demo "
        f"shop; the newest {FEW} come with payloads, evidence and metrics and are the same at both table sizes. The "
        "empty view is `/healthz` through the same middleware."
    )
    with scratch_database("pages"):
        client = _staff()
        model = make_model_run()
        large = make_large_run(model, steps=STEPS, artifacts=EVIDENCE)
        seed_runs(model, FEW, newest_s=60, oldest_s=HOUR, whole=True)
        few = _visits(client, model, large)
        seed_runs(model, MANY - FEW, newest_s=HOUR + 1, oldest_s=MONTH, whole=False)
        many = _visits(client, model, large)
        empty = _visit(client, reverse("healthz"))
        counts = seeded_counts()
    section = Section(title, how)
    for name, visit in many.items():
        limit = QUERIES.get(name) or few[LIST if name.startswith(LIST) else name].queries
        section.figures += _figures(name, visit, few[name], limit)
    page = percentile(many["run page"].ms, MEDIAN)
    section.figures.append(Figure("run page, p50", page, "ms", "empty view", percentile(empty.ms, MEDIAN)))
    sizes = ", ".join(f"{name} {visit.size / 1024:.0f} KiB" for name, visit in many.items())
    section.notes = [
        f"In the tables: {counts}.",
        f"HTML, uncompressed: {sizes}.",
        "Queries include the two of every signed-in request (session and user).",
    ]
    return section


def _figures(name: str, visit: Visit, few: Visit, queries: int) -> list[Figure]:
    """Queries under their limit (for the list as many as with few runs), and answers in time."""
    with_few, target = f"with {FEW} runs", LARGE_TARGET_MS if name == LARGE else TARGET_MS
    return [
        Figure(f"{name}, queries", visit.queries, "", with_few, few.queries, queries),
        Figure(f"{name}, p50", percentile(visit.ms, MEDIAN), "ms", with_few, percentile(few.ms, MEDIAN), target),
        Figure(f"{name}, p95", percentile(visit.ms, SLOWEST), "ms", with_few, percentile(few.ms, SLOWEST), target),
    ]


def _staff() -> Client:
    client = Client()
    client.force_login(get_user_model().objects.create_superuser("bench", password=None))
    return client


def _visits(client: Client, model: Run, large: Run) -> dict[str, Visit]:
    runs = reverse("admin:runs_run_changelist")
    ids = list(Run.objects.order_by("-id").values_list("id", flat=True))
    middle = Run.objects.get(pk=ids[len(ids) // 2])
    about = quote(middle.created_at.isoformat(sep=" ", timespec="minutes"))
    addresses = {
        "run page": reverse("admin:runs_run_change", args=[str(ids[FEW // 2])]),
        LARGE: reverse("admin:runs_run_change", args=[str(large.pk)]),
        LIST: runs,
        "run list, a page in the middle": f"{runs}?range=all&before={ids[len(ids) // 2]}",
        "run list, one shop": f"{runs}?range=all&shop={model.shop_id}",
        "run list, one error": f"{runs}?range=all&error=vendor_timeout",
        "run list, a rare model": f"{runs}?range=all&model={RARE_MODEL}",
        "run list, a rare title": f"{runs}?range=all&q=%2048123",
        "run list, about a moment": f"{runs}?around={about}&within=1h",
        "run list, a failed metric": f"{runs}?range=all&metric={METRIC}",
        "run list, failed alike": f"{runs}?range=all&signature={quote(SIGNATURE)}3",
        "run list, a reference code": f"{runs}?q={middle.reference}",
        "next run of the list": f"{reverse('admin:monitor_older', args=[str(middle.pk)])}?{BACK}=status%3Dcompleted",
        "errors of 30 days": f"{reverse('admin:monitor_errors')}?range=30d",
        "steps that dropped over 90 %": f"{reverse('admin:runs_step_changelist')}?dropped=0.9",
        "dashboard": reverse("admin:index"),
    }
    return {name: _visit(client, address) for name, address in addresses.items()}


def _visit(client: Client, address: str) -> Visit:
    answer = _get(client, address)
    for _ in range(WARM_UP):
        _get(client, address)
    with counting() as asked:
        _get(client, address)
    ms = []
    for _ in range(TIMES):
        begun = time.perf_counter()
        _get(client, address)
        ms.append((time.perf_counter() - begun) * 1000)
    return Visit(len(asked.statements), len(answer), ms)


def _get(client: Client, address: str) -> bytes:
    answer = client.get(address)
    if answer.status_code not in (200, 302):
        raise RuntimeError(f"{address} answered {answer.status_code}.")
    return answer.content
