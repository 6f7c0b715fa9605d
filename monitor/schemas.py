"""IR schemas as their pages show them: targets with what is in force, a version with its past, a draft under check."""

from dataclasses import dataclass, field
from typing import Any

from django.contrib.admin.models import LogEntry
from django.db.models import Max

from core.canonical import json_hash
from core.errors import SeeItError
from core.text_diff import TextDiff, diff_texts
from irschemas import layout, strict_json
from irschemas.activation import Review, review_activation, version_before
from irschemas.comparison import Change, Compatibility, compare_schemas, incompatibilities
from irschemas.history import notes_of
from irschemas.lint import lint_schema
from irschemas.models import IRSchema
from irschemas.revalidation import Revalidation, revalidate
from irschemas.services import get_active_for_target
from irschemas.stored import StoredAnswer, stored_answers
from irschemas.validation import Checker, Validation

VERSIONS_SHOWN, NOTES_SHOWN, ANSWERS_OFFERED, TRIED_WHILE_TYPING = 30, 20, 15, 100
EXAMPLE = '{\n  "type": "object",\n  "additionalProperties": false,\n  "required": [],\n  "properties": {}\n}'


@dataclass(frozen=True, slots=True)
class TargetRow:
    """A target with its versions, newest first."""

    target: str
    versions: list[IRSchema]

    @property
    def active(self) -> IRSchema | None:
        """The version in force."""
        return next((row for row in self.versions if row.is_active), None)

    @property
    def newest(self) -> IRSchema:
        """Where an edit begins when nothing is in force."""
        return self.versions[0]

    @property
    def held_back(self) -> IRSchema | None:
        """The library's latest version, where an operator's is in force instead and is older."""
        library = next((row for row in self.versions if row.origin == IRSchema.Origin.LIBRARY), None)
        active = self.active
        return library if library and active and library.is_draft and library.version > active.version else None


def read_targets() -> list[TargetRow]:
    """All targets in one query; the schemas themselves are not read."""
    found: dict[str, list[IRSchema]] = {}
    for row in IRSchema.objects.defer("schema").select_related("created_by", "activated_by").newest_first():
        found.setdefault(row.target, []).append(row)
    return [TargetRow(target, versions) for target, versions in found.items()]


@dataclass(frozen=True, slots=True)
class SchemaPage:
    """One version: its text, what sets it apart from another, its past, and answers to try."""

    schema: IRSchema
    text: str
    active: IRSchema | None
    before: IRSchema | None
    other: IRSchema | None
    changes: list[Change]
    diff: TextDiff | None
    row: TargetRow
    notes: list[LogEntry]
    answers: list[StoredAnswer]

    @property
    def narrows(self) -> bool:
        """Whether answers that fit the other may be refused by this one."""
        return any(change.narrows for change in self.changes)


def read_schema(schema: IRSchema, against: IRSchema | None = None) -> SchemaPage:
    """A version beside the one in force, or beside another one of its target."""
    active = schema if schema.is_active else get_active_for_target(schema.target)
    before = version_before(schema.target)
    other = against or (active if active is not None and active.pk != schema.pk else before)
    history = IRSchema.objects.for_targets([schema.target]).select_related("created_by", "activated_by")
    versions = list(history.defer("schema").newest_first()[:VERSIONS_SHOWN])
    return SchemaPage(
        schema=schema,
        text=layout.schema_text(schema.schema),
        active=active,
        before=before,
        other=other,
        changes=compare_schemas(other.schema, schema.schema) if other else [],
        diff=diff_texts(layout.schema_text(other.schema), layout.schema_text(schema.schema)) if other else None,
        row=TargetRow(schema.target, versions),
        notes=list(notes_of(IRSchema, [row.pk for row in versions])[:NOTES_SHOWN]),
        answers=stored_answers(schema.target, ANSWERS_OFFERED),
    )


def read_review(schema: IRSchema, mode: str | None) -> Review:
    """What would come of activating a version, by one of the promises; BACKWARD unless another is named."""
    known = Compatibility(mode) if mode in set(Compatibility) else Compatibility.BACKWARD
    return review_activation(schema, known)


@dataclass(frozen=True, slots=True)
class Trial:
    """An answer held against a version: the verdict, or why it is not even JSON."""

    verdict: Validation | None = None
    refusal: str = ""
    answer: StoredAnswer | None = None


def try_answer(schema: IRSchema, text: str, step_id: Any = None) -> Trial:
    """Hold pasted JSON, or the stored answer of a step, against a version."""
    check = Checker(schema.schema, schema.target)
    if step_id is not None:
        answer = next((each for each in stored_answers(schema.target) if each.step_id == step_id), None)
        if answer is None:
            return Trial(refusal="This answer is not among the last 500 any more. Choose another.")
        return Trial(check(answer.ir), answer=answer)
    if not text.strip():
        return Trial(refusal="Paste an answer as JSON, or choose a stored one.")
    try:
        return Trial(check(strict_json.parse(text)))
    except SeeItError as error:
        return Trial(refusal=error.message)


@dataclass(slots=True)
class SchemaDraft:
    """A text under check: all that is wrong with it, or what would come of it."""

    problems: list[str] = field(default_factory=list)
    schema: dict[str, Any] | None = None
    active: IRSchema | None = None
    changes: list[Change] = field(default_factory=list)
    broken: list[Change] = field(default_factory=list)
    tried: Revalidation | None = None
    unchanged: bool = False
    moved: IRSchema | None = None
    moved_by: str = ""
    seen: str = ""

    @property
    def can_be_saved(self) -> bool:
        """Whether saving it would write something."""
        return not self.problems and self.schema is not None and not self.unchanged


def check_schema_draft(target: str, text: str, origin: IRSchema | None, seen: str) -> SchemaDraft:
    """Check a schema as it is typed: lint, differences to what is in force, and the last 100 stored answers.

    `seen`: what the author has seen of the target's versions (see `state_of`).
    """
    active = get_active_for_target(target)
    draft = SchemaDraft(active=active, seen=state_of(target))
    if seen and seen != draft.seen:
        draft.moved = IRSchema.objects.for_targets([target]).select_related("created_by").newest_first().first()
        draft.moved_by = _last_author(draft.moved)
    try:
        draft.schema = strict_json.parse(text)
        draft.problems = lint_schema(draft.schema)
    except SeeItError as error:
        draft.problems = [error.message]
    if draft.problems or draft.schema is None:
        return draft
    draft.unchanged = origin is not None and json_hash(draft.schema) == origin.sha256
    if active is not None:
        draft.changes = compare_schemas(active.schema, draft.schema)
        draft.broken = incompatibilities(draft.changes, Compatibility.BACKWARD)
    draft.tried = revalidate(draft.schema, target, stored_answers(target, TRIED_WHILE_TYPING))
    return draft


def state_of(target: str) -> str:
    """What a target's versions are like: it changes when somebody writes a version, edits a draft or activates one."""
    history = IRSchema.objects.for_targets([target])
    rows = history.newest_first().values_list("version", "sha256", "status")[:VERSIONS_SHOWN]
    return json_hash([[*map(list, rows)], str(history.aggregate(last=Max("activated_at"))["last"])])[:16]


def _last_author(row: IRSchema | None) -> str:
    if row is None:
        return ""
    entry = notes_of(IRSchema, [row.pk]).first()
    return entry.user.get_username() if entry else (row.created_by.get_username() if row.created_by else "a release")
