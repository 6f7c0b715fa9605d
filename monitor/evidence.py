"""The evidence behind a page: pictures, downloads and fragments, for staff who may view runs.

Bytes come from shoppers, merchants and models. Only known picture types are shown in place, everything else is a
download in a sandbox; nothing is ever served as HTML or SVG.
"""

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.core.exceptions import PermissionDenied
from django.db.models import Model, QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.text import get_valid_filename

from core.canonical import canonical_json
from core.ids import parse_id
from core.storage import BlobMissing, BlobStore
from monitor.asked import read_question
from monitor.prompt_diff import PEERS, PromptDiff
from monitor.run_page import read_run_page, run_version
from monitor.steps import read_step
from monitor.thumbnails import MEDIA_TYPE, NotAPicture, read_thumbnail
from monitor.unreadable import readable
from runs.blobs import read_blob
from runs.models import Artifact, Blob, Run, Step, StepPayload

PICTURE_TYPES = frozenset({"image/jpeg", "image/png", "image/webp"})
EXTENSIONS = {"application/json": "json", "image/jpeg": "jpg", "image/png": "png", "image/webp": "webp"}
SANDBOX = "default-src 'none'; sandbox; frame-ancestors 'none'"
FOREVER = "private, max-age=31536000, immutable"
FIELDS = frozenset({"params", "input", "output", "reasoning", "variables", "ir", "validation_errors", "extra"})
View = Callable[..., HttpResponse]


def for_readers(view: View) -> View:
    """Only for staff who may view runs; the admin site has checked that they are staff."""

    @wraps(view)
    def checked(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if not request.user.has_perm("runs.view_run"):
            raise PermissionDenied
        return view(request, *args, **kwargs)

    return checked


@for_readers
def thumbnail(request: HttpRequest, blob_id: str, size: int) -> HttpResponse:
    """A picture, small."""
    blob = find_or_404(Blob.objects.kept(), blob_id)
    try:
        return _bytes(read_thumbnail(blob, size), MEDIA_TYPE)
    except (ValueError, NotAPicture) as error:
        raise Http404 from error
    except BlobMissing:
        return _gone()


@for_readers
def picture(request: HttpRequest, blob_id: str) -> HttpResponse:
    """A picture as it is stored, shown in place."""
    blob = find_or_404(Blob.objects.kept().filter(media_type__in=PICTURE_TYPES), blob_id)
    try:
        return _bytes(BlobStore().read_key(blob.storage_key), blob.media_type)
    except BlobMissing:
        return _gone()


@for_readers
def artifact(request: HttpRequest, artifact_id: str) -> HttpResponse:
    """Any piece of evidence, byte for byte, as a download."""
    found = find_or_404(Artifact.objects.select_related("blob"), artifact_id)
    if found.blob is None:
        return _gone()
    try:
        content = read_blob(found.blob)
    except BlobMissing:
        return _gone()
    known = EXTENSIONS.get(found.blob.media_type)
    media_type = found.blob.media_type if known else "application/octet-stream"
    return _download(content, media_type, f"{found.role}-{found.name[:40]}-{found.pk}.{known or 'bin'}")


@for_readers
def payload(request: HttpRequest, step_id: str, field: str) -> HttpResponse:
    """One field of a step's payload, as a download."""
    if field not in FIELDS:
        raise Http404
    found = find_or_404(StepPayload.objects.all(), step_id)
    return _download(canonical_json(getattr(found, field)), "application/json", f"{field}-{step_id}.json")


@for_readers
def run_input(request: HttpRequest, run_id: str) -> HttpResponse:
    """A run's input, as a download."""
    return _download(
        canonical_json(find_or_404(Run.objects.all(), run_id).input), "application/json", f"input-{run_id}.json"
    )


@for_readers
def asked(request: HttpRequest, step_id: str, attempt: int) -> HttpResponse:
    """What one attempt of a step was asked: the messages as sent and the pictures by role."""
    step = find_or_404(Step.objects.select_related("shop"), step_id)
    return render(request, "monitor/_question.html", {"question": read_question(step, attempt), "step": step})


@for_readers
def prompt_diff(request: HttpRequest, step_id: str, attempt: int, against: str) -> HttpResponse:
    """How an attempt's prompt differs from the library's, or from the last good run's."""
    step = find_or_404(Step.objects.select_related("run", "shop", "payload"), step_id)
    if against not in PEERS:
        raise Http404
    otherwise = PromptDiff("another", "This prompt is unreadable.")
    diff = readable("prompt", lambda: PEERS[against](step, attempt), otherwise)
    return render(request, "monitor/_prompt_diff.html", {"diff": diff})


@for_readers
def step_body(request: HttpRequest, step_id: str) -> HttpResponse:
    """The inside of one step, for runs with too many steps to show all at once."""
    step = find_or_404(Step.objects.select_related("run__shop"), step_id)
    return render(request, "monitor/_step_body.html", {"step": read_step(step), "run": step.run})


@for_readers
def live(request: HttpRequest, run_id: str) -> HttpResponse:
    """The run page's moving part; 204 while nothing has changed since `?seen=`, so that the page stays as it is."""
    run = find_or_404(Run.objects.select_related("pipeline", "pipeline_version", "shop", "parent"), run_id)
    if request.GET.get("seen") == run_version(run):
        return HttpResponse(status=204)
    return render(request, "monitor/_run.html", {"page": read_run_page(run), "run": run})


def find_or_404(queryset: QuerySet[Any], text: str) -> Any:
    """The row with this id (ULID or UUID), or 404."""
    try:
        found: Model | None = queryset.filter(pk=parse_id(text)).first()
    except ValueError:
        found = None
    if found is None:
        raise Http404
    return found


def _bytes(content: bytes, media_type: str) -> HttpResponse:
    headers = {"Content-Security-Policy": SANDBOX, "Cache-Control": FOREVER, "Content-Disposition": "inline"}
    return HttpResponse(content, content_type=media_type, headers=headers)


def _download(content: bytes, media_type: str, name: str) -> HttpResponse:
    headers = {
        "Content-Security-Policy": SANDBOX,
        "Cache-Control": "private, no-store",
        "Content-Disposition": f'attachment; filename="{get_valid_filename(name)}"',
    }
    return HttpResponse(content, content_type=media_type, headers=headers)


def _gone() -> HttpResponse:
    """Retention has passed, or the shopper had it deleted."""
    return HttpResponse(
        "This evidence is gone.", status=410, content_type="text/plain", headers={"Cache-Control": "no-store"}
    )
