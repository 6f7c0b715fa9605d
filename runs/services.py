"""Starting runs and publishing pipelines."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID

from django.conf import settings
from django.db import IntegrityError, connection, transaction
from django.db.models import Max
from django.utils import timezone

from core.canonical import Encoded, canonical_json, json_hash, sha256_hex
from core.ids import Ulid, new_id
from runs.claims import inline_lease
from runs.dag import Dag, import_dag, parse_dag, published_dag
from runs.dag_import import read_document, refused
from runs.errors import DuplicateKey, PipelineUnknown, VersionMoved
from runs.messages import send_hint
from runs.models import Artifact, Blob, Pipeline, PipelineVersion, Run, Step
from runs.policy import openers
from runs.registry import find_stage
from runs.summary import RunSummary
from runs.writing import Row, atomic_for, insert_run, new_row, prepared_cursor

if TYPE_CHECKING:
    from shops.models import Shop

PIPELINE_SLUG = re.compile(r"[a-z][a-z0-9_-]{0,62}")


def publish_pipeline(path: Path, *, published_by: str = "") -> tuple[PipelineVersion, bool]:
    """Publish a pipeline file (`<slug>.json`) as a new active version; an unchanged file publishes nothing.

    Returns the active version and whether it is new. Raises PipelineInvalid when the DAG cannot run.
    """
    return publish_dag(path.stem, read_document(path.read_text()), published_by=published_by)


@transaction.atomic
def publish_dag(
    slug: str, document: Any, *, published_by: str = "", expected: UUID | None = None
) -> tuple[PipelineVersion, bool]:
    """Publish a DAG under a pipeline's name, whichever way it is spelled; deduplicated by the hash of its stored form.

    Runs that are under way keep the version they started with. Returns the active version and whether it became so now.
    `expected` is the version that its author takes for the active one.

    Raises:
        PipelineInvalid: the DAG cannot run, the name is none, or the pipeline is executed elsewhere.
        VersionMoved: another version than the `expected` one is active.
    """
    dag, _ = import_dag(document)
    pipeline = _lock_pipeline(slug)
    _require_active(pipeline, expected)
    sha256 = json_hash(dag)
    known = pipeline.versions.filter(dag_sha256=sha256).first()
    if known is not None and known.active:
        return known, False
    if known is not None:
        return _activate(known), True
    pipeline.versions.filter(active=True).update(active=False)
    newest = pipeline.versions.aggregate(newest=Max("number"))["newest"] or 0
    version = PipelineVersion.objects.create(
        pipeline=pipeline, number=newest + 1, dag=dag, dag_sha256=sha256, active=True, published_by=published_by
    )
    return version, True


@transaction.atomic
def activate_version(version: PipelineVersion, *, expected: UUID | None = None) -> bool:
    """Make a published version the active one, such as the one before a mistake; False when it was active already.

    Raises:
        PipelineInvalid: this release cannot run it (any more).
        VersionMoved: another version than the `expected` one is active.
    """
    pipeline = _lock_pipeline(version.pipeline.slug)
    _require_active(pipeline, expected)
    version = pipeline.versions.get(pk=version.pk)
    if version.active:
        return False
    parse_dag(version.dag)  # as it is stored, which is what runs: an imported one was only looked at
    _activate(version)
    return True


def _activate(version: PipelineVersion) -> PipelineVersion:
    """Pipeline locked."""
    PipelineVersion.objects.filter(pipeline=version.pipeline_id, active=True).update(active=False)
    version.active = True
    version.save(update_fields=["active"])
    return version


def _require_active(pipeline: Pipeline, expected: UUID | None) -> None:
    if expected is None:
        return
    active = pipeline.versions.filter(active=True).first()
    if active is not None and active.pk != expected:
        by = f" by {active.published_by}" if active.published_by else ""
        raise VersionMoved(f"v{active.number}{by} has become active meanwhile. Look at what would change now.")


def _lock_pipeline(slug: str) -> Pipeline:
    """The pipeline by that name, made if need be; whoever publishes it at the same time waits."""
    if not PIPELINE_SLUG.fullmatch(slug):
        raise refused("The pipeline cannot be published", [f"{slug[:80]!r} is no name (a-z, then a-z 0-9 _ -)"])
    Pipeline.objects.get_or_create(slug=slug)
    pipeline = Pipeline.objects.select_for_update().get(slug=slug)
    if pipeline.kind != Pipeline.Kind.INTERNAL:
        raise refused("The pipeline cannot be published", [f"{slug} is executed elsewhere; it only reports its runs"])
    return pipeline


ACTIVE = """
SELECT version.id, version.pipeline_id, version.dag_sha256
FROM runs_pipelineversion version JOIN runs_pipeline pipeline ON pipeline.id = version.pipeline_id
WHERE pipeline.slug = %s AND version.active
"""


@dataclass(frozen=True, slots=True)
class ActiveVersion:
    """What a new run takes from the published version of its pipeline."""

    id: UUID
    pipeline_id: UUID
    dag: Dag


def active_version(slug: str) -> ActiveVersion:
    """A pipeline's published version.

    Raises:
        PipelineUnknown: nothing is published by that name.
    """
    with prepared_cursor() as cursor:
        cursor.execute(ACTIVE, [slug])
        found = cursor.fetchone()
    if found is None:
        raise PipelineUnknown(f"The pipeline {slug!r} is not published. Run `manage.py publish_pipelines`.")
    version_id, pipeline_id, dag_sha256 = found
    versions = PipelineVersion.objects.filter(id=version_id).values_list("dag", flat=True)
    return ActiveVersion(Ulid(int=version_id.int), Ulid(int=pipeline_id.int), published_dag(dag_sha256, versions.get))


def start_run(
    *,
    pipeline: str,
    shop: "Shop | None",
    input: Mapping[str, Any],
    pictures: Mapping[str, Blob] | None = None,
    title: str = "",
    product_type: str = "",
    subject_type: str = "",
    subject_id: object = "",
    trigger: str = "",
    environment: str = "production",
    priority: int = 0,
    idempotency_key: str | None = None,
    run_group_id: UUID | None = None,
    inline_owner: str | None = None,
) -> Run:
    """Write a run, its planned steps and its queue message in one transaction.

    `pictures` are the blobs that `input` names; they become the run's input artifacts. With `inline_owner` the run is
    written already claimed and without a message, so that no worker takes it: the caller executes it.

    Raises:
        PipelineUnknown: the pipeline is not published.
        DuplicateKey: the idempotency key was used before with another input. With the same input the first run is
            returned.
    """
    version, body = active_version(pipeline), Encoded(canonical_json(input))
    summary = RunSummary(title=title, product_type=product_type)
    summary.pictures = {name: blob.sha256 for name, blob in (pictures or {}).items()}
    run = Run(
        pipeline_id=version.pipeline_id,
        pipeline_version_id=version.id,
        pipeline_slug=pipeline,
        shop=shop,
        subject_type=subject_type,
        subject_id=str(subject_id),
        subject_label=title[:255],
        environment=environment,
        trigger=trigger,
        input=dict(input),
        input_sha256=sha256_hex(body),
        summary=summary.to_json(),
        priority=priority,
        idempotency_key=idempotency_key,
        run_group_id=run_group_id,
        release=settings.RELEASE[:63],
        steps_expected=len(version.dag.nodes),
    )
    try:
        _write_run(run, body, version.dag, pictures or {}, inline_owner)
    except IntegrityError:
        same = _same_run(shop, idempotency_key, run.input_sha256)
        if same is None:
            raise
        return same
    return run


def _write_run(run: Run, body: Encoded, dag: Dag, pictures: Mapping[str, Blob], inline_owner: str | None) -> None:
    """Write the run, its planned steps and its input artifacts in one statement, and with it the message."""
    roots = openers(dag) if inline_owner else []
    if inline_owner:
        now = timezone.now()
        run.status, run.token, run.starts = Run.Status.RUNNING, 1, 1
        run.lease_owner, run.lease_until = inline_lease(now)
        run.started_at, run.phase = now, roots[0] if roots else ""
    artifacts = [
        new_row(Artifact, id=new_id(), run_id=run.id, role=Artifact.Role.INPUT, name=name, blob_id=blob.pk)
        for name, blob in pictures.items()
    ]
    with atomic_for(several=inline_owner is None):
        insert_run([(Run, [_run_row(run, body)]), (Step, _planned_steps(run, dag, roots)), (Artifact, artifacts)])
        if inline_owner is None:
            send_hint(run.id)
    run._state.adding, run._state.db = False, connection.alias


def _run_row(run: Run, body: Encoded) -> Row:
    """A new run as a row; `due_at` is the database's clock, and read when somebody asks for it."""
    del run.__dict__["due_at"]
    fields = [field for field in Run._meta.concrete_fields if field.name != "due_at"]
    return {**{str(field.column): field.value_from_object(run) for field in fields}, "input": body}


def _planned_steps(run: Run, dag: Dag, running: list[str]) -> list[Row]:
    steps = []
    for seq, key in enumerate(dag.order, start=1):
        stage = find_stage(dag.nodes[key].step)
        steps.append(
            new_row(
                Step,
                run_id=run.id,
                shop_id=run.shop_id,
                pipeline_slug=run.pipeline_slug,
                environment=run.environment,
                node_key=key,
                name=dag.nodes[key].step.split("@")[0],
                type=stage.type if stage else Step.Type.ANALYSIS,
                seq=seq,
                status=Step.Status.RUNNING if key in running else Step.Status.PENDING,
                started_at=run.started_at if key in running else None,
            )
        )
    return steps


def _same_run(shop: "Shop | None", idempotency_key: str | None, input_sha256: str) -> Run | None:
    """Somebody was faster with the same key: theirs is the answer, if it is about the same thing; else None."""
    run = Run.objects.filter(shop=shop, idempotency_key=idempotency_key).first() if idempotency_key else None
    if run is not None and run.input_sha256 != input_sha256:
        raise DuplicateKey()
    return run
