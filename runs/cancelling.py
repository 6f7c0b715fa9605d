"""Ending a run that somebody does not want any more."""

import logging
from uuid import UUID

from django.db import InterfaceError, OperationalError, transaction
from django.db.models import F
from django.utils import timezone

from runs.models import Run, Step
from runs.registry import finishers

logger = logging.getLogger(__name__)
REASON_LIMIT = 500


def cancel_run(run_id: UUID, *, by: str, reason: str = "") -> bool:
    """End a run, pending, waiting or in a worker's hands; False when it had ended before.

    One transaction: the run is cancelled under a new token, so that whatever its worker still writes is refused, its
    open steps are closed, and its domain is told as of any other end. The worker itself notices by its next heartbeat
    and stops, its computing child included. Who did it and why stand on the run, under the code `cancelled`.
    """
    with transaction.atomic():
        run = Run.objects.select_for_update(of=("self",)).select_related("shop").get(pk=run_id)
        if run.is_over:
            return False
        now = timezone.now()
        Run.objects.filter(pk=run.pk).update(
            status=Run.Status.CANCELLED,
            token=F("token") + 1,
            lease_until=None,
            error_stage=run.phase,
            error_code="cancelled",
            error_message=_sentence(by, reason),
            error_retryable=True,
            finished_at=now,
            updated_at=now,
            latency_ms=max(0, round((now - run.created_at).total_seconds() * 1000)),
        )
        run.steps.filter(status=Step.Status.RUNNING).update(status=Step.Status.CANCELLED, finished_at=now)
        run.steps.filter(status=Step.Status.PENDING).update(status=Step.Status.CANCELLED)
        run.refresh_from_db()
        _tell_domain(run)
    logger.info("run cancelled", extra={"run": str(run.pk), "by": by, "reason": reason})
    return True


def _sentence(by: str, reason: str) -> str:
    text = " ".join(reason.replace("\0", "").split())[:REASON_LIMIT]
    return f"Cancelled by {by}: {text}" if text else f"Cancelled by {by}."


def _tell_domain(run: Run) -> None:
    """A handler that raises keeps no run from ending; its rows are undone."""
    for handler in finishers(run.pipeline_slug):
        try:
            with transaction.atomic():
                handler(run)
        except (OperationalError, InterfaceError):
            raise
        except Exception:
            logger.exception("finish handler failed", extra={"run": str(run.pk), "pipeline": run.pipeline_slug})
