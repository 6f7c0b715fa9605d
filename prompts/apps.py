from django.apps import AppConfig


class PromptsConfig(AppConfig):
    """The prompt library in git, who gets which version, and the per-shop overrides."""

    name = "prompts"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Tell below which target a prompt's answers belong to."""
        from irschemas.targets import prompt_targets_from
        from prompts.library import target_of

        prompt_targets_from(target_of)
