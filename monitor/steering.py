"""What an operator does to runs from their pages: each asks for the permission, calls a service and answers the page.

A refusal is plain text with its status: the page shows it in the dialog that asked.
"""

from collections.abc import Callable, Iterable
from functools import wraps
from typing import Any

from django.contrib.admin.models import CHANGE, LogEntry
from django.core.exceptions import PermissionDenied
from django.db.models import Model
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.shortcuts import render

from core.errors import SeeItError
from core.ids import Ulid, parse_id
from monitor.evidence import find_or_404, for_readers
from monitor.groups import read_group
from monitor.run_page import read_run_page
from runs.cancelling import cancel_run
from runs.groups import cancel_group, rerun_failed
from runs.models import Run

View = Callable[..., HttpResponse]
RUNS = ("pipeline", "pipeline_version", "shop", "parent")


def by_operators(permission: str) -> Callable[[View], View]:
    """Only posted, and only by staff with a permission; what a service refuses is said in its words."""

    def decorate(view: View) -> View:
        @wraps(view)
        def checked(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
            if not request.user.has_perm(permission):
                raise PermissionDenied
            if request.method != "POST":
                return HttpResponseNotAllowed(["POST"])
            try:
                return view(request, *args, **kwargs)
            except SeeItError as error:
                return refusal(error.message, error.status)

        return checked

    return decorate


def refusal(text: str, status: int = 422) -> HttpResponse:
    """Why something was not done, for the dialog that asked."""
    return HttpResponse(text, status=status, content_type="text/plain; charset=utf-8")


def go_to(url: str) -> HttpResponse:
    """Lead the page elsewhere."""
    return HttpResponse(status=204, headers={"HX-Redirect": url})


def given_reason(request: HttpRequest) -> str:
    """The reason that was typed, on one line; empty when there is none."""
    return " ".join(request.POST.get("reason", "").replace("\0", "").split())[:500]


def log_change(request: HttpRequest, rows: Iterable[Model], text: str) -> None:
    """Who did it, in the admin's own log."""
    LogEntry.objects.log_actions(request.user.pk or 0, rows, CHANGE, text, single_object=True)


@by_operators("runs.change_run")
def cancel(request: HttpRequest, run_id: str) -> HttpResponse:
    """End a run that waits or runs; the reason is kept on the run."""
    run = find_or_404(Run.objects.all(), run_id)
    reason = given_reason(request)
    if not reason:
        return refusal("Say why: the reason stays with the run.")
    done = cancel_run(run.pk, by=request.user.get_username(), reason=reason)
    if done:
        log_change(request, [run], f"Cancelled: {reason}")
    run = Run.objects.select_related(*RUNS).get(pk=run.pk)
    notice = "The run is cancelled." if done else f"Nothing was cancelled: the run had ended before, {run.status}."
    return render(request, "monitor/_run_answer.html", {"run": run, "page": read_run_page(run), "notice": notice})


@by_operators("runs.change_run")
def cancel_all(request: HttpRequest, group_id: str) -> HttpResponse:
    """End what of a group waits or runs."""
    group, reason = _group_id(group_id), given_reason(request)
    if not reason:
        return refusal("Say why: the reason stays with every run.")
    open_runs = list(Run.objects.unfinished().filter(run_group_id=group).only("pk")[:1])
    number = cancel_group(group, by=request.user.get_username(), reason=reason)
    if number:
        log_change(request, open_runs, f"Cancelled {number} of group {group}: {reason}")
    return _group_answer(request, group, f"{number} run{'' if number == 1 else 's'} cancelled.")


@by_operators("runs.change_run")
def rerun_all(request: HttpRequest, group_id: str) -> HttpResponse:
    """Run the failed of a group again, each from where it failed."""
    group = _group_id(group_id)
    outcome = rerun_failed(group, by=request.user.get_username())
    if outcome.forks:
        log_change(request, outcome.forks[:1], f"Ran {len(outcome.forks)} failed of group {group} again")
    notice = f"{len(outcome.forks)} run again."
    if outcome.refused:
        why = sorted({error.message for error in outcome.refused.values()})
        notice += f" {len(outcome.refused)} could not be: {' '.join(why[:3])}"
    return _group_answer(request, group, notice)


@for_readers
def group_live(request: HttpRequest, group_id: str) -> HttpResponse:
    """The moving part of a group's page."""
    return _group_answer(request, _group_id(group_id))


def _group_id(text: str) -> Ulid:
    try:
        return parse_id(text)
    except ValueError as error:
        raise Http404 from error


def _group_answer(request: HttpRequest, group_id: Ulid, notice: str = "") -> HttpResponse:
    group = read_group(group_id)
    if group is None:
        raise Http404
    return render(request, "monitor/_group_answer.html", {"group": group, "notice": notice})
