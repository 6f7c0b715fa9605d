"""Metrics and quality gates in the operator console."""

from datetime import datetime
from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied, ValidationError
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.utils.html import format_html_join

from irschemas.metrics import registered_evaluators
from irschemas.models import MetricDefinition, MetricProfile
from irschemas.profiles import EDITABLE, definition_problems, save_definition
from monitor.gate_views import gate_url, used_by
from monitor.gates import read_gate, read_gates
from monitor.pages import console_page


class DefinitionForm(forms.ModelForm):
    """A metric's texts and aims; the evaluators are those that this release registers."""

    evaluator = forms.ChoiceField(required=False, help_text="Which function of the code computes it.")
    seen = forms.CharField(required=False, widget=forms.HiddenInput)

    class Meta:
        model = MetricDefinition
        fields = ("key", *EDITABLE)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        known = registered_evaluators()
        if (mine := self.instance.evaluator) and mine not in known:
            known = [*known, mine]
        self.fields["evaluator"].choices = [("", "none: the engine records it"), *((key, key) for key in known)]  # type: ignore[attr-defined]
        if self.instance.pk:
            self.fields["seen"].initial = self.instance.updated_at.isoformat()

    def clean(self) -> dict[str, Any]:
        """What could never work, and what somebody else has changed since the page was opened."""
        cleaned = super().clean() or {}
        row = MetricDefinition.objects.filter(pk=self.instance.pk).first() if self.instance.pk else None
        if row is not None and cleaned.get("seen") and cleaned["seen"] != row.updated_at.isoformat():
            raise ValidationError(
                "Somebody else changed this metric since you opened the page. Open it again; nothing was saved."
            )
        if problems := list(definition_problems(row, cleaned)):
            raise ValidationError(problems)
        return cleaned


@admin.register(MetricDefinition)
class MetricDefinitionAdmin(admin.ModelAdmin):
    """What each number means. The key cannot change, since results name it; none is deleted.

    What a gate asks for keeps its direction and its evaluator. A definition that was edited here is no longer
    overwritten by the library.
    """

    form = DefinitionForm
    list_display = ("key", "name", "unit", "direction", "target", "aggregation", "scope", "evaluator")
    list_filter = ("scope", "direction")
    search_fields = ("key", "name", "description")
    fields = ("key", *EDITABLE, "seen")
    show_full_result_count = False

    def get_fields(self, request: HttpRequest, obj: MetricDefinition | None = None) -> tuple[str, ...]:
        """Which gates ask for it, once it exists."""
        return (*self.fields, "gates") if obj else self.fields

    def get_readonly_fields(self, request: HttpRequest, obj: MetricDefinition | None = None) -> tuple[str, ...]:
        """The key is set once."""
        return ("key", "gates") if obj else ()

    @admin.display(description="Gates")
    def gates(self, obj: MetricDefinition) -> str:
        """Where it is asked for, now."""
        found = [(gate_url(profile), profile.key) for profile in used_by(obj)]
        return format_html_join(", ", '<a href="{}">{}</a>', found) or "none"

    def save_model(self, request: HttpRequest, obj: MetricDefinition, form: Any, change: bool) -> None:
        """Written by the service, which looks once more whether somebody was faster."""
        seen = form.cleaned_data.get("seen")
        saved = save_definition(
            row=MetricDefinition.objects.get(pk=obj.pk) if change else None,
            key=obj.key,
            fields={name: form.cleaned_data[name] for name in EDITABLE},
            seen=datetime.fromisoformat(seen) if seen else None,
        )
        obj.pk = saved.pk

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nobody deletes a metric."""
        return False


@admin.register(MetricProfile)
class MetricProfileAdmin(admin.ModelAdmin):
    """Quality gates. A change is a new revision: runs that start after it are judged by it, all others keep theirs.

    Everything is written by services behind our own pages. Nothing is deleted.
    """

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nobody deletes a gate."""
        return False

    def get_queryset(self, request: HttpRequest) -> QuerySet[MetricProfile]:
        """All revisions, with what they ask."""
        return MetricProfile.objects.with_items().select_related("created_by")

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Each gate in force, and the evaluators that this release has."""
        self._require(self.has_view_permission(request))
        metrics: dict[str, list[str]] = {key: [] for key in registered_evaluators()}
        for key, evaluator in MetricDefinition.objects.exclude(evaluator="").values_list("key", "evaluator"):
            metrics.setdefault(evaluator, []).append(key)
        return console_page(
            request, "monitor/gate_list.html", title="Gates", opts=self.opts, rows=read_gates(),
            evaluators=[(key, names, key in registered_evaluators()) for key, names in metrics.items()],
        )  # fmt: skip

    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """An empty gate."""
        self._require(self.has_add_permission(request))
        return console_page(request, "monitor/gate_page.html", title="New gate", page=read_gate(None), may=True)

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """A revision in a form; an older one is where a new one may begin."""
        self._require(self.has_view_permission(request) and request.method == "GET")
        profile = self.get_object(request, unquote(object_id))
        if profile is None:
            raise Http404
        may = self.has_change_permission(request)
        return console_page(
            request, "monitor/gate_page.html", title=str(profile), opts=self.opts, page=read_gate(profile), may=may
        )

    def _require(self, allowed: bool) -> None:
        if not allowed:
            raise PermissionDenied
