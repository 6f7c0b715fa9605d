"""Which route an attempt takes, which it passes over and why, and where a failure leads."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.utils import timezone

from runs.context import Deps
from runs.dag import read_dag
from runs.errors import AttemptFailed
from runs.inline import _same_thread
from runs.limits import Limiter
from runs.models import Run, RunError, VendorPace
from runs.pace import let_rest
from runs.policy import after_failure
from runs.services import start_run
from tests.factories import ShopFactory
from tests.runs.engine import ScriptedVendor, chain, deps, publish, run_inline
from tests.runs.test_bad_ends import claimed, execute
from vendors.base import (
    BadResponse,
    KeyRefused,
    QuotaExhausted,
    RateLimited,
    Refused,
    Rejected,
    Reply,
    TimedOut,
    Unavailable,
    Usage,
    VendorError,
)
from vendors.prices import Price, Prices
from vendors.routes import Limit, RunBudget

pytestmark = pytest.mark.django_db
SINCE = datetime(2026, 1, 1, tzinfo=UTC)
# By the estimate for a call of a few words: 1,500 tokens out and next to nothing in.
DEAR = Price("dear", "dear-*", SINCE, input=Decimal(0), output=Decimal(40))  # $0.06
CHEAP = Price("cheap", "cheap-*", SINCE, input=Decimal(0), output=Decimal(4))  # $0.006
PRICES = Prices((DEAR, CHEAP))


def vendor(name: str, *answers: Any, kind: str = "network") -> ScriptedVendor:
    return ScriptedVendor(list(answers) or [1], name=name, kind=kind)


def local(*answers: Any) -> ScriptedVendor:
    return vendor("local", *answers, kind="cpu")


def given(*vendors: ScriptedVendor, routes: Mapping[str, Any] | None = None, **more: Any) -> Deps:
    """Dependencies; `routes` are changes to the first route, budget fields go to `run`."""
    made = deps(*vendors, move_on=more.pop("move_on", ()))
    first, *others = made.routes.by_task["facts"]
    budget = RunBudget(more.pop("max_cost_usd", None), more.pop("max_latency_s", None))
    by_task = {"facts": (replace(first, **(routes or {})), *others)}
    return replace(made, routes=replace(made.routes, by_task=by_task, run=budget), prices=PRICES, **more)


def asked(made: Deps, *, nodes: str = "asking@1", shop: Any = None, **policy: Any) -> Run:
    publish("asking", *chain(*nodes.split(), **{"backoff": {"initial_ms": 0}, **policy}))
    return run_inline("asking", given=made, shop=shop)


def skipped(run: Run, node: str = "a") -> list[tuple[str, str]]:
    reasoning = run.steps.get(node_key=node).payload.reasoning
    return [(skip["route"], skip["reason"]) for skip in reasoning.get("skipped_routes", [])]


# Where each error leads: another route that lists it, a repetition on the same one, or the end.
ERRORS: list[tuple[type[VendorError], bool]] = [
    (RateLimited, True),
    (Unavailable, True),
    (TimedOut, True),
    (BadResponse, True),
    (Refused, False),
    (Rejected, False),
    (QuotaExhausted, False),
    (KeyRefused, False),
]


@pytest.mark.parametrize(("error", "again"), ERRORS)
def test_without_a_next_route_only_what_may_pass_is_asked_again(error: type[VendorError], again: bool) -> None:
    one = vendor("one", error("no", retry_after_s=0.0), error("no", retry_after_s=0.0), 1)
    run = asked(given(one), retries=2)
    assert (len(one.calls), run.status) == ((3, "completed") if again else (1, "failed"))


@pytest.mark.parametrize(("error", "again"), ERRORS)
def test_an_error_that_a_route_lists_leads_to_the_next_one_at_once(error: type[VendorError], again: bool) -> None:
    one, two = vendor("one", error("no", retry_after_s=9.0)), vendor("two")
    run = asked(given(one, two, move_on=[error.code]), retries=2)
    assert (len(one.calls), len(two.calls), run.status) == (1, 1, "completed")
    assert run.steps.get().route == 1


@pytest.mark.parametrize(("error", "again"), ERRORS)
def test_an_error_that_no_route_lists_stays_unless_it_would_hit_everybody(
    error: type[VendorError], again: bool
) -> None:
    one, two = vendor("one", error("no", retry_after_s=0.0), 1), vendor("two")
    run = asked(given(one, two), retries=1)
    everybody = error in (QuotaExhausted, KeyRefused)
    assert (len(one.calls), len(two.calls)) == ((1, 1) if everybody else (2, 0) if again else (1, 0))
    assert run.status == ("completed" if again or everybody else "failed")


@pytest.mark.parametrize(
    ("rest", "retries", "asks"), [(0.01, 1, (2, 0)), (9.0, 1, (1, 1)), (None, 1, (1, 1)), (0.01, 0, (1, 1))]
)
def test_a_service_that_asks_for_a_short_rest_gets_it_before_another_is_asked(
    rest: float | None, retries: int, asks: tuple[int, int]
) -> None:
    one, two = vendor("one", RateLimited("slowly", retry_after_s=rest), 1), vendor("two")
    run = asked(given(one, two, move_on=["vendor_rate_limited"]), retries=retries)
    assert (len(one.calls), len(two.calls), run.status) == (*asks, "completed")


def test_a_run_says_which_route_should_have_answered_and_one_that_is_for_other_shops_should_not() -> None:
    one, two = vendor("one", Unavailable("no")), vendor("two")
    fell = asked(given(one, two, move_on=["vendor_unavailable"]))
    assert (fell.summary["fallbacks"], fell.summary["models"]) == ({"a": "one/one-1"}, {"a": "two/two-1"})
    assert asked(given(vendor("one"), two)).summary["fallbacks"] == {}
    assert asked(given(one, two, routes={"feature": "new_model"})).summary["fallbacks"] == {}


def test_an_answer_that_the_schema_refused_is_asked_for_again_before_the_next_route() -> None:
    (node,) = read_dag({"dag_version": 1, "nodes": chain("noop@1", retries=1, retry_on=["ir_invalid"])}).nodes.values()
    refused = AttemptFailed("ir_invalid", "no", kind="ir_invalid", retryable=True)
    first, second = (after_failure(node, refused, retries=done, moves=True) for done in (0, 1))
    assert (first and first.next_route, second and second.next_route) == (False, True)


def test_a_route_with_a_feature_is_for_shops_that_have_it_switched_on() -> None:
    new = {"feature": "new_model"}
    for features, calls in (({"new_model": True}, 1), ({"new_model": False}, 0), ({}, 0)):
        one, two = vendor("one"), vendor("two")
        run = asked(given(one, two, routes=new), shop=ShopFactory(features=features))
        assert (run.status, len(one.calls), len(two.calls)) == ("completed", calls, 1 - calls)
        assert skipped(run) == ([] if calls else [("one/one-1", "feature")])
        assert run.steps.get().route == 1 - calls


def test_a_repetition_chooses_anew_so_that_what_it_passes_over_is_told_with_the_answer() -> None:
    one, two = vendor("one"), vendor("two", Unavailable("down"), 1)
    run = asked(given(one, two, routes={"feature": "new_model"}), retries=1)
    step = run.steps.get()
    assert (run.status, step.attempt, step.route, len(two.calls)) == ("completed", 2, 1, 2)
    assert skipped(run) == [("one/one-1", "feature")]


def test_a_run_without_a_shop_has_no_feature_and_says_so_when_nothing_is_left() -> None:
    run = asked(given(vendor("one"), routes={"feature": "new_model"}))
    assert (run.status, run.error_code) == ("failed", "no_route")
    assert "one/one-1 is for shops with the feature 'new_model'" in run.error_message


def test_the_next_cheaper_route_is_taken_when_a_call_would_exceed_what_the_run_may_cost() -> None:
    dear, cheap = vendor("dear"), vendor("cheap")
    run = asked(given(dear, cheap, local(), max_cost_usd=Decimal("0.05")))
    assert (len(dear.calls), len(cheap.calls), run.status) == (0, 1, "completed")
    assert skipped(run) == [("dear/dear-1", "cost")]
    why = run.steps.get().payload.reasoning["skipped_routes"][0]["why"]
    assert why.endswith("the run has spent $0.0000 and may spend $0.0500")


def test_what_earlier_nodes_and_failed_attempts_have_cost_counts() -> None:
    answer = Reply(model="dear-1", data=1, usage=Usage(tokens_in=0, tokens_out=1000))  # $0.04
    late = TimedOut("?")  # unknown: counts as what was expected, $0.06
    dear, cheap = vendor("dear", late, answer, answer), vendor("cheap", local_answer := 2)
    run = asked(given(dear, cheap, max_cost_usd=Decimal("0.15")), nodes="asking@1 asking@1", retries=1)
    assert (len(dear.calls), len(cheap.calls), local_answer) == (2, 1, 2)
    assert (run.status, run.cost_usd, skipped(run, "b")) == ("completed", Decimal("0.04"), [("dear/dear-1", "cost")])


def test_what_was_spent_before_a_worker_was_lost_still_counts() -> None:
    publish("asking", *chain("asking@1"))
    run = start_run(pipeline="asking", shop=None, input={})
    claimed(run)
    Run.objects.filter(pk=run.pk).update(cost_usd=Decimal("0.20"))
    dear, cheap = vendor("dear"), vendor("cheap")
    ended = execute(claimed(run), given(dear, cheap, max_cost_usd=Decimal("0.25")))
    assert (len(dear.calls), len(cheap.calls), ended.status) == (0, 1, "completed")


def test_our_own_engine_is_always_affordable_and_without_it_the_run_fails_by_name() -> None:
    dear, own = vendor("dear"), local()
    most = Decimal("0.001")
    assert asked(given(dear, own, max_cost_usd=most)).status == "completed"
    run = asked(given(dear, max_cost_usd=most))
    assert (run.status, run.error_code, len(dear.calls)) == ("failed", "budget_exceeded", 0)
    assert "dear/dear-1 would cost about $0.0" in run.error_message


def test_an_error_does_not_move_on_to_a_route_that_nobody_could_pay() -> None:
    cheap, dear = vendor("cheap", Unavailable("down")), vendor("dear")
    run = asked(given(cheap, dear, max_cost_usd=Decimal("0.05"), move_on=["vendor_unavailable"]), retries=0)
    assert (run.status, run.error_code, len(dear.calls)) == ("failed", "vendor_unavailable", 0)


def test_a_model_without_a_price_may_be_asked_until_the_run_has_spent_what_it_may() -> None:
    answer = Reply(model="cheap-1", data=1, usage=Usage(tokens_in=0, tokens_out=10_000))  # $0.04
    publish("asking", *chain("asking@1", "asking@1"))
    unknown, cheap, own = vendor("unknown", TimedOut("?")), vendor("cheap", answer), local()
    run = asked(given(unknown, cheap, own, max_cost_usd=Decimal("0.04"), move_on=["vendor_timeout"]),
                nodes="asking@1 asking@1", retries=0)  # fmt: skip
    assert (len(unknown.calls), len(cheap.calls), len(own.calls)) == (1, 1, 1)
    assert skipped(run, "b") == [("unknown/unknown-1", "cost"), ("cheap/cheap-1", "cost")]


@pytest.mark.parametrize(("gone_s", "priority", "calls"), [(0, 0, 1), (60, 0, 0), (60, 10, 1)])
def test_a_run_that_somebody_waits_for_asks_no_service_when_its_time_is_over(
    gone_s: int, priority: int, calls: int
) -> None:
    publish("asking", *chain("asking@1"))
    run = start_run(pipeline="asking", shop=None, input={}, priority=priority)
    claim = claimed(run)
    far, own = vendor("cheap"), local()
    clock = {"clock": lambda: timezone.now() + timedelta(seconds=gone_s)}
    ended = execute(claim, given(far, own, max_latency_s=30.0, **clock))
    assert (len(far.calls), len(own.calls), ended.status) == (calls, 1 - calls, "completed")
    assert skipped(ended) == ([] if calls else [("cheap/cheap-1", "latency")])


def test_a_call_has_the_time_of_its_route_within_that_of_its_node_and_of_the_run() -> None:
    seen = []
    for more in ({}, {"max_latency_s": 20.0}, {"routes": {"timeout_s": 7.0}}):
        far = vendor("cheap")
        asked(given(far, local(), **more), timeout_ms=40_000)
        seen.append(far.calls[0].timeout_s)
    assert seen[0] == 39.0
    assert 15.0 < seen[1] <= 20.0
    assert seen[2] == 7.0


def with_limits(made: Deps, *names: str) -> Deps:
    """As a worker of its own: what another one learned, it knows from the rows alone."""
    return replace(made, limiter=Limiter({name: Limit() for name in names}, _same_thread, "w"))


def test_a_key_that_is_refused_is_found_out_once_and_not_by_every_shopper() -> None:
    one, two = vendor("one", KeyRefused("who are you?")), vendor("two")
    first = asked(with_limits(given(one, two), "one"))
    others = [asked(with_limits(given(one, two), "one")) for _ in range(3)]
    assert [run.status for run in (first, *others)] == ["completed"] * 4
    assert (len(one.calls), len(two.calls)) == (1, 4)
    assert RunError.objects.count() == 1
    assert {tuple(skipped(run)) for run in others} == {(("one/one-1", "vendor_key_refused"),)}
    assert [run.steps.get().attempt for run in others] == [1, 1, 1]


def test_a_service_that_refuses_our_key_and_is_the_only_one_is_not_asked_again_and_the_run_says_why() -> None:
    one = vendor("one", KeyRefused("who are you?"))
    runs = [asked(with_limits(given(one), "one"), retries=3) for _ in range(2)]
    assert [run.error_code for run in runs] == ["vendor_key_refused"] * 2
    assert len(one.calls) == 1
    assert "is not asked for another" in runs[1].error_message


def test_when_the_rest_is_over_one_call_shows_that_the_service_is_open_again() -> None:
    let_rest("one", 300, "vendor_key_refused")
    VendorPace.objects.update(not_before=timezone.now() - timedelta(seconds=1))
    one, two = vendor("one"), vendor("two")
    run = asked(with_limits(given(one, two), "one"))
    pace = VendorPace.objects.get(pk="one")
    assert (run.status, len(one.calls), pace.closed_by, pace.not_before) == ("completed", 1, "", None)


def test_a_probe_that_fails_closes_the_service_again_and_meanwhile_nobody_else_asks() -> None:
    let_rest("one", 300, "vendor_key_refused")
    VendorPace.objects.update(not_before=timezone.now() - timedelta(seconds=1))
    one, two = vendor("one", KeyRefused("still not")), vendor("two")
    made = with_limits(given(one, two), "one")
    runs = [asked(made), asked(with_limits(given(one, two), "one"))]
    assert ([run.status for run in runs], len(one.calls), len(two.calls)) == (["completed"] * 2, 1, 2)
    assert VendorPace.objects.get(pk="one").closed_by == "vendor_key_refused"


def test_a_long_rest_is_not_waited_for_where_the_next_route_takes_over_and_a_short_one_is() -> None:
    let_rest("one", 600)
    one, two = vendor("one"), vendor("two")
    run = asked(with_limits(given(one, two, move_on=["vendor_rate_limited"]), "one"))
    assert (run.status, len(one.calls), skipped(run)) == ("completed", 0, [("one/one-1", "rest")])
    VendorPace.objects.update(not_before=timezone.now() + timedelta(seconds=0.2))
    run = asked(with_limits(given(one, two, move_on=["vendor_rate_limited"]), "one"))
    assert (run.status, len(one.calls), skipped(run)) == ("completed", 1, [])


def test_a_model_chosen_for_a_fork_is_asked_whatever_the_budget_says() -> None:
    publish("asking", *chain("asking@1"))
    run = start_run(pipeline="asking", shop=None, input={})
    Run.objects.filter(pk=run.pk).update(fork_changes={"routes": {"facts": "dear/dear-1"}})
    dear = vendor("dear")
    ended = execute(claimed(run), given(dear, local(), routes={"feature": "x"}, max_cost_usd=Decimal("0.001")))
    assert (ended.status, len(dear.calls)) == ("completed", 1)
