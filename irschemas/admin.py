"""Metrics and profiles in the operator console."""

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from irschemas.models import MetricDefinition, MetricProfile, MetricProfileItem


@admin.register(MetricDefinition)
class MetricDefinitionAdmin(admin.ModelAdmin):
    """What each number means. Texts and aims can be edited; the key cannot, since results name it; none is deleted.

    A definition that was edited here is no longer overwritten by the library.
    """

    list_display = ("key", "name", "unit", "direction", "target", "aggregation", "scope", "evaluator")
    list_filter = ("scope", "direction")
    search_fields = ("key", "name", "description")
    show_full_result_count = False

    def get_readonly_fields(self, request: HttpRequest, obj: MetricDefinition | None = None) -> tuple[str, ...]:
        """The key is set once."""
        return ("key",) if obj else ()

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nobody deletes a metric."""
        return False


class MetricProfileItemInline(admin.TabularInline):
    """The metrics of a profile with their thresholds."""

    model = MetricProfileItem
    extra = 0
    fields = ("metric", "threshold", "must_pass", "weight")

    def get_queryset(self, request: HttpRequest) -> QuerySet[MetricProfileItem]:
        """Each with its metric, whose key is its title."""
        return super().get_queryset(request).select_related("metric")


@admin.register(MetricProfile)
class MetricProfileAdmin(admin.ModelAdmin):
    """Quality gates: thresholds can be edited and take effect with the next attempt; the key cannot; none is deleted.

    A profile that was edited here is no longer overwritten by the library. Past results keep the threshold they met.
    """

    list_display = ("key", "description", "updated_at")
    search_fields = ("key", "description")
    fields = ("key", "description")
    inlines = (MetricProfileItemInline,)
    show_full_result_count = False

    def get_readonly_fields(self, request: HttpRequest, obj: MetricProfile | None = None) -> tuple[str, ...]:
        """The key is set once: pipelines name it."""
        return ("key",) if obj else ()

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nobody deletes a profile."""
        return False
