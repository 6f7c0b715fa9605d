"""Questions about sets of runs, steps and blobs, in the words of the trace."""

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Self

from django.db import models
from django.db.models.functions import Cast, Now, Right

from runs.references import HEX_DIGITS, hex_ends
from vendors.prices import FREE

if TYPE_CHECKING:
    from runs.models import Blob, Run, Step, Worker  # noqa: F401 - named in string subscripts
    from shops.models import Shop

WORKER_SILENCE = timedelta(seconds=30)


class RunQuerySet(models.QuerySet["Run"]):
    """Runs."""

    def for_shop(self, shop: "Shop | None") -> Self:
        """One shop's runs; None for runs without a shop."""
        return self.filter(shop=shop)

    def unfinished(self) -> Self:
        """Runs that wait or run."""
        return self.filter(status__in=("pending", "running"))

    def expired(self) -> Self:
        """Runs whose worker has not renewed its lease, by the database's clock."""
        return self.filter(status="running", lease_until__lt=Now())

    def due(self) -> Self:
        """Runs that a worker may take now."""
        return self.filter(status="pending", due_at__lte=Now())

    def since(self, moment: datetime) -> Self:
        """Runs created at or after a moment."""
        return self.filter(created_at__gte=moment)

    def with_end(self, end: int) -> Self:
        """Runs whose id ends with these 35 bits, as a reference code says them; nearly always one or none."""
        return self.alias(end=Right(Cast("id", models.TextField()), HEX_DIGITS)).filter(end__in=hex_ends(end))

    def like(self, signature: str) -> Self:
        """Runs that failed in the same way."""
        return self.filter(error_signature=signature).exclude(error_signature="")

    def shoppers(self) -> Self:
        """Runs that count in a shop's figures: forks and replays of staff do not."""
        return self.filter(mode="live")


class StepQuerySet(models.QuerySet["Step"]):
    """Steps."""

    def asking(self) -> Self:
        """Steps at work that have asked somebody who may bill it: how that ended nobody has written down yet."""
        return self.filter(status="running").exclude(vendor__in=("", *FREE))

    def filters_dropping_more_than(self, ratio: float) -> Self:
        """Completed filter steps that dropped more than a share of their candidates, steepest first."""
        return self.filter(type="filter", drop_ratio__gt=ratio).order_by("-drop_ratio", "-id")


class WorkerQuerySet(models.QuerySet["Worker"]):
    """Worker processes."""

    def alive(self) -> Self:
        """Workers heard from within the last 30 seconds, by the database's clock."""
        return self.filter(beat_at__gt=Now() - WORKER_SILENCE)


class BlobQuerySet(models.QuerySet["Blob"]):
    """Blobs."""

    def kept(self) -> Self:
        """Blobs that are not about to be deleted."""
        return self.filter(condemned_at__isnull=True)

    def unreferenced(self) -> Self:
        """Blobs that no artifact names any more."""
        return self.filter(artifacts__isnull=True)
