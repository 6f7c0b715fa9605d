"""The shopper's door."""

from django.apps import AppConfig


class StorefrontConfig(AppConfig):
    """Composites, uploads, the widget and the demo shop."""

    name = "storefront"
    verbose_name = "Storefront"
