"""A run that a command executes itself: nobody takes it away, and it ends when the command is gone."""

import subprocess
import sys
import threading
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection
from django.utils import timezone

from runs.claims import claim_runs
from runs.executor import execute_claim
from runs.inline import _same_thread
from runs.models import Run, RunError
from runs.services import start_run
from tests.runs.engine import chain, deps, publish, run_inline
from tests.workers import ROOT, wait_until, worker_environment

COMMAND = """
import django
django.setup()
from tests.runs.engine import run_inline
run_inline("marking", {"folder": %r})
"""


@pytest.mark.django_db(transaction=True)
def test_a_long_inline_run_keeps_its_short_lease(
    settings: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    settings.RUN_LEASE_SECONDS = 0.6
    monkeypatch.setattr("runs.claims.INLINE_LEASE", timedelta(seconds=0.6))
    publish("marking", {"key": "a", "step": "marking@1", "params": {"seconds": 2}})
    taken: list[object] = []
    over = threading.Event()

    def worker() -> None:
        while not over.wait(0.05):
            taken.extend(claim_runs("w", 5))
        connection.close()

    thread = threading.Thread(target=worker)
    thread.start()
    run = run_inline("marking", {"folder": str(tmp_path)})
    over.set()
    thread.join()
    assert (run.status, taken) == (Run.Status.COMPLETED, [])


@pytest.mark.django_db(transaction=True)
@pytest.mark.xdist_group("workers")
def test_a_run_whose_command_is_killed_is_ended_with_a_clear_error(files_of_its_own: Path, tmp_path: Path) -> None:
    publish("marking", {"key": "a", "step": "marking@1", "params": {"seconds": 600}})
    environment = worker_environment(files_of_its_own, TEST_LEASE_SECONDS="1")
    command = subprocess.Popen([sys.executable, "-c", COMMAND % str(tmp_path)], cwd=ROOT, env=environment)
    wait_until(lambda: list(tmp_path.glob("*.a.*")), "the command is at work")
    run = Run.objects.get()
    lease = run.lease_until
    wait_until(lambda: Run.objects.get().lease_until != lease, "its heart beats")
    command.kill()
    command.wait()
    wait_until(lambda: Run.objects.expired().exists(), "its lease runs out")
    call_command("sweep")
    run.refresh_from_db()
    assert (run.status, run.error_stage, run.error_code) == (Run.Status.FAILED, "a", "interrupted")
    assert "has ended before the run had" in run.error_message


@pytest.mark.django_db
def test_a_worker_that_meets_an_abandoned_inline_run_ends_it_and_does_not_execute_it() -> None:
    from asgiref.sync import async_to_sync

    publish("noops", *chain("noop@1"))
    run = start_run(pipeline="noops", shop=None, input={}, inline_owner="inline")
    assert run.lease_until < timezone.now() + timedelta(minutes=2)
    Run.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
    (claim,) = claim_runs("w", 1)
    assert claim.inline
    async_to_sync(execute_claim)(claim, deps(), _same_thread)
    run.refresh_from_db()
    assert (run.status, run.error_code, run.steps_done) == (Run.Status.FAILED, "interrupted", 0)
    assert RunError.objects.get(run=run).code == "interrupted"


@pytest.mark.django_db
def test_the_sweep_says_what_it_did(capsys: pytest.CaptureFixture[str]) -> None:
    publish("noops", *chain("noop@1"))
    run = start_run(pipeline="noops", shop=None, input={})
    Run.objects.update(due_at=timezone.now() - timedelta(minutes=1))
    call_command("sweep")
    said = capsys.readouterr().out
    assert f"hinted {run.pk}" in said and "0 parked, 0 abandoned, 1 hinted" in said
    assert "storefront.housekeeping.forget_old_pictures: 0" in said
