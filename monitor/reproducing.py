"""Replays and bundles from the console: reproduce a run, take it along, bring one in."""

from typing import Any
from zipfile import is_zipfile

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.core.files.uploadedfile import UploadedFile
from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect, StreamingHttpResponse
from django.urls import reverse
from django.views.decorators.http import require_safe

from core.errors import SeeItError
from monitor.evidence import SANDBOX, find_or_404
from monitor.pages import console_page
from monitor.steering import by_operators, go_to, log_change, refusal
from runs.bundles.layout import MAX_TOTAL, BundleTooLarge, BundleUnreadable
from runs.bundles.packing import bundle_name, pack_run
from runs.bundles.unpacking import import_bundle
from runs.models import Run
from runs.replaying import start_replay

PACKED = ("pipeline", "pipeline_version", "shop")


def page_url(run: Run) -> str:
    """A run's page."""
    return reverse("admin:runs_run_change", args=[str(run.pk)])


@by_operators("runs.change_run")
def reproduce(request: HttpRequest, run_id: str) -> HttpResponse:
    """Start the replay of a run that has ended, and go to its page, where the verdict will be."""
    run = find_or_404(Run.objects.all(), run_id)
    replay = start_replay(run, by=request.user.get_username())
    log_change(request, [run], f"Reproduced as {replay.pk}")
    return go_to(page_url(replay))


@require_safe
def bundle(request: HttpRequest, run_id: str) -> HttpResponseBase:
    """Everything about a run that has ended, as a zip; `?photos=no` leaves out what shows a shopper's room."""
    if not request.user.has_perm("runs.view_run"):
        raise PermissionDenied
    run = find_or_404(Run.objects.select_related(*PACKED), run_id)
    if not run.is_over:
        return refusal("This run has not ended yet: its bundle would be half a story.", 409)
    return bundle_response(run, photos=request.GET.get("photos") != "no")


def bundle_response(run: Run, *, photos: bool) -> StreamingHttpResponse:
    """A run's bundle as a download, sent as it is packed."""
    headers = {
        "Content-Disposition": f'attachment; filename="{bundle_name(run)}"',
        "Content-Security-Policy": SANDBOX,
        "Cache-Control": "private, no-store",
    }
    return StreamingHttpResponse(pack_run(run, photos=photos), content_type="application/zip", headers=headers)


class BundleForm(forms.Form):
    """One zip."""

    bundle = forms.FileField(label="Bundle", help_text="The zip that a run's page offers as “Download bundle”.")


def import_page(request: HttpRequest) -> HttpResponseBase:
    """Bring in a bundle; only for staff who may add runs."""
    if not request.user.has_perm("runs.add_run"):
        raise PermissionDenied
    form = BundleForm(request.POST or None, request.FILES or None)
    problem: SeeItError | None = None
    if request.method == "POST" and form.is_valid():
        try:
            run, created = _take_in(form.cleaned_data["bundle"], request.user.get_username())
        except SeeItError as error:
            problem = error
        else:
            if created:
                log_change(request, [run], "Imported from a bundle")
            messages.success(request, "The run is imported." if created else "This run was here already.")
            return HttpResponseRedirect(page_url(run))
    context: dict[str, Any] = {"title": "Import a run", "form": form, "problem": problem}
    answer = console_page(request, "monitor/import_page.html", **context)
    answer.status_code = problem.status if problem else 200
    return answer


def _take_in(file: UploadedFile, by: str) -> tuple[Run, bool]:
    if (file.size or 0) > MAX_TOTAL:
        raise BundleTooLarge(f"A bundle has at most {MAX_TOTAL >> 20} MB.")
    if file.file is None or not is_zipfile(file.file):
        raise BundleUnreadable()
    return import_bundle(file.file, by=by)
