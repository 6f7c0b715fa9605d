"""Versions of prompts compared: who counts, and when something may be said."""

import random
from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from monitor.experiments import PromptCard, read_experiments
from monitor.uncertainty import difference, mean, share
from prompts.library import Library, Release, library
from prompts.selection import in_experiment
from runs.models import Run
from runs.services import publish_pipeline
from shops.models import Shop
from storefront.services import give_feedback
from tests.factories import CompositeFactory, ShopFactory
from tests.monitor.factories import MetricFactory, RunFactory, StepFactory
from tests.storefront.doors import PIPELINE_FILE


@pytest.fixture
def door(files_of_its_own: Path) -> None:
    publish_pipeline(PIPELINE_FILE)


def under_trial(share: float = 0.5) -> Library:
    """The library with an experiment on placements."""
    known = library()
    releases = {name: known.release(name) for name in known.names()}
    releases["placement"] = Release("v3", "v4", "placement:v4", share)
    return Library({(prompt.name, prompt.version): prompt for prompt in known.all()}, releases)


def shops(wanted: int, *, dealt: bool) -> list[Shop]:
    """New shops that the dealing gives the trial, or does not."""
    found: list[Shop] = []
    while len(found) < wanted:
        shop = ShopFactory.build()
        if in_experiment("placement", str(shop.pk), under_trial()) is dealt:
            shop.save()
            found.append(shop)
    return found


def asked(shop: Shop, version: str, source: str, *, status: str = "completed", **values: Any) -> Run:
    run = RunFactory(shop=shop, status=status, **values)
    StepFactory(
        run=run,
        node_key="placement",
        prompt_name="placement",
        prompt_version=version,
        prompt_source=source,
        latency_ms=1000,
        cost_usd="0.01",
    )
    return run


def placement(prompts: Library) -> PromptCard:
    return next(card for card in read_experiments(28, prompts) if card.name == "placement")


def verdicts(card: PromptCard) -> dict[str, str]:
    return {item.measure.key: item.verdict for item in card.comparisons}


@pytest.mark.django_db
def test_a_version_that_is_plainly_better_is_called_so() -> None:
    for dealt, version, source, good in ((True, "v4", "experiment", 8), (False, "v3", "library", 3)):
        for shop in shops(6, dealt=dealt):
            for number in range(9):
                asked(shop, version, source, status="completed" if number < good else "failed")
    card = placement(under_trial())
    assert (card.dealt, card.shops) == (6, 12)
    told = {item.measure.key: item for item in card.comparisons}
    assert told["completed"].verdict == "better"
    assert told["completed"].gap == pytest.approx(5 / 9)
    assert verdicts(card) == {
        "completed": "better",
        "gate": "unknown",
        "feedback": "unknown",
        "latency": "same",
        "cost": "same",
    }
    assert card.says.startswith("v4 is better than v3 by")


@pytest.mark.django_db
def test_few_shops_allow_no_verdict_however_many_their_runs() -> None:
    for dealt, version, source, status in ((True, "v4", "experiment", "completed"), (False, "v3", "library", "failed")):
        for shop in shops(2, dealt=dealt):
            for _ in range(20):
                asked(shop, version, source, status=status)
    card = placement(under_trial())
    assert verdicts(card)["completed"] == "few"
    assert card.says == "Not enough runs yet to compare v4 with v3."


@pytest.mark.django_db
def test_only_what_the_dealing_decided_is_compared() -> None:
    [shop] = shops(1, dealt=True)
    [other] = shops(1, dealt=False)
    volunteer = ShopFactory(features={"experimental_prompts": True})
    asked(shop, "v4", "experiment")
    asked(other, "v3", "library")
    asked(volunteer, "v4", "experiment")
    asked(shop, "sha256:0123456789ab", "override")
    asked(shop, "v4", "experiment", mode="fork")
    asked(shop, "v4", "experiment", status="cancelled")
    card = placement(under_trial())
    assert card.flagged == 1
    completed = card.comparisons[0]
    assert completed.before is not None and completed.after is not None
    assert (completed.before.runs, completed.after.runs) == (1, 1)
    assert {(row.version, row.runs) for row in card.versions if row.runs} == {("v4", 2), ("v3", 1), ("overrides", 1)}


@pytest.mark.django_db
def test_gate_and_votes_are_those_of_the_run() -> None:
    [shop] = shops(1, dealt=True)
    run = asked(shop, "v4", "experiment")
    step = run.steps.get()
    MetricFactory(step=step, attempt=1, key="scale_error", must_pass=True, passed=False)
    MetricFactory(step=step, attempt=2, key="scale_error", must_pass=True, passed=True)
    row = next(row for row in placement(under_trial()).versions if row.version == "v4").rows[0]
    assert (row.judged, row.passed, row.up, row.voted) == (1, 0, 0, 0)


@pytest.mark.django_db
def test_a_shoppers_vote_counts_for_the_version_that_was_asked(door: object) -> None:
    composite = CompositeFactory()
    give_feedback(composite=composite, verdict="up")
    Run.objects.filter(pk=composite.run_id).update(status="completed")
    StepFactory(run=composite.run, prompt_name="placement", prompt_version="v3", prompt_source="library")
    row = next(row for row in placement(under_trial()).versions if row.version == "v3").rows[0]
    assert (row.up, row.voted) == (1, 1)


def test_intervals_hold_though_shops_differ() -> None:
    dice, covered, naive = random.Random(5), 0, 0
    for _ in range(400):
        rows = []
        for _ in range(12):
            habit = dice.choice((0.55, 0.95))
            rows.append((sum(dice.random() < habit for _ in range(40)), 40))
        clustered = share(rows)
        runs = [float(number < good) for good, total in rows for number in range(total)]
        alone = share([(run, 1) for run in runs])
        assert clustered is not None and alone is not None
        covered += clustered.low <= 0.75 <= clustered.high
        naive += alone.low <= 0.75 <= alone.high
    assert covered >= 0.9 * 400
    assert naive < 0.6 * 400


def test_what_never_failed_may_still_fail() -> None:
    always = share([(4, 4), (6, 6)])
    assert always is not None and always.high == 1.0 and always.low == pytest.approx(0.722, abs=0.001)
    lone = mean([(50.0, 10)])
    assert lone is not None and not lone.is_enough
    low, high = difference(lone, lone)[1:]
    assert (low, high) == (float("-inf"), float("inf"))


@pytest.mark.django_db
def test_the_page_shows_every_prompt_and_takes_no_nonsense(console: Client) -> None:
    page = console.get("/admin/experiments/?days=soon").content.decode()
    for name in library().names():
        assert f'id="{name}"' in page
    assert "Everybody gets v3; v4 is ready for a trial, its share is 0." in page
    assert Client().get("/admin/experiments/").status_code == 302
