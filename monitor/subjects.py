"""From what a trace names (`product_asset`, an id) to the console's page about it, without knowing the domain."""

from collections.abc import Iterable

from django.contrib.admin import AdminSite, site
from django.urls import reverse


def subject_url(kind: str, identifier: str, console: AdminSite = site) -> str:
    """The console's page of a named thing; empty when no registered model has that name."""
    wanted = kind.replace("_", "")
    models: Iterable = console._registry
    model = next((model for model in models if model._meta.model_name == wanted), None)
    if model is None or not identifier:
        return ""
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_change", args=[identifier])
