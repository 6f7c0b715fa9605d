"""Packing: a run as a zip, written piece by piece, so that no more than one of its pictures is in memory at a time."""

import io
import json
import zipfile
from collections.abc import Iterator, Mapping
from typing import Any

from django.core.serializers.json import DjangoJSONEncoder
from django.db.models import Q, QuerySet

from core.canonical import sha256_hex
from core.ids import Ulid
from core.storage import BlobMissing, BlobStore
from runs.blobs import read_blob
from runs.bundles.layout import (
    ARTIFACTS,
    ERRORS,
    EXTENSIONS,
    FORMAT,
    MANIFEST,
    METRICS,
    PIPELINE,
    README,
    RUN,
    STEPS,
    VERSION,
    row_to_json,
    safe_name,
)
from runs.conditions import SHOP_FIELDS
from runs.models import Artifact, Blob, Run, Step
from runs.recorded import taken_over
from runs.redaction import redact_secrets

# Pictures are compressed already.
COMPRESSED = ("json", "txt")
# Small evidence stands wherever it belongs, large evidence once.
REPEATED = 64 * 1024
LONG_AGO = (1980, 1, 1, 0, 0, 0)


def pack_run(run: Run, *, photos: bool = True, store: BlobStore | None = None) -> Iterator[bytes]:
    """The bundle of a run, as chunks of a zip. The same run packed again by the same release is the same bytes.

    Without `photos` every picture that shows a shopper's room is left out: whoever gets it can read the run and not
    replay it.
    """
    return _Packer(run, photos, store or BlobStore()).chunks()


def bundle_name(run: Run) -> str:
    """How a run's bundle is called."""
    return f"run-{run.pk}.zip"


class _Sink(io.RawIOBase):
    """Where the zip is written to; what has been written is handed on."""

    def __init__(self) -> None:
        self._written: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self._written.append(bytes(data))
        return len(data)

    def take(self) -> bytes:
        taken, self._written = b"".join(self._written), []
        return taken


class _Packer:
    def __init__(self, run: Run, photos: bool, store: BlobStore) -> None:
        self._run, self._photos, self._store = run, photos, store
        self._sink = _Sink()
        self._zip = zipfile.ZipFile(self._sink, "w", allowZip64=True)
        self._files: dict[str, dict[str, Any]] = {}
        self._by_hash: dict[str, str] = {}
        self._missing = 0
        self._steps = list(run.steps.select_related("payload", "ir_schema").order_by("seq", "id"))

    def chunks(self) -> Iterator[bytes]:
        """The zip, file by file; the manifest comes last, when everything has its hash."""
        run = self._run
        yield self._add(README, readme(run, self._photos).encode())
        yield self._add_json(RUN, _run_json(run))
        yield self._add_json(PIPELINE, _pipeline_json(run))
        yield self._add_json(STEPS, [_step_json(step) for step in self._steps])
        yield self._add_json(ERRORS, [_with_step(row) for row in run.errors.order_by("id")])
        yield self._add_json(METRICS, [_with_step(row) for row in run.metrics.order_by("id")])
        yield from self._evidence()
        manifest = {
            "format": FORMAT, "version": VERSION, "run": str(run.pk), "release": run.release, "photos": self._photos,
            "missing": self._missing, "files": dict(sorted(self._files.items())),
        }  # fmt: skip
        yield self._add_json(MANIFEST, manifest)
        self._zip.close()
        yield self._sink.take()

    def _evidence(self) -> Iterator[bytes]:
        places = {step.pk: f"steps/{step.seq:02d}-{safe_name(step.node_key or step.name)}" for step in self._steps}
        rows = []
        for item in _artifacts(self._run).iterator(50):
            place = f"{places[item.step_id]}/attempt-{item.attempt}" if item.step_id in places else "input"
            file, content = self._content(item, place)
            if content is not None and file is not None:
                yield self._add(file, content)
                if item.role == Artifact.Role.PROMPT and (text := prompt_text(content)):
                    yield self._add(f"{file.removesuffix('.json')}.txt", text.encode())
            rows.append(_artifact_json(item, file))
        yield self._add_json(ARTIFACTS, rows)

    def _content(self, item: Artifact, place: str) -> tuple[str | None, bytes | None]:
        """The file that holds a piece of evidence, and its bytes where that file is still to be written."""
        blob = item.blob
        if blob is None or (not self._photos and _shows_a_room(blob)):
            self._missing += 1
            return None, None
        if blob.sha256 in self._by_hash and blob.size > REPEATED:
            return self._by_hash[blob.sha256], None
        try:
            content = read_blob(blob, self._store)
        except BlobMissing:
            self._missing += 1
            return None, None
        file = self._by_hash[blob.sha256] = self._free_name(place, item, blob)
        return file, content

    def _free_name(self, place: str, item: Artifact, blob: Blob) -> str:
        role, extension = str(item.role), EXTENSIONS.get(blob.media_type, "bin")
        own = role if role in (item.name, Artifact.Role.REPLY) else f"{role}-{safe_name(item.name)}"
        number, name = 1, f"{place}/{own}.{extension}"
        while name in self._files:
            number += 1
            name = f"{place}/{own}-{number}.{extension}"
        return name

    def _add_json(self, name: str, value: Any) -> bytes:
        text = json.dumps(redact_secrets(value), cls=_Encoder, ensure_ascii=False, indent=1, allow_nan=False)
        return self._add(name, text.encode())

    def _add(self, name: str, content: bytes) -> bytes:
        info = zipfile.ZipInfo(name, LONG_AGO)
        info.compress_type = zipfile.ZIP_DEFLATED if name.endswith(COMPRESSED) else zipfile.ZIP_STORED
        info.external_attr = 0o644 << 16
        self._zip.writestr(info, content)
        self._files[name] = {"bytes": len(content), "sha256": sha256_hex(content)}
        return self._sink.take()


class _Encoder(DjangoJSONEncoder):
    """Ids as everywhere outside, amounts as text, times to the microsecond."""

    def default(self, o: Any) -> Any:
        if isinstance(o, Ulid):
            return str(o)
        if hasattr(o, "isoformat"):
            return o.isoformat()
        return super().default(o)


def _artifacts(run: Run) -> QuerySet[Artifact]:
    return Artifact.objects.filter(Q(run=run)).select_related("blob").order_by("id")


def _shows_a_room(blob: Blob) -> bool:
    """As a shopper's deletion sees it: every picture but the merchants' own."""
    return blob.media_type.startswith("image/") and blob.retention != Blob.Retention.KEEP


def _run_json(run: Run) -> dict[str, Any]:
    shop = {name: getattr(run.shop, name) for name in SHOP_FIELDS} if run.shop else None
    summary = {name: value for name, value in run.summary.items() if name != "origin"}
    origin = run.summary.get("origin") or {"mode": run.mode, "shop": shop}
    return {**row_to_json(run), "summary": summary, "origin": origin, "parent": _text(run.parent_id)}


def _pipeline_json(run: Run) -> dict[str, Any]:
    version = run.pipeline_version
    known = {"slug": run.pipeline_slug, "kind": run.pipeline.kind}
    if version is None:
        return {**known, "dag": None}
    return {**known, "number": version.number, "dag": version.dag, "dag_sha256": version.dag_sha256}


def _step_json(step: Step) -> dict[str, Any]:
    schema = step.ir_schema
    named = {"target": schema.target, "version": schema.version, "sha256": schema.sha256} if schema else None
    payload = row_to_json(step.payload) if hasattr(step, "payload") else None
    more = {"parent": _text(step.parent_id), "schema": named, "taken_over": taken_over(step)}
    return {**row_to_json(step), **more, "payload": payload}


def _with_step(row: Any) -> dict[str, Any]:
    return {**row_to_json(row), "step": _text(row.step_id)}


def _artifact_json(item: Artifact, file: str | None) -> dict[str, Any]:
    blob = item.blob
    names = ("sha256", "size", "media_type", "retention")
    about = {name: getattr(blob, name) for name in names} if blob else None
    return {**row_to_json(item), "step": _text(item.step_id), "file": file, "blob": about}


def _text(row_id: Any) -> str | None:
    return str(row_id) if row_id else None


def prompt_text(content: bytes) -> str:
    """A prompt as sent, for people: the messages in their roles, then the template; empty when it is no prompt."""
    try:
        sent: Mapping[str, Any] = json.loads(content)
        messages = [f"<<{message['role']}>>\n{message['text']}" for message in sent["messages"]]
        return "\n\n".join([*messages, "=" * 20 + " the template it was filled into", str(sent["template"])]) + "\n"
    except (ValueError, KeyError, TypeError):
        return ""


def readme(run: Run, photos: bool) -> str:
    """What a person reads first."""
    shown = (
        "It holds the shopper's photo and pictures made from it: personal data, to be deleted when you are done."
        if photos
        else "Pictures that show the shopper's room are left out, so the run can be read and not replayed."
    )
    return f"""One run of See It, with everything that is recorded about it.

Run       {run.pk}
Pipeline  {run.pipeline_slug}
Subject   {run.subject_label or "-"}
Status    {run.status}{f", {run.error_code}: {run.error_message}" if run.error_code else ""}
Created   {run.created_at.isoformat()}
Release   {run.release or "unknown"}

{shown}
No key or password is in it: requests were recorded without them.

To look at it by hand: manifest.json lists every file with its SHA-256. steps.json has each step's input, variables,
answer and reasons. The folders under steps/ have, for each attempt, the rules it went by (rules.json: prompt, routes,
schema, metric profile), the prompt as sent (prompt.json, and prompt.txt for people), the request, the response, the
reply that was read from it, and the pictures.

To open it in a console and replay it, offline, without the shop, its prompts or any key:

    manage.py import_bundle run-{run.pk}.zip
    manage.py reproduce {run.pk}

The hashes find damage; they are no signature. Import bundles from people you trust.
"""
