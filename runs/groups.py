"""Runs that were started together, such as the preparation of a shop's products: start, progress, cancel, run again."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from uuid import UUID

from django.conf import settings
from django.db import connection, transaction

from core.canonical import json_hash
from core.errors import SeeItError
from runs.cancelling import cancel_runs
from runs.messages import send_hint
from runs.models import Artifact, Blob, Run, Step
from runs.registry import find_stage
from runs.rerunning import rerun_run
from runs.services import active_version
from runs.summary import RunSummary

if TYPE_CHECKING:
    from shops.models import Shop

BATCH = 100
HINTS = 4  # messages for a whole group: whoever is woken takes what there is room for


@dataclass(frozen=True, slots=True)
class Member:
    """One run of a group before it is written: what it is given and what it is about."""

    shop: "Shop | None"
    input: Mapping[str, Any]
    pictures: Mapping[str, Blob] = field(default_factory=dict)
    title: str = ""
    product_type: str = ""
    subject_type: str = ""
    subject_id: str = ""


def start_group(
    *,
    pipeline: str,
    members: Iterable[Member],
    group_id: UUID,
    trigger: str = "",
    environment: str = "production",
    priority: int = 10,
) -> list[Run]:
    """Write the runs of a group, their planned steps and a few hints in a handful of statements; runs in their order.

    Raises:
        PipelineUnknown: the pipeline is not published.
    """
    version = active_version(pipeline)
    dag = version.dag
    given = list(members)
    runs = [
        Run(
            pipeline_id=version.pipeline_id,
            pipeline_version_id=version.id,
            pipeline_slug=pipeline,
            shop=member.shop,
            subject_type=member.subject_type,
            subject_id=str(member.subject_id),
            subject_label=member.title[:255],
            environment=environment,
            trigger=trigger,
            input=dict(member.input),
            input_sha256=json_hash(member.input),
            summary=_summary(member).to_json(),
            priority=priority,
            run_group_id=group_id,
            release=settings.RELEASE[:63],
            steps_expected=len(dag.nodes),
        )
        for member in given
    ]
    stages = {key: find_stage(node.step) for key, node in dag.nodes.items()}
    steps = [
        Step(
            run=run,
            shop_id=run.shop_id,
            pipeline_slug=pipeline,
            environment=environment,
            node_key=key,
            name=dag.nodes[key].step.split("@")[0],
            type=getattr(stages[key], "type", Step.Type.ANALYSIS),
            seq=seq,
        )
        for run in runs
        for seq, key in enumerate(dag.order, start=1)
    ]
    inputs = [
        Artifact(run=run, role=Artifact.Role.INPUT, name=name, blob=blob)
        for run, member in zip(runs, given, strict=True)
        for name, blob in member.pictures.items()
    ]
    with transaction.atomic():
        Run.objects.bulk_create(runs)
        Step.objects.bulk_create(steps)
        Artifact.objects.bulk_create(inputs)
        for run in runs[:HINTS]:
            send_hint(run.pk)
    return runs


def _summary(member: Member) -> RunSummary:
    summary = RunSummary(title=member.title, product_type=member.product_type)
    summary.pictures = {name: blob.sha256 for name, blob in member.pictures.items()}
    return summary


@dataclass(frozen=True, slots=True)
class GroupProgress:
    """How a group is getting on, by the database's clock. A run that was run again counts by its newest fork only."""

    group_id: UUID
    total: int
    pending: int
    running: int
    completed: int
    failed: int
    cancelled: int
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    cost_usd: Decimal | None
    cost_unknown: int
    eta: timedelta | None

    @property
    def done(self) -> int:
        """Runs that have ended, however."""
        return self.completed + self.failed + self.cancelled

    @property
    def share(self) -> float:
        """The part that has ended, 0..1."""
        return self.done / self.total

    @property
    def is_over(self) -> bool:
        """Whether nothing of it waits or runs."""
        return self.done == self.total


# What is left takes as long for each as what is done took; counted from the first start, so it knows how many work.
PROGRESS = """
WITH member AS (
    SELECT run.*, EXISTS (SELECT FROM runs_run fork WHERE fork.parent_id = run.id
                          AND fork.run_group_id = run.run_group_id) AS replaced
    FROM runs_run run WHERE run.run_group_id = %(group)s
), counted AS (
    SELECT count(*) FILTER (WHERE NOT replaced) AS total,
           count(*) FILTER (WHERE NOT replaced AND status = 'pending') AS pending,
           count(*) FILTER (WHERE NOT replaced AND status = 'running') AS running,
           count(*) FILTER (WHERE NOT replaced AND status = 'completed') AS completed,
           count(*) FILTER (WHERE NOT replaced AND status = 'failed') AS failed,
           count(*) FILTER (WHERE NOT replaced AND status = 'cancelled') AS cancelled,
           count(*) FILTER (WHERE finished_at IS NOT NULL AND started_at IS NOT NULL) AS ended,
           min(created_at) AS created_at, min(started_at) AS started_at, max(finished_at) AS finished_at,
           sum(cost_usd) AS cost_usd, coalesce(sum(cost_unknown), 0) AS cost_unknown
    FROM member
)
SELECT total, pending, running, completed, failed, cancelled, created_at, started_at,
       CASE WHEN pending + running = 0 THEN finished_at END, cost_usd, cost_unknown,
       CASE WHEN pending + running > 0 AND ended > 0
            THEN (statement_timestamp() - started_at) / ended * (pending + running) END
FROM counted
"""


def group_progress(group_id: UUID) -> GroupProgress | None:
    """Counts by status, times, cost and the time that is left, in one statement; None where there is no such group."""
    with connection.cursor() as cursor:
        cursor.execute(PROGRESS, {"group": UUID(int=group_id.int)})
        row = cursor.fetchone()
    return GroupProgress(group_id, *row) if row[0] else None


def cancel_group(group_id: UUID, *, by: str, reason: str = "") -> int:
    """Cancel what of a group has not ended, what waits longest first to begin last; returns how many were.

    By the hundred, each in a transaction of its own: workers do not wait for the whole group.
    """
    open_runs = Run.objects.unfinished().filter(run_group_id=group_id).order_by("status", "-due_at", "-id")
    ids = list(open_runs.values_list("pk", flat=True))
    batches = (ids[start : start + BATCH] for start in range(0, len(ids), BATCH))
    return sum(cancel_runs(batch, by=by, reason=reason) for batch in batches)


@dataclass(frozen=True, slots=True)
class Rerun:
    """What became of running the failed of a group again: the forks, and by run why it was refused."""

    forks: list[Run]
    refused: dict[UUID, SeeItError]


def rerun_failed(group_id: UUID, *, by: str) -> Rerun:
    """Run every failed run of a group again from where it failed, in the same group; one that was already is left."""
    failed = Run.objects.filter(run_group_id=group_id, status=Run.Status.FAILED)
    outcome = Rerun([], {})
    for run in failed.exclude(forks__run_group_id=group_id).order_by("pk"):
        try:
            outcome.forks.append(rerun_run(run, by=by))
        except SeeItError as error:
            outcome.refused[run.pk] = error
    return outcome
