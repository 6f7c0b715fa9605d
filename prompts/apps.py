from django.apps import AppConfig


class PromptsConfig(AppConfig):
    """The prompt library in git, who gets which version, and the per-shop overrides."""

    name = "prompts"
    default_auto_field = "django.db.models.BigAutoField"
