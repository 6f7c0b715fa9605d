"""The emergency patch: one shop's own text of one prompt, for a while."""

from datetime import datetime

from django.db import models
from django.db.models import F, Q

from core.fields import UlidField, UlidPrimaryKey
from prompts.querysets import PromptOverrideQuerySet
from prompts.selection import LiveOverride, version_of
from shops.models import Shop


class PromptOverride(models.Model):
    """A shop's own text of a prompt. Rows are closed, never changed and never deleted."""

    id = UlidPrimaryKey()
    shop = models.ForeignKey(Shop, on_delete=models.CASCADE, related_name="prompt_overrides")
    prompt_name = models.CharField(max_length=63)
    template = models.TextField(help_text="The whole prompt file, exactly as it is used.")
    sha256 = models.CharField(max_length=64, help_text="Of the template.")
    params = models.JSONField(default=dict, help_text="The params in the template's header.")
    base_version = models.CharField(max_length=8, help_text="The library's version it started from.")
    # The drift report has to notice a base file that was edited without a new version.
    base_sha256 = models.CharField(max_length=64)
    reason = models.CharField(max_length=500)
    source_run = UlidField(null=True, blank=True, help_text="The run whose edited prompt it is.")
    created_by = models.CharField(max_length=150, help_text="A user's name, or the command's.")
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    revoked_at = models.DateTimeField(null=True, blank=True)
    revoked_by = models.CharField(max_length=150, blank=True)

    objects = PromptOverrideQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]
        permissions = [("extend_promptoverride", "Can let an override last longer than 14 days")]
        constraints = [
            # Selection finds at most one; creating another closes the one before.
            models.UniqueConstraint(
                fields=["shop", "prompt_name"],
                condition=Q(revoked_at=None),
                name="prompts_promptoverride_one_open_per_shop_and_prompt",
            ),
            models.CheckConstraint(
                condition=Q(expires_at__gt=F("created_at")), name="prompts_promptoverride_expires_after_creation"
            ),
            models.CheckConstraint(condition=~Q(reason=""), name="prompts_promptoverride_has_reason"),
            models.CheckConstraint(
                condition=Q(revoked_at=None, revoked_by="") | (Q(revoked_at__isnull=False) & ~Q(revoked_by="")),
                name="prompts_promptoverride_closed_by_somebody",
            ),
        ]
        indexes = [
            # The admin list's "live" filter and the drift report.
            models.Index(fields=["expires_at"], name="prompts_override_open_expiry", condition=Q(revoked_at=None)),
        ]

    def __str__(self) -> str:
        return f"{self.prompt_name} for {self.shop}"

    @property
    def version_label(self) -> str:
        """How runs name this text."""
        return version_of(self.prompt_name, self.sha256)

    def is_live(self, now: datetime) -> bool:
        """Neither closed nor expired at this moment."""
        return self.revoked_at is None and now < self.expires_at

    @property
    def ended_at(self) -> datetime:
        """When it ends or has ended: a row that is closed after its expiry had ended by itself."""
        return min(self.expires_at, self.revoked_at) if self.revoked_at else self.expires_at

    def state(self, now: datetime) -> str:
        """`live`, `expired`, or `closed` by somebody before its time."""
        if self.is_live(now):
            return "live"
        return "closed" if self.revoked_at is not None and self.revoked_at < self.expires_at else "expired"

    def to_live(self) -> LiveOverride:
        """What selection needs of this row."""
        return LiveOverride(
            override_id=str(self.pk),
            prompt_name=self.prompt_name,
            template=self.template,
            base_version=self.base_version,
            expires_at=self.expires_at,
        )
