"""The tenants: shops, their keys, quotas and rate limits."""

from django.apps import AppConfig


class ShopsConfig(AppConfig):
    """Shops and API keys."""

    name = "shops"
    verbose_name = "Shops"
