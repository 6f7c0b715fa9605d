"""Runs, and the workers that execute them."""

from typing import ClassVar
from uuid import UUID

from django.db import models
from django.db.models import Q, TextField, UUIDField, Value
from django.db.models.functions import Cast, Coalesce, Now, Right
from django.utils import timezone

from core.fields import UlidField, UlidPrimaryKey
from runs.models.fields import cost_field
from runs.models.pipelines import Pipeline, PipelineVersion
from runs.querysets import RunQuerySet, WorkerQuerySet
from runs.references import HEX_DIGITS, reference_of

NOBODY = Value(UUID(int=0), output_field=UUIDField())  # the tenant of runs without a shop
END_OF_ID = Right(Cast("id", TextField()), HEX_DIGITS)


class Run(models.Model):
    """One execution of a pipeline about one subject."""

    class Status(models.TextChoices):
        PENDING = "pending"  # written, waiting for a worker
        RUNNING = "running"  # held by a worker under a lease; a long wait for a retry makes it PENDING again
        COMPLETED = "completed"
        FAILED = "failed"
        CANCELLED = "cancelled"

    class Mode(models.TextChoices):
        LIVE = "live"  # models are asked
        RECORDED = "recorded"  # every model call is answered from the parent's recording
        FORK = "fork"  # nodes before the fork are the parent's
        IMPORTED = "imported"  # executed elsewhere; it came here in a bundle

    ACTIVE: ClassVar = (Status.PENDING, Status.RUNNING)
    TERMINAL: ClassVar = (Status.COMPLETED, Status.FAILED, Status.CANCELLED)
    TRANSITIONS: ClassVar = {
        Status.PENDING: (Status.RUNNING, Status.FAILED, Status.CANCELLED),
        Status.RUNNING: (Status.PENDING, *TERMINAL),
    }

    id = UlidPrimaryKey()
    pipeline = models.ForeignKey(Pipeline, on_delete=models.PROTECT, related_name="+")
    pipeline_version = models.ForeignKey(PipelineVersion, on_delete=models.PROTECT, null=True, related_name="+")
    pipeline_slug = models.CharField(max_length=63)
    shop = models.ForeignKey("shops.Shop", on_delete=models.PROTECT, null=True, related_name="+")
    subject_type = models.CharField(max_length=63, blank=True)
    subject_id = models.CharField(max_length=255, blank=True)
    subject_label = models.CharField(max_length=255, blank=True)
    environment = models.CharField(max_length=31, default="production")
    trigger = models.CharField(max_length=63, blank=True)
    status = models.CharField(max_length=9, choices=Status, default=Status.PENDING)
    phase = models.CharField(max_length=63, blank=True)
    input = models.JSONField(default=dict)
    input_sha256 = models.CharField(max_length=64)
    summary = models.JSONField(default=dict)
    error_stage = models.CharField(max_length=63, blank=True)
    error_code = models.CharField(max_length=63, blank=True)
    error_message = models.TextField(blank=True)
    error_retryable = models.BooleanField(null=True)
    error_signature = models.CharField(max_length=255, blank=True, help_text="The same for failures that are alike.")
    degraded = models.BooleanField(default=False, help_text="Completed without a node that may fail.")
    latency_ms = models.PositiveIntegerField(null=True)
    tokens_in = models.PositiveIntegerField(null=True)
    tokens_out = models.PositiveIntegerField(null=True)
    cost_usd = cost_field()  # what is known of it
    cost_unknown = models.PositiveSmallIntegerField(default=0, help_text="Calls whose cost nobody knows.")
    release = models.CharField(max_length=63, blank=True)
    run_group_id = UlidField(null=True, blank=True)
    parent = models.ForeignKey("self", on_delete=models.PROTECT, null=True, related_name="forks")
    fork_node = models.CharField(max_length=63, blank=True)
    fork_changes = models.JSONField(default=dict, help_text="What a fork was given differently: `runs.changes`.")
    mode = models.CharField(max_length=8, choices=Mode, default=Mode.LIVE)
    idempotency_key = models.CharField(max_length=255, null=True)  # noqa: DJ001 - null is not equal to null
    steps_expected = models.PositiveSmallIntegerField(default=0)
    steps_done = models.PositiveSmallIntegerField(default=0)
    dropped_events = models.PositiveIntegerField(default=0)
    priority = models.SmallIntegerField(default=0, help_text="Lower runs first: shoppers before bulk work.")
    due_at = models.DateTimeField(db_default=Now(), help_text="By the database's clock, as claims are.")
    token = models.PositiveIntegerField(default=0, help_text="Fencing token: raised by every claim.")
    lease_owner = models.CharField(max_length=127, blank=True)
    lease_until = models.DateTimeField(null=True)
    starts = models.PositiveSmallIntegerField(default=0, help_text="How often a worker has taken this run.")
    pinned = models.BooleanField(default=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    updated_at = models.DateTimeField(default=timezone.now, editable=False)
    started_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)

    objects = RunQuerySet.as_manager()

    class Meta:
        constraints = [
            # start_run: the same key of the same shop is the same run.
            models.UniqueConstraint(fields=["shop", "idempotency_key"], name="run_idempotency_unique"),
            models.CheckConstraint(
                condition=~Q(status="running") | Q(lease_until__isnull=False), name="run_running_has_lease"
            ),
        ]
        indexes = [
            models.Index(fields=["shop", "-id"], name="run_shop_newest"),  # run list of one shop
            models.Index(fields=["pipeline_slug", "-id"], name="run_pipeline_newest"),  # run list of one pipeline
            models.Index(fields=["status", "-id"], name="run_status_newest"),  # run list, dashboard's failures
            models.Index(fields=["subject_type", "subject_id", "-id"], name="run_subject_newest"),  # asset page
            models.Index(fields=["created_at"], name="run_created"),  # dashboard: today
            models.Index(  # claim: from shop to shop, and each shop's runs in order
                Coalesce("shop", NOBODY), "priority", "due_at", "id", condition=Q(status="pending"), name="run_line"
            ),
            models.Index(fields=["due_at"], condition=Q(status="pending"), name="run_due"),  # is anything due, how old
            models.Index(  # admission: who waits, without the bulk work
                fields=["due_at"], condition=Q(status="pending", priority__lte=0), name="run_shoppers_due"
            ),
            # claim and sweep: what is in hand. Without the lease's end, so that a heartbeat updates no index.
            models.Index(fields=["shop", "priority"], condition=Q(status="running"), name="run_in_hand"),
            models.Index(  # errors by signature, and the runs that look like one
                fields=["error_signature", "-id"], condition=~Q(error_signature=""), name="run_signature"
            ),
            models.Index(END_OF_ID, name="run_reference"),  # the run of a reference code
            models.Index(  # progress of a group
                fields=["run_group_id"], condition=Q(run_group_id__isnull=False), name="run_group"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.pipeline_slug} {self.id}"

    @property
    def reference(self) -> str:
        """The short code by which a shopper names this run."""
        return reference_of(self.id)

    @property
    def is_over(self) -> bool:
        """Whether the run has reached a status that it never leaves."""
        return self.status in self.TERMINAL

    @property
    def is_trial(self) -> bool:
        """Whether staff try something out with it: what it makes is shown to staff alone and kept nowhere else.

        A fork without a shop is of a run that was imported: whatever that says it is about, is not here.
        """
        of_an_imported = self.mode == self.Mode.FORK and self.shop_id is None
        return self.mode == self.Mode.RECORDED or of_an_imported or bool(self.fork_changes)


class Worker(models.Model):
    """A worker process that is alive, by its last heartbeat; `/readyz` and the dashboard read it."""

    name = models.CharField(max_length=127, primary_key=True)
    host = models.CharField(max_length=127)
    pid = models.PositiveIntegerField()
    runs_in_flight = models.PositiveIntegerField(default=0)
    capacity = models.PositiveIntegerField(default=0, help_text="How many runs it takes at once.")
    started_at = models.DateTimeField()
    beat_at = models.DateTimeField()

    objects = WorkerQuerySet.as_manager()

    def __str__(self) -> str:
        return self.name
