"""Questions about sets of schemas and profiles."""

from collections.abc import Iterable
from datetime import datetime
from typing import TYPE_CHECKING, Self

from django.db import models

if TYPE_CHECKING:
    from irschemas.models import IRSchema, MetricProfile  # noqa: F401


class IRSchemaQuerySet(models.QuerySet["IRSchema"]):
    """Schemas by target and by what they are in force for."""

    def active(self) -> Self:
        """Those in force: at most one a target."""
        return self.filter(status=self.model.Status.ACTIVE)

    def drafts(self) -> Self:
        """Those that were never in force."""
        return self.filter(status=self.model.Status.DRAFT)

    def for_targets(self, targets: Iterable[str]) -> Self:
        """Those of some targets."""
        return self.filter(target__in=sorted(set(targets)))

    def newest_first(self) -> Self:
        """A target's history, the latest version first."""
        return self.order_by("target", "-version")


class MetricProfileQuerySet(models.QuerySet["MetricProfile"]):
    """Revisions of profiles, with what they consist of."""

    def in_force(self, at: datetime | None = None) -> Self:
        """The newest revision of each key, or the newest of a moment; the first one where none is that old."""
        if at is None:
            return self.order_by("key", "-revision").distinct("key")
        known = models.Case(models.When(created_at__lte=at, then=models.F("revision")), default=-models.F("revision"))
        return self.order_by("key", models.F("known").desc()).annotate(known=known).distinct("key")

    def with_items(self) -> Self:
        """Each with its items and their metrics: two queries, however many profiles."""
        from irschemas.models import MetricProfileItem  # the models are built on this module

        items = MetricProfileItem.objects.select_related("metric")
        return self.prefetch_related(models.Prefetch("items", queryset=items))
