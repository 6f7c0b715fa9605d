"""A table of many runs, copied in the database from one real run of the demo shop."""

from collections.abc import Mapping
from typing import Any

from django.db import connection, models

from core.ids import new_id
from runs.models import Artifact, MetricResult, Run, RunError, Step, StepPayload
from shops.models import Shop
from shops.services import create_shop
from storefront.demo_catalog import load_catalog
from storefront.demo_shop import ensure_demo_shop, prepare_products, seed_products
from storefront.execution import CompositeParams, execute_composite_run
from storefront.photos import store_room_photo

SHOPS, FAILED_EVERY, STEEP_EVERY, RARE_EVERY = 20, 25, 100, 10_000
RARE_MODEL = "rare-1"
KINDS, SIGNATURE, METRIC = 25, "placement: vendor_timeout: kind ", "contact_gap"


def make_model_run() -> Run:
    """One real picture with everything captured; every other run is a copy of it."""
    shop = ensure_demo_shop()
    asset = seed_products(shop)[0]
    prepare_products([asset])
    room = store_room_photo(shop=shop, content=load_catalog().rooms[0].photo_path.read_bytes())
    run = execute_composite_run(CompositeParams(asset, room, trigger="bench"))
    if run.status != Run.Status.COMPLETED:
        raise RuntimeError(f"The model run failed: {run.error_code}, {run.error_message}")
    for number in range(1, SHOPS):
        create_shop(domain=f"shop-{number}.example", name=f"Shop {number}")
    return run


def seed_runs(model: Run, count: int, *, newest_s: int, oldest_s: int, whole: bool) -> None:
    """Copy a run and its steps, the copies spread evenly over an age span in seconds.

    With `whole` payloads, evidence and metrics come along and all belong to the model's shop; otherwise the copies are
    spread over all shops, every 25th has failed, every 100th has a filter that dropped almost everything, and every
    10,000th was made by a rare model.
    """
    with connection.cursor() as cursor:
        cursor.execute("DROP TABLE IF EXISTS bench_new")
        cursor.execute(
            """
            CREATE TEMPORARY TABLE bench_new AS
            SELECT uuidv7(make_interval(secs => -age)) AS id, statement_timestamp() - make_interval(secs => age) AS at,
                   number, number %% %(failed)s = 0 AND NOT %(whole)s AS failed
            FROM (SELECT number, %(newest)s + (%(oldest)s - %(newest)s) * (number / %(count)s::float8) AS age
                  FROM generate_series(1, %(count)s) AS number) AS spread
            """,
            {"count": count, "newest": newest_s, "oldest": oldest_s, "whole": whole, "failed": FAILED_EVERY},
        )
        _copy_runs(cursor, model, whole=whole)
        _copy_steps(cursor, model, whole=whole)
        if not whole:
            cursor.execute(
                """
                INSERT INTO runs_runerror (id, run_id, stage, attempt, code, message, retryable, vendor, model,
                                           cost_source, details, created_at)
                SELECT uuidv7(new.at - statement_timestamp()), new.id, 'placement', 1, 'vendor_timeout', 'No answer.',
                       true, 'local', 'local-1', '', '{}', new.at FROM bench_new new WHERE new.failed
                """
            )
            cursor.execute(
                """
                INSERT INTO runs_metricresult (id, run_id, attempt, profile_key, key, value, passed, threshold,
                                               must_pass, unit, details, source, created_at)
                SELECT uuidv7(new.at - statement_timestamp()), new.id, 1, 'bench', measured.key, 0.5,
                       NOT (new.failed AND measured.key = %(metric)s), 0.2, true, 'share', '{}', 'auto', new.at
                FROM bench_new new CROSS JOIN unnest(ARRAY[%(metric)s, 'seam', 'on_support']) AS measured(key)
                """,
                {"metric": METRIC},
            )
    _analyse()


def make_large_run(model: Run, *, steps: int, artifacts: int) -> Run:
    """A run of many steps and pieces of evidence, with payloads as large as the model's."""
    run = Run.objects.get(pk=model.pk)
    run.pk, run.idempotency_key, run.subject_label = new_id(), None, "A large run"
    run._state.adding = True
    run.save()
    blobs = list(Artifact.objects.filter(run=model, blob__isnull=False).values_list("blob_id", "role"))
    originals = list(model.steps.select_related("payload"))
    for number in range(steps):
        step = originals[number % len(originals)]
        payload = step.payload
        step.pk, step.run, step.node_key, step.seq = new_id(), run, f"{step.name}_{number}", number
        step._state.adding = payload._state.adding = True
        step.save()
        payload.step = step
        payload.save()
        share = range(number, artifacts, steps)
        pieces = ((f"piece-{piece}", *blobs[piece % len(blobs)]) for piece in share)
        Artifact.objects.bulk_create(
            Artifact(run=run, step=step, name=name, blob_id=blob, role=role) for name, blob, role in pieces
        )
    return run


def _copy_runs(cursor: Any, model: Run, *, whole: bool) -> None:
    shops = [shop.pk for shop in Shop.objects.all()]
    changed = {
        "id": "new.id",
        "created_at": "new.at",
        "started_at": "new.at",
        "finished_at": "new.at + make_interval(secs => 3)",
        "updated_at": "new.at",
        "due_at": "new.at",
        "idempotency_key": "NULL",
        "subject_label": "old.subject_label || ' ' || new.number",
        "status": "CASE WHEN new.failed THEN 'failed' ELSE 'completed' END",
        "error_code": "CASE WHEN new.failed THEN 'vendor_timeout' ELSE '' END",
        "error_signature": f"CASE WHEN new.failed THEN '{SIGNATURE}' || new.number %% {KINDS} ELSE '' END",
    }
    if not whole:
        changed["shop_id"] = "(%(shops)s::uuid[])[1 + new.number %% cardinality(%(shops)s::uuid[])]"
    each = "CROSS JOIN bench_new new WHERE old.id = %(model)s"
    _copy(cursor, Run, changed, each, {"model": model.pk, "shops": shops})


def _copy_steps(cursor: Any, model: Run, *, whole: bool) -> None:
    """Steps of every copy; of whole ones also payloads, evidence and metrics, tied to the new steps by node key."""
    given = {"model": model.pk}
    at = {"created_at": "new.at"}
    ids = {"id": "uuidv7(new.at - statement_timestamp())", "run_id": "new.id"}
    each = "CROSS JOIN bench_new new WHERE old.run_id = %(model)s"
    changed = {
        "started_at": "new.at",
        "finished_at": "new.at + make_interval(secs => 1)",
        "shop_id": "(SELECT shop_id FROM runs_run WHERE id = new.id)",
        "drop_ratio": f"CASE WHEN new.number %% {STEEP_EVERY} = 0 THEN old.drop_ratio ^ 0.1 ELSE old.drop_ratio END",
        "model": f"CASE WHEN new.number %% {RARE_EVERY} = 77 THEN '{RARE_MODEL}' ELSE old.model END",
    }
    _copy(cursor, Step, {**ids, **at, **changed}, each, given)
    if not whole:
        return
    twin = """
        JOIN runs_step mine ON mine.id = old.step_id CROSS JOIN bench_new new
        JOIN runs_step theirs ON theirs.run_id = new.id AND theirs.node_key = mine.node_key
        WHERE mine.run_id = %(model)s"""
    _copy(cursor, StepPayload, {"step_id": "theirs.id"}, twin, given)
    for table in (Artifact, MetricResult):
        _copy(cursor, table, {**ids, **at, "step_id": "theirs.id"}, twin, given)
    _copy(cursor, Artifact, {**ids, **at}, each + " AND old.step_id IS NULL", given)


def _copy(
    cursor: Any, table: type[models.Model], changed: Mapping[str, str], source: str, given: Mapping[str, Any]
) -> None:
    """INSERT ... SELECT of all columns of a table from rows `old` of its own, some of them replaced."""
    columns = [str(field.column) for field in table._meta.local_concrete_fields]
    values = ", ".join(changed.get(column, f"old.{column}") for column in columns)
    name = table._meta.db_table
    cursor.execute(
        f"INSERT INTO {name} ({', '.join(columns)}) SELECT {values} FROM {name} old {source}",  # noqa: S608
        {name: _plain(value) for name, value in given.items()},
    )


def _plain(value: Any) -> Any:
    """Ids as the database driver knows them."""
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return value.hex


def _analyse() -> None:
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE")


def seeded_counts() -> str:
    """How many rows of each kind there are, in words."""
    counts = {table: table._default_manager.count() for table in (Run, Step, StepPayload, Artifact, RunError)}
    return ", ".join(f"{count:,} {table._meta.verbose_name_plural}" for table, count in counts.items())
