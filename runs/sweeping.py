"""The second line behind lost messages and dead workers; worker loops do the same by claiming every few seconds."""

from dataclasses import dataclass
from datetime import timedelta

from django.conf import settings
from django.db.models import Q
from django.db.models.functions import Now

from runs.claims import Claim
from runs.commits import fail_run
from runs.errors import LeaseLost
from runs.messages import send_hint
from runs.models import Run

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
    waiting = Run.objects.filter(
        Q(status=Run.Status.RUNNING, lease_until__lt=Now())
        | Q(status=Run.Status.PENDING, due_at__lt=Now() - UNATTENDED)
    )
    for run in waiting.order_by("priority", "due_at")[:BATCH]:
        if run.status == Run.Status.RUNNING and run.starts >= settings.RUN_MAX_STARTS:
            parked += park(Claim(run.id, run.token, run.lease_owner), run.starts, run.phase)
        else:
            send_hint(run.id)
            hinted += 1
    return SweepReport(parked, hinted)


def park(claim: Claim, starts: int, phase: str) -> bool:
    """End a run that has been started too often: whatever it does, its workers die of it."""
    text = f"Parked: this run was started {starts} times and its worker died each time."
    try:
        fail_run(claim, stage=phase, code="worker_lost", message=text, retryable=False)
    except LeaseLost:
        return False
    return True
