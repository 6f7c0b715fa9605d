"""Pipelines in the operator console. Runs, steps and artifacts are shown by `monitor`."""

import json
from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.utils.html import format_html

from runs.models import Pipeline, PipelineVersion


class ReadOnlyAdmin(admin.ModelAdmin):
    """Pipelines are published by command from files; nothing is changed here."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(Pipeline)
class PipelineAdmin(ReadOnlyAdmin):
    """Read-only: which pipelines there are, and what reporters of external ones declare."""

    list_display = ("slug", "kind", "description", "created_at")
    fields = ("slug", "kind", "description", "declared_keys", "created_at")

    @admin.display(description="Declared keys")
    def declared_keys(self, pipeline: Pipeline) -> str:
        """What an external pipeline's steps may report."""
        return _pretty(pipeline.declared)


@admin.register(PipelineVersion)
class PipelineVersionAdmin(ReadOnlyAdmin):
    """Read-only: every DAG that was ever published, the active one marked."""

    list_display = ("__str__", "active", "nodes", "published_at", "published_by", "dag_sha256")
    list_select_related = ("pipeline",)
    list_filter = ("active", "pipeline")
    fields = ("pipeline", "number", "active", "published_at", "published_by", "dag_sha256", "dag_text")

    @admin.display(description="Nodes")
    def nodes(self, version: PipelineVersion) -> str:
        """The node keys in the file's order."""
        return " → ".join(node["key"] for node in version.dag.get("nodes", []))

    @admin.display(description="DAG")
    def dag_text(self, version: PipelineVersion) -> str:
        """The published JSON, indented."""
        return _pretty(version.dag)


def _pretty(value: Any) -> str:
    return format_html("<pre>{}</pre>", json.dumps(value, indent=2, ensure_ascii=False))
