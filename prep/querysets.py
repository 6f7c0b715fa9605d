"""Questions about product assets."""

from typing import TYPE_CHECKING, Self

from django.db import models

if TYPE_CHECKING:
    from prep.models import ProductAsset  # noqa: F401 - named in a string subscript
    from shops.models import Shop


class ProductAssetQuerySet(models.QuerySet["ProductAsset"]):
    """Product assets."""

    def for_shop(self, shop: "Shop") -> Self:
        """One shop's assets."""
        return self.filter(shop=shop)

    def ready(self) -> Self:
        """Assets that shoppers may place."""
        return self.filter(prep_status="ready")
