"""What a fork will cost and take, said before it is started."""

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest
from django.conf import settings

from prompts.library import library
from runs.changes import Changes
from runs.context import Deps
from runs.estimating import estimate_fork, money
from runs.fork_plan import plan_fork
from runs.inline import default_deps
from runs.models import Run, Step
from runs.services import publish_pipeline
from tests.runs.finished import finished_composite
from vendors.base import Message
from vendors.prices import Price, Prices
from vendors.routes import Route, Routes

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 11, 21, tzinfo=UTC)
PRICE = Price("gemini", "gemini-x", datetime(2026, 1, 1, tzinfo=UTC), input=Decimal(1), output=Decimal(2))
GEMINI = Changes(routes={"placement": "gemini/gemini-x"})


@pytest.fixture
def run() -> Run:
    publish_pipeline(Path(settings.BASE_DIR) / "storefront" / "pipelines" / "composite.json")
    return finished_composite()


def priced() -> Deps:
    return replace(default_deps(), prices=Prices((PRICE,)))


def took(run: Run, node: str, milliseconds: int, cost: str | None, model: str = "local/local-1") -> None:
    """One more execution of a node, in a run of its own."""
    vendor, name = model.split("/")
    other = Run.objects.get(pk=run.pk)
    other.pk, other._state.adding = None, True
    other.pk = Run._meta.pk.get_default()
    other.save(force_insert=True)
    step = Step.objects.get(run=run, node_key=node)
    step.pk, step._state.adding, step.run = Step._meta.pk.get_default(), True, other
    step.latency_ms, step.cost_usd, step.vendor, step.model = milliseconds, cost and Decimal(cost), vendor, name
    step.save(force_insert=True)


def test_the_medians_of_the_same_node_and_model_are_added_up_along_the_longest_chain(run: Run) -> None:
    took(run, "composite", 3000, "0.03")
    took(run, "composite", 2000, "0.05")
    took(run, "composite", 90_000, "9", "gemini/gemini-x")
    estimate = estimate_fork(plan_fork(run, from_node="select"), default_deps())
    assert [(node.node, node.model, node.samples) for node in estimate.nodes] == [
        ("select", "", 1),
        ("composite", "local/local-1", 3),
    ]
    assert (estimate.seconds, estimate.cost_usd) == (2.4, Decimal("0.03"))
    assert str(estimate) == "about 0.030 USD, about 2 s; 2 nodes run, 2 reused"


def test_reused_and_failed_steps_are_no_samples(run: Run) -> None:
    took(run, "composite", 9000, "9")
    Step.objects.filter(node_key="composite", latency_ms=9000).update(reused_from=run.steps.get(node_key="composite"))
    took(run, "composite", 8000, "8")
    Step.objects.filter(latency_ms=8000).update(status="failed")
    assert estimate_fork(plan_fork(run, from_node="composite"), default_deps()).seconds == 0.4


def test_a_model_without_history_is_priced_by_the_list_and_its_time_is_unknown(run: Run) -> None:
    messages = {"placement": (Message("user", "x" * 4000),)}
    estimate = estimate_fork(plan_fork(run, changes=GEMINI), priced(), messages, NOW)
    # 1,000 tokens of text and 2,200 of two pictures at 1 USD a million, 1,500 tokens out at 2 USD
    assert estimate.cost_usd == Decimal("0.0062")
    assert (estimate.seconds, estimate.nodes[0].model) == (None, "gemini/gemini-x")
    assert str(estimate) == "about 0.006 USD, time unknown; 3 nodes run, 1 reused"


def test_what_nobody_knows_is_said_to_be_unknown(run: Run) -> None:
    estimate = estimate_fork(plan_fork(run, changes=Changes(routes={"placement": "new/model"})), priced())
    assert (estimate.cost_usd, estimate.unknown) == (None, ("placement",))
    assert str(estimate).startswith("cost unknown, time unknown")


def test_a_model_that_the_latest_runs_did_not_ask_is_looked_up_in_older_ones(run: Run) -> None:
    took(run, "placement", 7000, "0.02", "gemini/gemini-x")
    Run.objects.exclude(pk=run.pk).update(pipeline=run.pipeline, pipeline_slug="other")
    node = estimate_fork(plan_fork(run, changes=GEMINI), priced()).nodes[0]
    assert (node.seconds, node.cost_usd) == (7.0, Decimal("0.02"))


def test_a_route_that_the_shop_may_not_take_is_not_what_will_be_asked(run: Run) -> None:
    free = Route("local", "local-1")
    routes = Routes({"placement": (Route("gemini", "gemini-x", feature="new_model"), free), "composite": (free,)})
    given = replace(priced(), routes=routes)
    assert estimate_fork(plan_fork(run, from_node="placement"), given).nodes[0].model == "local/local-1"
    assert run.shop is not None
    run.shop.features["new_model"] = True
    assert estimate_fork(plan_fork(run, from_node="placement"), given).nodes[0].model == "gemini/gemini-x"


def test_facts_from_the_cache_ask_nobody_until_their_prompt_is_edited(run: Run) -> None:
    again = estimate_fork(plan_fork(run, from_node="facts"), default_deps())
    assert (again.nodes[0].model, again.nodes[0].cost_usd) == ("", 0)
    text = library().production("facts_extraction").template
    edited = estimate_fork(plan_fork(run, changes=Changes(prompts={"facts_extraction": text})), default_deps())
    assert edited.nodes[0].model == "local/local-1"


def test_an_answer_by_hand_costs_nothing(run: Run) -> None:
    facts = run.steps.get(node_key="facts").payload.ir
    estimate = estimate_fork(plan_fork(run, changes=Changes(answers={"facts": facts})), default_deps())
    assert str(estimate).endswith("3 nodes run, 0 reused, 1 by hand")


@pytest.mark.parametrize(
    ("usd", "text"),
    [("0", "0 USD (computed here)"), ("0.0004", "less than 0.001 USD"), ("0.0123", "0.012 USD"), ("1.5", "1.50 USD")],
)
def test_money_is_written_for_people(usd: str, text: str) -> None:
    assert money(Decimal(usd)) == text
