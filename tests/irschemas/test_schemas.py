"""Writing, activating and reading schemas, with real rows and real threads."""

import pickle
import threading
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import IntegrityError, connection, transaction
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from core.ids import new_id
from irschemas.errors import ProfileNotFound, SchemaNotFound, SchemaRefused, SchemaUnchanged, TargetInvalid
from irschemas.models import IRSchema, MetricDefinition, MetricProfile, MetricProfileItem
from irschemas.records import Profile, ProfileItem
from irschemas.services import (
    activate_schema,
    active_schemas,
    create_schema,
    edit_schema,
    load_profile,
    load_profiles,
)
from tests.irschemas.examples import closed

TARGET = "stage:example"


def numbered(number: int) -> dict[str, Any]:
    return closed({"a": {"type": "integer", "maximum": number}})


def draft(number: int = 1, target: str = TARGET) -> IRSchema:
    return create_schema(target=target, name="Example", schema=numbered(number))


def side_by_side(jobs: list[Callable[[], Any]]) -> list[Any]:
    """Results or exceptions of jobs that start together, each on its own connection."""
    start = threading.Barrier(len(jobs))
    outcomes: list[Any] = [None] * len(jobs)

    def work(index: int) -> None:
        start.wait()
        try:
            outcomes[index] = jobs[index]()
        except Exception as error:
            outcomes[index] = error
        finally:
            connection.close()

    threads = [threading.Thread(target=work, args=(index,)) for index in range(len(jobs))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return outcomes


@pytest.mark.django_db
def test_a_new_schema_is_a_draft_with_the_next_version_and_its_author() -> None:
    author = User.objects.create_user("ada")
    first = create_schema(target=TARGET, name="Example", schema=numbered(1), by=author)
    second = draft(2)
    assert [(row.version, row.status) for row in (first, second)] == [(1, "draft"), (2, "draft")]
    assert first.created_by == author
    assert str(second) == "stage:example v2"


@pytest.mark.django_db
def test_a_schema_with_problems_is_refused_with_all_of_them() -> None:
    with pytest.raises(SchemaRefused) as caught:
        create_schema(target=TARGET, name="Example", schema={"type": "object", "propertys": {}})
    assert caught.value.code == "schema_refused"
    assert caught.value.status == 422
    assert [problem.split()[0] for problem in caught.value.details["problems"]] == ["unknown_keyword", "open_object"]
    assert not IRSchema.objects.exists()


@pytest.mark.django_db
@pytest.mark.parametrize(
    "target", ["placement", "stage:Placement", "stage:", "stage:a\n", "shop:a", "stage:" + "a" * 64]
)
def test_a_target_that_nothing_could_find_is_refused(target: str) -> None:
    with pytest.raises(TargetInvalid):
        create_schema(target=target, name="Example", schema=numbered(1))


@pytest.mark.django_db
def test_saving_the_newest_version_again_says_that_nothing_changed() -> None:
    draft(1)
    with pytest.raises(SchemaUnchanged):
        draft(1)


@pytest.mark.django_db
def test_editing_a_draft_changes_it_in_place() -> None:
    row = draft(1)
    edited = edit_schema(schema_id=row.pk, schema=numbered(9), name="Better")
    row.refresh_from_db()
    assert (edited.pk, row.schema, row.name, row.version) == (row.pk, numbered(9), "Better", 1)


@pytest.mark.django_db
def test_editing_a_published_version_writes_a_new_draft_and_leaves_it_alone() -> None:
    row = activate_schema(schema_id=draft(1).pk)
    edited = edit_schema(schema_id=row.pk, schema=numbered(9))
    row.refresh_from_db()
    assert (edited.version, edited.status, edited.name) == (2, "draft", "Example")
    assert (row.schema, row.status) == (numbered(1), "active")


@pytest.mark.django_db
def test_activating_retires_the_version_before_and_says_who_and_when() -> None:
    by = User.objects.create_user("ada")
    first, second = activate_schema(schema_id=draft(1).pk), draft(2)
    activate_schema(schema_id=second.pk, by=by)
    first.refresh_from_db()
    second.refresh_from_db()
    assert (first.status, second.status, second.activated_by) == ("retired", "active", by)
    assert second.activated_at is not None and first.activated_at is not None
    assert second.activated_at > first.activated_at


@pytest.mark.django_db
def test_a_retired_version_can_be_brought_back() -> None:
    first, second = activate_schema(schema_id=draft(1).pk), activate_schema(schema_id=draft(2).pk)
    activate_schema(schema_id=first.pk)
    second.refresh_from_db()
    assert (active_schemas([TARGET])[TARGET].version, second.status) == (1, "retired")


@pytest.mark.django_db
def test_activating_the_active_version_changes_nothing() -> None:
    row = activate_schema(schema_id=draft(1).pk)
    again = activate_schema(schema_id=row.pk)
    assert again.activated_at == row.activated_at


@pytest.mark.django_db
def test_a_missing_schema_is_named_as_such() -> None:
    with pytest.raises(SchemaNotFound):
        activate_schema(schema_id=new_id())
    with pytest.raises(SchemaNotFound):
        edit_schema(schema_id=new_id(), schema=numbered(1))


@pytest.mark.django_db
def test_the_database_itself_refuses_a_second_active_version() -> None:
    activate_schema(schema_id=draft(1).pk)
    second = draft(2)
    with pytest.raises(IntegrityError, match="irschemas_irschema_one_active_per_target"), transaction.atomic():
        IRSchema.objects.filter(pk=second.pk).update(status="active", activated_at=timezone.now())


@pytest.mark.django_db(transaction=True)
def test_many_activations_at_once_leave_exactly_one_active_and_fail_nobody() -> None:
    rows = [draft(number) for number in range(1, 9)]
    outcomes = side_by_side([lambda row=row: activate_schema(schema_id=row.pk) for row in rows])
    assert [type(outcome) for outcome in outcomes] == [IRSchema] * 8
    assert IRSchema.objects.active().count() == 1
    assert IRSchema.objects.filter(status="retired").count() == 7


@pytest.mark.django_db(transaction=True)
def test_many_drafts_at_once_get_versions_of_their_own_even_the_first() -> None:
    side_by_side([lambda number=number: draft(number) for number in range(1, 9)])
    assert sorted(IRSchema.objects.values_list("version", flat=True)) == list(range(1, 9))


@pytest.mark.django_db(transaction=True)
def test_a_draft_that_is_activated_while_somebody_edits_it_is_never_changed_in_force() -> None:
    row = draft(1)
    outcomes = side_by_side(
        [lambda: activate_schema(schema_id=row.pk), lambda: edit_schema(schema_id=row.pk, schema=numbered(9))]
    )
    assert [type(outcome) for outcome in outcomes] == [IRSchema, IRSchema]
    active = active_schemas([TARGET])[TARGET]
    edited = IRSchema.objects.get(pk=outcomes[1].pk)
    assert (active.schema == numbered(9)) is (edited.pk == row.pk)


@pytest.mark.django_db
def test_active_schemas_come_in_one_query_and_travel_between_processes(
    django_assert_num_queries: DjangoAssertNumQueries,
) -> None:
    activate_schema(schema_id=draft(1).pk)
    activate_schema(schema_id=draft(2, "stage:other").pk)
    draft(3, "stage:only_a_draft")
    with django_assert_num_queries(1):
        found = active_schemas([TARGET, "stage:other", "stage:only_a_draft", "stage:missing"])
    assert sorted(found) == [TARGET, "stage:other"]
    assert pickle.loads(pickle.dumps(found)) == found


def make_profile(key: str, metrics: int) -> MetricProfile:
    profile = MetricProfile.objects.create(key=key)
    for number in range(metrics):
        metric = MetricDefinition.objects.create(
            key=f"{key}_{number}", name="Metric", direction="lower", unit="px", evaluator="picture"
        )
        MetricProfileItem.objects.create(profile=profile, metric=metric, threshold=number, must_pass=True, weight=2)
    return profile


@pytest.mark.django_db
def test_profiles_come_whole_in_two_queries_and_travel_between_processes(
    django_assert_num_queries: DjangoAssertNumQueries,
) -> None:
    make_profile("a_v1", 3)
    make_profile("b_v1", 0)
    with django_assert_num_queries(2):
        found = load_profiles(["a_v1", "b_v1", "missing_v1"])
    assert sorted(found) == ["a_v1", "b_v1"]
    assert found["a_v1"].items[1] == ProfileItem("a_v1_1", "picture", 1.0, "lower", True, 2.0, "px")
    assert found["b_v1"] == Profile("b_v1", (), 1)
    assert pickle.loads(pickle.dumps(found)) == found


@pytest.mark.django_db
def test_a_missing_profile_is_named_as_such() -> None:
    with pytest.raises(ProfileNotFound, match="nowhere_v1"):
        load_profile("nowhere_v1")


@pytest.mark.django_db
def test_a_metric_stands_in_a_profile_once_and_its_weight_is_a_sane_number() -> None:
    item = make_profile("a_v1", 1).items.get()
    with pytest.raises(IntegrityError, match="profile_metric_unique"), transaction.atomic():
        MetricProfileItem.objects.create(profile=item.profile, metric=item.metric)
    with pytest.raises(IntegrityError, match="weight_in_range"), transaction.atomic():
        MetricProfileItem.objects.filter(pk=item.pk).update(weight=float("nan"))
