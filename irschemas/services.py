"""Write and read schemas and profiles: every change of their tables goes through here."""

import re
import uuid
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from django.contrib.auth.models import User
from django.db import connection, transaction
from django.db.models import Max
from django.utils import timezone

from core.canonical import json_hash
from irschemas.errors import ProfileNotFound, SchemaMoved, SchemaNotFound, SchemaRefused, SchemaUnchanged, TargetInvalid
from irschemas.lint import lint_schema
from irschemas.models import TARGET, IRSchema, MetricProfile
from irschemas.records import ActiveSchema, Profile, ProfileItem
from irschemas.targets import target_of_prompt
from irschemas.validation import Checker, Validation


def create_schema(
    *,
    target: str,
    name: str,
    schema: dict[str, Any],
    by: User | None = None,
    origin: IRSchema.Origin = IRSchema.Origin.OPERATOR,
) -> IRSchema:
    """Write a new draft: the next version of its target.

    Raises:
        TargetInvalid: the target is not `stage:name`, `prompt:name` or `process:name`.
        SchemaRefused: the schema has problems; `details["problems"]` lists all of them.
        SchemaUnchanged: it is the target's newest version already.
    """
    _check(target, schema)
    with transaction.atomic():
        lock_target(target)
        return _add_version(target=target, name=name, schema=schema, by=by, origin=origin)


def edit_schema(
    *,
    schema_id: uuid.UUID,
    schema: dict[str, Any],
    name: str | None = None,
    by: User | None = None,
    expected: str | None = None,
) -> IRSchema:
    """Change a schema: a draft in place; a version that was ever in force stays as it is, and a new draft is written.

    `expected`: the hash of what the author began from, if it matters whether somebody else has changed it since.

    Raises:
        SchemaNotFound, SchemaRefused, SchemaUnchanged: see `create_schema`.
        SchemaMoved: it is not what the author began from any more.
    """
    row = get_schema(schema_id)
    _check(row.target, schema)
    with transaction.atomic():
        lock_target(row.target)
        row.refresh_from_db()
        if expected is not None and row.sha256 != expected:
            raise SchemaMoved()
        if not row.is_draft:
            return _add_version(target=row.target, name=name or row.name, schema=schema, by=by)
        row.schema, row.sha256, row.name = schema, json_hash(schema), name or row.name
        row.save(update_fields=["schema", "sha256", "name"])
        return row


def activate_schema(
    *,
    schema_id: uuid.UUID,
    by: User | None = None,
    expected: uuid.UUID | None = None,
    content: str | None = None,
) -> IRSchema:
    """Put a version in force and retire the one before, as one step; activating the active one changes nothing.

    This does not look at stored answers: people and programs go through `activation.activate_reviewed`.
    `expected`: the version that has to be in force now; `content`: the hash that the version has to have.

    Raises:
        SchemaNotFound: no such schema.
        SchemaRefused: it no longer passes the checks of today.
        SchemaMoved: somebody else activated another version, or changed this one, in the meantime.
    """
    row = get_schema(schema_id)
    with transaction.atomic():
        lock_target(row.target)
        row.refresh_from_db()
        if row.is_active:
            return row
        _check(row.target, row.schema)
        current = IRSchema.objects.active().for_targets([row.target]).first()
        if expected is not None and (current is None or current.pk != expected):
            raise SchemaMoved()
        if content is not None and row.sha256 != content:
            raise SchemaMoved()
        if current is not None:
            _move(current, IRSchema.Status.RETIRED)
        _move(row, IRSchema.Status.ACTIVE, activated_at=timezone.now(), activated_by=by)
    return row


def get_schema(schema_id: uuid.UUID) -> IRSchema:
    """One schema by id.

    Raises:
        SchemaNotFound: there is none.
    """
    row = IRSchema.objects.filter(pk=schema_id).first()
    if row is None:
        raise SchemaNotFound()
    return row


def get_active_for_target(target: str) -> IRSchema | None:
    """The version in force for a target, or None."""
    return IRSchema.objects.active().for_targets([target]).first()


def get_active_for_prompt(prompt: str) -> IRSchema | None:
    """The version that a prompt's answers have to follow, or None."""
    return get_active_for_target(target_of_prompt(prompt))


def validate_json(
    data: Any, *, schema_id: uuid.UUID | None = None, prompt: str | None = None, target: str | None = None
) -> tuple[IRSchema, Validation]:
    """Hold a JSON value against a version by id, or against what is in force for a prompt or a target.

    Raises:
        SchemaNotFound: there is no such version, or nothing is in force.
        SchemaRefused: the version cannot be used any more.
    """
    if schema_id is not None:
        row: IRSchema | None = get_schema(schema_id)
    else:
        row = get_active_for_prompt(prompt) if prompt is not None else get_active_for_target(target or "")
    if row is None:
        raise SchemaNotFound("No schema is in force there.")
    return row, Checker(row.schema, row.target)(data)


def active_schemas(targets: Iterable[str]) -> dict[str, ActiveSchema]:
    """The schemas in force for some targets, by target, in one query; a target without one is missing."""
    return {row.target: row.to_active() for row in IRSchema.objects.active().for_targets(targets)}


def load_profile(key: str) -> Profile:
    """One profile, ready for `metrics.grade`.

    Raises:
        ProfileNotFound: there is none by that key.
    """
    profile = load_profiles([key]).get(key)
    if profile is None:
        raise ProfileNotFound(f"There is no metric profile “{key}”.")
    return profile


def load_profiles(keys: Iterable[str], at: datetime | None = None) -> dict[str, Profile]:
    """Profiles by key, in two queries; one that does not exist is missing.

    With `at`, as they were at that moment: what a run that began then is judged by.
    """
    rows = MetricProfile.objects.filter(key__in=sorted(set(keys))).in_force(at).with_items()
    return {row.key: _to_profile(row) for row in rows}


def lock_target(target: str) -> None:
    """Let nobody else write versions of this target until the transaction ends.

    Inside a transaction. Rows cannot be locked for it, since the first version has none yet.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [f"irschemas:{target}"])


def check_target(target: str) -> None:
    """Refuse a target that nothing could find.

    Raises:
        TargetInvalid: it is not `stage:name`, `prompt:name` or `process:name`.
    """
    if not re.fullmatch(TARGET, target) or target.endswith("\n"):
        raise TargetInvalid()


def _check(target: str, schema: Any) -> None:
    """Refuse a target that nothing could find and a schema that would not hold."""
    check_target(target)
    if problems := lint_schema(schema):
        raise SchemaRefused(problems)


def _add_version(
    *,
    target: str,
    name: str,
    schema: dict[str, Any],
    by: User | None,
    origin: IRSchema.Origin = IRSchema.Origin.OPERATOR,
) -> IRSchema:
    """The next version of a target, as a draft. Inside a transaction, target locked."""
    sha256 = json_hash(schema)
    history = IRSchema.objects.for_targets([target])
    newest = history.newest_first().only("sha256", "origin").first()
    if newest is not None and newest.sha256 == sha256 and newest.origin == origin:
        raise SchemaUnchanged()
    version = (history.aggregate(last=Max("version"))["last"] or 0) + 1
    return IRSchema.objects.create(
        target=target, version=version, name=name, schema=schema, sha256=sha256, origin=origin, created_by=by
    )


def _move(row: IRSchema, status: IRSchema.Status, **changes: Any) -> None:
    """Move a schema along its state machine, by compare-and-set.

    Raises:
        SchemaMoved: its status is no longer what we saw.
    """
    before = IRSchema.Status(row.status)
    if status not in IRSchema.TRANSITIONS[before]:
        raise SchemaMoved()
    if not IRSchema.objects.filter(pk=row.pk, status=before).update(status=status, **changes):
        raise SchemaMoved()
    row.status = status
    for field, value in changes.items():
        setattr(row, field, value)


def _to_profile(row: MetricProfile) -> Profile:
    items = (
        ProfileItem(
            metric_key=item.metric.key,
            evaluator=item.metric.evaluator,
            threshold=item.threshold,
            direction=item.metric.direction,  # type: ignore[arg-type]
            must_pass=item.must_pass,
            weight=item.weight,
            unit=item.metric.unit,
        )
        for item in row.items.all()
    )
    return Profile(row.key, tuple(items), row.revision)
