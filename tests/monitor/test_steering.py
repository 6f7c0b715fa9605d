"""What an operator does to runs from their pages: asked for, permitted, logged, and refused in words."""

from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.utils import timezone

from runs.models import Run, StepPayload
from runs.services import publish_dag, start_run
from tests.factories import ShopFactory
from tests.monitor.factories import RunFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def reader(db: None) -> Client:
    """Somebody who may look at runs, and nothing else."""
    user = User.objects.create_user("reader", password="a-long-password-1", is_staff=True)
    user.user_permissions.add(Permission.objects.get(codename="view_run"))
    client = Client()
    client.force_login(user)
    return client


@pytest.fixture
def pending(db: None) -> Run:
    """A run of a published pipeline that no worker has taken."""
    nodes = [{"key": "facts", "step": "facts@1"}, {"key": "placement", "step": "placement@1", "depends_on": ["facts"]}]
    publish_dag("composite", {"nodes": nodes})
    return start_run(pipeline="composite", shop=ShopFactory(), input={"title": "sofa"}, title="sofa")


def failed(run: Run) -> Run:
    """The same run, as a failure at its second node leaves it."""
    StepPayload.objects.create(step=run.steps.get(node_key="facts"), ir={"mount": "floor"})
    run.steps.filter(node_key="facts").update(status="completed", finished_at=timezone.now())
    run.steps.filter(node_key="placement").update(status="failed", finished_at=timezone.now())
    Run.objects.filter(pk=run.pk).update(status="failed", error_stage="placement", error_code="no_placement",
                                         finished_at=timezone.now())  # fmt: skip
    return run


def page_of(client: Client, run: Run) -> str:
    return client.get(f"/admin/runs/run/{run.pk}/change/").content.decode()


def act(client: Client, run: Run, verb: str, **values: Any) -> Any:
    return client.post(f"/admin/runs/run/{run.pk}/{verb}/", values)


def test_a_waiting_run_is_cancelled_with_a_reason_that_stays_with_it(console: Client, pending: Run) -> None:
    assert 'data-dialog="cancel-dialog"' in page_of(console, pending)
    answer = act(console, pending, "cancel", reason="  the shop\nasked  ")
    assert answer.status_code == 200
    assert "The run is cancelled." in answer.content.decode()
    assert "by operator: the shop asked" in answer.content.decode()
    pending.refresh_from_db()
    assert (pending.status, pending.error_code) == ("cancelled", "cancelled")
    assert LogEntry.objects.get().change_message == "Cancelled: the shop asked"


def test_cancelling_asks_for_a_reason(console: Client, pending: Run) -> None:
    answer = act(console, pending, "cancel", reason=" \n ")
    assert answer.status_code == 422
    assert answer.content.decode() == "Say why: the reason stays with the run."
    pending.refresh_from_db()
    assert pending.status == "pending"


def test_a_run_that_ended_meanwhile_is_not_cancelled_and_the_page_says_so(console: Client, pending: Run) -> None:
    failed(pending)
    answer = act(console, pending, "cancel", reason="too late")
    assert "the run had ended before, failed." in answer.content.decode()
    assert not LogEntry.objects.exists()


def test_a_failed_run_is_run_again_from_where_it_failed(console: Client, pending: Run) -> None:
    run = failed(pending)
    assert "Re-run from placement" in page_of(console, run)
    answer = act(console, run, "rerun")
    fork = Run.objects.get(parent=run)
    assert answer.headers["HX-Redirect"] == f"/admin/runs/run/{run.pk}/compare/{fork.pk}/"
    assert fork.fork_node == "placement"
    assert fork.steps.get(node_key="facts").reused_from_id == run.steps.get(node_key="facts").pk
    assert "taken over" in page_of(console, fork)
    assert f"/admin/runs/run/{fork.pk}/change/" in page_of(console, run)


def test_what_the_service_refuses_is_said_in_its_words(console: Client, pending: Run) -> None:
    answer = act(console, pending, "rerun")
    assert answer.status_code == 409
    assert answer.content.decode().startswith("This run has not ended yet.")


def test_who_may_only_look_has_no_buttons_and_is_refused(reader: Client, pending: Run) -> None:
    assert "dialog" not in page_of(reader, pending)
    assert act(reader, pending, "cancel", reason="please").status_code == 403
    assert "Re-run" not in page_of(reader, failed(pending))
    assert act(reader, pending, "rerun").status_code == 403
    assert not Run.objects.filter(parent=pending).exists()


def test_a_look_at_a_buttons_address_changes_nothing(console: Client, pending: Run) -> None:
    for verb in ("cancel/", "rerun/check/"):
        assert console.get(f"/admin/runs/run/{pending.pk}/{verb}").status_code == 405
    assert console.get(f"/admin/runs/run/{pending.pk}/rerun/").status_code == 200
    assert Run.objects.get().status == "pending"
    assert console.post("/admin/runs/run/nonsense/cancel/", {"reason": "x"}).status_code == 404


def test_an_external_run_cannot_be_run_again(console: Client) -> None:
    run = RunFactory(pipeline_slug="reported", status="failed")
    assert "Re-run" not in page_of(console, run)
    assert act(console, run, "rerun").status_code == 409
