"""Forks: what had been finished is taken over, the rest is executed, the original is not touched."""

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from core.errors import SeeItError
from runs import dag
from runs.blobs import delete_pictures, store_blob
from runs.cancelling import cancel_run
from runs.changes import Changes
from runs.claims import claim_runs
from runs.errors import BlobsExpired, NodeUnknown, NotRerunnable, RunActive, StageMissing
from runs.inline import execute_inline
from runs.models import Artifact, Blob, PipelineVersion, Run
from runs.registry import _fork_handlers, on_fork
from runs.rerunning import rerun_run
from tests.factories import ShopFactory, room_jpeg
from tests.runs.engine import ScriptedVendor, chain, deps, publish, run_inline
from vendors.base import Image, Reply, Unavailable, Usage

pytestmark = pytest.mark.django_db
PRICED = Reply(model="m", data={"yes": True}, usage=Usage(tokens_in=7), cost_usd=0.25)


def failed_after_an_answer(tmp_path: Path, **extra: Any) -> tuple[Run, ScriptedVendor]:
    """A run whose node a was answered (and paid for), whose b marked, and whose c crashed."""
    publish("story", *chain("asking@1", "marking@1", "crashing@1"))
    vendor = ScriptedVendor([PRICED])
    run = run_inline("story", {"folder": str(tmp_path)}, deps(vendor), **extra)
    assert (run.status, run.error_stage, run.cost_usd) == ("failed", "c", Decimal("0.25"))
    return run, vendor


def test_what_was_finished_is_neither_executed_nor_paid_again(tmp_path: Path) -> None:
    run, vendor = failed_after_an_answer(tmp_path, title="Sofa", priority=10)
    before = list(run.steps.values_list("pk", "status", "cost_usd"))
    fork = rerun_run(run, by="ada", inline_owner="inline")
    fork = execute_inline(fork, deps(vendor))
    steps = {step.node_key: step for step in fork.steps.select_related("payload")}
    old = {step.node_key: step for step in run.steps.select_related("payload")}
    assert (fork.status, fork.error_stage, fork.fork_node, fork.parent) == ("failed", "c", "c", run)
    assert (fork.mode, fork.priority, fork.input, fork.trigger) == ("fork", 10, run.input, "rerun by ada")
    assert len(vendor.calls) == 1 and len(list(tmp_path.glob("*.b.*"))) == 1
    assert fork.cost_usd is None and fork.tokens_in is None
    assert [steps[key].reused_from_id for key in "abc"] == [old["a"].pk, old["b"].pk, None]
    assert steps["a"].payload.ir == old["a"].payload.ir and steps["a"].output_sha256 == old["a"].output_sha256
    assert steps["a"].cost_usd is None and steps["a"].vendor == "scripted"
    assert Artifact.objects.filter(step=steps["a"], role="response").get().blob == (
        Artifact.objects.filter(step=old["a"], role="response").get().blob
    )
    assert not Artifact.objects.filter(run=fork, role="reply").exists()
    assert (fork.steps_expected, fork.steps_done, fork.summary["title"]) == (3, 2, "Sofa")
    assert list(run.steps.values_list("pk", "status", "cost_usd")) == before, "the original is not touched"


def test_a_fork_of_a_fork_names_the_step_that_did_the_work(tmp_path: Path) -> None:
    run, vendor = failed_after_an_answer(tmp_path)
    fork = execute_inline(rerun_run(run, by="ada", inline_owner="inline"), deps(vendor))
    again = rerun_run(fork, by="ada")
    assert again.steps.get(node_key="a").reused_from_id == run.steps.get(node_key="a").pk
    assert again.parent_id == fork.pk


def test_from_a_node_on_everything_after_it_is_executed_and_side_branches_are_kept(tmp_path: Path) -> None:
    publish(
        "branches",
        {"key": "root", "step": "noop@1"},
        {"key": "left", "step": "marking@1", "depends_on": ["root"]},
        {"key": "right", "step": "marking@1", "depends_on": ["root"]},
        {"key": "end", "step": "noop@1", "depends_on": ["left", "right"]},
    )
    run = run_inline("branches", {"folder": str(tmp_path)})
    fork = execute_inline(rerun_run(run, from_node="left", by="ada", inline_owner="inline"), deps())
    assert fork.status == "completed"
    reused = set(fork.steps.exclude(reused_from=None).values_list("node_key", flat=True))
    assert reused == {"root", "right"}
    assert len(list(tmp_path.glob(f"{fork.pk}.*"))) == 1


def test_workers_execute_a_fork_and_it_counts_as_no_shoppers_run() -> None:
    publish("noops", *chain("noop@1", "crashing@1"))
    run = run_inline("noops", shop=ShopFactory())
    fork = rerun_run(run, by="ada")
    assert [claim.run_id for claim in claim_runs("w", 5)] == [fork.pk]
    assert list(Run.objects.shoppers()) == [run]


def test_without_a_node_a_cancelled_run_goes_on_where_it_was_and_a_good_one_begins_anew() -> None:
    publish("noops", *chain("noop@1", "noop@1"))
    good = run_inline("noops")
    assert rerun_run(good, by="ada").fork_node == "a"
    open_run = rerun_run(good, from_node="b", by="ada")
    cancel_run(open_run.pk, by="ada")
    assert rerun_run(open_run, by="ada").fork_node == "b"


def test_a_changed_input_is_laid_over_the_runs_own() -> None:
    publish("numbers", *chain("computed@1"))
    run = run_inline("numbers", {"number": 2, "other": 1})
    fork = rerun_run(run, from_node="a", by="ada", changes=Changes(input={"number": 5}), inline_owner="inline")
    fork = execute_inline(fork, deps())
    assert fork.steps.get(node_key="a").payload.ir["double"] == 10
    assert fork.input == {"number": 5, "other": 1} and fork.input_sha256 != run.input_sha256


def with_a_picture() -> tuple[Run, Blob]:
    publish("drawing", *chain("asking@1", "crashing@1"))
    shop = ShopFactory()
    room = store_blob(shop=shop, content=room_jpeg(), media_type="image/jpeg", retention=Blob.Retention.SHOPPER)
    drawing = Reply(model="m", data=1, images=(Image("drawing", room_jpeg(seed=3), "image/jpeg"),))
    run = run_inline(
        "drawing", {"room": room.to_json()}, deps(ScriptedVendor([drawing])), shop=shop, pictures={"room": room}
    )
    return run, room


def test_pictures_are_shared_by_reference() -> None:
    run, room = with_a_picture()
    before = Blob.objects.count()
    fork = rerun_run(run, by="ada")
    assert Blob.objects.count() == before
    assert fork.artifacts.get(role="input").blob == room
    assert fork.artifacts.filter(step__node_key="a", name="drawing").exists()


def test_a_run_whose_pictures_are_gone_is_refused_and_nothing_is_written() -> None:
    run, room = with_a_picture()
    delete_pictures(run)
    with pytest.raises(BlobsExpired) as caught:
        rerun_run(run, by="ada")
    assert room.sha256 in caught.value.details["missing"]
    assert Run.objects.count() == 1


def test_a_run_under_way_an_unknown_node_and_a_reported_run_are_refused() -> None:
    publish("noops", *chain("noop@1", "crashing@1"))
    run = run_inline("noops")
    with pytest.raises(NodeUnknown, match="'z'; it has a, b"):
        rerun_run(run, from_node="z", by="ada")
    fork = rerun_run(run, by="ada")
    with pytest.raises(RunActive):
        rerun_run(fork, by="ada")
    Run.objects.filter(pk=run.pk).update(pipeline_version=None)
    with pytest.raises(NotRerunnable):
        rerun_run(run, by="ada")
    assert Run.objects.count() == 2


def test_a_run_whose_stage_this_release_lacks_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    publish("noops", *chain("noop@1"))
    run = run_inline("noops")
    version = PipelineVersion.objects.get(pk=run.pipeline_version_id)
    gone = {**version.dag, "nodes": [{"key": "a", "step": "gone@1"}]}
    old = PipelineVersion.objects.create(pipeline=version.pipeline, number=99, dag=gone, dag_sha256="9" * 64)
    Run.objects.filter(pk=run.pk).update(pipeline_version=old)
    with pytest.raises(StageMissing):
        rerun_run(run, by="ada")
    assert "9" * 64 not in dag._published


def test_the_domain_may_refuse_and_then_nothing_is_written() -> None:
    @on_fork("noops")
    def refuse(parent: Run, fork: Run) -> None:
        raise SeeItError("Not now.")

    try:
        publish("noops", *chain("noop@1"))
        run = run_inline("noops")
        with pytest.raises(SeeItError, match="Not now"):
            rerun_run(run, by="ada")
    finally:
        _fork_handlers["noops"].remove(refuse)
    assert Run.objects.count() == 1


def test_a_model_that_was_away_is_asked_again_by_the_fork() -> None:
    publish("asking", {"key": "a", "step": "asking@1", "retries": 0})
    away, back = ScriptedVendor([Unavailable("away")]), ScriptedVendor([{"yes": True}])
    run = run_inline("asking", {}, deps(away))
    fork = execute_inline(rerun_run(run, by="ada", inline_owner="inline"), deps(back))
    assert (run.status, fork.status, len(back.calls)) == ("failed", "completed", 1)
