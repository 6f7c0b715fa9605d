"""Before a schema is in force: what would change, which stored answers would fail, and who has to agree."""

from typing import Any

import pytest
from django.contrib.auth.models import User

from irschemas.activation import activate_reviewed, review_activation, roll_back
from irschemas.comparison import Compatibility
from irschemas.errors import NothingBefore, SchemaIncompatible, SchemaMoved, SchemaWouldRefuse
from irschemas.models import IRSchema
from irschemas.services import activate_schema, create_schema, edit_schema, get_active_for_prompt, validate_json
from irschemas.stored import stored_answers
from tests.irschemas.examples import closed
from tests.irschemas.test_schemas import side_by_side
from tests.monitor.factories import RunFactory, StepFactory

TARGET = "stage:example"


def numbered(maximum: int) -> dict[str, Any]:
    return closed({"a": {"type": "integer", "maximum": maximum}})


def version(maximum: int, *, active: bool = False) -> IRSchema:
    row = create_schema(target=TARGET, name="Example", schema=numbered(maximum))
    return activate_schema(schema_id=row.pk) if active else row


def answered(schema: IRSchema | None, *values: Any, **more: Any) -> list[Any]:
    """A run for each answer, held against a version."""
    run = RunFactory()
    return [
        StepFactory(run=run, node_key=f"n{i}-{id(values)}", name="example", ir_schema=schema,
                    payload={"ir": {"a": value}}, **more)
        for i, value in enumerate(values)
    ]  # fmt: skip


@pytest.mark.django_db
def test_stored_answers_come_newest_first_whichever_version_they_met_and_never_twice() -> None:
    first = version(9, active=True)
    old = answered(first, 1, 2)
    second = activate_schema(schema_id=version(8).pk)
    new = answered(second, 3)
    answered(second, 4, reused_from=new[0])
    answered(second, 5, status="failed")
    assert [answer.ir["a"] for answer in stored_answers(TARGET)] == [3, 2, 1]
    assert [answer.ir["a"] for answer in stored_answers(TARGET, 2)] == [3, 2]
    assert stored_answers(TARGET)[-1].run_id == old[0].run_id


@pytest.mark.django_db
def test_a_stage_without_a_schema_so_far_and_a_prompt_have_stored_answers_too() -> None:
    answered(None, 7, prompt_name="facts_extraction")
    assert [answer.ir for answer in stored_answers(TARGET)] == [{"a": 7}]
    assert [answer.ir for answer in stored_answers("prompt:facts_extraction")] == [{"a": 7}]
    assert stored_answers("process:import") == []


@pytest.mark.django_db
def test_a_review_groups_what_would_fail_and_knows_what_fails_already() -> None:
    active = version(9, active=True)
    steps = answered(active, 1, 5, 6, 70, "seven")
    review = review_activation(version(4))
    tried = review.revalidation
    assert (tried.checked, tried.failed, tried.failing_already) == (5, 4, 2)
    assert [(str(group), group.answers) for group in tried.groups] == [
        ("$.a: expected at most 4; found an integer.", 3),
        ("$.a: expected an integer; found text.", 1),
    ]
    assert tried.groups[0].runs == [steps[0].run_id]
    assert [str(change) for change in review.broken] == ["$.a: was at most 9, is at most 4."]
    assert review_activation(version(3), Compatibility.NONE).broken == []


@pytest.mark.django_db
def test_what_would_go_wrong_has_to_be_agreed_to_number_for_number() -> None:
    answered(version(9, active=True), 1, 5, 6)
    tight = version(4)
    with pytest.raises(SchemaIncompatible) as refused:
        activate_reviewed(schema_id=tight.pk, accept_failing=99)
    assert refused.value.details["reasons"] == ["$.a: was at most 9, is at most 4."]
    with pytest.raises(SchemaWouldRefuse, match="2 of the last 3 stored answers") as refusal:
        activate_reviewed(schema_id=tight.pk, accept_incompatible=True, accept_failing=1)
    assert refusal.value.details["revalidation"]["groups"][0]["answers"] == 2
    assert activate_reviewed(schema_id=tight.pk, accept_incompatible=True, accept_failing=2).is_active


@pytest.mark.django_db
def test_a_looser_version_goes_into_force_at_once_unless_the_promise_is_full() -> None:
    version(4, active=True)
    loose = version(9)
    with pytest.raises(SchemaIncompatible):
        activate_reviewed(schema_id=loose.pk, mode=Compatibility.FULL)
    assert activate_reviewed(schema_id=loose.pk).is_active


@pytest.mark.django_db
def test_the_second_of_two_is_told() -> None:
    seen, other = version(4, active=True), version(5, active=True)
    with pytest.raises(SchemaMoved):
        activate_reviewed(schema_id=version(9).pk, expected=seen.pk)
    draft = version(10)
    edit_schema(schema_id=draft.pk, schema=numbered(11), expected=draft.sha256)
    with pytest.raises(SchemaMoved):
        edit_schema(schema_id=draft.pk, schema=numbered(12), expected=draft.sha256)
    assert IRSchema.objects.active().get().pk == other.pk


@pytest.mark.django_db
def test_one_step_back_and_forth_again_unless_answers_would_fail() -> None:
    by = User.objects.create_user("ada")
    first = version(4, active=True)
    with pytest.raises(NothingBefore):
        roll_back(target=TARGET)
    second = activate_reviewed(schema_id=version(9).pk)
    assert roll_back(target=TARGET, by=by).pk == first.pk
    assert roll_back(target=TARGET).pk == second.pk
    answered(second, 8)
    with pytest.raises(SchemaWouldRefuse):
        roll_back(target=TARGET)
    assert roll_back(target=TARGET, accept_failing=1).pk == first.pk


@pytest.mark.django_db
def test_a_prompt_leads_to_the_schema_that_its_file_names(published: None) -> None:
    row = get_active_for_prompt("facts_extraction")
    assert row is not None and row.target == "stage:facts"
    assert get_active_for_prompt("nobody_wrote_this") is None
    held, verdict = validate_json({}, prompt="facts_extraction")
    assert (held.pk, verdict.passed) == (row.pk, False)


@pytest.mark.django_db(transaction=True)
def test_twenty_reviewed_activations_at_once_leave_exactly_one_active() -> None:
    version(0, active=True)
    rows = [version(number) for number in range(1, 21)]
    done = side_by_side([lambda row=row: activate_reviewed(schema_id=row.pk, accept_incompatible=True) for row in rows])
    won = [outcome for outcome in done if isinstance(outcome, IRSchema)]
    assert won and all(isinstance(outcome, (IRSchema, SchemaMoved)) for outcome in done)
    assert IRSchema.objects.active().count() == 1
    assert IRSchema.objects.filter(status="draft").count() == 20 - len(won)
