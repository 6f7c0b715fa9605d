"""Schemas, metrics and profiles in the operator console."""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.html import format_html

from core.errors import SeeItError
from irschemas import layout, strict_json
from irschemas.lint import lint_schema
from irschemas.models import IRSchema, MetricDefinition, MetricProfile, MetricProfileItem
from irschemas.services import activate_schema, create_schema, edit_schema


class SchemaField(forms.CharField):
    """A JSON Schema as indented text; every problem is shown at once."""

    def __init__(self, **kwargs: Any) -> None:
        kwargs.setdefault("widget", forms.Textarea(attrs={"rows": 34, "cols": 110, "spellcheck": "false"}))
        super().__init__(**kwargs)

    def prepare_value(self, value: Any) -> Any:
        """Text as it was typed, a stored schema indented."""
        return layout.schema_text(value) if isinstance(value, dict) else value

    def clean(self, value: Any) -> dict[str, Any]:
        """The schema, or all that is wrong with it."""
        text = super().clean(value)
        try:
            schema = strict_json.parse(text)
        except SeeItError as error:
            raise ValidationError(error.message, code=error.code) from error
        if problems := lint_schema(schema):
            raise ValidationError([ValidationError(problem, code=problem.split()[0]) for problem in problems])
        return dict(schema)

    def has_changed(self, initial: Any, data: Any) -> bool:
        """Compared as JSON, not as text."""
        try:
            return bool(strict_json.parse(data or "") != initial)
        except SeeItError:
            return True


class IRSchemaForm(forms.ModelForm):
    """Target, name and schema of a draft."""

    schema = SchemaField(help_text="JSON Schema, Draft 2020-12. Objects are closed, references stay inside.")

    class Meta:
        model = IRSchema
        fields = ("target", "name", "schema")


@admin.register(IRSchema)
class IRSchemaAdmin(admin.ModelAdmin):
    """Drafts can be edited; a version that was ever in force is read-only, and is changed by making a new one from it.

    Activating retires the version before, as one step. Nothing is deleted: steps name their schema for ever.
    """

    form = IRSchemaForm
    list_display = ("target", "version", "name", "status", "origin", "activated_at", "activated_by")
    list_filter = ("status", "origin")
    list_select_related = ("activated_by",)
    search_fields = ("target", "name", "sha256")
    ordering = ("target", "-version")
    actions = ("activate", "new_version")
    show_full_result_count = False
    facts = ("version", "status", "origin", "sha256", "created_at", "created_by", "activated_at", "activated_by")

    def has_change_permission(self, request: HttpRequest, obj: IRSchema | None = None) -> bool:
        """Only drafts change."""
        return super().has_change_permission(request, obj) and (obj is None or obj.is_draft)

    def get_fields(self, request: HttpRequest, obj: IRSchema | None = None) -> tuple[str, ...]:
        """A new one needs three fields; the rest is told afterwards."""
        if obj is None:
            return ("target", "name", "schema")
        return ("target", "name", "schema" if self.has_change_permission(request, obj) else "schema_text", *self.facts)

    def get_readonly_fields(self, request: HttpRequest, obj: IRSchema | None = None) -> tuple[str, ...]:
        """A target never changes."""
        return ("target", "schema_text", *self.facts) if obj else ()

    @admin.display(description="schema")
    def schema_text(self, obj: IRSchema) -> str:
        """The schema, indented."""
        return format_html("<pre>{}</pre>", layout.schema_text(obj.schema))

    def save_model(self, request: HttpRequest, obj: IRSchema, form: Any, change: bool) -> None:
        """Written by the services, so that versions are counted and locked in one place."""
        saved = (
            edit_schema(schema_id=obj.pk, schema=obj.schema, name=obj.name, by=_user(request))
            if change
            else create_schema(target=obj.target, name=obj.name, schema=obj.schema, by=_user(request))
        )
        obj.pk, obj.version, obj.sha256, obj.status = saved.pk, saved.version, saved.sha256, saved.status

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> Any:
        """What a service refuses becomes a message on the page."""
        try:
            return super().changeform_view(request, object_id, form_url, extra_context)
        except SeeItError as error:
            self.message_user(request, error.message, messages.ERROR)
            return HttpResponseRedirect(request.get_full_path())

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nobody deletes a schema."""
        return False

    @admin.action(description="Activate the selected versions", permissions=["change"])
    def activate(self, request: HttpRequest, queryset: QuerySet[IRSchema]) -> None:
        """Put each in force; at most one a target can be chosen."""
        chosen = list(queryset)
        if len({schema.target for schema in chosen}) < len(chosen):
            self.message_user(request, "Choose at most one version of each target.", messages.ERROR)
            return
        for schema in chosen:
            try:
                activate_schema(schema_id=schema.pk, by=_user(request))
            except SeeItError as error:
                self.message_user(request, f"Not activated: {schema}. {error.message}", messages.ERROR)
                continue
            self.log_change(request, schema, "Activated.")
            self.message_user(request, f"Now in force: {schema}.", messages.SUCCESS)

    @admin.action(description="Make a new version from the selected one", permissions=["add"])
    def new_version(self, request: HttpRequest, queryset: QuerySet[IRSchema]) -> HttpResponse | None:
        """Open the form for a new version, filled with the chosen one."""
        chosen = list(queryset[:2])
        if len(chosen) != 1:
            self.message_user(request, "Choose exactly one version to start from.", messages.ERROR)
            return None
        return HttpResponseRedirect(reverse("admin:irschemas_irschema_add") + f"?from={chosen[0].pk}")

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        """The form filled from the version named by `?from=`."""
        source = IRSchema.objects.filter(pk=request.GET["from"]).first() if _is_id(request.GET.get("from")) else None
        if source is None:
            return {}
        return {"target": source.target, "name": source.name, "schema": source.schema}


def _user(request: HttpRequest) -> Any:
    """Who is signed in; the admin lets nobody else in."""
    return request.user


def _is_id(text: str | None) -> bool:
    """Whether a query parameter can be a schema's id."""
    try:
        IRSchema._meta.pk.to_python(text)
    except ValidationError:
        return False
    return text is not None


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
