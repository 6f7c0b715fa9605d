"""The trace in the operator console. Everything here is read-only: the engine writes it, people read it."""

from typing import Any, ClassVar

from django.apps import apps
from django.contrib import admin, messages
from django.contrib.admin.utils import unquote
from django.contrib.admin.views.main import ChangeList
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from monitor import metric_admin, pipeline_admin, schema_admin  # noqa: F401 - register themselves
from monitor.keyset import AFTER, BEFORE, KeysetPage, read_page
from monitor.known_values import known_values
from monitor.run_filters import RunQuestion
from monitor.run_list import BACK, back_query, read_run_list
from monitor.run_page import read_run_page
from monitor.templatetags.console import age, duration, known, percent, pill, short
from runs.models import Artifact, Run, RunError, Step, Worker

# The queue's own tables hold hints, not truth: an operator who trusted them would look in the wrong place.
for queue_model in apps.get_app_config("django_q").get_models():
    if admin.site.is_registered(queue_model):
        admin.site.unregister(queue_model)


class NoCount(Paginator):
    """Stands where Django's admin wants a paginator; pages go by key, so nothing is ever counted."""

    count = 0


class KeysetChangeList(ChangeList):
    """A change list that reads its page by key, newest first."""

    keyset: KeysetPage

    def get_filters_params(self, params: dict[str, Any] | None = None) -> dict[str, Any]:
        """Position is no filter."""
        found = super().get_filters_params(params)
        return {name: value for name, value in found.items() if name not in (BEFORE, AFTER)}

    def get_results(self, request: HttpRequest) -> None:
        """One page, by id."""
        self.keyset = read_page(self.queryset.order_by(), request.GET, self.list_per_page)
        self.result_list = self.keyset.rows
        self.result_count = len(self.keyset.rows)
        self.full_result_count = None
        self.show_admin_actions = False
        self.can_show_all = self.multi_page = False
        self.paginator = NoCount([], self.list_per_page)


class TraceAdmin(admin.ModelAdmin):
    """Read-only, by key, without counts; every column comes from the row or one join."""

    list_per_page = 50
    show_full_result_count = False
    sortable_by = ()
    actions = None
    paginator: ClassVar[type[Paginator]] = NoCount

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return KeysetChangeList

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def back_to_list(self, request: HttpRequest) -> HttpResponse:
        """Where an address names nothing that exists (any more)."""
        messages.warning(request, f"There is no such {self.opts.verbose_name}.")
        return HttpResponseRedirect(reverse(f"admin:{self.opts.app_label}_{self.opts.model_name}_changelist"))

    @admin.display(description="Run")
    def run_link(self, row: Any) -> SafeString:
        """The run's page, by what it is about."""
        url = reverse("admin:runs_run_change", args=[str(row.run_id)])
        return format_html('<a href="{}">{}</a>', url, row.run.subject_label or short(row.run_id))

    @admin.display(description="Age")
    def age(self, row: Any) -> Any:
        return age(row.created_at)


@admin.register(Run)
class RunAdmin(TraceAdmin):
    """The run list and the run page: our own pages, under Django's addresses and permissions."""

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Runs by filter; a pasted id or reference leads straight to its page, a spoken time to its figures."""
        self._check(request)
        question = RunQuestion.read(request.GET)
        if question.named and question.named.only:
            url = reverse("admin:runs_run_change", args=[str(question.named.only)])
            return HttpResponseRedirect(url + question.named.anchor)
        if question.settled_query is not None:
            return HttpResponseRedirect(f"?{question.settled_query}")
        return self._page(request, "monitor/run_list.html", title="Runs", list=read_run_list(question))

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """One run with everything that is recorded about it."""
        self._check(request)
        run = self.get_object(request, unquote(object_id))
        if run is None:
            return self.back_to_list(request)
        title = f"{run.subject_label or run.pipeline_slug}, {run.status}"
        filters = request.GET.get(BACK, "")
        context = {"run": run, "page": read_run_page(run), "filters": filters, "back": back_query(filters)}
        return self._page(request, "monitor/run_page.html", title=title, **context)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Run]:
        related = ("pipeline", "pipeline_version", "shop", "parent")
        return super().get_queryset(request).select_related(*related)

    def _check(self, request: HttpRequest) -> None:
        if not self.has_view_permission(request):
            raise PermissionDenied

    def _page(self, request: HttpRequest, template: str, **context: Any) -> HttpResponse:
        request.current_app = self.admin_site.name
        return TemplateResponse(request, template, {**self.admin_site.each_context(request), "opts": self.opts,
                                                    **context})  # fmt: skip


class DropRatio(admin.SimpleListFilter):
    """The decision query: which filter steps dropped almost everything?"""

    title = "how much was dropped"
    parameter_name = "dropped"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("0.9", "filters that dropped more than 90 %"), ("0.5", "filters that dropped more than 50 %")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Step]) -> QuerySet[Step]:
        ratio = self.value()
        return queryset.filter(type=Step.Type.FILTER, drop_ratio__gt=float(ratio)) if ratio else queryset


@admin.register(Step)
class StepAdmin(TraceAdmin):
    """Decisions across all pipelines; a step's own page is its place on the run page."""

    list_display = ("step", "run_link", "kind", "state", "candidates", "dropped", "why", "model",
                    "latency", "age")  # fmt: skip
    list_display_links = None
    list_select_related = ("run",)
    list_filter = (DropRatio, "type", "status")

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """A step is read on its run's page."""
        step = self.get_object(request, unquote(object_id))
        if step is None:
            return self.back_to_list(request)
        return HttpResponseRedirect(_place(step))

    @admin.display(description="Step")
    def step(self, row: Step) -> SafeString:
        return format_html('<a href="{}">{}</a><span class="under">{}</span>', _place(row), row, row.pipeline_slug)

    @admin.display(description="Type")
    def kind(self, row: Step) -> SafeString:
        return format_html('<span class="tag">{}</span>', row.type)

    @admin.display(description="Status")
    def state(self, row: Step) -> SafeString:
        return pill(row.status)

    @admin.display(description="In → out", empty_value="")
    def candidates(self, row: Step) -> str | None:
        return None if row.candidates_in is None else f"{row.candidates_in} → {row.candidates_out}"

    @admin.display(description="Dropped", empty_value="")
    def dropped(self, row: Step) -> Any:
        return None if row.drop_ratio is None else percent(row.drop_ratio)

    @admin.display(description="Time", empty_value="")
    def latency(self, row: Step) -> Any:
        return None if row.latency_ms is None else duration(row.latency_ms)


def _place(step: Step) -> str:
    return reverse("admin:runs_run_change", args=[str(step.run_id)]) + f"#step-{step.pk}"


class ErrorCode(admin.SimpleListFilter):
    """By code, from the codes that were ever recorded."""

    title = "code"
    parameter_name = "code"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(code, code) for code in known_values("runs_runerror", "code")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[RunError]) -> QuerySet[RunError]:
        return queryset.filter(code=self.value()) if self.value() else queryset


@admin.register(RunError)
class RunErrorAdmin(TraceAdmin):
    """Every attempt that failed, whether or not its run came through in the end."""

    list_display = ("code", "stage", "attempt", "message", "run_link", "model", "retryable", "age")
    list_display_links = None
    list_select_related = ("run",)
    list_filter = (ErrorCode, "retryable")


@admin.register(Artifact)
class ArtifactAdmin(TraceAdmin):
    """Evidence by reference; the bytes are downloads."""

    list_display = ("download", "role", "run_link", "attempt", "kind", "age")
    list_display_links = None
    list_select_related = ("run", "blob")
    list_filter = ("role",)

    @admin.display(description="Name")
    def download(self, row: Artifact) -> SafeString:
        name = row.name[:32]
        if row.blob_id is None:
            return format_html('{} <span class="unknown">gone</span>', name)
        return format_html('<a href="{}" download>{}</a>', reverse("admin:monitor_artifact", args=[str(row.pk)]), name)

    @admin.display(description="Kind")
    def kind(self, row: Artifact) -> Any:
        return known(row.blob.media_type if row.blob else None)


@admin.register(Worker)
class WorkerAdmin(TraceAdmin):
    """Worker processes by their last heartbeat."""

    list_display = ("name", "host", "pid", "runs_in_flight", "beat", "since")
    list_display_links = None

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        """A handful of rows with names for keys: Django's own list serves."""
        return ChangeList

    paginator: ClassVar[type[Paginator]] = Paginator

    @admin.display(description="Last heartbeat")
    def beat(self, row: Worker) -> Any:
        return age(row.beat_at)

    @admin.display(description="Up since")
    def since(self, row: Worker) -> Any:
        return age(row.started_at)
