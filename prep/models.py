"""Product assets, and the jobs that make them ready."""

from dataclasses import dataclass
from typing import Any, ClassVar

from django.db import models
from django.utils import timezone

from core.fields import UlidPrimaryKey
from prep.querysets import ProductAssetQuerySet


class ProductAsset(models.Model):
    """A merchant's product as See It knows it: photo, texts, cutout and facts."""

    class PrepStatus(models.TextChoices):
        UNPREPARED = "unprepared"  # known, nothing done yet
        QUEUED = "queued"  # a prep run waits
        PROCESSING = "processing"  # a prep run is under way
        READY = "ready"  # shoppers may place it
        FAILED = "failed"  # the last prep run failed; its run says why

    TRANSITIONS: ClassVar = {
        PrepStatus.UNPREPARED: (PrepStatus.QUEUED,),
        # Back to unprepared: the merchant changed it while it was being prepared. From queued, too: a run that takes
        # its photo over from an earlier one never says that it is processing.
        PrepStatus.QUEUED: (PrepStatus.PROCESSING, PrepStatus.READY, PrepStatus.FAILED, PrepStatus.UNPREPARED),
        PrepStatus.PROCESSING: (PrepStatus.READY, PrepStatus.FAILED, PrepStatus.UNPREPARED),
        PrepStatus.READY: (PrepStatus.QUEUED,),
        PrepStatus.FAILED: (PrepStatus.QUEUED,),
    }

    id = UlidPrimaryKey()
    shop = models.ForeignKey("shops.Shop", on_delete=models.CASCADE, related_name="assets")
    product_id = models.CharField(max_length=255)
    title = models.CharField(max_length=255)
    product_type = models.CharField(max_length=255, blank=True)
    description = models.TextField(blank=True)
    tags = models.JSONField(default=list, blank=True)
    handle = models.CharField(max_length=255, blank=True)
    price = models.CharField(max_length=31, blank=True)
    currency = models.CharField(max_length=3, blank=True)
    source_url = models.URLField(max_length=1000, blank=True)
    source = models.ForeignKey("runs.Blob", on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    photo = models.ForeignKey("runs.Blob", on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    cutout = models.ForeignKey("runs.Blob", on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    prep_status = models.CharField(max_length=10, choices=PrepStatus, default=PrepStatus.UNPREPARED)
    prep_error = models.TextField(blank=True)
    warnings = models.JSONField(default=list, blank=True)
    extracted_facts = models.JSONField(null=True, blank=True)
    extracted_at = models.DateTimeField(null=True, blank=True)
    facts_version = models.CharField(max_length=31, blank=True)
    facts_prompt_sha256 = models.CharField(max_length=64, blank=True)
    merchant_overrides = models.JSONField(null=True, blank=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    updated_at = models.DateTimeField(auto_now=True)

    objects = ProductAssetQuerySet.as_manager()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["shop", "product_id"], name="productasset_product_unique")]
        indexes = [models.Index(fields=["shop", "prep_status"], name="productasset_status")]  # asset list's filter

    def __str__(self) -> str:
        return self.title or self.product_id

    @property
    def is_ready(self) -> bool:
        """Whether shoppers may place this product."""
        return self.prep_status == self.PrepStatus.READY

    @property
    def source_picture(self) -> dict[str, Any] | None:
        """The merchant's original picture, as run input names it."""
        return self.source.to_json() if self.source else None


@dataclass(frozen=True, slots=True)
class Operation:
    """One thing a prep job did, read from its run's steps."""

    type: str
    status: str
    latency_ms: int | None


class PrepJob(models.Model):
    """One attempt to make an asset ready. Everything about its execution is on its run."""

    id = UlidPrimaryKey()
    asset = models.ForeignKey(ProductAsset, on_delete=models.CASCADE, related_name="jobs")
    run = models.OneToOneField("runs.Run", on_delete=models.PROTECT, related_name="prep_job")
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        indexes = [models.Index(fields=["asset", "-id"], name="prepjob_asset_newest")]  # asset page

    def __str__(self) -> str:
        return f"prep of {self.asset_id}"

    @property
    def status(self) -> str:
        """In the words of the asset's history: pending, processing, completed or failed."""
        return {"running": "processing", "cancelled": "failed"}.get(self.run.status, self.run.status)

    @property
    def operations(self) -> list[Operation]:
        """What was done, in order."""
        return [Operation(step.name, step.status, step.latency_ms) for step in self.run.steps.all()]
