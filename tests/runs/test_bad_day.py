"""Runs against a service of which much goes wrong: all of them end, nothing is asked in vain, and the books agree."""

import itertools
from dataclasses import replace
from pathlib import Path

import pytest

from runs.models import Run, RunError
from tests.runs.engine import chain, deps, publish, run_inline
from tests.vendor_servers.flaky import EXHAUSTED, GOOD, TROUBLE, Books, FlakyGemini, Kind, disagreements
from vendors.gemini.vendor import GeminiVendor
from vendors.prices import load_prices
from vendors.routes import Route, Routes

pytestmark = pytest.mark.django_db
PRICES = load_prices(Path(__file__).parents[2] / "config" / "prices.toml")
KEY = "AIzaTestKeyOfTheLoopbackServer0000000000"


class Planned(FlakyGemini):
    """Everything that can go wrong, once, each followed by a good answer; and in the end there is no quota left."""

    def __init__(self) -> None:
        super().__init__({"title": "Oak chair"})
        self._plan = itertools.chain(*((kind, GOOD) for kind in TROUBLE), itertools.repeat(EXHAUSTED))

    def trouble(self) -> Kind:
        return next(self._plan)


def test_whatever_goes_wrong_runs_end_and_the_services_books_agree_with_ours() -> None:
    publish("prompted", *chain("prompted@1", retries=2, backoff={"initial_ms": 0}))
    with Planned() as server:
        route = Route("gemini", "gemini-3.8-flash", timeout_s=0.3)
        vendors = {"gemini": GeminiVendor(KEY, server.url)}
        made = replace(deps(), routes=Routes({"facts": (route,)}), vendors=vendors, prices=PRICES)
        while not server.books.count(EXHAUSTED):
            run_inline("prompted", given=made)
        last = run_inline("prompted", given=made)
        books = server.books
    ended = Run.objects.values_list("status", flat=True)
    final = [kind for kind in TROUBLE if kind.final]
    assert sorted(ended) == ["completed"] * (2 * len(TROUBLE) - len(TROUBLE)) + ["failed"] * (len(final) + 2)
    assert disagreements(books, Run.objects.values_list("cost_usd", "cost_unknown")) == []
    assert (last.error_code, books.count(EXHAUSTED)) == ("vendor_quota_exhausted", 1)
    assert RunError.objects.filter(cost_usd=None).exclude(vendor="").count() == books.undelivered == 4


def test_books_that_do_not_agree_are_told() -> None:
    refused = next(kind for kind in TROUBLE if kind.name == "refused")
    slow = next(kind for kind in TROUBLE if kind.name == "slow down")
    books = Books([("a", refused, 0.0), ("a", GOOD, 1.0), ("b", slow, 0.0), ("b", GOOD, 0.1)])
    told = disagreements(books, [(None, 1)])
    assert told == [
        "a was asked again after: refused",
        "b was asked again after 0.10 s of 0.3",
        "1 calls of unknown cost, 0 answers undelivered",
    ]
