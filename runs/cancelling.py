"""Ending a run that somebody does not want any more."""

import logging
from collections.abc import Collection
from uuid import UUID

from django.db import InterfaceError, OperationalError, transaction
from django.db.models import Count, DateTimeField, F, IntegerField, OuterRef, Subquery, Value
from django.db.models.functions import Cast, Coalesce, Extract, Greatest
from django.utils import timezone

from runs.models import Run, Step
from runs.registry import finishers

logger = logging.getLogger(__name__)
REASON_LIMIT = 500


def cancel_run(run_id: UUID, *, by: str, reason: str = "") -> bool:
    """End a run, pending, waiting or in a worker's hands; False when it had ended before."""
    return cancel_runs([run_id], by=by, reason=reason) == 1


def cancel_runs(run_ids: Collection[UUID], *, by: str, reason: str = "") -> int:
    """End those of some runs that have not ended; returns how many these were.

    One transaction: each is cancelled under a new token, so that whatever its worker still writes is refused, its open
    steps are closed, and its domain is told as of any other end. The worker itself notices by its next heartbeat and
    stops, its computing child included. Who did it and why stand on the run, under the code `cancelled`.
    """
    with transaction.atomic():
        open_runs = Run.objects.select_for_update(of=("self",)).filter(pk__in=run_ids, status__in=Run.ACTIVE)
        found = list(open_runs.order_by("pk").values_list("pk", flat=True))
        now = timezone.now()
        age = Extract(Value(now, DateTimeField()) - F("created_at"), "epoch")
        asking = Step.objects.asking().filter(run=OuterRef("pk")).order_by().values("run")
        under_way = Coalesce(Subquery(asking.annotate(calls=Count("pk")).values("calls")), 0)
        Run.objects.filter(pk__in=found).update(
            status=Run.Status.CANCELLED,
            token=F("token") + 1,
            lease_until=None,
            error_stage=F("phase"),
            error_code="cancelled",
            error_message=_sentence(by, reason),
            error_retryable=True,
            finished_at=now,
            updated_at=now,
            latency_ms=Greatest(0, Cast(age * 1000, IntegerField())),
            cost_unknown=F("cost_unknown") + under_way,
        )
        steps = Step.objects.filter(run__in=found)
        steps.filter(status=Step.Status.RUNNING).update(status=Step.Status.CANCELLED, finished_at=now)
        steps.filter(status=Step.Status.PENDING).update(status=Step.Status.CANCELLED)
        for run in Run.objects.select_related("shop").filter(pk__in=found).order_by("pk"):
            _tell_domain(run)
    for pk in found:
        logger.info("run cancelled", extra={"run": str(pk), "by": by, "reason": reason})
    return len(found)


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
