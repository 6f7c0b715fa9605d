"""A model service of which 30 % goes wrong: whether every run ends, nothing is asked in vain, and the books agree."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from django.db import transaction

from bench.figures import MEDIAN, SLOWEST, Figure, Section, percentile
from bench.processes import running_workers, wait_for
from bench.scratch import scratch_database
from runs.models import Run, RunError, Step
from runs.services import publish_dag, start_run
from tests.vendor_servers.flaky import EXHAUSTED, GOOD, TROUBLE, Books, FlakyGemini, disagreements

RUNS, CALLS, WORKERS, SHARE, SEED = 200, 2, 2, 0.3, 7
TIMEOUT_S = 3.0  # so long does a call wait that is never answered
LAST_RUNS = 20  # that begin when the quota of the day is used up
KEY = "AIzaTestKeyOfTheLoopbackServer0000000000"
FACTS = {"title": "Oak chair", "product_type": "chair", "mount": "floor"}
LOCAL = '[[tasks.{}]]\nvendor = "local"\nmodel = "local-1"\n'
ROUTES = f"""
[limits.gemini]
concurrency = 20

[[tasks.facts]]
vendor = "gemini"
model = "gemini-3.8-flash"
timeout_s = {TIMEOUT_S}
move_on = ["vendor_refused", "vendor_rejected"]

{"".join(LOCAL.format(task) for task in ("facts", "cutout", "placement", "composite"))}"""


def measure(title: str) -> Section:
    """Runs by real workers against a loopback server that speaks Gemini's wire format and keeps books of its own."""
    with scratch_database("errors"), FlakyGemini(FACTS, share=SHARE, seed=SEED) as server, routes() as environment:
        publish_dag("bench", {"dag_version": 1, "nodes": [_node("first"), _node("second", "first")]})
        with running_workers(WORKERS=str(WORKERS), GEMINI_BASE_URL=server.url, GEMINI_API_KEY=KEY, **environment):
            _work_off(RUNS - LAST_RUNS)
            server.exhaust()
            _work_off(LAST_RUNS)
        return Section(title, _how(), [*_figures(server.books), *_latencies()], _notes(server.books))


def _how() -> str:
    kinds = ", ".join(kind.name for kind in TROUBLE)
    return (
        f"{RUNS} runs of {CALLS} model calls one after another, by {WORKERS} workers, against a loopback server in "
        f"Gemini's wire format that answers {SHARE:.0%} of all calls with one of: {kinds}. What is refused or rejected "
        "moves on to `local`, everything else is asked again (8 retries). When "
        f"{RUNS - LAST_RUNS} runs have ended, the quota of the day is used up for the others. What was asked in vain "
        "or too early, and what it all costs, is told by the server's own books: by idempotency key, its clock, and "
        "the usage that it states. A call that is not answered whole has a cost that only the service knows."
    )


def _figures(books: Books) -> list[Figure]:
    costs = list(Run.objects.values_list("cost_usd", "cost_unknown"))
    spent, unknown = float(sum(cost or 0 for cost, _ in costs)), sum(count for _, count in costs)
    failed = Run.objects.filter(status=Run.Status.FAILED).count()
    return [
        Figure("runs that have not ended", Run.objects.unfinished().count(), "", target=0),
        Figure("runs that failed", failed, "", target=0),
        Figure("calls made in vain or too early", len(books.wrong), "", target=0),
        Figure("recorded cost", spent, "$", "the server's books", float(books.billed)),
        Figure("difference of the two", abs(spent - float(books.billed)), "$", target=0),
        Figure("calls of unknown cost", unknown, "", "answers undelivered", books.undelivered),
        Figure("calls after the quota was used up", books.count(EXHAUSTED), "", "runs that began then", LAST_RUNS),
    ]


def _notes(books: Books) -> list[str]:
    good, wrong = books.count(GOOD), books.count(*TROUBLE)
    kept = RunError.objects.exclude(vendor="").count()
    local = Step.objects.filter(vendor="local").count()
    return [
        f"{good + wrong} calls before that, {wrong} of them of {len(TROUBLE)} kinds of trouble; {kept} failed attempts "
        "are kept with request and answer.",
        f"{local} of {RUNS * CALLS} nodes were answered by `local` in the end.",
        *disagreements(books, Run.objects.values_list("cost_usd", "cost_unknown"))[:10],
    ]


def _node(key: str, *before: str) -> dict[str, Any]:
    backoff = {"initial_ms": 50, "factor": 1.5, "max_ms": 1000}
    return {"key": key, "step": "bench_facts@1", "depends_on": list(before), "retries": 8, "backoff": backoff,
            "retry_on": ["timeout", "rate_limit", "vendor"], "timeout_ms": 30_000}  # fmt: skip


def _work_off(count: int) -> None:
    """Begin so many runs at once, and wait until all have ended."""
    with transaction.atomic():
        for _ in range(count):
            start_run(pipeline="bench", shop=None, input={})
    wait_for(lambda: not Run.objects.unfinished().exists(), "all runs end", seconds=300, every=0.25)


def _latencies() -> list[Figure]:
    seconds = [(latency or 0) / 1000 for latency in Run.objects.values_list("latency_ms", flat=True)]
    return [
        Figure("from a run's start to its end, p50", percentile(seconds, MEDIAN), "s"),
        Figure("from a run's start to its end, p95", percentile(seconds, SLOWEST), "s"),
    ]


@contextmanager
def routes() -> Iterator[dict[str, str]]:
    """The environment of workers that ask the server first."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "models.toml"
        path.write_text(ROUTES)
        yield {"MODEL_ROUTES": str(path)}
