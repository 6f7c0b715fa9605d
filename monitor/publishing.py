"""The editor of pipelines: a draft is checked as it is typed, published after a look at what changes, or taken back."""

from typing import Any

from django.contrib import messages
from django.contrib.admin.models import ADDITION, LogEntry
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse

from core.ids import Ulid, parse_id
from monitor.evidence import find_or_404
from monitor.pages import console_page
from monitor.pipelines import check_draft, document_text
from monitor.steering import by_operators, go_to, log_change, refusal
from runs.dag_changes import describe_changes
from runs.dag_import import read_document
from runs.errors import VersionMoved
from runs.models import Pipeline, PipelineVersion
from runs.services import activate_version, publish_dag

PUBLISH, ACTIVATE = "runs.add_pipelineversion", "runs.change_pipelineversion"


def version_url(version: PipelineVersion) -> str:
    """A version's page."""
    return reverse("admin:runs_pipelineversion_change", args=[str(version.pk)])


def edit(request: HttpRequest, pipeline_id: str) -> HttpResponse:
    """The editor, with the active version's document or that of `?from=`."""
    if not request.user.has_perm(PUBLISH):
        raise PermissionDenied
    pipeline = _internal(pipeline_id)
    active = pipeline.versions.filter(active=True).first()
    origin = find_or_404(pipeline.versions.all(), request.GET["from"]) if "from" in request.GET else active
    text = document_text(origin.dag) if origin else '{\n  "dag_version": 1,\n  "nodes": [\n  ]\n}\n'
    return console_page(
        request, "monitor/pipeline_editor.html", title=f"Edit {pipeline}", pipeline=pipeline, origin=origin,
        active=active, text=text, draft=check_draft(pipeline, text, active.pk if active else None),
    )  # fmt: skip


@by_operators(PUBLISH)
def check(request: HttpRequest, pipeline_id: str) -> HttpResponse:
    """All problems of a draft, its drawing, and what publishing it would change."""
    pipeline = _internal(pipeline_id)
    draft = check_draft(pipeline, request.POST.get("document", ""), _started_from(request))
    return render(request, "monitor/_draft_answer.html", {"draft": draft, "pipeline": pipeline})


@by_operators(PUBLISH)
def publish(request: HttpRequest, pipeline_id: str) -> HttpResponse:
    """Publish what was looked at: not a later edit of it, and not over a version that the author has not seen."""
    pipeline, text = _internal(pipeline_id), request.POST.get("document", "")
    draft = check_draft(pipeline, text, _started_from(request))
    if draft.problems:
        return refusal(f"Nothing was published. {draft.problems[0]}")
    if request.POST.get("checked") != draft.sha256:
        return _look_again("The document has changed since you looked at what that changes. Look again, then publish.")
    seen = request.POST.get("over") or request.POST.get("started_from", "")
    try:
        version, became = publish_dag(
            pipeline.slug, read_document(text), published_by=request.user.get_username(), expected=_id(seen)
        )
    except VersionMoved as error:
        return _look_again(f"Nothing was published, and your draft is still here. {error.message}")
    if not became:
        return refusal("Nothing was published: this is the active version.")
    text = f"Published {version}: {' '.join(draft.changes)}"[:2000]
    LogEntry.objects.log_actions(request.user.pk or 0, [version], ADDITION, text, single_object=True)
    messages.success(request, f"{version} is active. Runs under way keep the version they started with.")
    return go_to(version_url(version))


@by_operators(ACTIVATE)
def activate(request: HttpRequest, version_id: str) -> HttpResponse:
    """Make an earlier version the active one again."""
    version = find_or_404(PipelineVersion.objects.select_related("pipeline"), version_id)
    active = version.pipeline.versions.filter(active=True).first()
    changes = describe_changes(active.dag, version.dag) if active is not None else []
    if not activate_version(version, expected=_id(request.POST.get("expected", ""))):
        return refusal(f"{version} is active already.", 409)
    log_change(request, [version], f"Activated {version}: {' '.join(changes)}"[:2000])
    messages.success(request, f"{version} is active. Runs under way keep the version they started with.")
    return go_to(version_url(version))


def _look_again(text: str) -> HttpResponse:
    answer = refusal(text, 409)
    answer.headers["HX-Trigger"] = "recheck"
    return answer


def _internal(pipeline_id: str) -> Any:
    return find_or_404(Pipeline.objects.filter(kind=Pipeline.Kind.INTERNAL), pipeline_id)


def _started_from(request: HttpRequest) -> Ulid | None:
    return _id(request.POST.get("started_from", ""))


def _id(text: str) -> Ulid | None:
    try:
        return parse_id(text)
    except ValueError:
        return None
