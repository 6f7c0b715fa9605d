"""Who works on what: claims with a lease and a fencing token, by the database's clock.

Fairness has three rules, all in one statement. A run waits behind as many runs of its class as its shop has in hand or
ahead of it, so shops take turns whatever their numbers. No shop has more than `RUNS_PER_SHOP` runs in hand, nor more
than `LARGEST_SHARE` of all places, counted exactly over all workers; its bulk work has at most that share of them.
Shoppers come before bulk work, within the bounds that a worker sets (`Room`), so that neither can shut the other out.
"""

import math
import os
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import connection, transaction

from core.ids import Ulid
from runs.errors import LeaseLost
from runs.messages import send_hint

LARGEST_SHARE = 0.75
INLINE = "inline:"
INLINE_LEASE = timedelta(minutes=1)
CLAIM_LOCK = 0x5EE17C1A  # any number that no other advisory lock of this database uses


@dataclass(frozen=True, slots=True)
class Claim:
    """The right to change one run until the lease ends or a newer token exists."""

    run_id: UUID
    token: int
    owner: str
    starts: int = 1
    bulk: bool = False
    inline: bool = False


@dataclass(frozen=True, slots=True)
class Room:
    """How many runs a worker takes now: `free` in all; of bulk work at least so many, if any waits, and at most."""

    free: int
    bulk_least: int = 0
    bulk_most: int | None = None


def largest_share(places: int) -> int:
    """How many of some places one shop may fill, or bulk work: three quarters, and never none."""
    return max(1, math.floor(places * LARGEST_SHARE))


def shop_cap(places: int) -> int:
    """How many runs a shop may have in hand where all living workers have so many places (0: nobody knows)."""
    return min(settings.RUNS_PER_SHOP, largest_share(places)) if places else settings.RUNS_PER_SHOP


def room_of(capacity: int, held: Sequence[Claim], turn: int = 0) -> Room:
    """What a worker with `capacity` places takes at its `turn`-th claim.

    A quarter of the places is kept free of bulk work, so that a shopper begins at once; and where bulk work waits, one
    place is its own, however many shoppers there are. A worker with a single place gives it to bulk work first at every
    eighth turn.
    """
    free, bulk = capacity - len(held), sum(claim.bulk for claim in held)
    due = not bulk and (capacity > 1 or turn % 8 == 7)
    return Room(free, min(free, int(due)), max(0, largest_share(capacity) - bulk))


# By the smallest due time, not by `EXISTS`: that one may be answered by reading the table from its oldest row.
PROBE = """
SELECT coalesce((SELECT min(due_at) FROM runs_run WHERE status = 'pending') <= statement_timestamp(), false)
    OR coalesce((SELECT min(lease_until) FROM runs_run WHERE status = 'running') < statement_timestamp(), false)
"""

# A statement of its own: the next one shall see what was claimed while this one waited. And one plan, whatever the
# statistics say: those of an empty queue, which is when it grows fastest, would have the whole queue read and sorted.
LOCK = """
SELECT pg_advisory_xact_lock(%s), set_config('enable_seqscan', 'off', true),
       set_config('enable_bitmapscan', 'off', true), set_config('enable_sort', 'off', true),
       set_config('enable_hashjoin', 'off', true), set_config('enable_mergejoin', 'off', true),
       set_config('enable_material', 'off', true), set_config('jit', 'off', true),
       (SELECT coalesce(sum(capacity), 0) FROM runs_worker
        WHERE beat_at > statement_timestamp() - interval '30 seconds')
"""

# `tenant` walks the index from shop to shop, `waiting` takes each shop's first few: what a claim reads grows with the
# shops that wait and the places that are free, not with the runs that are due. Runs without a shop are one tenant,
# whom no cap binds.
CLAIM = """
WITH RECURSIVE live AS MATERIALIZED (
    SELECT coalesce(shop_id, %(nobody)s::uuid) AS tenant,
           count(*) FILTER (WHERE priority <= 0) AS shoppers, count(*) FILTER (WHERE priority > 0) AS bulk
    FROM runs_run WHERE status = 'running' AND lease_until >= statement_timestamp() GROUP BY 1
), tenant(id) AS (
    (SELECT coalesce(shop_id, %(nobody)s::uuid) FROM runs_run WHERE status = 'pending' ORDER BY 1 LIMIT 1)
    UNION ALL
    SELECT (SELECT coalesce(shop_id, %(nobody)s::uuid) FROM runs_run
            WHERE status = 'pending' AND coalesce(shop_id, %(nobody)s::uuid) > tenant.id ORDER BY 1 LIMIT 1)
    FROM tenant WHERE tenant.id IS NOT NULL
), waiting AS (
    SELECT tenant.id AS tenant, class.bulk, run.id, run.token, run.priority, run.due_at
    FROM tenant, (VALUES (false, -32768, 0), (true, 1, 32767)) AS class(bulk, first, last), LATERAL (
        SELECT id, token, priority, due_at FROM runs_run
        WHERE status = 'pending' AND coalesce(shop_id, %(nobody)s::uuid) = tenant.id
          AND priority BETWEEN class.first AND class.last AND due_at <= statement_timestamp()
        ORDER BY priority, due_at, id LIMIT %(free)s + 2
    ) AS run
    UNION ALL
    SELECT coalesce(shop_id, %(nobody)s::uuid), priority > 0, id, token, priority, due_at
    FROM runs_run WHERE status = 'running' AND lease_until < statement_timestamp()
), placed AS (
    SELECT waiting.*, coalesce(live.shoppers, 0) AS live_shoppers, coalesce(live.bulk, 0) AS live_bulk,
           row_number() OVER (PARTITION BY waiting.tenant ORDER BY waiting.bulk, priority, due_at, id) AS nth,
           row_number() OVER (PARTITION BY waiting.tenant, waiting.bulk ORDER BY priority, due_at, id) AS nth_of_class
    FROM waiting LEFT JOIN live ON live.tenant = waiting.tenant
), allowed AS (
    SELECT id, token, bulk, priority, due_at,
           nth_of_class + CASE WHEN bulk THEN live_bulk ELSE live_shoppers END AS place
    FROM placed
    WHERE tenant = %(nobody)s::uuid OR (live_shoppers + live_bulk + nth <= %(per_shop)s
                                        AND (NOT bulk OR live_bulk + nth_of_class <= %(per_shop_bulk)s))
), turn AS (
    SELECT id, token, bulk, row_number() OVER (PARTITION BY bulk ORDER BY priority, place, due_at, id) AS nth
    FROM allowed
), best AS MATERIALIZED (
    SELECT id, token, row_number() OVER (ORDER BY NOT (bulk AND nth <= %(bulk_least)s), bulk, nth) AS nth
    FROM turn WHERE NOT bulk OR nth <= %(bulk_most)s
    ORDER BY 3 LIMIT %(free)s + 20
), chosen AS (
    SELECT run.id FROM runs_run run JOIN best ON best.id = run.id AND best.token = run.token
    WHERE CASE run.status WHEN 'pending' THEN true WHEN 'running' THEN run.lease_until < statement_timestamp() END
    ORDER BY best.nth LIMIT %(free)s
    FOR UPDATE OF run SKIP LOCKED
)
UPDATE runs_run SET status = 'running', token = token + 1, starts = starts + 1,
       lease_owner = CASE WHEN starts_with(lease_owner, 'inline:') THEN lease_owner ELSE %(owner)s END,
       lease_until = statement_timestamp() + make_interval(secs => %(lease)s),
       started_at = coalesce(started_at, statement_timestamp()),
       updated_at = statement_timestamp()
FROM chosen WHERE runs_run.id = chosen.id
RETURNING runs_run.id, runs_run.token, runs_run.starts, runs_run.priority > 0, starts_with(lease_owner, 'inline:')
"""
NOBODY = UUID(int=0)

RENEW = """
UPDATE runs_run SET lease_until = statement_timestamp() + make_interval(secs => %(lease)s)
FROM unnest(%(ids)s::uuid[], %(tokens)s::int[]) AS held(id, token)
WHERE runs_run.id = held.id AND runs_run.token = held.token AND runs_run.status = 'running'
RETURNING runs_run.id
"""

RELEASE = """
UPDATE runs_run SET lease_until = statement_timestamp() - interval '1 second', starts = greatest(starts - 1, 0)
FROM unnest(%(ids)s::uuid[], %(tokens)s::int[]) AS held(id, token)
WHERE runs_run.id = held.id AND runs_run.token = held.token AND runs_run.status = 'running'
"""

PUT_OFF = """
UPDATE runs_run SET lease_until = statement_timestamp() + make_interval(secs => %(seconds)s),
       lease_owner = CASE WHEN starts_with(lease_owner, 'inline:') THEN lease_owner ELSE '' END,
       starts = greatest(starts - 1, 0)
FROM unnest(%(ids)s::uuid[], %(tokens)s::int[]) AS held(id, token)
WHERE runs_run.id = held.id AND runs_run.token = held.token AND runs_run.status = 'running'
"""

EXPIRE = """
UPDATE runs_run SET lease_until = statement_timestamp() - interval '1 second'
WHERE lease_owner = %s AND status = 'running' AND lease_until > statement_timestamp()
"""

# Not `starts`: a run that waits for its time is in nobody's hands, and its worker has not died of it.
REST = """
UPDATE runs_run SET status = 'pending', due_at = statement_timestamp() + make_interval(secs => %(seconds)s),
       lease_until = NULL, lease_owner = '', starts = greatest(starts - 1, 0), updated_at = statement_timestamp()
WHERE id = %(id)s AND token = %(token)s AND status = 'running'
"""

BEAT = """
INSERT INTO runs_worker (name, host, pid, runs_in_flight, capacity, started_at, beat_at)
VALUES (%(name)s, %(host)s, %(pid)s, %(flying)s, %(capacity)s, statement_timestamp(), statement_timestamp())
ON CONFLICT (name) DO UPDATE
SET beat_at = statement_timestamp(), runs_in_flight = excluded.runs_in_flight, capacity = excluded.capacity
"""


def claim_runs(owner: str, room: Room | int) -> list[Claim]:
    """Take due runs, or runs whose lease ran out; nobody else can take the same ones.

    Claims follow one another (a lock of the transaction), for only then is what a shop has in hand a count and not a
    guess. Where nothing is due, which is how most looks end, no lock is taken.
    """
    room = Room(room) if isinstance(room, int) else room
    with connection.cursor() as cursor:
        cursor.execute(PROBE)
        if room.free < 1 or not cursor.fetchone()[0]:
            return []
        with transaction.atomic():
            cursor.execute(LOCK, [CLAIM_LOCK])
            places = int(cursor.fetchone()[-1])
            cursor.execute(CLAIM, _claim_values(owner, room, shop_cap(places)))
            rows = cursor.fetchall()
    return [Claim(Ulid(int=run_id.int), token, owner, *rest) for run_id, token, *rest in rows]


def inline_lease(now: datetime) -> tuple[str, datetime]:
    """Who holds a run that the calling process executes itself, and until when at least.

    The first heartbeat shortens it to what a worker's lease is, by the database's clock.
    """
    return f"{INLINE}{socket.gethostname()}:{os.getpid()}", now + INLINE_LEASE


def _claim_values(owner: str, room: Room, per_shop: int) -> dict[str, Any]:
    return {
        "owner": owner,
        "lease": settings.RUN_LEASE_SECONDS,
        "nobody": NOBODY,
        "free": room.free,
        "bulk_least": room.bulk_least,
        "bulk_most": room.free if room.bulk_most is None else room.bulk_most,
        "per_shop": per_shop,
        "per_shop_bulk": largest_share(per_shop),
    }


def renew_leases(claims: Sequence[Claim]) -> set[UUID]:
    """Extend all leases a worker holds in one statement; returns the runs that are still its own."""
    with connection.cursor() as cursor:
        cursor.execute(RENEW, {**_held(claims), "lease": settings.RUN_LEASE_SECONDS})
        return {row[0] for row in cursor.fetchall()}


def release_runs(claims: Sequence[Claim]) -> None:
    """Hand runs over unfinished: they are due at once, others hear of it, and this start does not count."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(RELEASE, _held(claims))
        for claim in claims:
            send_hint(claim.run_id)


def put_off_runs(claims: Sequence[Claim], seconds: float) -> None:
    """Leave claimed runs, untouched, for somebody to claim in a moment; this start does not count."""
    if claims:
        with connection.cursor() as cursor:
            cursor.execute(PUT_OFF, {**_held(claims), "seconds": seconds})


def _held(claims: Sequence[Claim]) -> dict[str, list[Any]]:
    return {"ids": [UUID(int=claim.run_id.int) for claim in claims], "tokens": [claim.token for claim in claims]}


def rest_run(claim: Claim, seconds: float) -> None:
    """Hand a run back that has nothing to do for so long; it is due then, by the database's clock.

    Raises:
        LeaseLost: another token holds the run, or it has ended.
    """
    with connection.cursor() as cursor:
        cursor.execute(REST, {"id": UUID(int=claim.run_id.int), "token": claim.token, "seconds": seconds})
        if not cursor.rowcount:
            raise LeaseLost()


def beat(name: str, host: str, pid: int, flying: int, capacity: int = 0) -> None:
    """Say that a worker process is alive, how many runs it has in hand and for how many it has places."""
    with connection.cursor() as cursor:
        cursor.execute(BEAT, {"name": name, "host": host, "pid": pid, "flying": flying, "capacity": capacity})
        cursor.execute("DELETE FROM runs_worker WHERE beat_at < statement_timestamp() - interval '2 minutes'")


def forget_worker(name: str) -> None:
    """A worker process has ended: it is not heard of any more, and what it held is due."""
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM runs_worker WHERE name = %s", [name])
        cursor.execute(EXPIRE, [name])


def forget_dead_workers(host: str) -> int:
    """Forget this host's workers whose process is gone, and let their runs go on without waiting for the lease to end.

    A host name that two machines share costs work done twice, never an effect: the fence decides. Returns how many.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT name, pid FROM runs_worker WHERE host = %s", [host])
        dead = [name for name, pid in cursor.fetchall() if not _is_running(pid)]
    for name in dead:
        forget_worker(name)
    return len(dead)


def _is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True
