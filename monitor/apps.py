"""The operator's console: a read model over the trace; it owns no table."""

from django.apps import AppConfig
from django.contrib.admin.apps import AdminConfig


class MonitorConfig(AppConfig):
    """Dashboard, run list and run page."""

    name = "monitor"
    verbose_name = "Runs"


class ConsoleConfig(AdminConfig):
    """Django's admin with our site class as its default."""

    default_site = "monitor.site.ConsoleSite"
