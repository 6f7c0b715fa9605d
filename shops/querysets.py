"""Questions about sets of shops, keys and usage."""

from datetime import date
from typing import TYPE_CHECKING, Any

from django.db import models
from django.db.models import Q, Sum
from django.db.models.functions import Coalesce
from django.utils import timezone

if TYPE_CHECKING:
    from shops.models import ApiKey, Shop, Usage  # noqa: F401


class ShopQuerySet(models.QuerySet["Shop"]):
    """Shops."""

    def active(self) -> "ShopQuerySet":
        """Shops whose doors are open."""
        return self.filter(status="installed")

    def knowing_origin(self, origin: str) -> "ShopQuerySet":
        """Active shops in whose pages this origin may use a key."""
        own = Q(domain=origin.removeprefix("https://")) if origin.startswith("https://") else Q(pk__in=[])
        keys = _live_keys().filter(allowed_origins__contains=[origin])
        return self.active().filter(Q(allowed_origins__contains=[origin]) | Q(api_keys__in=keys) | own)


def _live_keys() -> "ApiKeyQuerySet":
    from shops.models import ApiKey

    return ApiKey.objects.live()


class ApiKeyQuerySet(models.QuerySet["ApiKey"]):
    """API keys."""

    def live(self) -> "ApiKeyQuerySet":
        """Neither revoked nor expired."""
        now = timezone.now()
        return self.filter(Q(expires_at=None) | Q(expires_at__gt=now), revoked_at=None)

    def publishable_for(self, shop: "Shop") -> "ApiKeyQuerySet":
        """The live keys that may stand in the shop's pages, newest first."""
        return self.live().filter(shop=shop).exclude(publishable_value="").order_by("-id")


class UsageQuerySet(models.QuerySet["Usage"]):
    """Usage counts."""

    def totals(self, shop: "Shop", day: date) -> dict[str, Any]:
        """Pictures made by the shop: `day` on that day, `month` in its calendar month up to any day."""
        month = self.filter(shop=shop, day__year=day.year, day__month=day.month)
        return month.aggregate(
            day=Coalesce(Sum("composites", filter=Q(day=day)), 0), month=Coalesce(Sum("composites"), 0)
        )
