"""Tenants: shops, the keys to their doors, what they used, and how fast they may ask."""

from datetime import datetime

from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import GinIndex
from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import Q
from django.utils import timezone

from core.encryption import EncryptedTextField
from core.fields import UlidPrimaryKey
from shops.features import Features, default_features
from shops.querysets import ApiKeyQuerySet, ShopQuerySet, UsageQuerySet
from shops.validators import DOMAIN, validate_domain, validate_origin


class Shop(models.Model):
    """A merchant's shop: one tenant."""

    class Status(models.TextChoices):
        INSTALLED = "installed"  # its doors are open
        UNINSTALLED = "uninstalled"  # the app was removed; its rows wait for redaction
        REDACTED = "redacted"  # its personal rows are gone

    class Plan(models.TextChoices):
        FREE = "free"
        PRO = "pro"
        ENTERPRISE = "enterprise"

    id = UlidPrimaryKey()
    domain = models.CharField(max_length=253, unique=True, validators=[validate_domain])
    name = models.CharField(max_length=200, blank=True)
    status = models.CharField(max_length=12, choices=Status, default=Status.INSTALLED)
    plan = models.CharField(max_length=10, choices=Plan, default=Plan.FREE)
    access_token = EncryptedTextField(blank=True, default="", editable=False)
    access_token_expires_at = models.DateTimeField(null=True, blank=True, editable=False)
    refresh_token = EncryptedTextField(blank=True, default="", editable=False)
    refresh_token_expires_at = models.DateTimeField(null=True, blank=True, editable=False)
    scopes = ArrayField(models.CharField(max_length=60), default=list, blank=True, help_text="Granted by the platform.")
    quota_daily = models.PositiveIntegerField(default=100, help_text="Pictures a day (UTC).")
    quota_monthly = models.PositiveIntegerField(default=1000, help_text="Pictures a calendar month (UTC).")
    composites_per_minute = models.PositiveIntegerField(default=60, help_text="New pictures a minute, all shoppers.")
    client_composites_per_minute = models.PositiveIntegerField(
        default=20, help_text="New pictures a minute, one shopper."
    )
    features = models.JSONField(default=default_features, help_text="Flags, true or false.")
    allowed_origins = ArrayField(
        models.CharField(max_length=255, validators=[validate_origin]),
        default=list,
        blank=True,
        help_text="Pages that may use the shop's publishable keys, one origin a line.",
    )
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    objects = ShopQuerySet.as_manager()

    class Meta:
        ordering = ["domain"]
        constraints = [
            # A domain is the tenant's name everywhere; upper case or a scheme would make a second tenant of it.
            models.CheckConstraint(condition=Q(domain__regex=DOMAIN), name="shops_shop_domain_is_host"),
            models.CheckConstraint(
                condition=Q(status__in=["installed", "uninstalled", "redacted"]), name="shops_shop_status_known"
            ),
            models.CheckConstraint(condition=Q(plan__in=["free", "pro", "enterprise"]), name="shops_shop_plan_known"),
            models.CheckConstraint(
                condition=Q(composites_per_minute__gte=1, client_composites_per_minute__gte=1),
                name="shops_shop_rates_positive",
            ),
        ]
        indexes = [
            # The browser's preflight asks whether any shop knows an origin.
            GinIndex(fields=["allowed_origins"], name="shops_shop_origins"),
        ]

    def __str__(self) -> str:
        return self.name or self.domain

    @property
    def is_active(self) -> bool:
        """Whether its doors are open."""
        return self.status == self.Status.INSTALLED

    @property
    def origins(self) -> list[str]:
        """Where its pages live: its own domain, and what it has allowed."""
        return [f"https://{self.domain}", *self.allowed_origins]

    @property
    def flags(self) -> Features:
        """The feature flags, typed."""
        return Features.from_json(self.features)

    def clean(self) -> None:
        try:
            Features.from_json(self.features)
        except ValueError as error:
            raise ValidationError({"features": str(error)}) from error


class ApiKey(models.Model):
    """A key to one or more doors: only a hash is kept, unless the key is made to stand in a public page."""

    class Scope(models.TextChoices):
        STOREFRONT = "storefront"  # publishable: shoppers' pages, bound to origins
        MONITOR = "monitor"  # reads runs, steps and metrics
        INGEST = "ingest"  # reports traces

    id = UlidPrimaryKey()
    name = models.CharField(max_length=100, blank=True, help_text="What the key is for.")
    shop = models.ForeignKey(
        Shop, null=True, blank=True, on_delete=models.CASCADE, related_name="api_keys", help_text="Empty: all shops."
    )
    prefix = models.CharField(max_length=12, unique=True, editable=False)
    secret_sha256 = models.CharField(max_length=64, editable=False)
    publishable_value = models.CharField(max_length=80, blank=True, editable=False)
    scopes = ArrayField(models.CharField(max_length=10, choices=Scope))
    allowed_origins = ArrayField(
        models.CharField(max_length=255, validators=[validate_origin]),
        default=list,
        blank=True,
        help_text="One origin a line; empty: the shop's.",
    )
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True, editable=False)
    last_used_at = models.DateTimeField(null=True, blank=True, editable=False)

    objects = ApiKeyQuerySet.as_manager()

    class Meta:
        verbose_name = "API key"
        ordering = ["-id"]
        constraints = [
            models.CheckConstraint(
                condition=Q(scopes__contained_by=["storefront", "monitor", "ingest"]) & ~Q(scopes=[]),
                name="shops_apikey_scopes_known",
            ),
            # What stands readable in a page may open nothing but the shoppers' door of one shop.
            models.CheckConstraint(
                condition=Q(publishable_value="") | Q(scopes=["storefront"], shop__isnull=False),
                name="shops_apikey_publishable_is_storefront_only",
            ),
        ]
        indexes = [
            # The browser's preflight asks whether any key knows an origin.
            GinIndex(fields=["allowed_origins"], name="shops_apikey_origins"),
        ]

    def __str__(self) -> str:
        return f"{self.name or self.prefix}"

    @property
    def origins(self) -> list[str]:
        """The origins this key may be used from."""
        return self.allowed_origins or (self.shop.origins if self.shop else [])

    def is_live(self, now: datetime | None = None) -> bool:
        """Neither revoked nor expired."""
        now = now or timezone.now()
        return self.revoked_at is None and (self.expires_at is None or self.expires_at > now)


class WebhookDelivery(models.Model):
    """One delivery of a platform's webhook, kept once however often it arrives."""

    class Status(models.TextChoices):
        RECEIVED = "received"  # verified and stored
        PROCESSING = "processing"  # a worker is at it
        DONE = "done"
        IGNORED = "ignored"  # nothing to do: unknown topic or shop, or older than what we know
        QUARANTINED = "quarantined"  # well signed, but not what it claims to be
        FAILED = "failed"  # gave up

    id = UlidPrimaryKey()
    webhook_id = models.CharField(max_length=100, unique=True)
    topic = models.CharField(max_length=100)
    shop = models.ForeignKey(Shop, null=True, blank=True, on_delete=models.SET_NULL, related_name="webhook_deliveries")
    body_sha256 = models.CharField(max_length=64)
    status = models.CharField(max_length=12, choices=Status, default=Status.RECEIVED)
    attempts = models.PositiveSmallIntegerField(default=0)
    received_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        verbose_name_plural = "webhook deliveries"
        ordering = ["-id"]
        indexes = [
            # The sweep looks for deliveries that nobody has acted on.
            models.Index(
                fields=["received_at"], name="shops_webhook_open", condition=Q(status__in=["received", "processing"])
            ),
        ]

    def __str__(self) -> str:
        return f"{self.topic} {self.webhook_id}"


class Usage(models.Model):
    """How many pictures a shop made on a day (UTC)."""

    id = UlidPrimaryKey()
    shop = models.ForeignKey(Shop, on_delete=models.CASCADE, related_name="usage")
    day = models.DateField()
    composites = models.PositiveIntegerField(default=0)

    objects = UsageQuerySet.as_manager()

    class Meta:
        verbose_name_plural = "usage"
        constraints = [
            # One row a day; also what the month's sum reads.
            models.UniqueConstraint(fields=["shop", "day"], name="shops_usage_shop_day_unique"),
        ]

    def __str__(self) -> str:
        return f"{self.day}: {self.composites}"


class RateBucket(models.Model):
    """A token bucket as one instant (GCRA, ITU-T I.371): when the bucket would be full again.

    It lives in the database so that every process, on every machine, counts the same tokens.
    """

    key = models.CharField(max_length=120, primary_key=True)
    tat = models.DateTimeField(help_text="Theoretical arrival time.")
    allowed = models.BooleanField(default=True, help_text="What the last request was told.")

    class Meta:
        indexes = [
            # Idle buckets are forgotten by age.
            models.Index(fields=["tat"], name="shops_ratebucket_tat"),
        ]

    def __str__(self) -> str:
        return self.key
