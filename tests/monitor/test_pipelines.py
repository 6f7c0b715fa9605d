"""Pipelines in the console: looked at by readers; drafted, published and taken back by who may."""

import json
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission, User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from core.canonical import json_hash
from runs.models import Pipeline, PipelineVersion
from runs.services import publish_dag, start_run
from tests.factories import ShopFactory
from tests.monitor.factories import RunFactory

pytestmark = pytest.mark.django_db
ONE = {"nodes": [{"key": "facts", "step": "facts@1"}]}
TWO = {"nodes": [{"key": "facts", "step": "facts@1", "retries": 2},
                 {"key": "placement", "step": "placement@1", "depends_on": ["facts"]}]}  # fmt: skip
SPELLED = {"nodes": [{"nodeKey": "facts", "stepVersionId": "facts@1", "retries": 2},
                     {"nodeKey": "placement", "stepVersionId": "placement@1"}],
           "edges": [{"fromKey": "facts", "toKey": "placement"}]}  # fmt: skip


@pytest.fixture
def first(db: None) -> PipelineVersion:
    """The first version of a pipeline."""
    return publish_dag("composite", ONE, published_by="anna")[0]


def staff(*permissions: str) -> Client:
    user = User.objects.create_user("staff", password="a-long-password-1", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    client = Client()
    client.force_login(user)
    return client


def post(client: Client, version: PipelineVersion, verb: str, document: Any, **values: Any) -> Any:
    text = document if isinstance(document, str) else json.dumps(document)
    started = {"started_from": str(version.pk), "document": text, **values}
    return client.post(f"/admin/runs/pipeline/{version.pipeline_id}/{verb}/", started)


def publish(client: Client, version: PipelineVersion, document: Any, **values: Any) -> Any:
    checked = post(client, version, "check", document).context["draft"].sha256
    return post(client, version, "publish", document, **{"checked": checked, **values})


def test_the_list_counts_runs_by_version_in_a_fixed_number_of_queries(console: Client, first: PipelineVersion) -> None:
    start_run(pipeline="composite", shop=ShopFactory(), input={})
    second = publish_dag("composite", TWO)[0]
    for _ in range(3):
        RunFactory(pipeline_version=second)
    page = console.get("/admin/runs/pipeline/").content.decode()
    assert "v2: 3<" in page
    assert "v1: 1, 1 under way<" in page
    with CaptureQueriesContext(connection) as before:
        console.get("/admin/runs/pipeline/")
    for number in range(5):
        publish_dag(f"other{number}", ONE)
    with CaptureQueriesContext(connection) as after:
        console.get("/admin/runs/pipeline/")
    assert len(after) == len(before) <= 6


def test_a_version_is_drawn_told_in_words_and_compared_with_the_active_one(
    console: Client, first: PipelineVersion
) -> None:
    second = publish_dag("composite", TWO, published_by="berta")[0]
    assert console.get(f"/admin/runs/pipeline/{first.pipeline_id}/change/").url.endswith(f"{second.pk}/change/")
    page = console.get(f"/admin/runs/pipelineversion/{second.pk}/change/").content.decode()
    assert page.count('<g class="node ') == 2
    assert page.count('<path class="edge"') == 1
    assert "by berta" in page
    assert "placement@1" in page
    old = console.get(f"/admin/runs/pipelineversion/{first.pk}/change/").content.decode()
    assert "placement is removed." in old
    assert "facts: retries 2 → 0." in old
    assert 'data-dialog="activate-dialog"' in old


def test_a_draft_in_any_spelling_is_checked_drawn_and_compared(console: Client, first: PipelineVersion) -> None:
    answer = post(console, first, "check", SPELLED)
    draft = answer.context["draft"]
    assert draft.problems == []
    assert draft.sha256 == post(console, first, "check", TWO).context["draft"].sha256
    assert draft.changes == ["placement is added: placement@1, after facts.", "facts: retries 0 → 2."]
    assert "<svg" in answer.content.decode()
    assert not PipelineVersion.objects.filter(number=2).exists()


def test_all_problems_are_shown_with_their_paths_and_what_is_a_graph_is_drawn(
    console: Client, first: PipelineVersion
) -> None:
    bad = {"nodes": [{"key": "facts", "step": "gone@3"}, {"key": "b", "step": "lost@1", "depends_on": ["facts"]}]}
    answer = post(console, first, "check", bad)
    page = answer.content.decode()
    assert "$.nodes[0].step: there is no stage gone@3" in page
    assert "$.nodes[1].step: there is no stage lost@1" in page
    assert page.count('<g class="node node-missing') == 2
    ring = {"nodes": [{"key": "a", "step": "facts@1", "depends_on": ["b"]},
                      {"key": "b", "step": "facts@1", "depends_on": ["a"]}]}  # fmt: skip
    page = post(console, first, "check", ring).content.decode()
    assert "the nodes form a cycle" in page
    assert "<svg" not in page
    assert "line 1, column 3" in post(console, first, "check", "{ nope").content.decode()


@pytest.mark.parametrize("text", ["", "[]", "null", "{}", '{"nodes": 3}', '{"nodes": [3]}', '{"nodes": [{"key": 1}]}',
                                  "\0", "<script>", "[" * 5000])  # fmt: skip
def test_nonsense_is_a_problem_and_no_crash(console: Client, first: PipelineVersion, text: str) -> None:
    answer = post(console, first, "check", text)
    assert answer.status_code == 200
    assert answer.context["draft"].problems
    assert "<script>" not in answer.content.decode()


def test_publishing_activates_a_new_version_and_runs_keep_theirs(console: Client, first: PipelineVersion) -> None:
    run = start_run(pipeline="composite", shop=ShopFactory(), input={})
    answer = publish(console, first, SPELLED)
    second = PipelineVersion.objects.get(number=2)
    assert answer.headers["HX-Redirect"] == f"/admin/runs/pipelineversion/{second.pk}/change/"
    assert (second.active, second.published_by) == (True, "operator")
    run.refresh_from_db()
    assert run.pipeline_version_id == first.pk
    entry = LogEntry.objects.get()
    assert entry.object_id == str(second.pk)
    assert "placement is added" in entry.change_message


def test_only_what_was_looked_at_is_published(console: Client, first: PipelineVersion) -> None:
    stale = post(console, first, "check", ONE).context["draft"].sha256
    answer = post(console, first, "publish", TWO, checked=stale)
    assert answer.status_code == 409
    assert answer.headers["HX-Trigger"] == "recheck"
    assert "has changed since you looked" in answer.content.decode()
    assert PipelineVersion.objects.count() == 1


def test_the_second_of_two_operators_is_told_and_may_publish_over_what_they_have_seen(
    console: Client, first: PipelineVersion
) -> None:
    publish_dag("composite", TWO, published_by="berta")
    mine = {"nodes": [{"key": "facts", "step": "facts@1", "retries": 5}]}
    answer = publish(console, first, mine)
    assert answer.status_code == 409
    assert "v2 by berta has become active meanwhile" in answer.content.decode()
    assert PipelineVersion.objects.get(active=True).number == 2
    again = post(console, first, "check", mine)
    second = again.context["draft"].active
    assert "placement is removed." in again.context["draft"].changes
    assert f'name="over" value="{second.pk}" required' in again.content.decode()
    assert publish(console, first, mine, over=str(second.pk)).status_code == 204
    assert PipelineVersion.objects.get(active=True).number == 3


def test_publishing_what_is_active_or_wrong_changes_nothing(console: Client, first: PipelineVersion) -> None:
    assert publish(console, first, ONE).status_code == 422
    answer = post(console, first, "publish", {"nodes": []}, checked="")
    assert answer.status_code == 422
    assert answer.content.decode().startswith("Nothing was published.")
    assert PipelineVersion.objects.count() == 1


def test_an_earlier_version_is_activated_again(console: Client, first: PipelineVersion) -> None:
    second = publish_dag("composite", TWO)[0]
    url = f"/admin/runs/pipelineversion/{first.pk}/activate/"
    third = publish_dag("composite", {"nodes": [{"key": "facts", "step": "facts@1", "retries": 9}]})[0]
    assert console.post(url, {"expected": str(second.pk)}).status_code == 409
    assert console.post(url, {"expected": str(third.pk)}).status_code == 204
    first.refresh_from_db()
    assert first.active
    assert PipelineVersion.objects.filter(active=True).count() == 1
    assert LogEntry.objects.get().change_message.startswith("Activated composite v1")
    assert console.post(url, {"expected": str(first.pk)}).status_code == 409


def test_a_version_whose_stage_is_gone_is_shown_and_not_activated(console: Client, first: PipelineVersion) -> None:
    dag = {"dag_version": 1, "nodes": [{"key": "a", "step": "long_gone@7"}]}
    gone = PipelineVersion.objects.create(pipeline=first.pipeline, number=7, dag=dag, dag_sha256=json_hash(dag))
    assert "stage missing" in console.get(f"/admin/runs/pipelineversion/{gone.pk}/change/").content.decode()
    answer = console.post(f"/admin/runs/pipelineversion/{gone.pk}/activate/", {"expected": str(first.pk)})
    assert answer.status_code == 422
    assert "there is no stage long_gone@7" in answer.content.decode()


def test_permissions_open_the_doors_one_by_one(first: PipelineVersion) -> None:
    second = publish_dag("composite", TWO)[0]
    reader = staff("view_pipeline", "view_pipelineversion")
    pages = ["/admin/runs/pipeline/", f"/admin/runs/pipelineversion/{first.pk}/change/"]
    for page in pages:
        shown = reader.get(page)
        assert shown.status_code == 200
        assert "dialog" not in shown.content.decode()
        assert "/edit/" not in shown.content.decode()
    assert reader.get(f"/admin/runs/pipeline/{first.pipeline_id}/edit/").status_code == 403
    assert post(reader, first, "check", ONE).status_code == 403
    assert post(reader, second, "publish", ONE, checked="x").status_code == 403
    assert reader.post(f"/admin/runs/pipelineversion/{first.pk}/activate/").status_code == 403
    User.objects.get(username="staff").user_permissions.clear()
    assert [reader.get(page).status_code for page in pages] == [403, 403]


def test_external_pipelines_are_shown_and_not_edited(console: Client) -> None:
    pipeline = Pipeline.objects.create(slug="reported", kind="external", declared={"rank": {}})
    assert "executed elsewhere" in console.get("/admin/runs/pipeline/").content.decode()
    assert "rank" in console.get(f"/admin/runs/pipeline/{pipeline.pk}/change/").content.decode()
    assert console.get(f"/admin/runs/pipeline/{pipeline.pk}/edit/").status_code == 404
