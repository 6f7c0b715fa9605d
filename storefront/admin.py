"""Composites in the operator console."""

from django.contrib import admin
from django.http import HttpRequest

from storefront.models import CompositeRun


@admin.register(CompositeRun)
class CompositeRunAdmin(admin.ModelAdmin):
    """Read-only: what shoppers asked for and thought; the story of each is on its run's page. No shopper is named."""

    list_display = ("run_id", "shop", "asset", "refinement", "feedback_verdict", "created_at", "deleted_at")
    list_select_related = ("shop", "asset")
    list_filter = ("feedback_verdict", "shop")
    show_full_result_count = False
    ordering = ("-run_id",)
    fields = (
        "run_id", "shop", "asset", "room_sha256", "tap_x", "tap_y", "hint", "refinement", "consent_text_hash",
        "consent_at", "feedback_verdict", "feedback_issue", "feedback_comment", "feedback_at", "created_at",
        "deleted_at",
    )  # fmt: skip
    readonly_fields = fields

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: CompositeRun | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: CompositeRun | None = None) -> bool:
        return False
