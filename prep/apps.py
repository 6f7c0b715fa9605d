"""Product assets made ready for compositing."""

from django.apps import AppConfig


class PrepConfig(AppConfig):
    """Cutouts and facts of merchants' products."""

    name = "prep"
    default_auto_field = "django.db.models.BigAutoField"
    verbose_name = "Products"
