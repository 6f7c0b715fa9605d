"""What a step's answer has to look like (IR schemas) and how good it has to be (metrics)."""

from django.apps import AppConfig
from django.utils.module_loading import autodiscover_modules


class IRSchemasConfig(AppConfig):
    """IR schemas, metric definitions and metric profiles."""

    name = "irschemas"
    verbose_name = "IR schemas and metrics"

    def ready(self) -> None:
        """Load every app's `evaluators` module, so that its evaluators register themselves."""
        autodiscover_modules("evaluators")
