"""Fields that several tables of the trace share."""

from typing import Any

from django.db import models


def cost_field() -> "models.DecimalField[Any, Any]":
    """US dollars to a millionth; null where unknown, never 0 for unknown."""
    return models.DecimalField(max_digits=12, decimal_places=6, null=True, blank=True)
