"""A run that somebody ends: whoever works on it changes nothing any more, and everybody concerned is told."""

from pathlib import Path

import psutil
import pytest
from django.db import transaction

from runs import commits
from runs.cancelling import cancel_run
from runs.claims import claim_runs, renew_leases
from runs.context import load_context
from runs.errors import LeaseLost
from runs.models import Run, Step, Worker
from runs.policy import Decisions
from runs.registry import _finishers, on_finish
from runs.services import start_run
from tests.runs.engine import chain, publish, run_inline
from tests.workers import Cluster, wait_until


def a_run() -> Run:
    publish("noops", *chain("noop@1", "noop@1"))
    return start_run(pipeline="noops", shop=None, input={})


@pytest.mark.django_db
def test_a_pending_run_ends_and_no_worker_takes_it() -> None:
    run = a_run()
    assert cancel_run(run.pk, by="ada", reason="wrong\nproduct\0")
    run.refresh_from_db()
    assert (run.status, run.error_code, run.error_message) == (
        "cancelled",
        "cancelled",
        "Cancelled by ada: wrong product",
    )
    assert run.finished_at is not None and run.latency_ms is not None
    assert set(run.steps.values_list("status", flat=True)) == {Step.Status.CANCELLED}
    assert claim_runs("w", 5) == []


@pytest.mark.django_db
def test_a_run_that_waits_for_its_next_attempt_can_be_cancelled() -> None:
    run = a_run()
    Run.objects.filter(pk=run.pk).update(due_at="2100-01-01T00:00:00Z", phase="b")
    assert cancel_run(run.pk, by="ada")
    run.refresh_from_db()
    assert (run.status, run.error_stage, run.error_message) == ("cancelled", "b", "Cancelled by ada.")


@pytest.mark.django_db
def test_the_worker_that_had_it_changes_nothing_any_more() -> None:
    run = a_run()
    (claim,) = claim_runs("w", 1)
    context = load_context(claim)
    commits.begin_nodes(context, Decisions(["a"]))
    assert cancel_run(run.pk, by="ada")
    assert renew_leases([claim]) == set(), "that is how the worker hears of it"
    with pytest.raises(LeaseLost):
        commits.begin_nodes(context, Decisions(["b"]))
    with pytest.raises(LeaseLost):
        commits.fail_run(claim, code="x", message="x", retryable=False)
    steps = {step.node_key: step for step in run.steps.all()}
    assert {step.status for step in steps.values()} == {Step.Status.CANCELLED}
    assert steps["a"].finished_at is not None and steps["b"].finished_at is None


@pytest.mark.django_db
def test_who_comes_second_is_told_so_and_nothing_happens_twice() -> None:
    run = a_run()
    assert cancel_run(run.pk, by="ada")
    assert not cancel_run(run.pk, by="bob")
    done = run_inline("noops")
    assert not cancel_run(done.pk, by="ada")
    run.refresh_from_db()
    done.refresh_from_db()
    assert (run.error_message, done.status) == ("Cancelled by ada.", "completed")


@pytest.mark.django_db
def test_the_domain_is_told_once_and_a_handler_that_raises_keeps_no_run_from_ending() -> None:
    told: list[str] = []

    @on_finish("noops")
    def remember(run: Run) -> None:
        told.append(run.status)
        Run.objects.filter(pk=run.pk).update(subject_label="half done")
        raise RuntimeError("broken")

    try:
        run = a_run()
        cancel_run(run.pk, by="ada")
        cancel_run(run.pk, by="bob")
    finally:
        _finishers["noops"].remove(remember)
    run.refresh_from_db()
    assert told == ["cancelled"]
    assert (run.status, run.subject_label) == ("cancelled", "")


@pytest.mark.django_db(transaction=True)
def test_a_cancellation_that_is_undone_has_not_happened() -> None:
    run = a_run()
    with pytest.raises(RuntimeError), transaction.atomic():
        cancel_run(run.pk, by="ada")
        raise RuntimeError
    run.refresh_from_db()
    assert run.status == "pending"


@pytest.mark.django_db(transaction=True)
@pytest.mark.xdist_group("workers")
def test_a_worker_stops_computing_for_a_cancelled_run_and_takes_the_next(files_of_its_own: Path) -> None:
    publish("hanging", {"key": "a", "step": "hanging@1", "timeout_ms": 600_000})
    publish("computing", *chain("computed@1"))
    cluster = Cluster(files_of_its_own, WORKERS="1", RUNS_IN_FLIGHT="1")
    try:
        wait_until(lambda: Worker.objects.exists(), "the worker reports")
        run = start_run(pipeline="hanging", shop=None, input={})
        wait_until(lambda: run.steps.filter(status="running").exists(), "the stage begins to compute")
        other = start_run(pipeline="computing", shop=None, input={})
        worker = psutil.Process(Worker.objects.get().pid)
        wait_until(lambda: worker.children(), "the child is there")
        assert cancel_run(run.pk, by="ada")
        wait_until(lambda: Run.objects.get(pk=other.pk).is_over, "the only place is free again, and so is the child")
        assert Run.objects.get(pk=other.pk).status == "completed"
        assert Run.objects.get(pk=run.pk).status == "cancelled"
        assert Worker.objects.count() == 1, "the worker itself lived on"
    finally:
        cluster.kill()
