"""The page of runs that were started together: it moves, it rests, and it can be steered."""

from datetime import timedelta

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission, User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from core.ids import Ulid, new_id
from prep.services import prepare_many
from runs.models import Run
from runs.services import publish_dag
from tests.factories import ProductAssetFactory
from tests.monitor.factories import RunFactory

pytestmark = pytest.mark.django_db


def a_group(**numbers: int) -> Ulid:
    """Runs of one group by status; those that ended took two seconds."""
    group_id, now = new_id(), timezone.now()
    for status, number in numbers.items():
        ended = status in ("completed", "failed", "cancelled")
        for _ in range(number):
            RunFactory(
                status=status, run_group_id=group_id, pipeline_slug="prep", cost_usd="0.01" if ended else None,
                started_at=None if status == "pending" else now - timedelta(seconds=2),
                finished_at=now if ended else None, lease_until=now + timedelta(minutes=5),
                **({"error_stage": "cutout", "error_code": "cutout_rejected", "error_message": "No edge."}
                   if status == "failed" else {}),
            )  # fmt: skip
    return group_id


def page_of(client: Client, group_id: Ulid) -> str:
    answer = client.get(f"/admin/runs/run/group/{group_id}/")
    assert answer.status_code == 200
    return answer.content.decode()


def test_a_group_under_way_shows_how_far_it_is_and_asks_again(console: Client) -> None:
    group_id = a_group(completed=5, failed=1, running=2, pending=2)
    page = page_of(console, group_id)
    assert "6 of 10 ended; about" in page
    assert 'aria-valuenow="6"' in page
    assert '<rect class="part part-completed" x="0.0%" width="50.0%"' in page
    assert 'hx-trigger="every 1s"' in page
    assert "$0.06" in page
    assert f"?range=all&amp;group={group_id}&amp;status=failed&amp;error=cutout_rejected" in page
    assert 'data-dialog="group-cancel"' in page
    assert 'data-dialog="group-rerun"' in page


def test_a_group_that_is_over_rests(console: Client) -> None:
    page = page_of(console, a_group(completed=3))
    assert "3 of 3 ended, in " in page
    assert "hx-trigger" not in page
    assert 'data-dialog="group-cancel"' not in page


def test_queries_do_not_grow_with_the_group(console: Client) -> None:
    small, large = a_group(completed=1, failed=1), a_group(completed=20, failed=10)
    counts = []
    for group_id in (small, large):
        with CaptureQueriesContext(connection) as queries:
            page_of(console, group_id)
        counts.append(len(queries))
    assert counts[0] == counts[1] <= 8


def test_its_links_lead_to_the_runs_of_the_group_alone(console: Client) -> None:
    group_id = a_group(completed=2, failed=1)
    RunFactory(status="failed")
    answer = console.get(f"/admin/runs/run/?range=all&group={group_id}&status=failed")
    assert [row.run.run_group_id for row in answer.context["list"].rows] == [group_id]
    assert console.get("/admin/runs/run/?range=all&group=nonsense").status_code == 200


def test_selected_products_lead_to_their_groups_page_and_it_is_cancelled_there(console: Client) -> None:
    nodes = [{"key": "fetch", "step": "fetch@1"}, {"key": "cutout", "step": "cutout@1", "depends_on": ["fetch"]}]
    publish_dag("prep", {"nodes": nodes})
    assets = [ProductAssetFactory() for _ in range(3)]
    answer = console.post("/admin/prep/productasset/", {"action": "prepare_selected",
                          "_selected_action": [str(asset.pk) for asset in assets]}, follow=True)  # fmt: skip
    [group_id] = set(Run.objects.values_list("run_group_id", flat=True))
    assert f"/admin/runs/run/group/{group_id}/" in answer.content.decode()
    url = f"/admin/runs/run/group/{group_id}/cancel/"
    assert console.post(url).status_code == 422
    cancelled = console.post(url, {"reason": "wrong shop"}).content.decode()
    assert "3 runs cancelled." in cancelled
    assert set(Run.objects.values_list("status", flat=True)) == {"cancelled"}
    assert LogEntry.objects.filter(change_message__contains="Cancelled 3 of group").exists()
    run = Run.objects.first()
    assert run is not None
    assert f"/admin/runs/run/group/{group_id}/" in console.get(f"/admin/runs/run/{run.pk}/change/").content.decode()


def test_what_cannot_be_run_again_is_counted_and_said(console: Client) -> None:
    group_id = a_group(failed=2)
    answer = console.post(f"/admin/runs/run/group/{group_id}/rerun/").content.decode()
    assert "0 run again. 2 could not be: This run was not executed here" in answer


def test_the_failed_are_run_again_in_the_same_group(console: Client) -> None:
    publish_dag("prep", {"nodes": [{"key": "fetch", "step": "fetch@1"}]})
    asset = ProductAssetFactory()
    group = prepare_many(type(asset).objects.filter(pk=asset.pk), trigger="console")
    Run.objects.update(status="failed", error_stage="fetch", error_code="fetch_failed", finished_at=timezone.now())
    type(asset).objects.update(prep_status="failed")
    answer = console.post(f"/admin/runs/run/group/{group.group_id}/rerun/").content.decode()
    assert "1 run again." in answer
    assert "0 of 1 ended" in answer
    assert Run.objects.filter(run_group_id=group.group_id).count() == 2


def test_readers_see_it_and_change_nothing(db: None) -> None:
    user = User.objects.create_user("reader", password="a-long-password-1", is_staff=True)
    client = Client()
    client.force_login(user)
    group_id = a_group(failed=1, pending=1)
    assert client.get(f"/admin/runs/run/group/{group_id}/").status_code == 403
    user.user_permissions.add(Permission.objects.get(codename="view_run"))
    assert "dialog" not in page_of(client, group_id)
    for verb in ("cancel", "rerun"):
        assert client.post(f"/admin/runs/run/group/{group_id}/{verb}/", {"reason": "x"}).status_code == 403


def test_a_group_that_does_not_exist_sends_back_to_the_list(console: Client) -> None:
    for group_id in (str(new_id()), "nonsense"):
        assert console.get(f"/admin/runs/run/group/{group_id}/").status_code == 302
