"""`/api/ir-schemas` over HTTP: the envelope, who may do what, and bad input at the door."""

import json
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission, User
from django.test import Client

from irschemas.models import IRSchema
from irschemas.services import activate_schema, create_schema
from shops.services import issue_api_key, revoke_api_key
from tests.factories import ShopFactory
from tests.irschemas.examples import closed
from tests.irschemas.test_activation import answered, numbered, version

pytestmark = pytest.mark.django_db
URL = "/api/ir-schemas"
NOBODY = "01M7ZH6XAGECJB3QFJT798M3A6"


@pytest.fixture
def staff() -> Client:
    """Somebody who may write schemas, signed in."""
    return signed_in("view_irschema", "add_irschema", "change_irschema")


def signed_in(*permissions: str, staff: bool = True, **options: Any) -> Client:
    user = User.objects.create_user(f"user{User.objects.count()}", is_staff=staff)
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    client = Client(**options)
    client.force_login(user)
    return client


def send(client: Client, verb: str, path: str, body: Any = None, **more: Any) -> tuple[int, Any]:
    """Status and the answer's data, or its error."""
    text = body if isinstance(body, (str, bytes)) else json.dumps(body if body is not None else {})
    answer = client.generic(verb.upper(), f"{URL}{path}", text, content_type="application/json", **more)
    told = answer.json()
    assert told["ok"] is (answer.status_code < 400) and answer.headers["X-Request-ID"]
    return answer.status_code, told["data"] if told["ok"] else told["error"]


def listed(client: Client, query: str = "", **headers: str) -> tuple[int, Any]:
    answer = client.get(f"{URL}?{query}", headers=headers)
    return answer.status_code, answer.json().get("data") or answer.json()["error"]


def test_a_schema_is_written_changed_put_in_force_and_found_again(staff: Client) -> None:
    body = {"target": "stage:example", "name": "Example", "schema": numbered(9)}
    status, draft = send(staff, "post", "", body)
    assert (status, draft["version"], draft["status"], draft["created_by"]) == (201, 1, "draft", "user0")
    status, changed = send(staff, "put", f"/{draft['id']}", {"schema": numbered(8), "expected": draft["sha256"]})
    assert (status, changed["id"], changed["schema"]) == (200, draft["id"], numbered(8))
    status, active = send(staff, "post", f"/{draft['id']}/activate")
    assert (status, active["status"], active["activated_by"]) == (200, "active", "user0")
    status, second = send(staff, "put", f"/{draft['id']}", {"schema": numbered(10)})
    assert (status, second["version"], second["status"]) == (201, 2, "draft")
    assert send(staff, "get", f"/{second['id']}")[1]["schema"] == numbered(10)
    found = listed(staff, "target=stage:example&status=active")[1]["items"]
    assert [row["id"] for row in found] == [draft["id"]]
    assert LogEntry.objects.count() == 4
    assert set(found[0]) == {"id", "target", "version", "name", "status", "origin", "sha256", "schema", "created_at",
                             "created_by", "activated_at", "activated_by"}  # fmt: skip


def test_versions_are_found_by_prompt_and_process_and_come_in_pages(staff: Client, published: None) -> None:
    assert {row["target"] for row in listed(staff, "promptId=facts_extraction")[1]["items"]} == {"stage:facts"}
    create_schema(target="process:import", name="Import", schema=numbered(1))
    assert [row["target"] for row in listed(staff, "processId=import")[1]["items"]] == ["process:import"]
    first = listed(staff, "limit=4")[1]
    rest = listed(staff, f"limit=200&cursor={first['next_cursor']}")[1]
    ids = [row["id"] for row in [*first["items"], *rest["items"]]]
    assert ids == sorted(ids, reverse=True) and len(set(ids)) == IRSchema.objects.count()
    assert rest["next_cursor"] is None


def test_what_would_fail_is_told_before_and_has_to_be_agreed_to(staff: Client) -> None:
    step = answered(version(9, active=True), 1, 7)[1]
    tight = version(4)
    review = send(staff, "get", f"/{tight.pk}/review")[1]
    assert (review["compatible"], review["revalidation"]["failed"]) == (False, 1)
    assert review["revalidation"]["groups"][0]["runs"] == [str(step.run_id)]
    status, error = send(staff, "post", f"/{tight.pk}/activate", {"compatibility": "NONE"})
    assert (status, error["code"], error["details"]["revalidation"]["failed"]) == (409, "schema_would_refuse", 1)
    status, error = send(staff, "post", f"/{tight.pk}/activate", {"accept_failing": 1})
    assert (status, error["code"]) == (409, "schema_incompatible")
    agreed = {"accept_failing": 1, "accept_incompatible": True}
    assert send(staff, "post", f"/{tight.pk}/activate", agreed)[1]["status"] == "active"


def test_an_answer_is_tried_and_its_content_is_not_repeated(staff: Client) -> None:
    row = activate_schema(schema_id=version(4).pk)
    status, told = send(staff, "post", "/validate", {"schemaId": str(row.pk), "data": {"a": "secret", "zq": 1}})
    assert (status, told["passed"], told["error_count"]) == (200, False, 2)
    assert told["errors"][1] == {
        "json_path": "$.a", "schema_path": "#/properties/a/type", "keyword": "type", "expected": "an integer",
        "found_type": "text",
    }  # fmt: skip
    assert "secret" not in json.dumps(told) and "zq" not in json.dumps(told)
    assert send(staff, "post", "/validate", {"target": "stage:example", "data": {"a": 1}})[1]["passed"]
    assert not send(staff, "post", "/validate", {"target": "stage:example", "data": None})[1]["passed"]
    many = {"schemaId": str(row.pk), "data": {f"p{number}": 1 for number in range(30)}}
    assert len(send(staff, "post", "/validate", many)[1]["errors"]) <= 20


@pytest.mark.parametrize(
    ("path", "body", "status", "code"),
    [
        ("", "{", 422, "json_invalid"),
        ("", '{"name": NaN}', 422, "json_invalid"),
        ("", '{"a": 1, "a": 2}', 422, "json_invalid"),
        ("", "[]", 422, "validation"),
        ("", {}, 422, "validation"),
        ("", {"name": "x", "schema": numbered(1)}, 422, "validation"),
        ("", {"target": "stage:a", "promptId": "b", "name": "x", "schema": numbered(1)}, 422, "validation"),
        ("", {"target": "Nonsense", "name": "x", "schema": numbered(1)}, 422, "schema_target_invalid"),
        ("", {"target": "stage:a", "name": "x", "schema": {"type": "objekt"}}, 422, "schema_refused"),
        ("", {"target": "stage:a", "name": "x", "schema": "text"}, 422, "schema_refused"),
        ("/validate", {"data": {}}, 422, "validation"),
        ("/validate", {"target": "stage:nowhere", "data": {}}, 404, "schema_not_found"),
        ("/validate", '{"target": "stage:a", "data": -Infinity}', 422, "json_invalid"),
        ("/nonsense/activate", {}, 404, "schema_not_found"),
        (f"/{NOBODY}/activate", {"compatibility": "SIDEWARD"}, 422, "validation"),
        (f"/{NOBODY}/activate", {}, 404, "schema_not_found"),
    ],
)
def test_bad_input_is_named_and_changes_nothing(staff: Client, path: str, body: Any, status: int, code: str) -> None:
    answer, error = send(staff, "post", path, body)
    assert (answer, error["code"]) == (status, code)
    assert not IRSchema.objects.exists()


@pytest.mark.parametrize("query", ["cursor=x", "limit=0", "limit=201", "limit=ten"])
def test_a_page_that_is_none_is_refused(staff: Client, query: str) -> None:
    assert listed(staff, query)[0] == 422


def test_a_schema_is_refused_with_all_its_problems_and_a_body_that_is_too_large_unread(staff: Client) -> None:
    body = {"target": "stage:a", "name": "x", "schema": {"type": "object", "propertys": {}}}
    error = send(staff, "post", "", body)[1]
    assert [problem.split()[0] for problem in error["details"]["problems"]] == ["unknown_keyword", "open_object"]
    assert send(staff, "post", "", b" " * (4 * 2**20 + 1))[1]["code"] == "body_too_large"


def test_everybody_gets_as_far_as_they_may() -> None:
    row = version(4)
    body = {"target": "stage:other", "name": "x", "schema": closed({"b": {"type": "null"}})}
    nobody, shopper, reader = Client(), signed_in(staff=False), signed_in("view_irschema")
    assert (listed(nobody)[0], listed(shopper)[0], listed(reader)[0]) == (401, 403, 200)
    assert send(reader, "post", "/validate", {"schemaId": str(row.pk), "data": {"a": 1}})[1]["passed"]
    for client, status in ((nobody, 401), (shopper, 403), (reader, 403)):
        assert send(client, "post", "", body)[0] == status
        assert send(client, "put", f"/{row.pk}", {"schema": numbered(1)})[0] == status
        assert send(client, "post", f"/{row.pk}/activate")[0] == status
    careful = signed_in("add_irschema", enforce_csrf_checks=True)
    assert send(careful, "post", "", body)[1]["code"] == "permission_denied"
    assert IRSchema.objects.count() == 1


def test_a_monitor_key_looks_and_tries_and_writes_nothing() -> None:
    row, program = version(4), Client()
    issued = issue_api_key(scopes=["monitor"])
    key = {"Authorization": f"Bearer {issued.plain}"}
    assert listed(program, **key)[1]["items"][0]["id"] == str(row.pk)
    assert send(program, "post", "/validate", {"schemaId": str(row.pk), "data": {"a": 1}}, headers=key)[1]["passed"]
    assert send(program, "post", f"/{row.pk}/activate", headers=key)[1]["code"] == "permission_denied"
    for scopes, shop, status in ((["ingest"], None, 401), (["monitor"], ShopFactory(), 403)):
        other = issue_api_key(scopes=scopes, shop=shop)
        assert listed(program, Authorization=f"Bearer {other.plain}")[0] == status
    revoke_api_key(key=issued.key)
    assert listed(program, **key)[0] == 401


def test_too_many_requests_are_put_off(staff: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("irschemas.api.READS", 2)
    assert [listed(staff)[0] for _ in range(3)] == [200, 200, 429]


def test_every_endpoint_stands_in_the_api_document() -> None:
    paths = Client().get("/api/schema/", headers={"Accept": "application/vnd.oai.openapi+json"}).json()["paths"]
    ours = {(path, verb) for path in paths if path.startswith(URL) for verb in paths[path]}
    assert ours == {
        (URL, "get"), (URL, "post"), (f"{URL}/validate", "post"), (f"{URL}/{{schema_id}}", "get"),
        (f"{URL}/{{schema_id}}", "put"), (f"{URL}/{{schema_id}}/review", "get"),
        (f"{URL}/{{schema_id}}/activate", "post"),
    }  # fmt: skip
