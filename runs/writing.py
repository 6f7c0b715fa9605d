"""How the engine writes: one statement a transaction, a fence first and behind it the rows that it lets through.

Rows travel as JSON and become columns through their table's own type (`jsonb_populate_recordset`), so the text of a
statement says only which tables and columns it touches, and the server plans it once per connection.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import datetime
from decimal import Decimal
from functools import cache
from typing import Any
from uuid import UUID

from django.db import connection, models, transaction
from django.db.backends.postgresql.base import ServerBindingCursor
from django.db.models import NOT_PROVIDED

from core.canonical import Encoded
from core.ids import Ulid, new_id
from runs.claims import Claim
from runs.errors import LeaseLost

Row = Mapping[str, Any]
PREPARE_AFTER = 2

# The run's row stays locked until the transaction ends: whoever claims it now waits, and then has a newer token.
HOLD = """fenced AS (
  SELECT held.id FROM runs_run held, jsonb_populate_record(NULL::runs_run, %s::jsonb) new
  WHERE held.id = new.id AND held.token = new.token AND held.status = 'running' FOR NO KEY UPDATE OF held)"""
CHANGE = """fenced AS (
  UPDATE runs_run held SET updated_at = statement_timestamp(), {changes}
  FROM jsonb_populate_record(NULL::runs_run, %s::jsonb) new
  WHERE held.id = new.id AND held.token = new.token AND held.status = 'running' RETURNING held.id)"""
CHANGE_STEP = """{name} AS (
  UPDATE runs_step SET {changes} FROM fenced, jsonb_populate_record(NULL::runs_step, %s::jsonb) new
  WHERE runs_step.id = new.id)"""
REST_STEP = """{name} AS (
  UPDATE runs_step SET {changes}, due_at = statement_timestamp() + make_interval(secs => %s::float8)
  FROM fenced, jsonb_populate_record(NULL::runs_step, %s::jsonb) new WHERE runs_step.id = new.id)"""
CLOSE_OTHERS = """{name} AS (
  UPDATE runs_step SET status = 'cancelled' FROM fenced, jsonb_populate_record(NULL::runs_step, %s::jsonb) new
  WHERE runs_step.run_id = fenced.id AND runs_step.status IN ('pending', 'running') AND runs_step.id <> new.id)"""
INSERT = """{name} AS (
  INSERT INTO {table} ({columns})
  SELECT {values} FROM fenced, jsonb_populate_recordset(NULL::{table}, %s::jsonb) new)"""
# Whoever wrote a row of the same bytes first, it is that row that counts; it is locked, and no longer condemned.
BLOBS = """blob AS (
  INSERT INTO runs_blob ({columns})
  SELECT {values} FROM {source}jsonb_populate_recordset(NULL::runs_blob, %s::jsonb) new
  ON CONFLICT (shop_id, sha256) DO UPDATE SET condemned_at = NULL
  RETURNING id, sha256, storage_key, xmax = 0 AS fresh)"""
ARTIFACTS = """artifact AS (
  INSERT INTO runs_artifact (id, run_id, step_id, attempt, role, name, blob_id, created_at)
  SELECT new.id, new.run_id, new.step_id, new.attempt, new.role, new.name, blob.id, statement_timestamp()
  FROM blob JOIN jsonb_to_recordset(%s::jsonb)
    AS new(id uuid, run_id uuid, step_id uuid, attempt smallint, role text, name text, sha256 text) USING (sha256)
  ON CONFLICT DO NOTHING)"""
# The storage keys whose bytes may not be there: of rows that are new, and of those that were condemned when the
# statement began, for whoever was deleting them may have got as far as the bytes.
FRESH = """ARRAY(SELECT storage_key FROM blob WHERE storage_key <> ''
  AND (fresh OR id IN (SELECT id FROM runs_blob WHERE condemned_at IS NOT NULL)))"""


class Writing:
    """What one transaction of the engine changes; `send` writes all of it, or nothing when the fence is down."""

    def __init__(self, claim: Claim) -> None:
        self._held = {"id": claim.run_id, "token": claim.token}
        self._changed: dict[str, Any] = {}
        self._added: dict[str, Any] = {}
        self._parts: list[str] = []
        self._documents: list[str] = []
        self._has_blobs = False

    def change_run(self, **columns: Any) -> None:
        """Set columns of the run."""
        self._changed |= columns

    def add_to_run(self, **amounts: Any) -> None:
        """Add to counting columns of the run; one that was unknown counts from nothing."""
        self._added |= amounts

    def change_step(self, step_id: UUID, **columns: Any) -> None:
        """Set columns of one step."""
        changes = ", ".join(f"{name} = new.{name}" for name in columns)
        self._add(CHANGE_STEP.format(name=self._name(), changes=changes), document({"id": step_id, **columns}))

    def rest_step(self, step_id: UUID, seconds: float, **columns: Any) -> None:
        """Set columns of one step, and let it rest for so long, by the database's clock."""
        changes = ", ".join(f"{name} = new.{name}" for name in columns)
        part = REST_STEP.format(name=self._name(), changes=changes)
        self._add(part, f"{seconds:.3f}", document({"id": step_id, **columns}))

    def cancel_other_steps(self, step_id: UUID) -> None:
        """Close every step of the run that is still open, but for one."""
        self._add(CLOSE_OTHERS.format(name=self._name()), document({"id": step_id}))

    def insert(self, model: type[models.Model], rows: Iterable[Row]) -> None:
        """Insert rows as `new_row` makes them; nothing for none."""
        rows = list(rows)
        if rows:
            table, (columns, values) = model._meta.db_table, _columns(rows)
            self._add(INSERT.format(name=self._name(), table=table, columns=columns, values=values), documents(rows))

    def insert_evidence(self, blobs: list[Row], artifacts: list[Row]) -> None:
        """Insert artifacts, each naming its blob by `sha256`; known blobs and artifacts are left as they are."""
        if artifacts:
            columns, values = _columns(blobs)
            self._add(BLOBS.format(columns=columns, values=values, source="fenced, "), documents(blobs))
            self._add(ARTIFACTS, documents(artifacts))
            self._has_blobs = True

    def send(self) -> list[str]:
        """Write it; returns the storage keys of those blobs whose bytes nobody had a row for.

        Raises:
            LeaseLost: another token holds the run, or it has ended. Nothing is written.
        """
        parts = ",\n".join([self._fence(), *self._parts])
        fence = document({**self._held, **self._changed, **self._added})
        found = f"SELECT (SELECT count(*) FROM fenced), {FRESH if self._has_blobs else 'NULL::text[]'}"  # noqa: S608
        with prepared_cursor() as cursor:
            cursor.execute(f"WITH {parts}\n{found}", [fence, *self._documents])
            held, fresh = cursor.fetchone()
        if not held:
            raise LeaseLost()
        return fresh or []

    def _fence(self) -> str:
        changes = [f"{name} = new.{name}" for name in self._changed]
        changes += [f"{name} = coalesce(held.{name}, 0) + new.{name}" for name in self._added]
        return CHANGE.format(changes=", ".join(changes)) if changes else HOLD

    def _name(self) -> str:
        return f"part{len(self._parts)}"

    def _add(self, part: str, *values: str) -> None:
        self._parts.append(part)
        self._documents += values


def upsert_blobs(blobs: list[Row]) -> tuple[dict[str, UUID], list[str]]:
    """Write or find the rows of stored bytes, outside a run: ids by hash, and the keys of bytes to be seen to."""
    columns, values = _columns(blobs)
    found = f"SELECT (SELECT jsonb_object_agg(sha256, id) FROM blob), {FRESH}"  # noqa: S608
    with prepared_cursor() as cursor:
        cursor.execute(f"WITH {BLOBS.format(columns=columns, values=values, source='')}\n{found}", [documents(blobs)])
        ids, fresh = cursor.fetchone()
    return {sha256: Ulid(id) for sha256, id in json.loads(ids).items()}, fresh


def insert_run(tables: Iterable[tuple[type[models.Model], list[Row]]]) -> None:
    """Insert the rows of a new run, parents before children."""
    parts, rows = [], []
    for number, (model, given) in enumerate(tables):
        if given:
            table, (columns, values) = model._meta.db_table, _columns(given)
            parts.append(
                f"part{number} AS (INSERT INTO {table} ({columns}) SELECT {values}"  # noqa: S608
                f" FROM jsonb_populate_recordset(NULL::{table}, %s::jsonb) new)"
            )
            rows.append(documents(given))
    with prepared_cursor() as cursor:
        cursor.execute(f"WITH {', '.join(parts)} SELECT 1", rows)


def new_row(model: type[models.Model], /, **columns: Any) -> Row:
    """A row to insert: the model's defaults, over them what is given, by column name.

    Raises:
        TypeError: the table has no such column.
    """
    known, defaults = _defaults(model)
    if unknown := columns.keys() - known:
        raise TypeError(f"{model.__name__} has no column {', '.join(sorted(unknown))}")
    made = {name: default() if callable(default) else default for name, default in defaults.items()}
    return made | columns


@cache
def _defaults(model: type[models.Model]) -> tuple[frozenset[str], dict[str, Any]]:
    """A table's columns, and the defaults of those that a row cannot leave out; the database's own are its own."""
    fields = model._meta.concrete_fields
    defaults = {
        str(field.column): field.default if field.has_default() else ""
        for field in fields
        if field.db_default is NOT_PROVIDED and (field.has_default() or _may_be_empty(field))
    }
    return frozenset(str(field.column) for field in fields), {
        name: default for name, default in defaults.items() if default is not None
    }


def _may_be_empty(field: "models.Field[Any, Any]") -> bool:
    return field.empty_strings_allowed and field.blank and not field.null


def _columns(rows: list[Row]) -> tuple[str, str]:
    names = list(rows[0])
    return ", ".join(names), ", ".join(f"new.{name}" for name in names)


def documents(rows: Iterable[Row]) -> str:
    """Rows as one JSON array."""
    return f"[{','.join(document(row) for row in rows)}]"


def document(row: Row) -> str:
    """A row as a JSON object; what is encoded already goes in as it is.

    Raises:
        ValueError: NaN or infinity, which no JSON column takes.
    """
    plain = {name: value for name, value in row.items() if not isinstance(value, Encoded)}
    text = json.dumps(plain, default=_plain, allow_nan=False, ensure_ascii=False, separators=(",", ":"))
    encoded = ",".join(f'"{name}":{row[name].decode()}' for name in row.keys() - plain.keys())
    return f"{text[:-1]}{',' if encoded and plain else ''}{encoded}}}" if encoded else text


def _plain(value: Any) -> str:
    """What JSON has no word for, as the database reads it."""
    if isinstance(value, UUID):
        return value.hex
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Decimal):
        return str(value)
    if isinstance(value, bytes):
        return f"\\x{value.hex()}"
    raise TypeError(f"{type(value).__name__} does not go into a row")


@contextmanager
def prepared_cursor() -> Iterator[Any]:
    """A cursor of this thread's connection whose statements are prepared on the server when they come again."""
    connection.ensure_connection()
    if connection.queries_logged:  # a prepared statement has no text of its own to show
        with connection.cursor() as cursor:
            yield cursor
        return
    driver = connection.connection
    if driver.prepare_threshold is None:  # Django's own cursors bind on the client, where nothing can be prepared
        driver.prepare_threshold = PREPARE_AFTER
    raw: Any = ServerBindingCursor(driver)  # type: ignore[call-arg]
    with connection.make_cursor(raw) as cursor:
        yield cursor


def atomic_for(*, several: bool) -> AbstractContextManager[Any]:
    """A transaction for several statements; one is a transaction of its own, or a savepoint in the caller's."""
    return transaction.atomic() if several or connection.in_atomic_block else nullcontext()


def artifact_row(run_id: UUID, step_id: UUID | None, attempt: int, role: str, name: str, sha256: str) -> Row:
    """An artifact's row for `insert_evidence`."""
    return {
        "id": new_id(),
        "run_id": run_id,
        "step_id": step_id,
        "attempt": attempt,
        "role": role,
        "name": name,
        "sha256": sha256,
    }
