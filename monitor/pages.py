"""Pages of the console that belong to no single model."""

from typing import Any

from django.contrib import messages
from django.contrib.admin import AdminSite, site
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse

from core.ids import parse_id
from monitor.error_groups import read_error_page
from monitor.evidence import find_or_404, for_readers
from monitor.experiments import PERIODS, read_experiments
from monitor.groups import read_group
from monitor.model_routes import read_models
from monitor.queue import read_queue
from monitor.run_list import BACK, back_query, find_neighbour
from runs.models import Run


@for_readers
def group(request: HttpRequest, group_id: str) -> HttpResponse:
    """How a group of runs is getting on."""
    try:
        found = read_group(parse_id(group_id))
    except ValueError:
        found = None
    if found is None:
        messages.warning(request, "There is no such group of runs.")
        return HttpResponseRedirect(reverse("admin:runs_run_changelist"))
    return console_page(request, "monitor/group_page.html", title=f"Group, {found.percent} % done", group=found)


@for_readers
def errors(request: HttpRequest) -> HttpResponse:
    """Failures by what makes them alike."""
    return console_page(request, "monitor/error_page.html", title="Errors", errors=read_error_page(request.GET))


@for_readers
def older(request: HttpRequest, run_id: str) -> HttpResponse:
    """To the run below in the list that a run's page was opened from."""
    return _beside(request, run_id, older=True)


@for_readers
def newer(request: HttpRequest, run_id: str) -> HttpResponse:
    """To the run above in the list that a run's page was opened from."""
    return _beside(request, run_id, older=False)


def _beside(request: HttpRequest, run_id: str, *, older: bool) -> HttpResponse:
    run = find_or_404(Run.objects.all(), run_id)
    filters = request.GET.get(BACK, "")
    beside = find_neighbour(run, filters, older=older)
    if beside is None:
        messages.info(request, f"There is no {'older' if older else 'newer'} run in this list.")
    url = reverse("admin:runs_run_change", args=[str((beside or run).pk)])
    return HttpResponseRedirect(url + back_query(filters))


@for_readers
def queue(request: HttpRequest) -> HttpResponse:
    """Who waits, who works on what, and what holds them back."""
    return console_page(request, "monitor/queue_page.html", title="Queue", queue=read_queue())


@for_readers
def models(request: HttpRequest) -> HttpResponse:
    """Who answers which task, how well, and what it costs."""
    return console_page(request, "monitor/models_page.html", title="Models", models=read_models())


@for_readers
def experiments(request: HttpRequest) -> HttpResponse:
    """How the versions of each prompt do, and which may be called better."""
    asked = request.GET.get("days", "")
    days = int(asked) if asked in {str(period) for period in PERIODS} else PERIODS[1]
    cards = read_experiments(days)
    return console_page(
        request, "monitor/experiments.html", title="Experiments", cards=cards, periods=PERIODS, chosen=days
    )


def console_page(request: HttpRequest, template: str, console: AdminSite = site, **context: Any) -> HttpResponse:
    """A page inside the console's frame."""
    request.current_app = console.name
    return TemplateResponse(request, template, {**console.each_context(request), **context})
