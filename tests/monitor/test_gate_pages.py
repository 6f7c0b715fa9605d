"""Gates and metrics in the console: what a change would have done is seen before it is saved."""

from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission, User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from irschemas.models import MetricDefinition, MetricProfile
from irschemas.profiles import newest_revision, profile_content, save_profile
from irschemas.publishing import sync_library
from tests.irschemas.test_profiles import KEY, metrics, save
from tests.monitor.factories import MetricFactory, RunFactory, StepFactory

pytestmark = pytest.mark.django_db
ROOT = "/admin/irschemas/metricprofile"
LOW = {"metric": "low", "threshold": 0.5, "must_pass": True, "weight": 1.0}


@pytest.fixture
def gate() -> MetricProfile:
    """A gate with one required metric."""
    metrics()
    return save(LOW)


def typed(*items: dict[str, Any], **more: Any) -> dict[str, Any]:
    """The form as a browser posts it."""
    form: dict[str, Any] = {
        "key": KEY,
        "description": "Mine",
        "metric": ["low", "high", "flag", "engine_ms"],
        "seen": "1",
    }
    for item in items:
        name = item["metric"]
        form |= {f"use-{name}": "on", f"threshold-{name}": "" if item.get("threshold") is None else item["threshold"]}
        form |= {f"weight-{name}": item.get("weight", 1)} | ({f"must-{name}": "on"} if item.get("must_pass") else {})
    return form | more


def measured(low: float, *, mode: str = "live", attempts: tuple[float, ...] = ()) -> Any:
    """A run whose last attempt measured a value at the gate; earlier attempts measured others."""
    step = StepFactory(run=RunFactory(mode=mode), node_key="composite", attempt=len(attempts) + 1)
    for number, value in enumerate((*attempts, low), start=1):
        MetricFactory(step=step, attempt=number, key="low", profile_key=KEY, value=value, threshold=0.5,
                      must_pass=True, passed=value <= 0.5)  # fmt: skip
    return step.run


def check(client: Client, *items: dict[str, Any], **more: Any) -> Any:
    return client.post(f"{ROOT}/check/", typed(*items, **more))


def test_what_a_threshold_would_have_done_is_told_before_it_is_saved(console: Client, gate: MetricProfile) -> None:
    runs = [measured(value) for value in (0.1, 0.2, 0.3, 0.4, 0.45)]
    rejected = measured(0.6)
    measured(0.9, mode="fork")
    measured(0.2, attempts=(0.8,))
    tighter = check(console, LOW | {"threshold": 0.35})
    outlook = tighter.context["draft"].outlook
    assert (outlook.runs, outlook.would_reject, outlook.rejected) == (7, 3, 1)
    assert set(outlook.newly_rejected) == {runs[3].pk, runs[4].pk}
    page = tighter.content.decode()
    assert "3 would have been rejected" in page and f"/admin/runs/run/{runs[4].pk}/change/" in page
    assert "low: threshold 0.5, required → threshold 0.35, required." in page
    looser = check(console, LOW | {"threshold": 0.7}).context["draft"].outlook
    assert (looser.would_reject, looser.newly_passed) == (0, [rejected.pk])
    unasked = check(console, LOW | {"must_pass": False}).context["draft"].outlook
    assert (unasked.would_reject, unasked.metrics["low"].fails) == (0, 1)
    spread = outlook.metrics["low"]
    assert (spread.measured, spread.middle) == (7, 0.3) and spread.low < 0.2 < 0.4 < spread.high


def test_what_was_not_measured_then_rejects_nothing_now(console: Client, gate: MetricProfile) -> None:
    measured(0.1)
    high = {"metric": "high", "threshold": 0.9, "must_pass": True}
    answer = check(console, LOW, high)
    assert answer.context["draft"].outlook.would_reject == 0
    assert "not measured so far" in answer.content.decode()
    assert "high is new: threshold 0.9, required." in answer.content.decode()


def test_a_change_becomes_a_revision_and_past_results_keep_what_they_met(console: Client, gate: MetricProfile) -> None:
    run = measured(0.4)
    answer = console.post(f"{ROOT}/save/", typed(LOW | {"threshold": 0.2}))
    newest = newest_revision(KEY)
    assert newest is not None and (newest.revision, str(newest.created_by)) == (2, "operator")
    assert answer.headers["HX-Redirect"] == f"{ROOT}/{newest.pk}/change/"
    gate.refresh_from_db()
    assert profile_content(gate)["items"][0]["threshold"] == 0.5
    assert run.metrics.get().threshold == 0.5
    assert LogEntry.objects.get().change_message.startswith("Revision 2: low: threshold 0.5, required → threshold 0.2")
    old = console.get(f"{ROOT}/{gate.pk}/change/").content.decode()
    assert "revision 2 is in force" in old and "Save as revision 3" in old


def test_the_second_of_two_operators_is_told_keeps_the_form_and_may_save_again(
    console: Client, gate: MetricProfile
) -> None:
    save_profile(key=KEY, description="Theirs", items=[LOW], by=User.objects.create_user("berta"))
    mine = LOW | {"threshold": 0.3}
    assert check(console, mine).context["draft"].seen == 1
    answer = console.post(f"{ROOT}/save/", typed(mine))
    assert "by berta is newer than what you began from" in answer.content.decode()
    assert MetricProfile.objects.count() == 2
    console.post(f"{ROOT}/save/", typed(mine, seen=str(answer.context["draft"].seen)))
    assert MetricProfile.objects.count() == 3


@pytest.mark.parametrize(
    ("form", "told"),
    [
        (typed(), "Choose at least one metric."),
        (typed(LOW | {"threshold": "much"}), "low: threshold and weight are numbers"),
        (typed(LOW | {"weight": ""}), "low: threshold and weight are numbers"),
        (typed(LOW | {"threshold": "nan"}), "low: its threshold has to be a finite number"),
        (typed(LOW | {"threshold": 0.01}), "asks for more than the target"),
        (typed(LOW, key="Gate"), "Key: Write a snake_case name"),
        (typed(LOW, key="a" * 99 + "_v1"), "Key: Ensure this value has at most 80"),
        (typed(LOW, metric=["low", "<i>"], **{"use-<i>": "on", "weight-<i>": "1"}), "there is no such metric"),
    ],
)  # fmt: skip
def test_bad_input_is_told_and_saves_nothing(console: Client, gate: MetricProfile, form: Any, told: str) -> None:
    for verb in ("check", "save"):
        answer = console.post(f"{ROOT}/{verb}/", form)
        assert answer.status_code == 200
        assert told in answer.content.decode() and "<i>" not in answer.content.decode()
    assert MetricProfile.objects.count() == 1


def test_saving_nothing_says_so(console: Client, gate: MetricProfile) -> None:
    assert "There is nothing to save" in console.post(f"{ROOT}/save/", typed(LOW)).content.decode()


def test_a_new_gate_is_made_and_one_that_exists_is_not_written_over(console: Client, gate: MetricProfile) -> None:
    assert console.get(f"{ROOT}/add/").status_code == 200
    console.post(f"{ROOT}/save/", typed(LOW, key="other_v1", seen=""))
    assert MetricProfile.objects.get(key="other_v1").revision == 1
    answer = console.post(f"{ROOT}/save/", typed(LOW | {"threshold": 0.9}, seen=""))
    assert "is newer than what you began from" in answer.content.decode()


def test_a_gate_that_was_edited_shows_the_librarys_and_takes_it_over(console: Client) -> None:
    sync_library()
    key = "split_profile_v1"
    row = newest_revision(key)
    assert row is not None
    items = [item | {"must_pass": False} for item in profile_content(row)["items"]]
    save_profile(key=key, description=row.description, items=items)
    edited = newest_revision(key)
    assert edited is not None
    page = console.get(f"{ROOT}/{edited.pk}/change/").content.decode()
    assert "The library says otherwise" in page and "edited here" in console.get(f"{ROOT}/").content.decode()
    console.post(f"{ROOT}/{key}/library/", {"seen": "2"})
    newest = newest_revision(key)
    assert newest is not None and profile_content(newest) == profile_content(row)
    assert console.post(f"{ROOT}/{key}/library/", {"seen": "2"}).status_code == 409


def test_the_pages_of_the_library_open_in_a_fixed_number_of_queries(console: Client) -> None:
    sync_library()
    assert "composite_picture" in console.get(f"{ROOT}/").content.decode()
    for model in (MetricDefinition, MetricProfile):
        kind = model._meta.model_name
        assert console.get(f"/admin/irschemas/{kind}/").status_code == 200
        with CaptureQueriesContext(connection) as asked:
            assert console.get(f"/admin/irschemas/{kind}/{model.objects.first().pk}/change/").status_code == 200
        assert len(asked) <= 12
        assert console.post(f"/admin/irschemas/{kind}/{model.objects.first().pk}/delete/").status_code == 403


def test_a_metric_is_edited_with_its_checks_and_the_second_editor_is_told(console: Client, gate: MetricProfile) -> None:
    row = MetricDefinition.objects.get(key="low")
    url = f"/admin/irschemas/metricdefinition/{row.pk}/change/"
    page = console.get(url).content.decode()
    assert f'href="{ROOT}/{gate.pk}/change/"' in page and ">test_profiles<" in page
    form = {"name": "Lowness", "direction": "lower", "aggregation": "mean", "evaluator": "test_profiles",
            "target": "0.1", "seen": row.updated_at.isoformat()}  # fmt: skip
    assert "its direction stays as it is" in console.post(url, form | {"direction": "higher"}).content.decode()
    assert "Select a valid choice" in console.post(url, form | {"evaluator": "nobody"}).content.decode()
    assert console.post(url, form).status_code == 302
    row.refresh_from_db()
    assert (row.name, row.key) == ("Lowness", "low")
    assert "Somebody else changed this metric" in console.post(url, form | {"name": "Mine"}).content.decode()
    new = form | {"key": "wide", "seen": ""}
    assert console.post("/admin/irschemas/metricdefinition/add/", new).status_code == 302
    assert MetricDefinition.objects.get(key="wide").evaluator == "test_profiles"


def test_permissions_open_the_doors_one_by_one(gate: MetricProfile) -> None:
    user = User.objects.create_user("reader", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename="view_metricprofile"))
    reader = Client()
    reader.force_login(user)
    page = reader.get(f"{ROOT}/{gate.pk}/change/").content.decode()
    assert "Save as revision" not in page and "disabled" in page
    assert "New gate" not in reader.get(f"{ROOT}/").content.decode()
    assert reader.post(f"{ROOT}/save/", typed(LOW | {"threshold": 0.9})).status_code == 403
    assert reader.post(f"{ROOT}/{KEY}/library/").status_code == reader.get(f"{ROOT}/add/").status_code == 403
    user.user_permissions.clear()
    assert [reader.get(f"{ROOT}{path}").status_code for path in ("/", f"/{gate.pk}/change/")] == [403, 403]
    assert check(reader, LOW).status_code == 403
    assert MetricProfile.objects.count() == 1
