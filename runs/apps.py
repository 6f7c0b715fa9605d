"""The trace and the engine."""

from django.apps import AppConfig
from django.utils.module_loading import autodiscover_modules


class RunsConfig(AppConfig):
    """Finds every app's stages as Django finds its admin, and lets each worker process run the engine's loop."""

    name = "runs"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from django_q.signals import post_spawn

        from runs import answers  # noqa: F401 - registers itself
        from runs.loop import start_in_worker

        autodiscover_modules("stages")
        autodiscover_modules("outputs")
        autodiscover_modules("run_input")
        autodiscover_modules("telling")
        autodiscover_modules("housekeeping")
        post_spawn.connect(start_in_worker, dispatch_uid="runs.loop")
