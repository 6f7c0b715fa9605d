"""Pipelines and their published versions."""

from django.db import models
from django.db.models import Q
from django.utils import timezone

from core.fields import UlidPrimaryKey


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
