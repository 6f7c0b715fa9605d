"""What a bundle is: one zip with everything about one run. Written here, read by people, programs and `unpacking`.

README.txt              what this is and how to use it
manifest.json           format, version, the run, and size and SHA-256 of every other file
run.json                the run's row and the shop as conditions see it
pipeline.json           the version it ran: the DAG and its hash
steps.json              steps with their payloads: params, input, variables, answer, reasoning, validation
errors.json             attempts that failed
metrics.json            what was measured
artifacts.json          every piece of evidence: its step, attempt, role and hash, and the file that holds it
input/…                 what the run was given
steps/02-placement/attempt-1/…   the rules it went by, prompt as sent, request, response, reply, pictures
"""

import re
from collections.abc import Mapping
from typing import Any

from django.core.exceptions import ValidationError
from django.db import models
from pydantic import BaseModel, ConfigDict, Field

from core.errors import SeeItError
from runs.models import Artifact, MetricResult, Run, RunError, Step, StepPayload

FORMAT, VERSION = "see-it-run", 1
MANIFEST, README = "manifest.json", "README.txt"
RUN, PIPELINE, STEPS, ERRORS, METRICS, ARTIFACTS = (
    "run.json", "pipeline.json", "steps.json", "errors.json", "metrics.json", "artifacts.json",
)  # fmt: skip
TABLES = (RUN, PIPELINE, STEPS, ERRORS, METRICS, ARTIFACTS)
EXTENSIONS = {
    "application/json": "json", "image/jpeg": "jpg", "image/png": "png", "image/webp": "webp",
    "application/octet-stream": "bin", "text/plain": "txt",
}  # fmt: skip
UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")
MAX_FILES = 5_000
MAX_FILE = 64 * 2**20
MAX_TOTAL = 512 * 2**20
MAX_DEPTH = 100

# What is one installation's alone: keys of its rows, its queue, its leases.
LEFT_OUT: Mapping[type[models.Model], frozenset[str]] = {
    Run: frozenset({
        "pipeline", "pipeline_version", "shop", "parent", "run_group_id", "idempotency_key", "priority", "due_at",
        "token", "lease_owner", "lease_until", "starts", "pinned", "updated_at",
    }),
    Step: frozenset({"run", "parent", "shop", "pipeline_slug", "environment", "ir_schema", "reused_from", "due_at"}),
    StepPayload: frozenset({"step"}),
    RunError: frozenset({"id", "run", "step"}),
    MetricResult: frozenset({"id", "run", "step"}),
    Artifact: frozenset({"id", "run", "step", "blob"}),
}  # fmt: skip


class BundleUnreadable(SeeItError):
    """This file is no bundle, or it was cut off on its way."""

    code = "bundle_unreadable"
    status = 422


class BundleVersionUnknown(SeeItError):
    """This bundle was written in a format that this release does not read."""

    code = "bundle_version"
    status = 422


class BundleUnsafe(SeeItError):
    """This bundle holds something that no bundle of ours holds; nothing of it was taken in."""

    code = "bundle_unsafe"
    status = 422


class BundleTooLarge(SeeItError):
    """This bundle is larger than a run can be."""

    code = "bundle_too_large"
    status = 413


class BundleDamaged(SeeItError):
    """A file of this bundle is not the one that was packed."""

    code = "bundle_damaged"
    status = 422


class BundleInvalid(SeeItError):
    """A file of this bundle does not say what a bundle says."""

    code = "bundle_invalid"
    status = 422


class BundleConflict(SeeItError):
    """Another run is here under the id of the bundle's."""

    code = "bundle_conflict"
    status = 409


class PackedFile(BaseModel):
    """Size in bytes and SHA-256 of one file."""

    model_config = ConfigDict(extra="ignore")
    bytes: int = Field(ge=0, le=MAX_FILE)
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")


class Manifest(BaseModel):
    """What a bundle says of itself."""

    model_config = ConfigDict(extra="ignore")
    format: str
    version: int
    run: str = Field(min_length=26, max_length=26)
    release: str = Field(default="", max_length=63)
    photos: bool = True
    missing: int = Field(default=0, ge=0)
    files: dict[str, PackedFile]


def safe_name(text: str) -> str:
    """A part of a path made of a name that anybody may have chosen."""
    return UNSAFE.sub("_", text).strip("._")[:60] or "unnamed"


def row_to_json(row: models.Model) -> dict[str, Any]:
    """A row's own columns, as the database names them; times, ids and amounts are encoded by whoever writes JSON."""
    left_out = LEFT_OUT[type(row)]
    columns = [column for column in row._meta.concrete_fields if column.name not in left_out]
    return {column.name: column.value_from_object(row) for column in columns}


def row_from_json(kind: type[models.Model], raw: Any, where: str) -> dict[str, Any]:
    """The columns of a row from their JSON; names that this release does not know are left out.

    Raises:
        BundleInvalid: a value that the column does not take.
    """
    if not isinstance(raw, dict):
        raise BundleInvalid(f"{where} has to be an object.")
    values = {}
    for column in kind._meta.concrete_fields:
        if column.name in LEFT_OUT[kind] or column.name not in raw:
            continue
        try:
            values[column.name] = _value(column, raw[column.name])
        except (ValidationError, TypeError, ValueError, ArithmeticError) as error:
            raise BundleInvalid(f"{where}.{column.name} is not valid.") from error
    return values


def _value(column: "models.Field[Any, Any]", raw: Any) -> Any:
    if raw is None:
        if not column.null and not isinstance(column, models.JSONField):
            raise ValidationError("null")
        return None
    if isinstance(column, models.JSONField):
        default = column.get_default()
        if default is not None and not isinstance(raw, type(default)):
            raise ValidationError("another kind of JSON")
        return raw
    value = column.to_python(raw)
    if isinstance(value, str) and "\0" in value:
        raise ValidationError("NUL")
    column.run_validators(value)
    if column.choices and value not in dict(column.flatchoices) and not (column.blank and value in column.empty_values):
        raise ValidationError("unknown word")
    return value
