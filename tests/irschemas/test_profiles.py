"""Gates by revision: what could never work is refused, a change is for runs that start after it."""

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from irschemas.errors import DefinitionRefused, MetricMoved, ProfileMoved, ProfileRefused, ProfileUnchanged
from irschemas.metrics import MetricValue, evaluator
from irschemas.models import MetricDefinition, MetricProfile
from irschemas.profiles import save_definition, save_profile
from irschemas.services import load_profile, load_profiles
from tests.irschemas.test_schemas import side_by_side

KEY = "gate_v1"


@evaluator("test_profiles")
def measure(ir: Any, inputs: Any, artifacts: Any) -> list[MetricValue]:
    """Registered, that is all."""
    return []


def metrics() -> None:
    for key, direction, target in (("low", "lower", 0.1), ("high", "higher", 0.9), ("flag", "boolean", None)):
        MetricDefinition.objects.create(
            key=key, name=key, direction=direction, target=target, evaluator="test_profiles"
        )
    MetricDefinition.objects.create(key="engine_ms", name="ms", direction="lower")


def save(*items: dict[str, Any], **more: Any) -> MetricProfile:
    return save_profile(key=KEY, description="Mine", items=list(items), **more)


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("items", "told"),
    [
        ([], "Choose at least one metric."),
        ([{"metric": "low"}, {"metric": "low"}], "low: it stands here twice."),
        ([{"metric": "gone"}], "gone: there is no such metric."),
        ([{"metric": "low", "threshold": 0.05}], "asks for more than the target 0.1 (lower is better)"),
        ([{"metric": "high", "threshold": 0.95}], "asks for more than the target 0.9 (higher is better)"),
        ([{"metric": "high", "threshold": float("nan")}], "its threshold has to be a finite number"),
        ([{"metric": "low", "threshold": float("inf")}], "its threshold has to be a finite number"),
        ([{"metric": "flag", "threshold": 1.0}], "a yes or no has no threshold"),
        ([{"metric": "low", "weight": -1.0}], "from 0 to 1000"),
        ([{"metric": "low", "weight": float("nan")}], "from 0 to 1000"),
        ([{"metric": "engine_ms", "threshold": 9.0, "must_pass": True}], "nothing measures it, so requiring it would"),
    ],
)
def test_what_could_never_work_is_refused(items: list[dict[str, Any]], told: str) -> None:
    metrics()
    with pytest.raises(ProfileRefused) as refused:
        save(*items)
    assert told in " ".join(refused.value.details["problems"])
    assert not MetricProfile.objects.exists()


@pytest.mark.django_db
def test_a_change_is_a_revision_that_earlier_runs_do_not_see() -> None:
    metrics()
    first = save({"metric": "low", "threshold": 0.5, "must_pass": True})
    second = save({"metric": "low", "threshold": 0.2, "must_pass": True}, expected=1)
    assert (first.revision, second.revision) == (1, 2)
    MetricProfile.objects.filter(pk=first.pk).update(created_at=timezone.now() - timedelta(hours=2))
    between = timezone.now() - timedelta(hours=1)

    def threshold(at: Any) -> float | None:
        return load_profiles([KEY], at)[KEY].items[0].threshold

    assert [threshold(at) for at in (None, between, between - timedelta(days=1))] == [0.2, 0.5, 0.5]
    assert load_profile(KEY).revision == 2


@pytest.mark.django_db
def test_the_second_of_two_is_told_and_saving_the_same_says_so() -> None:
    metrics()
    item = {"metric": "low", "threshold": 0.5}
    save(item)
    save({"metric": "low", "threshold": 0.4}, expected=1)
    with pytest.raises(ProfileMoved):
        save({"metric": "low", "threshold": 0.3}, expected=1)
    with pytest.raises(ProfileUnchanged):
        save({"metric": "low", "threshold": 0.4}, expected=2)


@pytest.mark.django_db(transaction=True)
def test_of_many_who_save_at_once_one_wins_and_the_others_are_told() -> None:
    metrics()
    save({"metric": "low", "threshold": 0.5})
    jobs = [lambda n=n: save({"metric": "low", "threshold": 1.0 + n}, expected=1) for n in range(6)]
    outcomes = sorted(type(outcome).__name__ for outcome in side_by_side(jobs))
    assert outcomes == ["MetricProfile"] + ["ProfileMoved"] * 5
    assert list(MetricProfile.objects.values_list("revision", flat=True)) == [2, 1]


@pytest.mark.django_db
def test_a_metric_keeps_what_gates_rely_on_and_knows_only_registered_evaluators() -> None:
    metrics()
    row = MetricDefinition.objects.get(key="low")
    seen = row.updated_at
    free = save_definition(row=row, key="low", fields={"direction": "higher", "name": "Height"}, seen=seen)
    assert (free.direction, free.name) == ("higher", "Height")
    with pytest.raises(MetricMoved):
        save_definition(row=row, key="low", fields={"name": "Other"}, seen=seen)
    save({"metric": "low", "threshold": 0.05})
    for fields, told in (
        ({"direction": "lower"}, "its direction stays as it is"),
        ({"evaluator": ""}, "its evaluator stays as it is"),
        ({"evaluator": "nobody_wrote_it"}, "There is no evaluator “nobody_wrote_it”"),
        ({"target": float("nan")}, "The target has to be a finite number"),
        ({"direction": "boolean", "target": 1.0}, "A yes or no has no target"),
        ({"aggregation": "share", "unit": "ms"}, "its unit is “share”, or none"),
    ):
        with pytest.raises(DefinitionRefused) as refused:
            save_definition(row=row, key="low", fields=fields)
        assert told in " ".join(refused.value.problems)
    assert save_definition(row=row, key="low", fields={"description": "Words."}).description == "Words."
