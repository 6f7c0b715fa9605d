"""The installation itself, as an app: it has nothing but system checks."""

from django.apps import AppConfig


class InstallationConfig(AppConfig):
    """Registers the checks of this installation's settings."""

    name = "config"
    label = "installation"

    def ready(self) -> None:
        from config import checks  # noqa: F401 - registers them
