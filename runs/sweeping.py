"""The second line behind lost messages and dead workers; worker loops do the same by claiming every few seconds."""

import logging
from dataclasses import dataclass
from datetime import timedelta

from django.conf import settings
from django.db.models.functions import Now

from runs.claims import Claim
from runs.commits import fail_run
from runs.errors import LeaseLost
from runs.messages import send_hint
from runs.models import Run
from runs.registry import chores
from shops.services import take_token

logger = logging.getLogger(__name__)
UNATTENDED = timedelta(seconds=5)
BATCH = 1000


@dataclass(frozen=True, slots=True)
class SweepReport:
    """How many runs were parked, and for how many a new hint was sent."""

    parked: int
    hinted: int


def sweep() -> SweepReport:
    """Park expired runs that have been started too often; hint at the other expired and at overdue ones."""
    parked = hinted = 0
    waiting = Run.objects.expired() | Run.objects.due().filter(due_at__lt=Now() - UNATTENDED)
    for run in waiting.order_by("priority", "due_at")[:BATCH]:
        if run.status == Run.Status.RUNNING and run.starts >= settings.RUN_MAX_STARTS:
            parked += park(Claim(run.id, run.token, run.lease_owner))
        else:
            send_hint(run.id)
            hinted += 1
    return SweepReport(parked, hinted)


def park(claim: Claim) -> bool:
    """End a run that has been started too often: whatever it does, its workers die of it."""
    text = f"Parked: this run was started {settings.RUN_MAX_STARTS} times and its worker was lost each time."
    try:
        fail_run(claim, code="worker_lost", message=text, retryable=False)
    except LeaseLost:
        return False
    return True


def keep_house(*, now: bool = False) -> int:
    """Do every app's chores, at most once a minute among all workers unless asked for `now`; returns how many."""
    if not now and not take_token("housekeeping", rate_per_minute=1, burst=1).allowed:
        return 0
    done = 0
    for chore in chores():
        try:
            chore()
        except Exception:  # one app's broken chore must neither stop the others' nor the worker that does them
            logger.exception("chore failed", extra={"chore": f"{chore.__module__}.{chore.__name__}"})
        else:
            done += 1
    return done
