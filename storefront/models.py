"""What a shopper asked for, and the photos on their way to it. Execution is on the run, once."""

from django.db import models
from django.db.models import Q
from django.utils import timezone

from core.fields import UlidPrimaryKey
from core.ids import Ulid
from storefront.querysets import CompositeRunQuerySet, UploadQuerySet

MAX_REFINEMENTS = 3


class Upload(models.Model):
    """A one-time place for one photo."""

    id = UlidPrimaryKey()
    shop = models.ForeignKey("shops.Shop", on_delete=models.CASCADE, related_name="+")
    token_sha256 = models.CharField(max_length=64, unique=True)
    content_type = models.CharField(max_length=63)
    declared_bytes = models.PositiveIntegerField()
    expires_at = models.DateTimeField()
    used_at = models.DateTimeField(null=True)
    # The blob is held by this row until a composite's artifact holds it too.
    blob = models.ForeignKey("runs.Blob", on_delete=models.PROTECT, null=True, related_name="+")
    f35_mm = models.FloatField(null=True, help_text="35 mm equivalent focal length, from the photo's EXIF.")
    width = models.PositiveIntegerField(null=True)
    height = models.PositiveIntegerField(null=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    objects = UploadQuerySet.as_manager()

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(blob__isnull=True) | Q(used_at__isnull=False), name="storefront_upload_photo_means_used"
            ),
        ]
        indexes = [
            models.Index(fields=["expires_at"], name="storefront_upload_expires"),  # the purge
        ]

    def __str__(self) -> str:
        return f"upload {self.id}"

    @property
    def is_expired(self) -> bool:
        """Whether its time is over."""
        return self.expires_at <= timezone.now()


class CompositeRun(models.Model):
    """A shopper's picture: product, room, tap, consent, feedback. Its id is its run's id."""

    class Verdict(models.TextChoices):
        UP = "up"
        DOWN = "down"

    run = models.OneToOneField("runs.Run", on_delete=models.PROTECT, primary_key=True, related_name="composite")
    shop = models.ForeignKey("shops.Shop", on_delete=models.PROTECT, related_name="+")
    asset = models.ForeignKey("prep.ProductAsset", on_delete=models.PROTECT, related_name="composites")
    room_sha256 = models.CharField(max_length=64)
    room = models.ForeignKey("runs.Blob", on_delete=models.SET_NULL, null=True, related_name="+")
    upload = models.ForeignKey(Upload, on_delete=models.SET_NULL, null=True, related_name="composites")
    tap_x = models.FloatField(null=True)
    tap_y = models.FloatField(null=True)
    hint = models.CharField(max_length=15, blank=True)
    result = models.ForeignKey("runs.Blob", on_delete=models.SET_NULL, null=True, related_name="+")
    visitor_hash = models.CharField(max_length=64)
    consent_text_hash = models.CharField(max_length=64)
    consent_at = models.DateTimeField()
    request_key = models.CharField(  # noqa: DJ001 (NULL: nobody means to repeat it, so it is unique with nothing)
        max_length=64, null=True, help_text="Hash of visitor and idempotency key."
    )
    request_sha256 = models.CharField(max_length=64, help_text="Hash of what was asked for under that key.")
    quota_day = models.DateField(null=True, help_text="Where the picture was counted; empty once given back.")
    feedback_verdict = models.CharField(max_length=4, choices=Verdict, blank=True)
    feedback_issue = models.CharField(max_length=63, blank=True)
    feedback_comment = models.CharField(max_length=2000, blank=True)
    feedback_at = models.DateTimeField(null=True)
    root = models.ForeignKey("self", on_delete=models.PROTECT, null=True, related_name="+")
    parent = models.ForeignKey("self", on_delete=models.PROTECT, null=True, related_name="refinements")
    refinement = models.PositiveSmallIntegerField(default=0, help_text="0 for the first picture of a chain.")
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    deleted_at = models.DateTimeField(null=True)

    objects = CompositeRunQuerySet.as_manager()

    class Meta:
        constraints = [
            # The same request is the same picture.
            models.UniqueConstraint(fields=["shop", "request_key"], name="storefront_composite_request_unique"),
            models.CheckConstraint(
                condition=Q(refinement__lte=MAX_REFINEMENTS), name="storefront_composite_refinement_limit"
            ),
            models.CheckConstraint(
                condition=Q(tap_x=None, tap_y=None) | Q(tap_x__range=(0, 1), tap_y__range=(0, 1)),
                name="storefront_composite_tap_in_photo",
            ),
            models.CheckConstraint(
                condition=Q(deleted_at=None) | Q(room=None, result=None), name="storefront_composite_deleted_is_empty"
            ),
        ]
        indexes = [
            models.Index(fields=["shop", "-created_at"], name="storefront_composite_shop_new"),  # a shop's pictures
            models.Index(  # chains whose day is over
                fields=["created_at"], name="storefront_composite_aging", condition=Q(deleted_at=None, root=None)
            ),
        ]

    def __str__(self) -> str:
        return f"composite {self.pk}"

    @property
    def id(self) -> Ulid:
        """The run's id."""
        return self.pk  # type: ignore[no-any-return]

    @property
    def remaining_refinements(self) -> int:
        """How many more changes this chain allows."""
        return MAX_REFINEMENTS - self.refinement
