"""The compare page and what it fetches: two runs, live while one of them runs, and the map of two pictures."""

from base64 import b64encode
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse

from core.storage import BlobMissing
from monitor.compare import compare_version, read_compare
from monitor.evidence import FOREVER, PICTURE_TYPES, find_or_404, for_readers
from monitor.finding import find_run
from monitor.pages import console_page
from monitor.patches import DEFAULT_HOURS, lifetimes, read_patches
from monitor.picture_diff import AMPLIFY, MEDIA_TYPE, VISIBLE, diff_blobs
from monitor.thumbnails import NotAPicture
from runs.models import Blob, Run
from runs.querysets import RunQuerySet

VIEWS = ("side", "slide", "blink", "diff")
RELATED = ("pipeline", "pipeline_version", "shop", "parent")


@for_readers
def entrance(request: HttpRequest, run_id: str) -> HttpResponse:
    """From a run to its comparison: with its parent, the shop's last good run, or one that is named."""
    run = find_or_404(Run.objects.select_related("shop"), run_id)
    wanted = " ".join(request.GET.get("with", "").split())
    other, problem = _wanted(run, wanted)
    if other is None or other == run.pk:
        messages.warning(request, "That is this run itself; there is nothing to compare." if other else problem)
        return HttpResponseRedirect(reverse("admin:runs_run_change", args=[str(run.pk)]))
    return HttpResponseRedirect(compare_url(other, run.pk))


def compare_url(before: Any, after: Any) -> str:
    """The page of two runs."""
    return reverse("admin:monitor_compare", args=[str(before), str(after)])


def _wanted(run: Run, wanted: str) -> tuple[Any, str]:
    """The other run's id, or why there is none."""
    if wanted == "parent":
        return run.parent_id, "This run was not forked from another."
    if wanted in ("", "good"):
        good = last_good_run(run)
        return good and good.pk, f"No other {run.pipeline_slug} run of this shop has ended well."
    found = find_run(wanted[:100])
    return found, f"There is no run “{wanted[:60]}”. Paste a whole run id: 26 letters and digits."


def last_good_run(run: Run) -> Run | None:
    """The newest run of the same shop and pipeline that came through whole: of the same subject if there is one,
    before this run if there is one."""
    good: RunQuerySet = Run.objects.shoppers().filter(
        shop=run.shop_id, pipeline_slug=run.pipeline_slug, status=Run.Status.COMPLETED, degraded=False
    )
    good = good.exclude(pk=run.pk).only("pk").order_by("-id")
    subject = good.filter(subject_type=run.subject_type, subject_id=run.subject_id) if run.subject_id else good.none()
    for rows in (subject, good):
        if found := rows.filter(pk__lt=run.pk).first() or rows.first():
            return found
    return None


@for_readers
def compare(request: HttpRequest, before_id: str, after_id: str) -> HttpResponse:
    """Two runs beside each other."""
    before, after = both_or_404(before_id, after_id)
    if before.pk == after.pk:
        messages.warning(request, "That is one run twice; there is nothing to compare.")
        return HttpResponseRedirect(reverse("admin:runs_run_change", args=[str(before.pk)]))
    title = f"Compare {after.subject_label or after.pipeline_slug}"
    return console_page(request, "monitor/compare_page.html", title=title, **_context(request, before, after))


@for_readers
def live(request: HttpRequest, before_id: str, after_id: str) -> HttpResponse:
    """The page's body; 204 while nothing has changed since `?seen=`."""
    before, after = both_or_404(before_id, after_id)
    if request.GET.get("seen") == compare_version(before, after):
        return HttpResponse(status=204)
    return render(request, "monitor/_compare.html", _context(request, before, after))


def both_or_404(before_id: str, after_id: str) -> tuple[Run, Run]:
    """The two runs of an address."""
    runs = Run.objects.select_related(*RELATED)
    return find_or_404(runs, before_id), find_or_404(runs, after_id)


def _context(request: HttpRequest, before: Run, after: Run) -> dict[str, Any]:
    chosen = request.GET.get("view", "")
    view = chosen if chosen in VIEWS else VIEWS[0]
    return {
        "compare": read_compare(before, after),
        "view": view,
        "before": before,
        "after": after,
        "patches": read_patches(before, after),
        "lifetimes": lifetimes(request.user),
        "default_hours": DEFAULT_HOURS,
    }


@for_readers
def difference(request: HttpRequest, before_id: str, after_id: str) -> HttpResponse:
    """How two pictures differ, in numbers and as a map.

    Both come in one answer that the browser keeps: made once, whichever process is asked. It is kept nowhere else, so
    that nothing is left here of a picture that its shopper deletes.
    """
    blobs = Blob.objects.kept().filter(media_type__in=PICTURE_TYPES)
    before, after = find_or_404(blobs, before_id), find_or_404(blobs, after_id)
    try:
        found, kept = diff_blobs(before, after), FOREVER
    except (BlobMissing, NotAPicture):
        found, kept = None, "no-store"
    drawn = f"data:{MEDIA_TYPE};base64,{b64encode(found.picture).decode()}" if found and not found.same else ""
    context = {
        "diff": found, "map": drawn, "visible": VISIBLE, "amplify": AMPLIFY, "strongest_shown": 255 // AMPLIFY,
    }  # fmt: skip
    answer = render(request, "monitor/_difference.html", context)
    answer.headers["Cache-Control"] = kept
    return answer
