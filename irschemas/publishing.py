"""Bring the database up to the library that ships with the code, and leave alone what operators changed."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from django.db import transaction

from core.canonical import json_hash
from irschemas.library import LIBRARY, METRIC_DEFAULTS, LibrarySchema, library_metrics, library_schemas
from irschemas.models import IRSchema, MetricDefinition, MetricProfile
from irschemas.profiles import newest_revision, profile_content, write_revision
from irschemas.services import activate_schema, create_schema, lock_target

logger = logging.getLogger(__name__)
METRIC_FIELDS = ("name", "direction", *METRIC_DEFAULTS)


@dataclass
class SyncReport:
    """What a sync did: names of schemas (`stage:facts v2`), metrics and profiles."""

    published: list[str] = field(default_factory=list)
    activated: list[str] = field(default_factory=list)
    updated: list[str] = field(default_factory=list)
    held_back: list[str] = field(default_factory=list)

    @property
    def changed(self) -> bool:
        """Whether anything in the database is different now."""
        return bool(self.published or self.activated or self.updated)


def sync_library(root: Path = LIBRARY) -> SyncReport:
    """Publish the library; running it again changes nothing.

    1. A schema file that differs from the library's last version becomes a new version and goes into force, unless an
       operator has put a version in force that is newer than the library's last.
    2. A metric or profile is written when the file changed, unless an operator edited it since; those are held back.

    Raises:
        SchemaRefused: a library file has problems.
    """
    report = SyncReport()
    for entry in library_schemas(root):
        with transaction.atomic():
            _sync_schema(entry, report)
    with transaction.atomic():
        lock_target("metrics")
        wanted = library_metrics(root)
        for key, fields in wanted.metrics.items():
            _sync_metric(key, fields, report)
        for key, fields in wanted.profiles.items():
            _sync_profile(key, fields, report)
    if report.changed or report.held_back:
        logger.info("library synced", extra={"activated": report.activated, "held_back": report.held_back})
    return report


def _sync_schema(entry: LibrarySchema, report: SyncReport) -> None:
    """One schema file. Inside a transaction."""
    lock_target(entry.target)
    history = IRSchema.objects.for_targets([entry.target])
    last = history.filter(origin=IRSchema.Origin.LIBRARY).newest_first().first()
    active = history.active().first()
    operators = active is not None and active.origin == IRSchema.Origin.OPERATOR
    ahead = operators and active is not None and (last is None or active.version > last.version)
    if last is None or last.sha256 != entry.sha256:
        last = create_schema(target=entry.target, name=entry.name, schema=entry.schema, origin=IRSchema.Origin.LIBRARY)
        report.published.append(str(last))
        if ahead:
            report.held_back.append(str(last))
    elif active is not None:
        return
    if not ahead:
        activate_schema(schema_id=last.pk)
        report.activated.append(str(last))


def _sync_metric(key: str, fields: Mapping[str, Any], report: SyncReport) -> None:
    wanted = {name: fields[name] for name in METRIC_FIELDS}
    row = MetricDefinition.objects.filter(key=key).first()
    if row is None:
        MetricDefinition.objects.create(key=key, library_sha256=json_hash(wanted), **wanted)
        report.updated.append(key)
    elif _may_write(row, {name: getattr(row, name) for name in METRIC_FIELDS}, wanted, key, report):
        for name, value in wanted.items():
            setattr(row, name, value)
        row.library_sha256 = json_hash(wanted)
        row.save()


def _sync_profile(key: str, fields: Mapping[str, Any], report: SyncReport) -> None:
    """The library's newer text is a new revision, unless an operator's is in force."""
    row, sha256 = newest_revision(key), json_hash(fields)
    published = MetricProfile.objects.filter(key=key).exclude(library_sha256="").order_by("-revision").first()
    if published is not None and published.library_sha256 == sha256:
        return
    if row is None or _may_write(row, profile_content(row), fields, key, report):
        if row is None:
            report.updated.append(key)
        write_revision(key, fields["description"], fields["items"], library_sha256=sha256)


def _may_write(row: MetricDefinition | MetricProfile, content: Any, wanted: Any, key: str, report: SyncReport) -> bool:
    """Whether the library's newer text may replace a row: it may, unless somebody edited the row by hand."""
    if row.library_sha256 == json_hash(wanted):
        return False
    if json_hash(content) not in (row.library_sha256, json_hash(wanted)):
        report.held_back.append(key)
        return False
    report.updated.append(key)
    return True
