"""Put a schema in force knowingly: what changes, what the promise says, and which stored answers would fail."""

import uuid
from dataclasses import dataclass
from typing import Any

from django.contrib.auth.models import User

from irschemas.comparison import Change, Compatibility, compare_schemas, incompatibilities
from irschemas.errors import NothingBefore, SchemaIncompatible, SchemaWouldRefuse
from irschemas.lint import lint_schema
from irschemas.models import IRSchema
from irschemas.revalidation import Revalidation, revalidate
from irschemas.services import activate_schema, get_schema
from irschemas.stored import LOOK_BACK, stored_answers


@dataclass(frozen=True, slots=True)
class Review:
    """What would come of activating a version now. `active` is the version in force, if any."""

    schema: IRSchema
    active: IRSchema | None
    mode: Compatibility
    changes: list[Change]
    broken: list[Change]
    revalidation: Revalidation

    @property
    def is_clean(self) -> bool:
        """Whether nothing has to be agreed to."""
        return not self.broken and not self.revalidation.failed

    def to_json(self) -> dict[str, Any]:
        """For programs: the verdict, the differences, the answers that would fail."""
        return {
            "compatibility": self.mode,
            "compatible": not self.broken,
            "reasons": [str(change) for change in self.broken],
            "changes": [change.to_json() for change in self.changes],
            "revalidation": self.revalidation.to_json(),
        }


def review_activation(
    schema: IRSchema, mode: Compatibility = Compatibility.BACKWARD, *, limit: int = LOOK_BACK
) -> Review:
    """Compare a version with the one in force, and try the last 500 stored answers of its target."""
    active = IRSchema.objects.active().for_targets([schema.target]).first()
    before = active if active is not None and active.pk != schema.pk else None
    # Without a version in force there is no promise to break: whatever was answered before was never held to one.
    changes = compare_schemas(before.schema, schema.schema) if before else []
    tried = revalidate(
        schema.schema,
        schema.target,
        stored_answers(schema.target, limit),
        active=before.schema if before and not lint_schema(before.schema) else None,
    )
    return Review(schema, active, mode, changes, incompatibilities(changes, mode), tried)


def activate_reviewed(
    *,
    schema_id: uuid.UUID,
    by: User | None = None,
    mode: Compatibility = Compatibility.BACKWARD,
    accept_failing: int = 0,
    accept_incompatible: bool = False,
    expected: uuid.UUID | None = None,
) -> IRSchema:
    """Activate a version after another look; what would go wrong has to be agreed to.

    `accept_failing`: how many of the last 500 stored answers may fail. `expected`: the version that the caller saw in
    force, if it matters who was faster.

    Raises:
        SchemaNotFound, SchemaRefused: see `activate_schema`.
        SchemaMoved: another version than the expected one is in force.
        SchemaIncompatible: it breaks the promise, and nobody has agreed to that.
        SchemaWouldRefuse: more stored answers would fail than were agreed to.
    """
    row = get_schema(schema_id)
    if row.is_active:
        return row
    review = review_activation(row, mode)
    if review.broken and not accept_incompatible:
        raise SchemaIncompatible(mode, [str(change) for change in review.broken])
    if review.revalidation.failed > accept_failing:
        raise SchemaWouldRefuse(review.revalidation.failed, review.revalidation.checked, review.to_json())
    seen = expected or (review.active.pk if review.active else None)
    return activate_schema(schema_id=schema_id, by=by, expected=seen, content=row.sha256)


def version_before(target: str) -> IRSchema | None:
    """The version of a target that was in force before the present one."""
    history = IRSchema.objects.for_targets([target]).filter(status=IRSchema.Status.RETIRED)
    return history.order_by("-activated_at", "-version").first()


def roll_back(
    *, target: str, by: User | None = None, accept_failing: int = 0, expected: uuid.UUID | None = None
) -> IRSchema:
    """Put the version in force again that was before the present one. It owes no compatibility to what it replaces.

    Raises:
        NothingBefore: the target has had only one version in force.
        SchemaWouldRefuse, SchemaMoved, SchemaRefused: see `activate_reviewed`.
    """
    before = version_before(target)
    if before is None:
        raise NothingBefore()
    return activate_reviewed(
        schema_id=before.pk, by=by, mode=Compatibility.NONE, accept_failing=accept_failing, expected=expected
    )
