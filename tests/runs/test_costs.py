"""What runs cost: the known sum, and how many calls nobody knows the cost of."""

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from runs.cancelling import cancel_run
from runs.claims import Claim
from runs.models import Artifact, Run, RunError
from runs.services import start_run
from runs.sweeping import park
from tests.runs.engine import ScriptedVendor, chain, deps, publish, run_inline
from tests.runs.test_bad_ends import claimed, execute
from vendors.base import RateLimited, Refused, Reply, TimedOut, Usage
from vendors.prices import Price, Prices

pytestmark = pytest.mark.django_db
SINCE = datetime(2026, 1, 1, tzinfo=UTC)
PRICES = Prices((Price("scripted", "scripted-*", SINCE, input=Decimal(1), output=Decimal(2)),), frozenset({"scripted"}))
ANSWER = Reply(model="scripted-1", data=1, usage=Usage(tokens_in=1000, tokens_out=500, tokens_image=7))
REFUSED = Refused("not this", usage=Usage(tokens_in=1000, tokens_out=0), response={"status": 200})


def asked(*answers: Any, prices: Prices = PRICES) -> Run:
    publish("asking", *chain("asking@1", retries=3, backoff={"initial_ms": 0}))
    given = replace(deps(ScriptedVendor(list(answers))), prices=prices)
    return run_inline("asking", given=given)


def test_an_answer_is_priced_and_its_recording_knows_the_price() -> None:
    run = asked(ANSWER)
    step = run.steps.get()
    assert (step.cost_usd, step.cost_source, step.tokens_image) == (Decimal("0.002"), "prices:2026-01-01", 7)
    assert (run.cost_usd, run.cost_unknown) == (Decimal("0.002"), 0)
    reply = Artifact.objects.get(run=run, role="reply").blob
    assert b'"cost_source":"prices:2026-01-01","cost_usd":0.002' in bytes(reply.body)


def test_an_error_that_was_paid_for_counts_and_says_by_which_price() -> None:
    run = asked(REFUSED)
    error = RunError.objects.get(run=run)
    assert (error.cost_usd, error.cost_source) == (Decimal("0.001"), "prices:2026-01-01")
    assert (run.status, run.cost_usd, run.cost_unknown) == ("failed", Decimal("0.001"), 0)


def test_a_cost_that_nobody_knows_is_counted_and_the_sum_is_of_what_is_known() -> None:
    run = asked(TimedOut("?"), ANSWER)
    assert (run.status, run.cost_usd, run.cost_unknown) == ("completed", Decimal("0.002"), 1)
    assert RunError.objects.get(run=run).cost_usd is None


def test_an_error_that_is_not_billed_costs_nothing_and_leaves_the_sum_complete() -> None:
    run = asked(RateLimited("slow down", retry_after_s=0.0, response={"status": 429}), ANSWER)
    assert (run.cost_usd, run.cost_unknown) == (Decimal("0.002"), 0)
    assert RunError.objects.get(run=run).cost_source == "unbilled"


def test_a_model_without_a_price_leaves_the_cost_unknown() -> None:
    run = asked(ANSWER, prices=Prices())
    assert (run.cost_usd, run.cost_unknown, run.steps.get().cost_source) == (None, 1, "")


def test_a_run_that_asks_nobody_has_no_cost_and_nothing_unknown() -> None:
    publish("noops", *chain("noop@1"))
    run = run_inline("noops")
    assert (run.cost_usd, run.cost_unknown) == (None, 0)


def test_a_call_that_was_under_way_when_its_worker_was_lost_is_unknown() -> None:
    publish("asking", *chain("asking@1"))
    run = start_run(pipeline="asking", shop=None, input={})
    claimed(run)
    run.steps.update(status="running", vendor="scripted", model="scripted-1")
    ended = execute(claimed(run), replace(deps(ScriptedVendor([ANSWER])), prices=PRICES))
    assert (ended.status, ended.cost_usd, ended.cost_unknown) == ("completed", Decimal("0.002"), 1)


def at_work(vendor: str) -> Run:
    """A run that a worker has in hand, its model being asked."""
    publish("asking", *chain("asking@1", "asking@1"))
    run = start_run(pipeline="asking", shop=None, input={})
    claimed(run)
    run.steps.filter(node_key="a").update(status="running", vendor=vendor, model="m")
    return run


@pytest.mark.parametrize(("vendor", "unknown"), [("scripted", 1), ("local", 0), ("", 0)])
def test_a_call_under_way_when_its_run_is_ended_from_outside_is_unknown(vendor: str, unknown: int) -> None:
    cancelled, parked = at_work(vendor), at_work(vendor)
    cancel_run(cancelled.pk, by="somebody")
    parked.refresh_from_db()
    park(Claim(parked.pk, parked.token, "w"))
    assert [Run.objects.get(pk=run.pk).cost_unknown for run in (cancelled, parked)] == [unknown, unknown]
