"""The second line behind lost messages and dead workers; worker loops do the same by claiming every few seconds."""

import logging
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db.models.functions import Now

from runs.claims import INLINE, Claim
from runs.commits import fail_run
from runs.errors import LeaseLost
from runs.messages import send_hint
from runs.models import Run
from runs.registry import chores
from shops.services import take_token

logger = logging.getLogger(__name__)
UNATTENDED = timedelta(seconds=5)
BATCH = 1000
PARKED = (
    "Parked: this run was started {} times and its worker was lost each time. Its attempts say where. Mend the stage, "
    "or the input it fails on, then run it again from that step; everything before it is kept."
)
ABANDONED = "The command that made this run has ended before the run had. Start it again."


@dataclass(frozen=True, slots=True)
class SweepReport:
    """The runs that were ended (parked, or left by a command that is gone), and those that a hint was sent for."""

    parked: list[UUID] = field(default_factory=list)
    abandoned: list[UUID] = field(default_factory=list)
    hinted: list[UUID] = field(default_factory=list)


def sweep() -> SweepReport:
    """End expired runs that no worker may go on with; hint at the other expired and at overdue ones."""
    report = SweepReport()
    waiting = Run.objects.expired() | Run.objects.due().filter(due_at__lt=Now() - UNATTENDED)
    for run in waiting.order_by("priority", "due_at")[:BATCH]:
        inline = run.lease_owner.startswith(INLINE)
        if run.status == Run.Status.RUNNING and (inline or run.starts >= settings.RUN_MAX_STARTS):
            if park(Claim(run.id, run.token, run.lease_owner, inline=inline)):
                (report.abandoned if inline else report.parked).append(run.id)
        else:
            send_hint(run.id)
            report.hinted.append(run.id)
    return report


def park(claim: Claim) -> bool:
    """End a run that no worker may go on with: it takes its workers along, or was left by the command that made it."""
    if claim.inline:
        ended: dict[str, Any] = {"code": "interrupted", "message": ABANDONED, "retryable": True}
    else:
        ended = {"code": "worker_lost", "message": PARKED.format(settings.RUN_MAX_STARTS), "retryable": False}
    try:
        fail_run(claim, **ended)
    except LeaseLost:
        return False
    return True


def keep_house(*, now: bool = False) -> dict[str, str]:
    """Do every app's chores, at most once a minute among all workers unless asked for `now`; gives what came of each.

    A chore goes on where it was broken off: it works row by row, and what is done is committed.
    """
    if not now and not take_token("housekeeping", rate_per_minute=1, burst=1).allowed:
        return {}
    outcomes = {}
    for chore in chores():
        name = f"{chore.__module__}.{chore.__name__}"
        try:
            outcome = chore()
        except Exception:  # one app's broken chore must neither stop the others' nor the worker that does them
            logger.exception("chore failed", extra={"chore": name})
            outcomes[name] = "failed, see the log"
        else:
            outcomes[name] = "done" if outcome is None else str(outcome)
    return outcomes
