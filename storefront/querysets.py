"""Questions about composites and uploads."""

from datetime import timedelta
from typing import TYPE_CHECKING, Self

from django.db import models
from django.db.models import Q
from django.utils import timezone

if TYPE_CHECKING:
    from shops.models import Shop
    from storefront.models import CompositeRun, Upload  # noqa: F401


class CompositeRunQuerySet(models.QuerySet["CompositeRun"]):
    """Composites."""

    def for_shop(self, shop: "Shop") -> Self:
        """One shop's composites."""
        return self.filter(shop=shop)

    def visible(self) -> Self:
        """Composites whose shopper has not deleted them."""
        return self.filter(deleted_at=None)

    def older_than(self, age: timedelta) -> Self:
        """Chains with pictures that began longer ago than this, by their first composite, oldest first."""
        began = timezone.now() - age
        return self.visible().filter(root=None, created_at__lt=began).order_by("created_at")

    def in_chain_of(self, composite: "CompositeRun") -> Self:
        """A composite's whole chain of refinements: all made from one photo."""
        root = composite.root_id or composite.pk
        return self.filter(Q(pk=root) | Q(root=root))


class UploadQuerySet(models.QuerySet["Upload"]):
    """Uploads."""

    def waiting(self) -> Self:
        """Uploads that may still be used."""
        return self.filter(used_at=None, expires_at__gt=timezone.now())

    def expired(self) -> Self:
        """Uploads whose time is over."""
        return self.filter(expires_at__lte=timezone.now())
