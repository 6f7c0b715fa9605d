"""Questions about sets of overrides."""

from datetime import datetime
from typing import TYPE_CHECKING
from uuid import UUID

from django.db import models

if TYPE_CHECKING:
    from prompts.models import PromptOverride  # noqa: F401
    from shops.models import Shop


class PromptOverrideQuerySet(models.QuerySet["PromptOverride"]):
    """Overrides, live and closed."""

    def for_shop(self, shop: "Shop | UUID") -> "PromptOverrideQuerySet":
        """One shop's."""
        return self.filter(shop=shop)

    def open(self) -> "PromptOverrideQuerySet":
        """Not closed by anybody; some of them may have expired."""
        return self.filter(revoked_at=None)

    def live(self, now: datetime) -> "PromptOverrideQuerySet":
        """Neither closed nor expired at this moment."""
        return self.open().filter(expires_at__gt=now)
