"""IR schemas in the operator console: what is in force for each target, and a page for every version."""

from typing import Any

from django.contrib import admin
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse

from irschemas.models import IRSchema
from monitor.evidence import find_or_404
from monitor.pages import console_page
from monitor.schema_views import edit
from monitor.schemas import read_schema, read_targets


@admin.register(IRSchema)
class IRSchemaAdmin(admin.ModelAdmin):
    """Drafts change; a version that was ever in force is read-only, and is changed by making a new one from it.

    Everything is written by services behind our own pages, none of Django's forms is used. Nothing is deleted: steps
    name their schema for ever.
    """

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nobody deletes a schema."""
        return False

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Each target with the version in force."""
        self._require_view(request)
        return console_page(request, "monitor/schema_list.html", title="Schemas", opts=self.opts, rows=read_targets())

    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """The editor, empty."""
        return edit(request)

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """A version's page; `?against=` names another one of its target to compare with."""
        self._require_view(request)
        if request.method != "GET":
            raise PermissionDenied
        rows = IRSchema.objects.select_related("created_by", "activated_by")
        schema = find_or_404(rows, unquote(object_id))
        wanted = request.GET.get("against")
        against = find_or_404(rows.for_targets([schema.target]), wanted) if wanted else None
        if against is not None and against.pk == schema.pk:
            raise Http404
        page = read_schema(schema, against)
        return console_page(request, "monitor/schema_page.html", title=str(schema), opts=self.opts, page=page)

    def _require_view(self, request: HttpRequest) -> None:
        if not self.has_view_permission(request):
            raise PermissionDenied
