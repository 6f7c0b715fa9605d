"""Who works on what: claims with a lease and a fencing token, by the database's clock."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from django.conf import settings
from django.db import connection

from core.ids import Ulid


@dataclass(frozen=True, slots=True)
class Claim:
    """The right to change one run until the lease ends or a newer token exists."""

    run_id: UUID
    token: int
    owner: str
    starts: int = 1


# Fair between shops: a run waits behind as many others as its shop has alive or ahead of it in the line.
CLAIM = """
WITH live AS (
    SELECT shop_id, count(*) AS n FROM runs_run WHERE status = 'running' AND lease_until >= statement_timestamp()
    GROUP BY shop_id
), candidate AS (
    SELECT run.id, run.priority,
           coalesce(live.n, 0) + row_number() OVER (PARTITION BY run.shop_id ORDER BY run.priority, run.due_at, run.id)
               AS place,
           run.due_at
    FROM runs_run run LEFT JOIN live ON live.shop_id IS NOT DISTINCT FROM run.shop_id
    WHERE (run.status = 'pending' AND run.due_at <= statement_timestamp())
       OR (run.status = 'running' AND run.lease_until < statement_timestamp())
), chosen AS (
    SELECT run.id FROM runs_run run JOIN candidate ON candidate.id = run.id
    WHERE (run.status = 'pending' AND run.due_at <= statement_timestamp())
       OR (run.status = 'running' AND run.lease_until < statement_timestamp())
    ORDER BY candidate.priority, candidate.place, candidate.due_at, run.id
    LIMIT %(limit)s
    FOR UPDATE OF run SKIP LOCKED
)
UPDATE runs_run SET status = 'running', token = token + 1, starts = starts + 1, lease_owner = %(owner)s,
       lease_until = statement_timestamp() + make_interval(secs => %(lease)s),
       started_at = coalesce(started_at, statement_timestamp()),
       updated_at = statement_timestamp()
FROM chosen WHERE runs_run.id = chosen.id
RETURNING runs_run.id, runs_run.token, runs_run.starts
"""

RENEW = """
UPDATE runs_run SET lease_until = statement_timestamp() + make_interval(secs => %(lease)s)
FROM unnest(%(ids)s::uuid[], %(tokens)s::int[]) AS held(id, token)
WHERE runs_run.id = held.id AND runs_run.token = held.token AND runs_run.status = 'running'
RETURNING runs_run.id
"""

RELEASE = """
UPDATE runs_run SET lease_until = statement_timestamp() - interval '1 second', starts = greatest(starts - 1, 0)
WHERE id = %(id)s AND token = %(token)s AND status = 'running'
"""

BEAT = """
INSERT INTO runs_worker (name, host, pid, runs_in_flight, started_at, beat_at)
VALUES (%(name)s, %(host)s, %(pid)s, %(flying)s, statement_timestamp(), statement_timestamp())
ON CONFLICT (name) DO UPDATE SET beat_at = statement_timestamp(), runs_in_flight = excluded.runs_in_flight
"""


def claim_runs(owner: str, limit: int) -> list[Claim]:
    """Take up to `limit` due runs, or runs whose lease ran out; nobody else can take the same ones."""
    with connection.cursor() as cursor:
        cursor.execute(CLAIM, {"owner": owner, "limit": limit, "lease": settings.RUN_LEASE_SECONDS})
        return [Claim(Ulid(int=run_id.int), token, owner, starts) for run_id, token, starts in cursor.fetchall()]


def renew_leases(claims: Sequence[Claim]) -> set[UUID]:
    """Extend all leases a worker holds in one statement; returns the runs that are still its own."""
    with connection.cursor() as cursor:
        cursor.execute(
            RENEW,
            {
                "ids": [UUID(int=claim.run_id.int) for claim in claims],
                "tokens": [claim.token for claim in claims],
                "lease": settings.RUN_LEASE_SECONDS,
            },
        )
        return {row[0] for row in cursor.fetchall()}


def release_run(claim: Claim) -> None:
    """Hand a run over unfinished: it is due at once, and this start does not count against it."""
    with connection.cursor() as cursor:
        cursor.execute(RELEASE, {"id": UUID(int=claim.run_id.int), "token": claim.token})


def beat(name: str, host: str, pid: int, flying: int) -> None:
    """Say that a worker process is alive."""
    with connection.cursor() as cursor:
        cursor.execute(BEAT, {"name": name, "host": host, "pid": pid, "flying": flying})
        cursor.execute("DELETE FROM runs_worker WHERE beat_at < statement_timestamp() - interval '1 hour'")
