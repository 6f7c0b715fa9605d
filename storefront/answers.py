"""A composite as its shopper sees it: derived from its run, in a shopper's words."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, TypedDict

from django.db import models
from django.urls import reverse

from prep.facts import size_text
from runs.admission import place_in_line
from runs.models import Run, RunError, Step
from storefront.links import ResultLink
from storefront.models import CompositeRun

POLL_AFTER_MS = 700


class Status(models.TextChoices):
    """Where a composite is, in the words of the storefront API."""

    PENDING = "pending"
    PLACEMENT_GENERATING = "placement_generating"
    COMPOSITING = "compositing"
    COMPLETED = "completed"
    FAILED = "failed"


MESSAGES: Mapping[str, str] = {
    "pending": "Your photo is next in line.",
    "facts": "Checking the product's size.",
    "placement": "Reading your room.",
    "select": "Choosing a good spot.",
    "composite": "Placing the product in your room.",
    "completed": "Here it is, at its true size as far as the photo tells.",
}
AT_WORK = "Working on your picture."

# What a failed run tells a shopper; None keeps the run's own sentence, which was written for shoppers.
SORRY = "Something went wrong on our side. Please try again."
BUSY = "Our picture service is busy. Please try again in a moment."
REFUSED = "We could not make a picture from this photo. Please try another one."
ERRORS: Mapping[str, tuple[str, str | None]] = {
    "gate_rejected": (
        "gate_rejected",
        "The picture was not good enough to show. Please try another photo, or tap where the product should stand.",
    ),
    "picture_refused": (
        "gate_rejected",
        "The picture was not good enough to show. Please try another photo, or tap where the product should stand.",
    ),
    "no_placement": ("no_placement", None),
    "size_unknown": ("size_unknown", "The shop has not told us the size of this product, so we cannot show it truly."),
    "vendor_refused": ("vendor_refused", REFUSED),
    "vendor_rejected": ("vendor_refused", REFUSED),
    "vendor_error": ("vendor_unavailable", BUSY),
    "vendor_rate_limited": ("vendor_unavailable", BUSY),
    "vendor_unavailable": ("vendor_unavailable", BUSY),
    "vendor_timeout": ("vendor_unavailable", BUSY),
    "vendor_bad_response": ("vendor_unavailable", BUSY),
    "timeout": ("vendor_unavailable", BUSY),
    "cancelled": ("cancelled", "This picture was cancelled. You can start again whenever you like."),
}
FINAL = ("size_unknown",)  # trying again changes nothing


class ResultAnswer(TypedDict):
    """The finished picture; `source` is `model` where an image model painted it, `local` where our own engine did."""

    url: str
    width: int | None
    height: int | None
    expires_at: datetime
    source: str


def status_of(run: Run) -> Status:
    """A run's status in the storefront's words."""
    if run.status == Run.Status.COMPLETED:
        return Status.COMPLETED
    if run.is_over:
        return Status.FAILED
    if run.status == Run.Status.PENDING and not run.phase:
        return Status.PENDING
    return Status.COMPOSITING if run.phase == "composite" else Status.PLACEMENT_GENERATING


def message_of(run: Run) -> str:
    """One line for the shopper while waiting, and at the end."""
    status = status_of(run)
    if status == Status.FAILED:
        return str(error_of(run)["message"])
    if status == Status.PENDING and (place := place_in_line(run)) > 1:
        return f"Your photo is number {place} in line."
    if status in (Status.PENDING, Status.COMPLETED):
        return MESSAGES[status]
    return MESSAGES.get(run.phase, AT_WORK)


def error_of(run: Run) -> dict[str, Any]:
    """Why there is no picture: a public code, a shopper's sentence, and whether trying again may help."""
    code, message = ERRORS.get(run.error_code, ("internal", SORRY))
    final = code in FINAL or (code == "no_placement" and _photo_is_at_fault(run))
    return {"code": code, "message": message or run.error_message or SORRY, "retryable": not final}


def _photo_is_at_fault(run: Run) -> bool:
    """Whether the photo itself is too bad (dark, blurred...), so that no other spot in it helps either."""
    return RunError.objects.filter(run=run, code="no_placement", details__has_key="photo").exists()


def composite_answer(composite: CompositeRun, base_url: str) -> dict[str, Any]:
    """Everything `GET composites/{id}` says; `base_url` (scheme and host) makes the picture's link absolute."""
    run = composite.run
    status = status_of(run)
    irs = _irs(run) if status != Status.PENDING else {}
    return {
        "id": str(composite.pk),
        "reference": run.reference,
        "status": status.value,
        "stage": run.phase or None,
        "message": message_of(run),
        "result": _result(composite, irs, base_url) if status == Status.COMPLETED else None,
        "placement": (irs.get("select") or {}).get("selected"),
        "dimensions_text": dimensions_text(irs.get("facts") or (run.input.get("prepared_facts") or {}).get("facts")),
        "remaining_refinements": composite.remaining_refinements,
        "error": error_of(run) if status == Status.FAILED else None,
    }


def _irs(run: Run) -> dict[str, Any]:
    """What the finished nodes decided, by node key."""
    steps = Step.objects.filter(run=run, node_key__in=("facts", "select", "composite"), status=Step.Status.COMPLETED)
    return {step.node_key: step.payload.ir for step in steps.select_related("payload")}


def _result(composite: CompositeRun, irs: Mapping[str, Any], base_url: str) -> ResultAnswer | None:
    blob = composite.result
    if blob is None:
        return None
    link, source = ResultLink.to(composite, blob), (irs.get("composite") or {}).get("source", "local")
    url = base_url + reverse("storefront-result", args=[link.token])
    return {"url": url, "width": blob.width, "height": blob.height, "expires_at": link.expires_at, "source": source}


def dimensions_text(facts: Mapping[str, Any] | None) -> str | None:
    """The size as a shopper reads it, honest about estimates; None when nothing is known."""
    text = size_text(facts) if facts else ""
    if not facts or not text:
        return None
    if all(facts["dimensions_m"].get(side) for side in ("width", "depth", "height")):
        text += " (width x depth x height)"
    if "estimated" in facts.get("dimension_sources", {}).values():
        text = f"about {text}, partly estimated"
    return text
