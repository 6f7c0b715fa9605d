"""Unpacking: a bundle as a run of this installation that belongs to no shop, opens in the console, and replays here."""

import contextlib
import json
import os
import struct
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any
from uuid import UUID

from django.db import DataError, IntegrityError, transaction
from django.db.models import Max
from django.utils import timezone
from pydantic import TypeAdapter, ValidationError

from core.canonical import json_hash, sha256_hex
from core.ids import parse_id
from core.storage import BlobStore
from irschemas.models import IRSchema
from runs.blobs import NO_SHOP, BlobDraft, draft_blob, draft_row, require_bytes
from runs.bundles.layout import (
    ARTIFACTS,
    ERRORS,
    EXTENSIONS,
    FORMAT,
    MANIFEST,
    MAX_DEPTH,
    MAX_FILE,
    MAX_FILES,
    MAX_TOTAL,
    METRICS,
    PIPELINE,
    RUN,
    STEPS,
    TABLES,
    UNSAFE,
    VERSION,
    BundleConflict,
    BundleDamaged,
    BundleInvalid,
    BundleTooLarge,
    BundleUnreadable,
    BundleUnsafe,
    BundleVersionUnknown,
    Manifest,
    row_from_json,
)
from runs.dag import check_form
from runs.errors import PipelineInvalid
from runs.models import Artifact, Blob, MetricResult, Pipeline, PipelineVersion, Run, RunError, Step, StepPayload
from runs.services import PIPELINE_SLUG
from runs.summary import RunSummary
from runs.writing import upsert_blobs

Rows = list[dict[str, Any]]
SUMMARY = TypeAdapter(RunSummary)
END = struct.Struct("<4s4H2LH")  # signature, disks (2), entries here, entries, directory's size, its place, comment
END_SIGNATURE, LOCATOR_SIGNATURE, LOCATOR_SIZE = b"PK\5\6", b"PK\6\7", 20
DIRECTORY_ENTRY = 512  # bytes: 46 and a name of ours, with much to spare
BROKEN = (zipfile.BadZipFile, zlib.error, EOFError, OSError, NotImplementedError, RuntimeError, ValueError)


def import_bundle(file: IO[bytes] | Path, *, by: str, store: BlobStore | None = None) -> tuple[Run, bool]:
    """Take in a bundle; returns its run, and whether it is new here. The same bundle again is the same run.

    Every file is held against its hash before anything is stored. The run keeps its id, so that links and recorded
    answers still fit, and gets mode `imported`: it counts in no figure, and it is never executed; replays and forks of
    it are staff's.

    Raises:
        BundleUnreadable, BundleVersionUnknown, BundleUnsafe, BundleTooLarge, BundleDamaged, BundleInvalid: see there;
            nothing is stored then.
        BundleConflict: another run has its id.
    """
    try:
        _check_directory(file)
        archive = zipfile.ZipFile(file)
    except BROKEN as error:
        raise BundleUnreadable() from error
    with archive:
        bundle = _Bundle(archive)
        known = Run.objects.filter(pk=bundle.run_id).first()
        if known is not None:
            return _same(known, bundle), False
        drafts = bundle.put(store or BlobStore())
        try:
            with transaction.atomic():
                return _write(bundle, drafts, by, store or BlobStore()), True
        except IntegrityError as error:
            known = Run.objects.filter(pk=bundle.run_id).first()
            if known is None:
                raise BundleInvalid("The rows of this bundle contradict each other.") from error
            return _same(known, bundle), False
        except (DataError, UnicodeEncodeError) as error:
            raise BundleInvalid("A value in this bundle does not fit its column.") from error


class _Bundle:
    """A zip that was found to be a bundle: names, sizes and every hash are checked."""

    def __init__(self, archive: zipfile.ZipFile) -> None:
        self._archive = archive
        names = _checked_names(archive)
        self.manifest, self.sha256 = self._read_manifest(names)
        if set(self.manifest.files) != names - {MANIFEST}:
            odd = sorted(set(self.manifest.files) ^ (names - {MANIFEST}))[0]
            raise BundleDamaged(f"{odd[:120]} is in the zip or in the manifest, and not in both.")
        missing = [name for name in TABLES if name not in names]
        if missing:
            raise BundleInvalid(f"{missing[0]} is missing.")
        for name in sorted(names - {MANIFEST}):
            self.read(name)
        self.run = _object(self._json(RUN), RUN)
        self.pipeline = _object(self._json(PIPELINE), PIPELINE)
        self.steps, self.errors, self.metrics, self.artifacts = (
            _objects(self._json(name), name) for name in (STEPS, ERRORS, METRICS, ARTIFACTS)
        )
        self.run_id = _id(self.run.get("id"), "run.json.id")
        if str(self.run_id) != self.manifest.run:
            raise BundleInvalid("The manifest names another run than run.json.")

    def _read_manifest(self, names: set[str]) -> tuple[Manifest, str]:
        if MANIFEST not in names:
            raise BundleUnreadable("This zip has no manifest.json, so it is no bundle.")
        try:
            raw = json.loads(self._bytes(MANIFEST))
            if isinstance(raw, dict) and (raw.get("format") != FORMAT or raw.get("version") != VERSION):
                said = f"{str(raw.get('format'))[:40]} version {str(raw.get('version'))[:10]}"
                raise BundleVersionUnknown(f"This bundle is {said}; this release reads {FORMAT} version {VERSION}.")
            return Manifest.model_validate(raw), json_hash(raw)
        except (ValidationError, ValueError, RecursionError) as error:
            raise BundleInvalid("manifest.json is no manifest.") from error

    def read(self, name: str) -> bytes:
        """A file's bytes.

        Raises:
            BundleDamaged: they are not those that were packed.
        """
        content, packed = self._bytes(name), self.manifest.files[name]
        if len(content) != packed.bytes or sha256_hex(content) != packed.sha256:
            raise BundleDamaged(f"{name[:120]} is not the file that was packed: its hash is another.")
        return content

    def _bytes(self, name: str) -> bytes:
        """At most as much as the directory says: what a member grows to is its writer's choice, whatever it says."""
        size = self._archive.getinfo(name).file_size
        try:
            with self._archive.open(name) as file:
                content = file.read(size + 1)  # without a number it would grow at once, and then be cut
        except BROKEN as error:
            raise BundleDamaged(f"{name[:120]} cannot be read.") from error
        return content

    def _json(self, name: str) -> Any:
        try:
            value = json.loads(self.read(name), parse_constant=_no_constant)
        except (ValueError, RecursionError) as error:
            raise BundleInvalid(f"{name} is not JSON.") from error
        if _too_deep(value):
            raise BundleInvalid(f"{name} is nested more than {MAX_DEPTH} deep.")
        return value

    def put(self, store: BlobStore) -> dict[str, BlobDraft]:
        """Store the bytes of all evidence; drafts of their rows by file. No database."""
        drafts = {}
        for place, item in enumerate(self.artifacts):
            name, about = item.get("file"), item.get("blob")
            if name is None:
                continue
            about = _object(about, f"artifacts.json[{place}].blob")
            if str(name) not in self.manifest.files or str(about.get("media_type")) not in EXTENSIONS:
                raise BundleInvalid(f"artifacts.json[{place}] names a file or a media type that no bundle has.")
            if name in drafts:
                continue
            if self.manifest.files[name].sha256 != about.get("sha256"):
                raise BundleDamaged(f"{name[:120]} is not the evidence that artifacts.json means: its hash is another.")
            drafts[name] = draft_blob(store, NO_SHOP, self.read(name), about["media_type"])
        return drafts


def _check_directory(file: IO[bytes] | Path) -> None:
    """Refuse a zip with too long a directory before it is read: an object is made of each of its entries.

    Source: PKWARE, APPNOTE.TXT 4.3.16 (end of central directory record) and 4.3.15 (ZIP64's, which no bundle needs).
    """
    with file.open("rb") if isinstance(file, Path) else contextlib.nullcontext(file) as zipped:
        size = zipped.seek(0, os.SEEK_END)
        zipped.seek(max(0, size - END.size - LOCATOR_SIZE))
        tail = zipped.read()
        zipped.seek(0)
    if len(tail) < END.size:
        raise BundleUnreadable()
    signature, _, _, _, entries, directory, _, comment = END.unpack(tail[-END.size :])
    if signature != END_SIGNATURE or comment:
        raise BundleUnreadable()
    if tail[: -END.size].startswith(LOCATOR_SIGNATURE):
        raise BundleUnsafe("This zip is of the kind for more than 65,535 files, which no bundle is.")
    if entries > MAX_FILES or directory > MAX_FILES * DIRECTORY_ENTRY:
        raise BundleTooLarge(f"A bundle has at most {MAX_FILES:,} files and {MAX_TOTAL >> 20} MB.")


def _checked_names(archive: zipfile.ZipFile) -> set[str]:
    """The names of all files: plain paths, each once, and together no larger than a run can be."""
    infos = archive.infolist()
    if len(infos) > MAX_FILES or sum(info.file_size for info in infos) > MAX_TOTAL:
        raise BundleTooLarge(f"A bundle has at most {MAX_FILES:,} files and {MAX_TOTAL >> 20} MB.")
    names: set[str] = set()
    for info in infos:
        parts = info.filename.split("/")
        if any(not part or part.startswith(".") or UNSAFE.search(part) for part in parts) or info.filename in names:
            raise BundleUnsafe(f"{info.filename[:120]!r} is no name of a file in a bundle.")
        if info.flag_bits & 1 or info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise BundleUnsafe(f"{info.filename[:120]} is encrypted or compressed as no bundle is.")
        if info.file_size > MAX_FILE:
            raise BundleTooLarge(f"{info.filename[:120]} is larger than {MAX_FILE >> 20} MB.")
        names.add(info.filename)
    return names


def _too_deep(value: Any, limit: int = MAX_DEPTH) -> bool:
    """Whether a JSON value is nested deeper than whoever goes through it has stack for."""
    waiting = [(value, 0)]
    while waiting:
        item, depth = waiting.pop()
        if depth > limit:
            return True
        if isinstance(item, dict | list):
            waiting += [(inner, depth + 1) for inner in (item.values() if isinstance(item, dict) else item)]
    return False


def _no_constant(text: str) -> Any:
    raise ValueError(text)


def _object(raw: Any, where: str) -> dict[str, Any]:
    if not isinstance(raw, dict):
        raise BundleInvalid(f"{where} has to be an object.")
    return raw


def _objects(raw: Any, where: str) -> Rows:
    if not isinstance(raw, list) or not all(isinstance(item, dict) for item in raw):
        raise BundleInvalid(f"{where} has to be a list of objects.")
    return raw


def _id(raw: Any, where: str) -> UUID:
    try:
        return parse_id(str(raw))
    except ValueError as error:
        raise BundleInvalid(f"{where} is no id.") from error


def _same(known: Run, bundle: _Bundle) -> Run:
    """The run that is here already, if the bundle is of that one."""
    origin = known.summary.get("origin") or {}
    if known.mode == Run.Mode.IMPORTED and origin.get("bundle") != bundle.sha256:
        raise BundleConflict("Another bundle of this run was imported before.")
    if known.mode != Run.Mode.IMPORTED and known.input_sha256 != bundle.run.get("input_sha256"):
        raise BundleConflict()
    return known


def _write(bundle: _Bundle, drafts: Mapping[str, BlobDraft], by: str, store: BlobStore) -> Run:
    """All rows; inside a transaction."""
    run = _run(bundle, by)
    run.save(force_insert=True)
    steps = _write_steps(bundle, run)
    RunError.objects.bulk_create(
        RunError(run=run, step=_step_of(raw, steps, ERRORS), **row_from_json(RunError, raw, f"{ERRORS}[{place}]"))
        for place, raw in enumerate(bundle.errors)
    )
    MetricResult.objects.bulk_create(
        MetricResult(run=run, step=_step_of(raw, steps, METRICS), **row_from_json(MetricResult, raw, METRICS))
        for raw in bundle.metrics
    )
    ids = _write_blobs(bundle, drafts, store)
    Artifact.objects.bulk_create(
        Artifact(
            run=run,
            step=_step_of(raw, steps, ARTIFACTS),
            blob_id=ids.get(raw.get("file")),
            **row_from_json(Artifact, raw, f"{ARTIFACTS}[{place}]"),
        )
        for place, raw in enumerate(bundle.artifacts)
    )
    return run


def _run(bundle: _Bundle, by: str) -> Run:
    values = row_from_json(Run, bundle.run, RUN)
    if values.get("status") not in Run.TERMINAL:
        raise BundleInvalid("The run of this bundle has not ended.")
    pipeline, version = _pipeline(bundle)
    told = _object(bundle.run.get("origin"), "run.json.origin")
    summary = _summary(values.pop("summary"))
    summary.origin = {
        **{name: values[name] for name in ("trigger", "environment")},
        "mode": str(told.get("mode", values["mode"]))[:8],
        "shop": told.get("shop"),
        "bundle": bundle.sha256,
        "imported_by": by,
        "imported_at": timezone.now().isoformat(),
    }
    values |= {"id": bundle.run_id, "mode": Run.Mode.IMPORTED, "summary": summary.to_json()}
    values["pipeline_slug"] = pipeline.slug
    return Run(**values, pipeline=pipeline, pipeline_version=version)


def _summary(raw: Mapping[str, Any]) -> RunSummary:
    """What lists show of the run: a list that cannot show one of its runs would show none."""
    try:
        return SUMMARY.validate_json(json.dumps(raw), strict=True)
    except ValidationError as error:
        place = ".".join(str(part) for part in error.errors(include_url=False, include_input=False)[0]["loc"])
        raise BundleInvalid(f"run.json.summary.{place[:120]} is not valid.") from error


def _pipeline(bundle: _Bundle) -> tuple[Pipeline, PipelineVersion | None]:
    """The version it ran, by the DAG's hash; one that this installation does not have is kept, but never active."""
    slug, kind, dag = (bundle.pipeline.get(name) for name in ("slug", "kind", "dag"))
    if not isinstance(slug, str) or not PIPELINE_SLUG.fullmatch(slug) or kind not in Pipeline.Kind.values:
        raise BundleInvalid("pipeline.json names no pipeline.")
    pipeline, _ = Pipeline.objects.get_or_create(slug=slug, defaults={"kind": kind})
    if dag is None:
        return pipeline, None
    sha256 = json_hash(_object(dag, "pipeline.json.dag"))
    if sha256 != bundle.pipeline.get("dag_sha256"):
        raise BundleDamaged("The DAG in pipeline.json is not the one that ran: its hash is another.")
    try:
        check_form(dag)
    except PipelineInvalid as error:
        raise BundleInvalid(f"The DAG in pipeline.json is none. {error.message}"[:500]) from error
    Pipeline.objects.select_for_update().get(pk=pipeline.pk)
    version = pipeline.versions.filter(dag_sha256=sha256).first()
    if version is None:
        newest = pipeline.versions.aggregate(newest=Max("number"))["newest"] or 0
        version = PipelineVersion.objects.create(
            pipeline=pipeline, number=newest + 1, dag=dag, dag_sha256=sha256, published_by="import"
        )
    return pipeline, version


def _write_steps(bundle: _Bundle, run: Run) -> dict[str, Step]:
    """Steps and payloads; by the id that they had where they come from."""
    schemas = _schemas(bundle)
    steps: dict[str, Step] = {}
    for place, raw in enumerate(bundle.steps):
        where = f"{STEPS}[{place}]"
        values = row_from_json(Step, raw, where)
        values.pop("id", None)
        raw["id"] = str(_id(raw.get("id"), f"{where}.id"))
        steps[raw["id"]] = Step(
            **values,
            run=run,
            pipeline_slug=run.pipeline_slug,
            environment=run.environment,
            ir_schema_id=schemas.get(_schema_key(raw.get("schema"))),
        )
    for raw in bundle.steps:
        if raw.get("parent") is not None:
            steps[raw["id"]].parent = _step_of({"step": raw["parent"]}, steps, STEPS)
    Step.objects.bulk_create(steps.values())
    payloads = [
        (steps[raw["id"]], row_from_json(StepPayload, raw["payload"], f"{STEPS}[{place}].payload"))
        for place, raw in enumerate(bundle.steps)
        if raw.get("payload") is not None
    ]
    StepPayload.objects.bulk_create(StepPayload(step=step, **values) for step, values in payloads)
    return steps


def _schemas(bundle: _Bundle) -> dict[tuple[str, str], UUID]:
    """Rows of the schemas that the steps name, as far as this installation has the same."""
    hashes = {_schema_key(raw.get("schema"))[1] for raw in bundle.steps}
    rows = IRSchema.objects.filter(sha256__in=hashes).values_list("target", "sha256", "id")
    return {(target, sha256): row_id for target, sha256, row_id in rows}


def _schema_key(raw: Any) -> tuple[str, str]:
    known = raw if isinstance(raw, dict) else {}
    return str(known.get("target", "")), str(known.get("sha256", ""))


def _step_of(raw: Mapping[str, Any], steps: Mapping[str, Step], where: str) -> Step | None:
    if raw.get("step") is None:
        return None
    step = steps.get(str(raw["step"]))
    if step is None:
        raise BundleInvalid(f"{where} names a step that is not in {STEPS}.")
    return step


def _write_blobs(bundle: _Bundle, drafts: Mapping[str, BlobDraft], store: BlobStore) -> dict[Any, UUID]:
    """Rows of stored bytes, by file; what a shopper's picture was stays one."""
    retention = {raw["file"]: _retention(raw["blob"]) for raw in bundle.artifacts if raw.get("file") is not None}
    unique = {draft.sha256: draft_row(draft, None, retention[name]) for name, draft in drafts.items()}
    if not unique:
        return {}
    ids, fresh = upsert_blobs([unique[sha256] for sha256 in sorted(unique)])
    require_bytes(store, fresh)
    return {name: ids[draft.sha256] for name, draft in drafts.items()}


def _retention(about: Mapping[str, Any]) -> str:
    """As it was told, but for `keep`, which outlives every deletion: that is for pictures of merchants who are here."""
    known = about.get("retention")
    return str(known) if known in (Blob.Retention.SHOPPER, Blob.Retention.EVIDENCE) else str(Blob.Retention.EVIDENCE)
