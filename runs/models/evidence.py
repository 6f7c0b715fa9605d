"""Evidence: bytes, references to them, metrics, and links into the domain."""

from typing import Any

from django.db import models
from django.db.models import Q
from django.utils import timezone

from core.fields import UlidPrimaryKey
from runs.models.run import Run
from runs.models.step import Step
from runs.querysets import BlobQuerySet


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
    storage_key = models.CharField(max_length=255, blank=True, help_text="Empty where `body` holds the bytes.")
    body = models.BinaryField(null=True, help_text="The bytes themselves, of a small JSON document.")
    retention = models.CharField(max_length=8, choices=Retention, default=Retention.EVIDENCE)
    condemned_at = models.DateTimeField(null=True, help_text="When its last reference went; its bytes follow.")
    created_at = models.DateTimeField(default=timezone.now)

    objects = BlobQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["shop", "sha256"], nulls_distinct=False, name="blob_content_unique"),
            # Whatever has a row has bytes, in exactly one place.
            models.CheckConstraint(
                condition=(Q(body__isnull=True) & ~Q(storage_key="")) | Q(body__isnull=False, storage_key=""),
                name="blob_bytes_in_one_place",
            ),
        ]
        indexes = [
            models.Index(  # the workers' chore: what a process that died has left
                fields=["condemned_at"], condition=Q(condemned_at__isnull=False), name="blob_condemned"
            ),
            models.Index(  # the workers' chore: shoppers' pictures that came to nothing
                fields=["created_at"], condition=Q(retention="shopper"), name="blob_shopper"
            ),
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
        RULES = "rules"  # prompts, routes, schema and profile that an attempt went by

    class DeletedFor(models.TextChoices):
        RETENTION = "retention"  # its time was over
        SHOPPER = "shopper"  # the shopper asked for it

    id = UlidPrimaryKey()
    run = models.ForeignKey(Run, on_delete=models.CASCADE, related_name="artifacts")
    step = models.ForeignKey(Step, on_delete=models.CASCADE, null=True, related_name="artifacts")
    attempt = models.PositiveSmallIntegerField(default=1)
    role = models.CharField(max_length=8, choices=Role)
    name = models.CharField(max_length=127)
    blob = models.ForeignKey(Blob, on_delete=models.PROTECT, null=True, related_name="artifacts")
    deleted_at = models.DateTimeField(null=True)
    deleted_for = models.CharField(max_length=9, choices=DeletedFor, blank=True, db_default="")
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
    profile_revision = models.PositiveIntegerField(null=True, help_text="Which revision of the profile judged it.")
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
        indexes = [
            models.Index(fields=["key", "-id"], name="metricresult_key_newest"),  # quality trends
            models.Index(  # run list: runs in which this metric failed
                fields=["key", "run"], condition=Q(passed=False), name="metricresult_failed"
            ),
        ]

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
