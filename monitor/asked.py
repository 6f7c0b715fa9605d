"""What an attempt was asked and what came back, read from its evidence: messages, pictures, the raw exchange."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from django.urls import reverse

from core.storage import BlobMissing, BlobStore
from monitor.pictures import Picture, find_picture, pictures_by_hash
from monitor.steps import JsonBlock, json_block
from runs.blobs import read_blob
from runs.models import Artifact, Blob, Step

READ_BYTES = 4 * 2**20
LABELS = {"request": "Raw request", "response": "Raw response", "reply": "Parsed reply"}


@dataclass(slots=True)
class Question:
    """One model call as it was put, and its raw exchange."""

    key: str
    messages: list[tuple[str, str]] = field(default_factory=list)
    template: str = ""
    pictures: list[Picture] = field(default_factory=list)
    exchange: list[JsonBlock] = field(default_factory=list)
    gone: list[str] = field(default_factory=list)


def read_question(step: Step, attempt: int, store: BlobStore | None = None) -> Question:
    """Read an attempt's prompt, request, response and reply from the store; what is gone is named."""
    store = store or BlobStore()
    question = Question(str(step.pk))
    rows = Artifact.objects.select_related("blob").filter(step=step, attempt=attempt, role__in=("prompt", *LABELS))
    values = {}
    for item in rows.order_by("id"):
        value = _read(item, store)
        if value is None:
            question.gone.append(item.role)
            continue
        values[item.role] = value
        if item.role in LABELS:
            url = reverse("admin:monitor_artifact", args=[str(item.pk)])
            question.exchange.append(json_block(f"{item.role}-{attempt}", LABELS[item.role], value, url))
    sent = values.get("prompt", {})
    question.messages = [(message["role"], message["text"]) for message in sent.get("messages", [])]
    question.template = sent.get("template", "")
    question.pictures = _pictures(step, values.get("request"))
    return question


def _read(item: Artifact, store: BlobStore) -> Any:
    """A JSON artifact's value; None when it is gone, too large to look at, or no JSON."""
    if item.blob is None or item.blob.size > READ_BYTES:
        return None
    try:
        return json.loads(read_blob(item.blob, store))
    except (BlobMissing, ValueError):
        return None


def _pictures(step: Step, request: Any) -> list[Picture]:
    """The pictures a request names, in its order, each once; one query."""
    named = dict(_image_names(request))
    blobs = Blob.objects.kept().filter(shop=step.shop, sha256__in=named) if named else ()
    known = pictures_by_hash((), blobs)
    return [picture for sha256, role in named.items() if (picture := find_picture(known, sha256, role))]


def _image_names(value: Any) -> Iterator[tuple[str, str]]:
    """Every `{"$image": role, "sha256": ...}` inside a request, as (hash, role)."""
    if isinstance(value, Mapping):
        if isinstance(value.get("$image"), str) and isinstance(value.get("sha256"), str):
            yield value["sha256"], value["$image"]
        for item in value.values():
            yield from _image_names(item)
    elif isinstance(value, list):
        for item in value:
            yield from _image_names(item)
