"""The console's pages for schemas, metrics and profiles, as an operator uses them."""

import json

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.urls import reverse

from irschemas.models import IRSchema, MetricDefinition, MetricProfile
from irschemas.publishing import sync_library
from irschemas.services import activate_schema, create_schema
from tests.irschemas.examples import closed

pytestmark = pytest.mark.django_db

LIST = "admin:irschemas_irschema_changelist"
ADD = "admin:irschemas_irschema_add"
CHANGE = "admin:irschemas_irschema_change"
SCHEMA = closed({"a": {"type": "integer"}})


@pytest.fixture
def operator(client: Client) -> Client:
    """A signed-in superuser."""
    client.force_login(User.objects.create_superuser("operator"))
    return client


def draft(number: int = 1) -> IRSchema:
    schema = closed({"a": {"type": "integer", "maximum": number}})
    return create_schema(target="stage:example", name="Example", schema=schema)


def act(client: Client, action: str, *rows: IRSchema) -> str:
    """Run an action of the list; the page it leads to."""
    chosen = [str(row.pk) for row in rows]
    response = client.post(reverse(LIST), {"action": action, "_selected_action": chosen}, follow=True)
    return response.content.decode()


def test_an_operator_writes_a_schema_and_activates_it(operator: Client) -> None:
    form = {"target": "stage:example", "name": "Example", "schema": json.dumps(SCHEMA)}
    operator.post(reverse(ADD), form, follow=True)
    row = IRSchema.objects.get()
    assert (row.version, row.status, row.schema, str(row.created_by)) == (1, "draft", SCHEMA, "operator")
    assert "Now in force: stage:example v1." in act(operator, "activate", row)
    row.refresh_from_db()
    assert (row.status, str(row.activated_by)) == ("active", "operator")
    assert LogEntry.objects.filter(object_id=str(row.pk), change_message__contains="Activated.").exists()


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("{", "This is not JSON"),
        ('{"type": "object", "propertys": {}}', "unknown_keyword"),
        ('{"type": "object", "propertys": {}}', "open_object"),
        ("[]", "not_an_object"),
    ],
)
def test_what_is_wrong_with_a_schema_stands_at_its_field(operator: Client, text: str, told: str) -> None:
    form = {"target": "stage:example", "name": "Example", "schema": text}
    response = operator.post(reverse(ADD), form)
    assert told in str(response.context["adminform"].form.errors["schema"])
    assert not IRSchema.objects.exists()


def test_a_target_that_nothing_could_find_is_told_at_its_field(operator: Client) -> None:
    form = {"target": "Placement", "name": "Example", "schema": json.dumps(SCHEMA)}
    assert "target" in operator.post(reverse(ADD), form).context["adminform"].form.errors


def test_saving_the_newest_version_again_is_a_message_not_a_crash(operator: Client) -> None:
    row = draft()
    form = {"target": row.target, "name": "Example", "schema": json.dumps(row.schema)}
    page = operator.post(reverse(ADD), form, follow=True).content.decode()
    assert "there is nothing to save" in page
    assert IRSchema.objects.count() == 1


def test_a_draft_can_be_edited_in_place(operator: Client) -> None:
    row = draft()
    operator.post(reverse(CHANGE, args=[row.pk]), {"name": "Better", "schema": json.dumps(SCHEMA)}, follow=True)
    row.refresh_from_db()
    assert (row.name, row.schema, row.version) == ("Better", SCHEMA, 1)


def test_a_version_in_force_is_shown_and_cannot_be_changed(operator: Client) -> None:
    row = activate_schema(schema_id=draft().pk)
    page = operator.get(reverse(CHANGE, args=[row.pk])).content.decode()
    assert "<pre>{\n  &quot;type&quot;: &quot;object&quot;,\n  &quot;additionalProperties&quot;: false" in page
    assert 'name="_save"' not in page and "<textarea" not in page
    response = operator.post(reverse(CHANGE, args=[row.pk]), {"name": "Mine", "schema": json.dumps(SCHEMA)})
    row.refresh_from_db()
    assert (response.status_code, row.name) == (403, "Example")


def test_a_new_version_starts_from_the_chosen_one(operator: Client) -> None:
    row = activate_schema(schema_id=draft(7).pk)
    page = act(operator, "new_version", row)
    assert "&quot;maximum&quot;: 7" in page and 'value="stage:example"' in page
    assert IRSchema.objects.count() == 1


def test_a_strange_starting_point_opens_an_empty_form(operator: Client) -> None:
    assert operator.get(reverse(ADD) + "?from=nonsense").status_code == 200


def test_two_versions_of_one_target_are_not_activated_in_one_go(operator: Client) -> None:
    assert "at most one version of each target" in act(operator, "activate", draft(1), draft(2))
    assert not IRSchema.objects.active().exists()


def test_nobody_deletes_a_schema_a_metric_or_a_profile(operator: Client) -> None:
    sync_library()
    for model in (IRSchema, MetricDefinition, MetricProfile):
        name = f"admin:irschemas_{model._meta.model_name}_delete"
        assert operator.post(reverse(name, args=[model.objects.first().pk])).status_code == 403


def test_somebody_who_may_only_look_finds_no_action_that_writes(client: Client) -> None:
    viewer = User.objects.create_user("viewer", is_staff=True)
    viewer.user_permissions.add(Permission.objects.get(codename="view_irschema"))
    client.force_login(viewer)
    row = draft()
    assert "stage:example" in act(client, "activate", row)
    row.refresh_from_db()
    assert row.status == "draft"
    assert "<textarea" not in client.get(reverse(CHANGE, args=[row.pk])).content.decode()
    assert client.get(reverse(ADD)).status_code == 403


def test_every_page_of_the_library_opens(operator: Client) -> None:
    sync_library()
    for model in (IRSchema, MetricDefinition, MetricProfile):
        kind = model._meta.model_name
        assert operator.get(reverse(f"admin:irschemas_{kind}_changelist")).status_code == 200
        assert (
            operator.get(reverse(f"admin:irschemas_{kind}_change", args=[model.objects.first().pk])).status_code == 200
        )


def test_a_threshold_can_be_edited_and_its_profile_keeps_its_key(operator: Client) -> None:
    sync_library()
    profile = MetricProfile.objects.get(key="split_profile_v1")
    items = list(profile.items.all())
    form = {
        "key": "other_v1",
        "description": "Mine",
        "items-TOTAL_FORMS": len(items),
        "items-INITIAL_FORMS": len(items),
    }
    for index, item in enumerate(items):
        form |= {
            f"items-{index}-id": item.pk,
            f"items-{index}-profile": profile.pk,
            f"items-{index}-metric": item.metric_id,
            f"items-{index}-threshold": 0.5,
            f"items-{index}-weight": 1,
        }
    operator.post(reverse("admin:irschemas_metricprofile_change", args=[profile.pk]), form, follow=True)
    profile.refresh_from_db()
    assert (profile.key, profile.description) == ("split_profile_v1", "Mine")
    assert {item.threshold for item in profile.items.all()} == {0.5}
