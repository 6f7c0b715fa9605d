"""Runs started together: written in a handful of statements, counted in one, cancelled and run again as one."""

from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from core.ids import new_id
from runs.blobs import store_blob
from runs.changes import Changes
from runs.claims import Room, claim_runs
from runs.errors import PipelineUnknown
from runs.groups import Member, cancel_group, group_progress, rerun_failed, start_group
from runs.models import Run
from runs.rerunning import rerun_run
from tests.factories import ShopFactory, room_jpeg
from tests.runs.engine import chain, publish

pytestmark = pytest.mark.django_db


def a_group(count: int, *steps: str) -> list[Run]:
    publish("noops", *chain(*(steps or ("noop@1", "noop@1"))))
    shop = ShopFactory()
    return start_group(pipeline="noops", members=[Member(shop, {"number": n}) for n in range(count)], group_id=new_id())


def end(run: Run, status: str, **changes: object) -> None:
    now = timezone.now()
    changes = {"started_at": now - timedelta(seconds=10), "finished_at": now, "lease_until": None, **changes}
    Run.objects.filter(pk=run.pk).update(status=status, **changes)


def test_the_number_of_statements_does_not_grow_with_the_group() -> None:
    a_group(1)
    with CaptureQueriesContext(connection) as few:
        a_group(5)
    with CaptureQueriesContext(connection) as many:
        a_group(100)
    assert len(few) == len(many)
    assert Run.objects.filter(priority=10, status="pending").count() == 106


def test_a_member_is_as_whole_as_any_run() -> None:
    publish("noops", *chain("noop@1", "noop@1"))
    shop = ShopFactory()
    photo = store_blob(shop=shop, content=room_jpeg(), media_type="image/jpeg")
    member = Member(shop, {"photo": photo.to_json()}, {"photo": photo}, "Sofa", "sofas", "product", "7")
    (run,) = start_group(pipeline="noops", members=[member], group_id=new_id(), trigger="test")
    assert list(run.steps.values_list("node_key", "status", "shop_id")) == [
        ("a", "pending", shop.pk), ("b", "pending", shop.pk)
    ]  # fmt: skip
    assert run.artifacts.get().blob == photo
    run.refresh_from_db()
    assert run.summary["pictures"] == {"photo": photo.sha256} and run.steps_expected == 2
    assert (run.subject_label, run.subject_id, len(run.input_sha256)) == ("Sofa", "7", 64)
    assert [claim.run_id for claim in claim_runs("w", Room(5, 1, 5))] == [run.pk]


def test_a_group_of_an_unknown_pipeline_is_refused() -> None:
    with pytest.raises(PipelineUnknown):
        start_group(pipeline="nothing", members=[], group_id=new_id())


def test_progress_is_one_statement() -> None:
    runs = a_group(6)
    group = runs[0].run_group_id
    end(runs[0], "completed", cost_usd=Decimal("0.10"))
    end(runs[1], "failed", cost_usd=Decimal("0.05"))
    claim_runs("w", 1)
    with CaptureQueriesContext(connection) as queries:
        progress = group_progress(group)
    assert len(queries) == 1
    counts = (progress.total, progress.pending, progress.running, progress.completed, progress.failed)
    assert counts == (6, 3, 1, 1, 1)
    assert (progress.done, progress.share, progress.is_over) == (2, pytest.approx(1 / 3), False)
    assert progress.cost_usd == Decimal("0.15") and progress.finished_at is None
    assert timedelta(seconds=19) < progress.eta < timedelta(seconds=60), "two took ten seconds, four are left"


def test_a_group_that_is_over_has_an_end_and_no_time_left() -> None:
    runs = a_group(2)
    for run in runs:
        end(run, "completed")
    progress = group_progress(runs[0].run_group_id)
    assert progress.is_over and progress.share == 1 and progress.eta is None
    assert progress.finished_at is not None


def test_there_is_no_progress_of_no_group() -> None:
    assert group_progress(new_id()) is None


def test_cancelling_a_group_ends_what_has_not_ended_and_counts_it() -> None:
    runs, others = a_group(4), a_group(1)
    end(runs[0], "completed")
    claim_runs("w", 1)
    assert cancel_group(runs[0].run_group_id, by="ada", reason="Wrong catalogue") == 3
    assert cancel_group(runs[0].run_group_id, by="bob") == 0
    progress = group_progress(runs[0].run_group_id)
    assert (progress.completed, progress.cancelled, progress.is_over) == (1, 3, True)
    assert Run.objects.get(pk=others[0].pk).status == "pending"


def test_cancelling_takes_no_more_statements_for_more_runs() -> None:
    small, large = a_group(2), a_group(9)
    with CaptureQueriesContext(connection) as few:
        cancel_group(small[0].run_group_id, by="ada")
    with CaptureQueriesContext(connection) as many:
        assert cancel_group(large[0].run_group_id, by="ada") == 9
    assert len(few) == len(many)


def test_what_is_tried_on_a_run_of_a_group_takes_nobodys_place_in_it() -> None:
    runs = a_group(2, "computed@1", "noop@1")
    for run in runs:
        end(run, "completed")
    trial = rerun_run(runs[0], by="ada", changes=Changes(input={"number": 9}))
    assert trial.run_group_id is None and trial.is_trial
    assert group_progress(runs[0].run_group_id).completed == 2


def test_the_failed_of_a_group_are_run_again_once_and_take_their_place() -> None:
    runs = a_group(3)
    group = runs[0].run_group_id
    for run in runs[:2]:
        end(run, "failed", error_stage="b")
    end(runs[2], "completed")
    Run.objects.filter(pk=runs[1].pk).update(pipeline_version=None)
    outcome = rerun_failed(group, by="ada")
    assert [fork.parent_id for fork in outcome.forks] == [runs[0].pk]
    assert {pk: error.code for pk, error in outcome.refused.items()} == {runs[1].pk: "not_rerunnable"}
    assert rerun_failed(group, by="bob").forks == [], "somebody else was first"
    progress = group_progress(group)
    assert (progress.total, progress.pending, progress.completed, progress.failed) == (3, 1, 1, 1)
