"""The re-run page: choose where, change what, see what it does and costs, and start it; everyone makes a fork."""

from typing import Any

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse

from core.errors import SeeItError
from monitor.evidence import find_or_404
from monitor.fork_draft import read_draft, refused
from monitor.fork_page import preview_fork, read_fork_page
from monitor.pages import console_page
from monitor.steering import RUNS, by_operators, go_to, log_change
from runs.fork_plan import plan_fork
from runs.models import Run
from runs.rerunning import rerun_run

RERUN = "runs.change_run"


def page(request: HttpRequest, run_id: str) -> HttpResponse:
    """The page, with the editors of `?from=`; posting to it starts the fork."""
    if not request.user.has_perm(RERUN):
        raise PermissionDenied
    if request.method == "POST":
        return start(request, run_id)
    run = _run(run_id)
    try:
        base = plan_fork(run, from_node=request.GET.get("from", "").strip() or None)
        found = read_fork_page(run, read_draft(base, {"from": request.GET.get("from", "")}))
    except SeeItError as error:
        return console_page(
            request, "monitor/rerun_page.html", title="Run again", run=run, page=None, refusal=refused(error)
        )
    return console_page(request, "monitor/rerun_page.html", title="Run again", run=run, page=found)


@by_operators(RERUN)
def check(request: HttpRequest, run_id: str) -> HttpResponse:
    """What is typed, filled in and held against the run, and what starting it would do and cost."""
    run = _run(run_id)
    base = plan_fork(run)
    nodes, preview = preview_fork(base, read_draft(base, request.POST.dict()))
    return render(request, "monitor/_fork_answer.html", {"run": run, "nodes": nodes, "preview": preview})


@by_operators(RERUN)
def start(request: HttpRequest, run_id: str) -> HttpResponse:
    """Start the fork and go to the comparison, which follows it; what is refused stands on the page."""
    run = _run(run_id)
    base = plan_fork(run)
    draft = read_draft(base, request.POST.dict())
    nodes, preview = preview_fork(base, draft)
    if not preview.problems:
        try:
            by = request.user.get_username()
            fork = rerun_run(run, from_node=draft.from_node or None, by=by, changes=draft.changes)
        except SeeItError as error:
            preview.problems.append(refused(error))
        else:
            told = f" ({'; '.join(preview.changed)})" if preview.changed else ""
            log_change(request, [run], f"Run again from {fork.fork_node}: {fork.pk}{told}"[:2000])
            return go_to(reverse("admin:monitor_compare", args=[str(run.pk), str(fork.pk)]))
    return render(request, "monitor/_fork_answer.html", {"run": run, "nodes": nodes, "preview": preview})


def _run(run_id: str) -> Any:
    return find_or_404(Run.objects.select_related(*RUNS), run_id)
