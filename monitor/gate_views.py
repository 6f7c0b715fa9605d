"""What an operator does to quality gates: change what is asked after a look at what that would have done."""

from typing import Any

from django.contrib import messages
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse

from irschemas import history
from irschemas.errors import ProfileMoved
from irschemas.models import MetricDefinition, MetricProfile
from irschemas.profiles import save_profile, take_librarys
from monitor.gates import GateDraft, check_gate
from monitor.steering import by_operators, go_to, refusal

VIEW, ADD = "irschemas.view_metricprofile", "irschemas.add_metricprofile"
CHANGE = "irschemas.change_metricprofile"


def gate_url(profile: MetricProfile) -> str:
    """A revision's page."""
    return reverse("admin:irschemas_metricprofile_change", args=[profile.pk])


@by_operators(VIEW)
def check(request: HttpRequest) -> HttpResponse:
    """All problems of a gate as it is typed, or what it would have done to the last 500 runs."""
    draft = _typed(request)
    draft.seen = _seen(request) or draft.seen  # only saving shows for sure that somebody else was faster
    return render(request, "monitor/_gate_check.html", {"draft": draft})


@by_operators(VIEW)
def save(request: HttpRequest) -> HttpResponse:
    """Write the next revision; not over one that the author has not seen."""
    draft = _typed(request)
    user = _may(request, CHANGE if draft.seen else ADD)
    if draft.moved or not draft.can_be_saved:
        return render(request, "monitor/_gate_check.html", {"draft": draft, "tried": True})
    try:
        row = save_profile(
            key=draft.key,
            description=draft.description,
            items=draft.items,
            by=user,
            expected=draft.seen,
        )
    except ProfileMoved as error:
        return refusal(error.message, 409)
    history.note(user, row, f"Revision {row.revision}: {' '.join(draft.changes)}")
    messages.success(request, f"{row} is in force for the runs that start from now on.")
    return go_to(gate_url(row))


@by_operators(CHANGE)
def library(request: HttpRequest, key: str) -> HttpResponse:
    """Take the library's text over."""
    user = _may(request, CHANGE)
    row = take_librarys(key=key, by=user, expected=_seen(request))
    history.note(user, row, f"Revision {row.revision}: the library's text.")
    messages.success(request, f"{row} is the library's; releases change it again.")
    return go_to(gate_url(row))


def _typed(request: HttpRequest) -> GateDraft:
    """What the form says; what cannot be read is a problem of the draft."""
    given, items, problems = request.POST, [], []
    key = given.get("key", "").replace("\0", "").strip()
    try:
        MetricProfile._meta.get_field("key").clean(key, None)
    except ValidationError as error:
        problems += [f"Key: {text}" for text in error.messages]
    for name in given.getlist("metric"):
        if f"use-{name}" not in given:
            continue
        threshold, weight = (_number(given.get(f"{field}-{name}", "")) for field in ("threshold", "weight"))
        if isinstance(threshold, str) or isinstance(weight, str) or weight is None:
            problems.append(f"{name}: threshold and weight are numbers such as 0.25; a threshold may be empty.")
            continue
        must_pass = f"must-{name}" in given
        items.append({"metric": name, "threshold": threshold, "must_pass": must_pass, "weight": weight})
    description = given.get("description", "").replace("\0", "").strip()[:2000]
    return check_gate(key, description, items, problems, _seen(request))


def _number(text: str) -> float | str | None:
    """A number, None for nothing, or the text that is none."""
    try:
        return float(text) if text.strip() else None
    except ValueError:
        return text


def _seen(request: HttpRequest) -> int | None:
    text = request.POST.get("seen", "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 9 else None


def _may(request: HttpRequest, permission: str) -> User:
    if not request.user.has_perm(permission) or not isinstance(request.user, User):
        raise PermissionDenied
    return request.user


def used_by(metric: MetricDefinition) -> list[Any]:
    """The gates in force that ask for a metric."""
    gates = MetricProfile.objects.in_force().values("pk")
    return list(MetricProfile.objects.filter(pk__in=gates, items__metric=metric).order_by("key"))
