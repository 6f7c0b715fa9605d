"""What an attempt was asked and what came back, read from its evidence: messages, pictures, the raw exchange."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from django.urls import reverse

from core.storage import BlobMissing, BlobStore
from monitor.pictures import Picture, find_picture, pictures_by_hash
from monitor.steps import JsonBlock, json_block
from monitor.unreadable import readable
from runs.blobs import read_blob
from runs.models import Artifact, Blob, Step

READ_BYTES = 4 * 2**20
LABELS = {"request": "Raw request", "response": "Raw response", "reply": "Parsed reply"}


@dataclass(frozen=True, slots=True)
class Part:
    """A stretch of a message: the prompt's own words, or what the variable `name` was filled in with."""

    text: str
    name: str = ""


@dataclass(frozen=True, slots=True)
class SentMessage:
    """One message as it was sent, in parts."""

    role: str
    parts: tuple[Part, ...]

    @property
    def text(self) -> str:
        """The whole message."""
        return "".join(part.text for part in self.parts)


@dataclass(slots=True)
class Question:
    """One model call as it was put, and its raw exchange."""

    key: str
    attempt: int = 1
    messages: list[SentMessage] = field(default_factory=list)
    template: str = ""
    pictures: list[Picture] = field(default_factory=list)
    exchange: list[JsonBlock] = field(default_factory=list)
    gone: list[str] = field(default_factory=list)


def read_question(step: Step, attempt: int, store: BlobStore | None = None) -> Question:
    """Read an attempt's prompt, request, response and reply from the store; what is gone is named."""
    store = store or BlobStore()
    question = Question(str(step.pk), attempt)
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
    question.messages = readable("messages", lambda: sent_messages(sent), [])
    question.template = readable("template", lambda: str(sent.get("template", "")), "")
    question.pictures = _pictures(step, values.get("request"))
    return question


def read_sent(step: Step, attempt: int, store: BlobStore | None = None) -> dict[str, Any] | None:
    """What an attempt's prompt was: template, messages, params, where values stand; None when it is gone."""
    item = Artifact.objects.select_related("blob").filter(step=step, attempt=attempt, role="prompt").last()
    found = _read(item, store or BlobStore()) if item is not None else None
    return found if isinstance(found, dict) else None


def sent_messages(sent: Mapping[str, Any]) -> list[SentMessage]:
    """The messages of a recorded prompt, with what was filled in apart from the prompt's own words."""
    filled: dict[int, list[tuple[int, int, str]]] = {}
    for number, start, end, name in sent.get("filled", []):
        filled.setdefault(number, []).append((start, end, name))
    return [
        SentMessage(str(message["role"]), tuple(_parts(str(message["text"]), filled.get(number, []))))
        for number, message in enumerate(sent.get("messages", []))
    ]


def _parts(text: str, filled: list[tuple[int, int, str]]) -> Iterator[Part]:
    place = 0
    for start, end, name in sorted(filled):
        if start > place:
            yield Part(text[place:start])
        if end > start:
            yield Part(text[start:end], name or "a value")
        place = end
    if place < len(text):
        yield Part(text[place:])


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
