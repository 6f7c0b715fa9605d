"""Whatever dies and whenever: nothing is lost, nothing is done twice. The long form: `python -m bench --only chaos`."""

import os
import random
from pathlib import Path

import pytest

from runs.models import Run
from tests.chaos.checks import effects, problems
from tests.chaos.harness import Chaos, Plan


@pytest.mark.django_db(transaction=True)
@pytest.mark.xdist_group("workers")
def test_processes_killed_at_random_instants_lose_nothing_and_repeat_nothing(files_of_its_own: Path) -> None:
    seed = int(os.environ.get("CHAOS_SEED") or random.randrange(10**6))
    print(f"CHAOS_SEED={seed}")
    story = Chaos(Plan(kills=8, seed=seed, clusters=1, in_flight=16, lease_s=2), files_of_its_own).go()
    print(story)
    assert problems(story) == [], f"CHAOS_SEED={seed}"
    total, distinct = effects()
    assert total == distinct > 0
    assert Run.objects.filter(status="completed").count() > 0
