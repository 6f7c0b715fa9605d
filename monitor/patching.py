"""What an operator does from the compare page: patch a shop with the fork's prompt, take it back, try it at once."""

import json
from datetime import timedelta
from typing import Any

from django.contrib.admin.models import ADDITION, CHANGE, LogEntry
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone

from monitor.comparing import both_or_404, compare_url
from monitor.evidence import find_or_404, for_readers
from monitor.patches import DEFAULT_HOURS, Patch, find_patch, is_lasting, may_extend, node_of, origin_of
from monitor.steering import by_operators, given_reason, go_to, log_change, refusal
from prompts.errors import OverrideMoved
from prompts.models import PromptOverride
from prompts.services import close_override, create_override
from runs.models import Run
from runs.rerunning import rerun_run

NOTHING = "Neither of these runs was given a prompt of that name; there is nothing to patch with."


@by_operators("prompts.add_promptoverride")
def patch(request: HttpRequest, before_id: str, after_id: str) -> HttpResponse:
    """Make the fork's prompt its shop's override; the text is the fork's own, never the browser's."""
    _require_reader(request)
    before, after = both_or_404(before_id, after_id)
    found = find_patch(request.POST.get("prompt", ""), before, after)
    if found is None or found.run.shop is None:
        return refusal(NOTHING)
    if found.run.status != Run.Status.COMPLETED:
        return refusal("Its run has not come through: the shop would get a prompt that makes no picture.")
    hours = request.POST.get("hours", str(DEFAULT_HOURS))
    if not hours.isdecimal() or not 0 < int(hours) < 10_000:
        return refusal("Say for how many hours.")
    seen = request.POST.get("seen", "")
    now = timezone.now()
    try:
        override = create_override(
            shop=found.run.shop,
            prompt_name=found.prompt,
            template=found.template,
            base_version=found.base_version,
            reason=given_reason(request),
            created_by=request.user.get_username(),
            expires_at=now + timedelta(hours=int(hours)),
            lasting=is_lasting(int(hours)) and may_extend(request.user),
            seen=seen,
            source_run=found.run.pk,
            now=None,
        )
    except OverrideMoved as error:
        return _moved(error)
    log_change(request, [override.shop], f"Patched {found.prompt} until {override.expires_at:%Y-%m-%d %H:%M} UTC")
    LogEntry.objects.log_actions(request.user.pk or 0, [override], ADDITION, f"From run {found.run.pk}",
                                 single_object=True)  # fmt: skip
    return _panel(request, before, after, found.prompt, typed=True)


def _moved(error: OverrideMoved) -> HttpResponse:
    """What somebody else has done meanwhile; the page then asks to confirm that it was seen."""
    answer = refusal(error.message, error.status)
    answer["HX-Trigger"] = json.dumps({"patchmoved": {"seen": (error.details or {}).get("seen", "")}})
    return answer


@by_operators("prompts.change_promptoverride")
def revoke(request: HttpRequest, before_id: str, after_id: str) -> HttpResponse:
    """Close the override that the page shows; the shop is back on the library's prompt at once."""
    _require_reader(request)
    before, after = both_or_404(before_id, after_id)
    override = find_or_404(PromptOverride.objects.select_related("shop"), request.POST.get("override", ""))
    found = find_patch(override.prompt_name, before, after)
    if found is None or found.run.shop_id != override.shop_id:
        raise Http404
    if close_override(override=override, revoked_by=request.user.get_username()):
        LogEntry.objects.log_actions(request.user.pk or 0, [override], CHANGE, "Closed", single_object=True)
    return _panel(request, before, after, override.prompt_name, typed=True)


@by_operators("runs.change_run")
def verify(request: HttpRequest, before_id: str, after_id: str) -> HttpResponse:
    """Run the original again as its shop would get it now: no edit, so that what is live is what is asked with."""
    _require_reader(request)
    before, after = both_or_404(before_id, after_id)
    found = find_patch(request.POST.get("prompt", ""), before, after)
    if found is None:
        return refusal(NOTHING)
    origin = origin_of(found.run, found.prompt)
    node = node_of(found.run, found.prompt)
    fork = rerun_run(origin, from_node=node or None, by=request.user.get_username())
    log_change(request, [origin], f"Run again from {fork.fork_node} to verify the override: {fork.pk}")
    return go_to(compare_url(origin.pk, fork.pk))


@for_readers
def panel(request: HttpRequest, before_id: str, after_id: str) -> HttpResponse:
    """What the shop gets of one prompt now, and who has used it."""
    before, after = both_or_404(before_id, after_id)
    return _panel(request, before, after, request.GET.get("prompt", ""))


def _panel(request: HttpRequest, before: Run, after: Run, prompt: str, *, typed: bool = False) -> HttpResponse:
    found: Patch | None = find_patch(prompt, before, after)
    if found is None:
        raise Http404
    context: dict[str, Any] = {"patch": found, "before": before, "after": after, "typed": typed}
    return render(request, "monitor/_patch.html", context)


def _require_reader(request: HttpRequest) -> None:
    """What is posted here is read off two runs."""
    if not request.user.has_perm("runs.view_run"):
        raise PermissionDenied
