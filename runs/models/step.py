"""Steps: the decisions of a run, their payloads, and attempts that failed."""

from typing import ClassVar

from django.db import models
from django.db.models import F, Q
from django.utils import timezone

from core.fields import UlidPrimaryKey
from runs.models.fields import cost_field
from runs.models.run import Run
from runs.querysets import StepQuerySet


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

    ENDED: ClassVar = (Status.COMPLETED, Status.FAILED, Status.SKIPPED)  # those behind it may be looked at

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
    retries = models.PositiveSmallIntegerField(default=0, help_text="Repetitions so far, as the policy counts them.")
    due_at = models.DateTimeField(null=True, help_text="When the next attempt may begin, by the database's clock.")
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
    call_ms = models.PositiveIntegerField(null=True, help_text="How long the model took to answer.")
    tokens_in = models.PositiveIntegerField(null=True)
    tokens_out = models.PositiveIntegerField(null=True)
    tokens_cached = models.PositiveIntegerField(null=True)
    tokens_thinking = models.PositiveIntegerField(null=True)
    tokens_image = models.PositiveIntegerField(null=True)
    cost_usd = cost_field()
    cost_source = models.CharField(max_length=31, blank=True)
    ir_schema = models.ForeignKey(
        "irschemas.IRSchema", on_delete=models.PROTECT, null=True, related_name="+", db_index=False
    )
    ir_valid = models.BooleanField(null=True)
    ir_error_count = models.PositiveSmallIntegerField(default=0)
    input_sha256 = models.CharField(max_length=64, blank=True)
    output_sha256 = models.CharField(max_length=64, blank=True)
    reused_from = models.ForeignKey("self", on_delete=models.SET_NULL, null=True, related_name="+")
    cache_key = models.CharField(max_length=64, blank=True, help_text="Stage and input, where the policy allows reuse.")
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
            models.Index(  # policy `cache`: an earlier answer of this shop to the same input
                fields=["shop", "cache_key", "-id"],
                condition=Q(status="completed") & ~Q(cache_key=""),
                name="step_cache",
            ),
            models.Index(fields=["prompt_name", "prompt_version", "-id"], name="step_prompt"),  # run list filter
            models.Index(fields=["model", "-id"], name="step_model"),  # run list filter
            models.Index(fields=["ir_schema", "-id"], name="step_ir_schema"),  # `answers`: the newest of a version
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
    cost_source = models.CharField(max_length=31, blank=True)
    details = models.JSONField(default=dict)
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["id"]
        indexes = [models.Index(fields=["code", "-id"], name="runerror_code_newest")]  # error breakdown

    def __str__(self) -> str:
        return f"{self.stage}: {self.code}"
