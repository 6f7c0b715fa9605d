"""Schemas in the console: edited, tried, reviewed against stored answers, put in force, and put back."""

import json
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission, User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from irschemas.models import IRSchema
from irschemas.publishing import sync_library
from irschemas.services import activate_schema, create_schema, edit_schema
from tests.irschemas.examples import closed
from tests.irschemas.test_activation import answered, numbered, version

pytestmark = pytest.mark.django_db
ROOT = "/admin/irschemas/irschema"


def staff(*permissions: str) -> Client:
    user = User.objects.create_user("staff", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    client = Client()
    client.force_login(user)
    return client


def send(client: Client, verb: str, document: Any, *, origin: IRSchema | None = None, **values: Any) -> Any:
    text = document if isinstance(document, str) else json.dumps(document)
    given = {"origin": str(origin.pk) if origin else "", "document": text, "name": "Example", **values}
    return client.post(f"{ROOT}/{verb}/", given)


def activate(client: Client, schema: IRSchema, **values: Any) -> Any:
    return client.post(f"{ROOT}/{schema.pk}/activate/", {"mode": "BACKWARD", **values})


def test_the_list_shows_what_is_in_force_in_a_fixed_number_of_queries(console: Client) -> None:
    version(1, active=True)
    version(2)
    page = console.get(f"{ROOT}/").content.decode()
    assert "stage:example" in page and ">v1</a>" in page and "v2, draft</a>" in page
    with CaptureQueriesContext(connection) as before:
        console.get(f"{ROOT}/")
    sync_library()
    with CaptureQueriesContext(connection) as after:
        assert "by a release" in console.get(f"{ROOT}/").content.decode()
    assert len(after) == len(before) <= 5


def test_a_librarys_version_that_waits_behind_an_operators_is_told(console: Client) -> None:
    version(1, active=True)
    library = create_schema(target="stage:example", name="x", schema=numbered(7), origin=IRSchema.Origin.LIBRARY)
    assert f"The library's v{library.version} waits" in console.get(f"{ROOT}/").content.decode()


def test_an_operator_writes_a_schema_for_a_new_target(console: Client) -> None:
    assert console.get(f"{ROOT}/add/").status_code == 200
    answer = send(console, "save", numbered(4), target="stage:example")
    row = IRSchema.objects.get()
    assert answer.headers["HX-Redirect"] == f"{ROOT}/{row.pk}/change/"
    assert (row.status, str(row.created_by), row.name) == ("draft", "operator", "Example")
    assert LogEntry.objects.get().change_message == "Wrote stage:example v1."
    assert "must" not in send(console, "save", numbered(4), target="Nonsense").content.decode()
    assert send(console, "save", numbered(4), target="Nonsense").status_code == 422


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("{", "This is not JSON"),
        ('{"a": NaN}', "NaN is not JSON"),
        ("[]", "not_an_object"),
        ('{"type": "object", "propertys": {}}', "unknown_keyword"),
        ('{"type": "object", "properties": {"a": {}}}', "missing_type"),
        (json.dumps(closed({"a": {"$ref": "https://example.test/x"}})), "remote_ref"),
        (json.dumps(closed({"a": {"type": "string", "pattern": "^(a+)+$"}})), "unsafe_pattern"),
        ("[" * 5000, "nested too deep"),
        (json.dumps(closed({"a": {"type": "string", "description": "x" * 70_000}})), "too_big"),
        ("<script>\0", "This is not JSON"),
        ("", "This is not JSON"),
    ],
)
def test_what_is_wrong_is_told_and_nothing_is_saved(console: Client, text: str, told: str) -> None:
    for verb in ("check", "save"):
        answer = send(console, verb, text, target="stage:example")
        assert answer.status_code == 200
        assert told in answer.content.decode() and "<script>" not in answer.content.decode()
    assert not IRSchema.objects.exists()


def test_a_draft_tells_what_it_changes_and_what_would_fail_as_one_types(console: Client) -> None:
    row = version(9, active=True)
    answered(row, 1, 7)
    page = send(console, "check", numbered(4), origin=row).content.decode()
    assert "not BACKWARD compatible" in page and "was at most 9, is at most 4" in page
    assert "1 of the last 2 would fail" in page
    assert "Nothing has been changed yet" in send(console, "check", numbered(9), origin=row).content.decode()


def test_a_draft_changes_in_place_and_a_version_in_force_becomes_a_new_one(console: Client) -> None:
    row = version(4)
    send(console, "save", numbered(5), origin=row)
    row.refresh_from_db()
    assert (row.schema, row.version, row.name) == (numbered(5), 1, "Example")
    activate_schema(schema_id=row.pk)
    send(console, "save", numbered(6), origin=row)
    row.refresh_from_db()
    assert row.schema == numbered(5)
    assert IRSchema.objects.get(version=2).schema == numbered(6)


def test_the_second_of_two_editors_is_told_keeps_the_text_and_may_save_again(console: Client) -> None:
    row = version(4)
    began = send(console, "check", numbered(4), origin=row).context["draft"].seen
    berta = User.objects.create_user("berta")
    edit_schema(schema_id=row.pk, schema=numbered(7), by=berta)
    assert (
        "is newer than what you began from"
        in send(console, "check", numbered(5), origin=row, seen=began).content.decode()
    )
    refused = send(console, "save", numbered(5), origin=row, seen=began)
    assert refused.status_code == 200 and refused.context["draft"].moved == row
    row.refresh_from_db()
    assert row.schema == numbered(7)
    send(console, "save", numbered(5), origin=row, seen=refused.context["draft"].seen)
    row.refresh_from_db()
    assert row.schema == numbered(5)


def test_a_version_is_shown_against_the_one_in_force_or_any_other(console: Client) -> None:
    first, second, third = version(9, active=True), version(4), version(3)
    page = console.get(f"{ROOT}/{second.pk}/change/")
    assert [str(change) for change in page.context["page"].changes] == ["$.a: was at most 9, is at most 4."]
    assert "<del>" in page.content.decode() and "activate-dialog" in page.content.decode()
    against = console.get(f"{ROOT}/{second.pk}/change/?against={third.pk}").context["page"]
    assert [change.effect for change in against.changes] == ["looser"]
    assert console.get(f"{ROOT}/{first.pk}/change/?against=nonsense").status_code == 404
    assert console.get(f"{ROOT}/nonsense/change/").status_code == 404
    assert console.post(f"{ROOT}/{first.pk}/change/", {"name": "Mine"}).status_code == 403
    assert console.post(f"{ROOT}/{first.pk}/delete/").status_code == 403


def test_an_answer_is_tried_now_pasted_or_stored_and_nothing_of_it_is_repeated(console: Client) -> None:
    row = version(4)
    step = answered(row, "secret")[0]

    def told(**values: str) -> str:
        return console.post(f"{ROOT}/{row.pk}/try/", values).content.decode()

    assert "It fits stage:example v1." in told(answer='{"a": 1}')
    wrong = told(answer='{"a": "secret", "zq": 1}')
    assert "2 errors" in wrong and "$.a</code> expected an integer; found text" in wrong
    assert "secret" not in wrong and "zq" not in wrong
    assert "Infinity is not JSON" in told(answer='{"a": Infinity}')
    assert "Paste an answer" in told(answer=" ")
    stored = told(step=str(step.pk))
    assert "1 error" in stored and f"/admin/runs/run/{step.run_id}/change/" in stored and "secret" not in stored
    assert "not among the last 500" in told(step=str(step.run_id))


def test_what_would_fail_is_shown_with_its_runs_and_has_to_be_agreed_to(console: Client) -> None:
    active = version(9, active=True)
    step = answered(active, 1, 7)[1]
    tight = version(4)
    shown = console.get(f"{ROOT}/{tight.pk}/review/").content.decode()
    assert "1 of 2 would fail" in shown and f"/admin/runs/run/{step.run_id}/change/" in shown
    assert 'name="accept_failing" value="1" required' in shown and 'name="accept_incompatible"' in shown
    assert "accept_incompatible" not in console.get(f"{ROOT}/{tight.pk}/review/?mode=NONE").content.decode()
    for agreed in (
        {},
        {"accept_failing": "1"},
        {"accept_incompatible": "yes"},
        {"accept_failing": "0", "mode": "NONE"},
    ):
        answer = activate(console, tight, **agreed)
        assert answer.status_code == 409 and answer.headers["HX-Trigger"] == "rereview"
        assert answer.content.decode().startswith("Nothing was activated.")
    assert activate(console, tight, accept_failing="x").status_code == 422
    answered(active, 8)
    both = {"accept_failing": "1", "accept_incompatible": "yes"}
    assert "2 of the last 3" in activate(console, tight, **both).content.decode()
    assert activate(console, tight, **{**both, "accept_failing": "2"}).status_code == 204
    assert LogEntry.objects.get().change_message == "Activated stage:example v2."
    tight.refresh_from_db()
    assert tight.is_active and str(tight.activated_by) == "operator"


def test_the_second_to_activate_is_told(console: Client) -> None:
    seen, _, mine = version(1, active=True), version(2, active=True), version(3)
    answer = activate(console, mine, expected=str(seen.pk))
    assert answer.status_code == 409 and "Somebody else changed this schema" in answer.content.decode()


def test_one_click_puts_the_version_before_back_unless_answers_would_fail(console: Client) -> None:
    first, second = version(4, active=True), version(9, active=True)
    page = console.get(f"{ROOT}/{second.pk}/change/").content.decode()
    assert "Roll back to v1" in page
    answer = console.post(f"{ROOT}/{second.pk}/back/", {"to": str(first.pk)})
    assert answer.headers["HX-Redirect"] == f"{ROOT}/{first.pk}/change/"
    assert IRSchema.objects.active().get() == first
    assert LogEntry.objects.get().change_message == "Rolled back from stage:example v2 to stage:example v1."
    activate_schema(schema_id=second.pk)
    answered(second, 7)
    console.post(f"{ROOT}/{second.pk}/back/", {"to": str(first.pk)})
    assert IRSchema.objects.active().get() == second
    assert "Not rolled back yet. 1 of the last 1" in console.get(f"{ROOT}/{first.pk}/change/").content.decode()


def test_permissions_open_the_doors_one_by_one() -> None:
    active, draft = version(4, active=True), version(5)
    reader = staff("view_irschema")
    for path in ("/", f"/{active.pk}/change/", f"/{draft.pk}/change/", f"/{draft.pk}/review/"):
        page = reader.get(f"{ROOT}{path}")
        assert page.status_code == 200
        assert not any(mark in page.content.decode() for mark in ("/edit/", "activate-dialog", "/back/", "New target"))
    assert "It fits" in reader.post(f"{ROOT}/{draft.pk}/try/", {"answer": '{"a": 1}'}).content.decode()
    assert reader.get(f"{ROOT}/add/").status_code == reader.get(f"{ROOT}/{draft.pk}/edit/").status_code == 403
    assert activate(reader, draft).status_code == send(reader, "save", numbered(8), origin=draft).status_code == 403
    assert send(reader, "save", numbered(8), target="stage:new").status_code == 403
    assert reader.post(f"{ROOT}/{active.pk}/back/").status_code == 403
    User.objects.get(username="staff").user_permissions.clear()
    for path in ("/", f"/{active.pk}/change/", f"/{draft.pk}/review/"):
        assert reader.get(f"{ROOT}{path}").status_code == 403
    assert reader.post(f"{ROOT}/{draft.pk}/try/").status_code == 403
