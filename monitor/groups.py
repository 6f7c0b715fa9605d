"""A group's read model: how runs that were started together are getting on."""

from dataclasses import dataclass
from uuid import UUID

from django.db.models import Count, Exists, Max, OuterRef, QuerySet

from runs.groups import GroupProgress, group_progress
from runs.models import Run

LATEST = 12
STATUSES = ("completed", "failed", "cancelled", "running", "pending")


@dataclass(frozen=True, slots=True)
class Part:
    """One status: how many, and where its stretch of the bar begins and how wide it is, in percent."""

    status: str
    number: int
    start: float
    width: float


@dataclass(frozen=True, slots=True)
class Failures:
    """Failures of one kind: where, how many, and the newest one's sentence."""

    stage: str
    code: str
    number: int
    message: str


@dataclass(frozen=True, slots=True)
class GroupPage:
    """Everything a group's page shows."""

    progress: GroupProgress
    pipeline: str
    trigger: str
    failures: list[Failures]
    latest: list[Run]

    @property
    def parts(self) -> list[Part]:
        """The bar, ended runs first."""
        found, start = [], 0.0
        for status in STATUSES:
            number = getattr(self.progress, status)
            width = round(number * 100 / self.progress.total, 3)
            found.append(Part(status, number, round(start, 3), width))
            start += width
        return found

    @property
    def percent(self) -> int:
        """How much of it has ended; 100 only when all has."""
        return int(self.progress.share * 100)

    @property
    def eta_ms(self) -> float | None:
        """What is left, at the pace so far."""
        return self.progress.eta.total_seconds() * 1000 if self.progress.eta else None

    @property
    def took_ms(self) -> float | None:
        """From the first run's creation to the last one's end."""
        end = self.progress.finished_at
        return (end - self.progress.created_at).total_seconds() * 1000 if end else None


def read_group(group_id: UUID) -> GroupPage | None:
    """A group in three queries, however large it is; None where there is no such group."""
    progress = group_progress(group_id)
    if progress is None:
        return None
    latest = list(_standing(group_id).select_related("shop").defer("input").order_by("-updated_at", "-id")[:LATEST])
    first = latest[0]
    return GroupPage(progress, first.pipeline_slug, first.trigger, _failures(group_id), latest)


def _standing(group_id: UUID) -> QuerySet[Run]:
    """The group's runs without those that were run again: the newest fork counts."""
    again = Run.objects.filter(parent=OuterRef("pk"), run_group_id=OuterRef("run_group_id"))
    return Run.objects.filter(~Exists(again), run_group_id=group_id)


def _failures(group_id: UUID) -> list[Failures]:
    failed = _standing(group_id).filter(status=Run.Status.FAILED)
    rows = failed.values("error_stage", "error_code").annotate(number=Count("id"), message=Max("error_message"))
    return [
        Failures(row["error_stage"], row["error_code"], row["number"], row["message"])
        for row in rows.order_by("-number", "error_code")
    ]
