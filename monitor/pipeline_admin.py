"""Pipelines in the operator console: versions are looked at, drafted, published and activated; none is changed."""

import json
from typing import Any

from django.contrib import admin
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from monitor.pages import console_page
from monitor.pipelines import read_pipelines, read_version
from runs.models import Pipeline, PipelineVersion


class ReadOnlyAdmin(admin.ModelAdmin):
    """Nothing is changed by a form of Django's; what may be done are services with buttons of their own."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def require_view(self, request: HttpRequest) -> None:
        """Raises PermissionDenied for who may not even look."""
        if not self.has_view_permission(request):
            raise PermissionDenied


@admin.register(Pipeline)
class PipelineAdmin(ReadOnlyAdmin):
    """The pipelines with their versions; a pipeline's page is that of its active version."""

    fields = ("slug", "kind", "description", "declared_keys", "created_at")

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Each pipeline with its active version, and how many runs took which."""
        self.require_view(request)
        return console_page(
            request, "monitor/pipeline_list.html", title="Pipelines", opts=self.opts, rows=read_pipelines()
        )

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """The active version's page; what is executed elsewhere has none, but keys that its steps may report."""
        active = PipelineVersion.objects.filter(pipeline_id=_id_or_none(self, request, object_id), active=True).first()
        if active is None:
            return super().change_view(request, object_id, form_url, extra_context)
        self.require_view(request)
        return HttpResponseRedirect(reverse("admin:runs_pipelineversion_change", args=[str(active.pk)]))

    @admin.display(description="Declared keys")
    def declared_keys(self, pipeline: Pipeline) -> SafeString:
        """What an external pipeline's steps may report."""
        return format_html("<pre>{}</pre>", json.dumps(pipeline.declared, indent=2, ensure_ascii=False))


def _id_or_none(page: admin.ModelAdmin, request: HttpRequest, object_id: str) -> Any:
    found = page.get_object(request, unquote(object_id))
    return found.pk if found is not None else None


@admin.register(PipelineVersion)
class PipelineVersionAdmin(ReadOnlyAdmin):
    """Every DAG that was ever published, the active one marked; its page draws it."""

    list_display = ("__str__", "active", "nodes", "published_at", "published_by", "dag_sha256")
    list_select_related = ("pipeline",)
    list_filter = ("active", "pipeline")

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """The drawing, the nodes in words, the JSON, and what sets it apart from the active version."""
        self.require_view(request)
        versions = PipelineVersion.objects.select_related("pipeline")
        found = self.get_object(request, unquote(object_id))
        if found is None:
            return HttpResponseRedirect(reverse("admin:runs_pipeline_changelist"))
        page = read_version(versions.get(pk=found.pk))
        return console_page(request, "monitor/version_page.html", title=str(page.version), opts=self.opts, page=page)

    @admin.display(description="Nodes")
    def nodes(self, version: PipelineVersion) -> str:
        """The node keys in the file's order."""
        return " → ".join(node["key"] for node in version.dag.get("nodes", []))
