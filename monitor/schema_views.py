"""What an operator does to IR schemas: edit, try an answer, look at what would fail, activate, roll back."""

from django.contrib import messages
from django.contrib.admin.models import ADDITION
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse

from core.errors import SeeItError
from core.ids import Ulid, parse_id
from irschemas import history, layout
from irschemas.activation import activate_reviewed, roll_back
from irschemas.comparison import Compatibility
from irschemas.errors import SchemaIncompatible, SchemaMoved, SchemaWouldRefuse
from irschemas.models import IRSchema
from irschemas.services import check_target, create_schema, edit_schema
from monitor.evidence import find_or_404
from monitor.pages import console_page
from monitor.schemas import EXAMPLE, check_schema_draft, read_review, try_answer
from monitor.steering import by_operators, go_to, refusal

VIEW, ADD, CHANGE = "irschemas.view_irschema", "irschemas.add_irschema", "irschemas.change_irschema"


def schema_url(schema: IRSchema) -> str:
    """A version's page."""
    return reverse("admin:irschemas_irschema_change", args=[str(schema.pk)])


def edit(request: HttpRequest, schema_id: str | None = None) -> HttpResponse:
    """The editor: from a version, or empty for a new target."""
    if not request.user.has_perm(ADD if schema_id is None else CHANGE):
        raise PermissionDenied
    origin = _find(schema_id) if schema_id else None
    target = origin.target if origin else request.GET.get("target", "")[:80]
    text = layout.schema_text(origin.schema) if origin else EXAMPLE
    return console_page(
        request, "monitor/schema_editor.html", title=f"Edit {origin}" if origin else "New schema",
        origin=origin, target=target, text=text, draft=check_schema_draft(target, text, origin, ""),
    )  # fmt: skip


@by_operators(VIEW)
def check(request: HttpRequest) -> HttpResponse:
    """All problems of a text, or what saving and activating it would change."""
    origin, target, text = _typed(request)
    seen = request.POST.get("seen", "")
    draft = check_schema_draft(target, text, origin, seen)
    draft.seen = seen or draft.seen  # only saving shows for sure that somebody else was faster
    return render(request, "monitor/_schema_check.html", {"draft": draft})


@by_operators(VIEW)
def save(request: HttpRequest) -> HttpResponse:
    """Write what was typed, as a draft; not over what the author has not seen."""
    origin, target, text = _typed(request)
    user = _may(request, CHANGE if origin else ADD)
    check_target(target)
    draft = check_schema_draft(target, text, origin, request.POST.get("seen", ""))
    if draft.moved or not draft.can_be_saved or draft.schema is None:
        return render(request, "monitor/_schema_check.html", {"draft": draft})
    name = " ".join(request.POST.get("name", "").replace("\0", "").split())[:120] or target.partition(":")[2]
    if origin is None:
        row = create_schema(target=target, name=name, schema=draft.schema, by=user)
    else:
        began = origin.sha256 if origin.is_draft else None
        row = edit_schema(schema_id=origin.pk, schema=draft.schema, name=name, by=user, expected=began)
    new = origin is None or row.pk != origin.pk
    history.note(user, row, f"Wrote {row}." if new else f"Changed {row}.", ADDITION if new else 2)
    messages.success(request, f"{row} is saved as a draft. It is not in force yet.")
    return go_to(schema_url(row))


@by_operators(VIEW)
def trial(request: HttpRequest, schema_id: str) -> HttpResponse:
    """An answer held against a version, whichever status it has."""
    schema = _find(schema_id)
    found = try_answer(schema, request.POST.get("answer", ""), _id(request.POST.get("step", "")))
    return render(request, "monitor/_schema_trial.html", {"trial": found, "schema": schema})


def review(request: HttpRequest, schema_id: str) -> HttpResponse:
    """The stored answers tried, and what has to be agreed to before the version is in force."""
    if not request.user.has_perm(VIEW):
        raise PermissionDenied
    found = read_review(_find(schema_id), request.GET.get("mode"))
    return render(request, "monitor/_schema_review.html", {"review": found, "modes": list(Compatibility)})


@by_operators(CHANGE)
def activate(request: HttpRequest, schema_id: str) -> HttpResponse:
    """Put a version in force, with what was agreed to on its page."""
    user, given = _may(request, CHANGE), request.POST
    try:
        row = activate_reviewed(
            schema_id=_find(schema_id).pk,
            by=user,
            mode=Compatibility(given.get("mode", Compatibility.BACKWARD)),
            accept_failing=int(given.get("accept_failing", 0)),
            accept_incompatible="accept_incompatible" in given,
            expected=_id(given.get("expected", "")),
        )
    except ValueError:
        return refusal("This page is out of date. Load it again.")
    except (SchemaIncompatible, SchemaWouldRefuse, SchemaMoved) as error:
        answer = refusal(f"Nothing was activated. {error.message} Look again: the numbers here are new.", 409)
        answer.headers["HX-Trigger"] = "rereview"
        return answer
    history.note(user, row, f"Activated {row}.")
    messages.success(request, f"{row} is in force for the next answers.")
    return go_to(schema_url(row))


@by_operators(CHANGE)
def back(request: HttpRequest, schema_id: str) -> HttpResponse:
    """One click to the version before; where answers would fail, to its page, which asks."""
    user, schema = _may(request, CHANGE), _find(schema_id)
    try:
        row = roll_back(target=schema.target, by=user, expected=schema.pk)
    except SchemaWouldRefuse as error:
        messages.warning(request, f"Not rolled back yet. {error.message}")
        return go_to(schema_url(_find(request.POST.get("to", ""))))
    except SeeItError as error:
        messages.error(request, f"Not rolled back. {error.message}")
        return go_to(schema_url(schema))
    history.note(user, row, f"Rolled back from {schema} to {row}.")
    messages.success(request, f"Rolled back: {row} is in force for the next answers.")
    return go_to(schema_url(row))


def _typed(request: HttpRequest) -> tuple[IRSchema | None, str, str]:
    origin = _find(request.POST["origin"]) if request.POST.get("origin") else None
    target = origin.target if origin else request.POST.get("target", "").replace("\0", "").strip()
    return origin, target, request.POST.get("document", "")


def _may(request: HttpRequest, permission: str) -> User:
    if not request.user.has_perm(permission) or not isinstance(request.user, User):
        raise PermissionDenied
    return request.user


def _find(schema_id: str) -> IRSchema:
    found: IRSchema = find_or_404(IRSchema.objects.select_related("created_by", "activated_by"), schema_id)
    return found


def _id(text: str) -> Ulid | None:
    try:
        return parse_id(text)
    except (ValueError, OverflowError):
        return None
