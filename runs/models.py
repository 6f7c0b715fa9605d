"""The trace: pipelines, runs, steps and their evidence. A run knows nothing about the domain that owns it."""

from typing import Any, ClassVar

from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now
from django.utils import timezone

from core.fields import UlidField, UlidPrimaryKey
from runs.querysets import BlobQuerySet, RunQuerySet, StepQuerySet, WorkerQuerySet


def cost_field() -> "models.DecimalField[Any, Any]":
    """US dollars to a millionth; null where unknown, never 0 for unknown."""
    return models.DecimalField(max_digits=12, decimal_places=6, null=True, blank=True)


class Pipeline(models.Model):
    """A named flow: ours run on the engine (`internal`), others report their runs (`external`)."""

    class Kind(models.TextChoices):
        INTERNAL = "internal"  # executed here, from a published DAG
        EXTERNAL = "external"  # executed elsewhere, reported through events or OTLP

    id = UlidPrimaryKey()
    slug = models.SlugField(max_length=63, unique=True)
    kind = models.CharField(max_length=8, choices=Kind, default=Kind.INTERNAL)
    description = models.TextField(blank=True)
    declared = models.JSONField(default=dict, blank=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    def __str__(self) -> str:
        return self.slug


class PipelineVersion(models.Model):
    """A published DAG. It never changes; a running run keeps the version it started with."""

    id = UlidPrimaryKey()
    pipeline = models.ForeignKey(Pipeline, on_delete=models.PROTECT, related_name="versions")
    number = models.PositiveIntegerField()
    dag = models.JSONField()
    dag_sha256 = models.CharField(max_length=64)
    active = models.BooleanField(default=False)
    published_at = models.DateTimeField(default=timezone.now)
    published_by = models.CharField(max_length=150, blank=True)

    class Meta:
        ordering = ["pipeline", "-number"]
        constraints = [
            models.UniqueConstraint(fields=["pipeline", "number"], name="pipelineversion_number_unique"),
            # Publishing the same DAG twice finds the first one.
            models.UniqueConstraint(fields=["pipeline", "dag_sha256"], name="pipelineversion_dag_unique"),
            models.UniqueConstraint(fields=["pipeline"], condition=Q(active=True), name="pipelineversion_one_active"),
        ]

    def __str__(self) -> str:
        return f"{self.pipeline.slug} v{self.number}"


class Run(models.Model):
    """One execution of a pipeline about one subject."""

    class Status(models.TextChoices):
        PENDING = "pending"  # written, waiting for a worker
        RUNNING = "running"  # held by a worker under a lease
        COMPLETED = "completed"
        FAILED = "failed"
        CANCELLED = "cancelled"

    class Mode(models.TextChoices):
        LIVE = "live"  # models are asked
        RECORDED = "recorded"  # every model call is answered from the parent's recording
        FORK = "fork"  # nodes before the fork are the parent's

    ACTIVE: ClassVar = (Status.PENDING, Status.RUNNING)
    TERMINAL: ClassVar = (Status.COMPLETED, Status.FAILED, Status.CANCELLED)
    TRANSITIONS: ClassVar = {
        Status.PENDING: (Status.RUNNING, Status.FAILED, Status.CANCELLED),
        Status.RUNNING: TERMINAL,
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
    latency_ms = models.PositiveIntegerField(null=True)
    tokens_in = models.PositiveIntegerField(null=True)
    tokens_out = models.PositiveIntegerField(null=True)
    cost_usd = cost_field()
    release = models.CharField(max_length=63, blank=True)
    run_group_id = UlidField(null=True, blank=True)
    parent = models.ForeignKey("self", on_delete=models.PROTECT, null=True, related_name="forks")
    fork_node = models.CharField(max_length=63, blank=True)
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
            models.Index(  # claim: due runs in order
                fields=["priority", "due_at"], condition=Q(status="pending"), name="run_due"
            ),
            models.Index(  # claim and sweep: leases that ran out; fairness counts live runs of a shop
                fields=["lease_until"], condition=Q(status="running"), name="run_leased"
            ),
            models.Index(  # progress of a group
                fields=["run_group_id"], condition=Q(run_group_id__isnull=False), name="run_group"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.pipeline_slug} {self.id}"

    @property
    def is_over(self) -> bool:
        """Whether the run has reached a status that it never leaves."""
        return self.status in self.TERMINAL


class Step(models.Model):
    """One decision of a run: small, indexed, kept forever. Its texts are in `StepPayload`, its bytes in artifacts."""

    class Type(models.TextChoices):
        LLM = "llm"
        API = "api"
        SEARCH = "search"
        FILTER = "filter"
        RANKING = "ranking"
        ANALYSIS = "analysis"
        TRANSFORM = "transform"
        IMAGE = "image"
        EMBED = "embed"
        VALIDATE = "validate"
        HUMAN = "human"
        GROUP = "group"

    class Status(models.TextChoices):
        PENDING = "pending"
        RUNNING = "running"
        COMPLETED = "completed"
        FAILED = "failed"
        SKIPPED = "skipped"  # its condition or its ancestors said no
        CANCELLED = "cancelled"  # the run ended before it

    id = UlidPrimaryKey()
    run = models.ForeignKey(Run, on_delete=models.CASCADE, related_name="steps")
    parent = models.ForeignKey("self", on_delete=models.CASCADE, null=True, related_name="children")
    shop = models.ForeignKey("shops.Shop", on_delete=models.PROTECT, null=True, related_name="+")
    pipeline_slug = models.CharField(max_length=63)
    environment = models.CharField(max_length=31)
    node_key = models.CharField(max_length=63, blank=True, help_text="Key in the DAG; empty for a reported span.")
    name = models.CharField(max_length=127)
    type = models.CharField(max_length=9, choices=Type)
    seq = models.PositiveIntegerField()
    attempt = models.PositiveSmallIntegerField(default=1)
    route = models.PositiveSmallIntegerField(default=0, help_text="Which of the task's routes this attempt uses.")
    status = models.CharField(max_length=9, choices=Status, default=Status.PENDING)
    started_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)
    latency_ms = models.PositiveIntegerField(null=True)
    candidates_in = models.PositiveIntegerField(null=True)
    candidates_out = models.PositiveIntegerField(null=True)
    drop_ratio = models.FloatField(null=True)
    confidence = models.FloatField(null=True)
    score = models.FloatField(null=True)
    why = models.CharField(max_length=500, blank=True)
    reasons = models.JSONField(default=dict)
    vendor = models.CharField(max_length=63, blank=True)
    model = models.CharField(max_length=127, blank=True)
    prompt_name = models.CharField(max_length=63, blank=True)
    prompt_version = models.CharField(max_length=31, blank=True)
    prompt_sha256 = models.CharField(max_length=64, blank=True)
    prompt_source = models.CharField(max_length=10, blank=True)
    tokens_in = models.PositiveIntegerField(null=True)
    tokens_out = models.PositiveIntegerField(null=True)
    tokens_cached = models.PositiveIntegerField(null=True)
    tokens_thinking = models.PositiveIntegerField(null=True)
    cost_usd = cost_field()
    cost_source = models.CharField(max_length=31, blank=True)
    ir_schema = models.ForeignKey("irschemas.IRSchema", on_delete=models.PROTECT, null=True, related_name="+")
    ir_valid = models.BooleanField(null=True)
    ir_error_count = models.PositiveSmallIntegerField(default=0)
    input_sha256 = models.CharField(max_length=64, blank=True)
    output_sha256 = models.CharField(max_length=64, blank=True)
    reused_from = models.ForeignKey("self", on_delete=models.SET_NULL, null=True, related_name="+")
    error_code = models.CharField(max_length=63, blank=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    objects = StepQuerySet.as_manager()

    class Meta:
        ordering = ["run", "seq"]
        constraints = [
            # Memory is by node key: a node of a run has one step, whoever writes it.
            models.UniqueConstraint(fields=["run", "node_key"], condition=~Q(node_key=""), name="step_node_unique"),
            models.CheckConstraint(
                condition=Q(drop_ratio__isnull=True) | (Q(drop_ratio__gte=0) & Q(drop_ratio__lte=1)),
                name="step_drop_ratio_range",
            ),
            # A filter has to say how much it filtered.
            models.CheckConstraint(
                condition=~Q(type="filter", status="completed") | Q(drop_ratio__isnull=False),
                name="step_filter_has_drop_ratio",
            ),
        ]
        indexes = [
            models.Index(fields=["run", "seq"], name="step_run_seq"),  # run page
            models.Index(  # decision queries: which filters dropped more than 90 %
                F("drop_ratio").desc(),
                F("id").desc(),
                condition=Q(type="filter", drop_ratio__gte=0.5),
                name="step_filter_drop",
            ),
            models.Index(fields=["-id"], condition=Q(status="failed"), name="step_failed_newest"),  # dashboard
            models.Index(fields=["prompt_name", "prompt_version", "-id"], name="step_prompt"),  # run list filter
            models.Index(fields=["model", "-id"], name="step_model"),  # run list filter
        ]

    def __str__(self) -> str:
        return self.node_key or self.name


class StepPayload(models.Model):
    """What a step was given, what it answered and why, as JSON: at most 32 KiB a field, the rest is an artifact."""

    step = models.OneToOneField(Step, on_delete=models.CASCADE, primary_key=True, related_name="payload")
    params = models.JSONField(default=dict)
    input = models.JSONField(default=dict)
    output = models.JSONField(null=True)
    reasoning = models.JSONField(default=dict)
    variables = models.JSONField(default=dict)
    ir = models.JSONField(null=True)
    validation_errors = models.JSONField(default=list)
    extra = models.JSONField(default=dict)
    truncated = models.JSONField(default=list, help_text="Fields whose full value is an artifact.")
    thinking_removed = models.BooleanField(default=False)

    def __str__(self) -> str:
        return f"payload of {self.step_id}"


class RunError(models.Model):
    """One attempt that failed, with what it cost. A retry adds one; nothing overwrites it."""

    id = UlidPrimaryKey()
    run = models.ForeignKey(Run, on_delete=models.CASCADE, related_name="errors")
    step = models.ForeignKey(Step, on_delete=models.CASCADE, null=True, related_name="errors")
    stage = models.CharField(max_length=63)
    attempt = models.PositiveSmallIntegerField(default=1)
    code = models.CharField(max_length=63)
    message = models.TextField()
    retryable = models.BooleanField()
    vendor = models.CharField(max_length=63, blank=True)
    model = models.CharField(max_length=127, blank=True)
    latency_ms = models.PositiveIntegerField(null=True)
    tokens_in = models.PositiveIntegerField(null=True)
    tokens_out = models.PositiveIntegerField(null=True)
    cost_usd = cost_field()
    details = models.JSONField(default=dict)
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["id"]
        indexes = [models.Index(fields=["code", "-id"], name="runerror_code_newest")]  # error breakdown

    def __str__(self) -> str:
        return f"{self.stage}: {self.code}"


class Blob(models.Model):
    """Bytes of one shop, addressed by their hash and stored once."""

    class Retention(models.TextChoices):
        SHOPPER = "shopper"  # a shopper's pictures: short
        EVIDENCE = "evidence"  # requests, responses, intermediate pictures
        KEEP = "keep"  # merchants' products, pinned runs, ground truth

    id = UlidPrimaryKey()
    shop = models.ForeignKey("shops.Shop", on_delete=models.PROTECT, null=True, related_name="+")
    sha256 = models.CharField(max_length=64)
    size = models.PositiveBigIntegerField()
    media_type = models.CharField(max_length=63)
    width = models.PositiveIntegerField(null=True)
    height = models.PositiveIntegerField(null=True)
    storage_key = models.CharField(max_length=255)
    retention = models.CharField(max_length=8, choices=Retention, default=Retention.EVIDENCE)
    created_at = models.DateTimeField(default=timezone.now)

    objects = BlobQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["shop", "sha256"], nulls_distinct=False, name="blob_content_unique")
        ]

    def __str__(self) -> str:
        return f"{self.media_type} {self.sha256[:12]}"

    def to_json(self) -> dict[str, Any]:
        """How run input names this picture."""
        return {"$blob": self.sha256, "media_type": self.media_type, "width": self.width, "height": self.height}


class Artifact(models.Model):
    """A reference from a run (or one attempt of one step) to bytes. Deletion is of the reference."""

    class Role(models.TextChoices):
        INPUT = "input"  # given to the run
        PROMPT = "prompt"  # the rendered messages, as sent
        REQUEST = "request"
        RESPONSE = "response"
        REPLY = "reply"  # the parsed answer, by which a node claimed again is spared the call
        IMAGE = "image"  # a picture made on the way
        RESULT = "result"  # the picture the run was for
        PAYLOAD = "payload"  # a payload field too large for its row

    id = UlidPrimaryKey()
    run = models.ForeignKey(Run, on_delete=models.CASCADE, related_name="artifacts")
    step = models.ForeignKey(Step, on_delete=models.CASCADE, null=True, related_name="artifacts")
    attempt = models.PositiveSmallIntegerField(default=1)
    role = models.CharField(max_length=8, choices=Role)
    name = models.CharField(max_length=127)
    blob = models.ForeignKey(Blob, on_delete=models.PROTECT, null=True, related_name="artifacts")
    deleted_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(
                fields=["run", "step", "attempt", "role", "name"], nulls_distinct=False, name="artifact_unique"
            )
        ]

    def __str__(self) -> str:
        return f"{self.role} {self.name}"


class MetricResult(models.Model):
    """One metric of one attempt, beside the threshold it was held against."""

    id = UlidPrimaryKey()
    run = models.ForeignKey(Run, on_delete=models.CASCADE, related_name="metrics")
    step = models.ForeignKey(Step, on_delete=models.CASCADE, null=True, related_name="metrics")
    attempt = models.PositiveSmallIntegerField(default=1)
    profile_key = models.CharField(max_length=63, blank=True)
    key = models.CharField(max_length=63)
    value = models.FloatField(null=True)
    passed = models.BooleanField(null=True)
    threshold = models.FloatField(null=True)
    must_pass = models.BooleanField(default=False)
    unit = models.CharField(max_length=31, blank=True)
    details = models.JSONField(default=dict)
    source = models.CharField(max_length=7, default="auto")
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(
                fields=["run", "step", "attempt", "key", "source"], nulls_distinct=False, name="metricresult_unique"
            )
        ]
        indexes = [models.Index(fields=["key", "-id"], name="metricresult_key_newest")]  # quality trends

    def __str__(self) -> str:
        return f"{self.key} = {self.value}"


class StepOutputLink(models.Model):
    """What a step made in the domain: a generic pointer, so that the trace never imports it."""

    id = UlidPrimaryKey()
    run = models.ForeignKey(Run, on_delete=models.CASCADE, related_name="links")
    step = models.ForeignKey(Step, on_delete=models.CASCADE, related_name="links")
    target_type = models.CharField(max_length=63)
    target_id = models.CharField(max_length=255)
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["step", "target_type", "target_id"], name="stepoutputlink_unique")
        ]
        indexes = [models.Index(fields=["target_type", "target_id"], name="stepoutputlink_target")]  # asset -> runs

    def __str__(self) -> str:
        return f"{self.target_type} {self.target_id}"


class Worker(models.Model):
    """A worker process that is alive, by its last heartbeat; `/readyz` and the dashboard read it."""

    name = models.CharField(max_length=127, primary_key=True)
    host = models.CharField(max_length=127)
    pid = models.PositiveIntegerField()
    runs_in_flight = models.PositiveIntegerField(default=0)
    started_at = models.DateTimeField()
    beat_at = models.DateTimeField()

    objects = WorkerQuerySet.as_manager()

    def __str__(self) -> str:
        return self.name
