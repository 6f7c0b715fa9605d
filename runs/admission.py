"""Back-pressure: how long the line of shoppers is, and whether somebody may still join it."""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.db import connection

from runs.claims import NOBODY, shop_cap
from runs.errors import LineTooLong
from runs.models import Run

if TYPE_CHECKING:
    from shops.models import Shop

USUAL_RUN_SECONDS = 10.0  # until a run has been seen to end
LONGEST_RETRY_AFTER = 60

# Shops take turns, so who comes as its shop's n-th has at most n runs of every other shop before it, however many wait.
LINE = """
WITH line AS (
    SELECT coalesce(shop_id, %(nobody)s::uuid) AS tenant, count(*) AS n, min(due_at) AS oldest
    FROM runs_run WHERE status = 'pending' AND priority <= 0 AND due_at <= statement_timestamp() GROUP BY 1
), own AS (
    SELECT coalesce(sum(n), 0) AS n, min(oldest) AS oldest FROM line WHERE tenant = %(tenant)s::uuid
)
SELECT own.n, (SELECT coalesce(sum(least(line.n, own.n + 1)), 0) FROM line WHERE tenant <> %(tenant)s::uuid),
       coalesce(extract(epoch FROM statement_timestamp() - own.oldest), 0),
       coalesce(extract(epoch FROM statement_timestamp() - (SELECT min(oldest) FROM line)), 0),
       (SELECT coalesce(sum(capacity), 0) FROM runs_worker
        WHERE beat_at > statement_timestamp() - interval '30 seconds'),
       (SELECT avg(extract(epoch FROM finished_at - started_at)) FROM (
            SELECT pipeline_slug, started_at, finished_at FROM runs_run WHERE status = 'completed' AND mode = 'live'
            ORDER BY id DESC LIMIT 200) AS recent WHERE pipeline_slug = %(pipeline)s)
FROM own
"""

PLACE = """
WITH own AS (
    SELECT count(*) AS n FROM runs_run
    WHERE status = 'pending' AND coalesce(shop_id, %(nobody)s::uuid) = %(tenant)s::uuid AND priority <= 0
      AND (priority, due_at, id) <= (%(priority)s, %(due_at)s, %(id)s::uuid)
), others AS (
    SELECT count(*) AS n FROM runs_run
    WHERE status = 'pending' AND priority <= 0 AND due_at <= statement_timestamp()
      AND coalesce(shop_id, %(nobody)s::uuid) <> %(tenant)s::uuid
    GROUP BY shop_id
)
SELECT own.n + (SELECT coalesce(sum(least(others.n, own.n)), 0) FROM others) FROM own
"""


@dataclass(frozen=True, slots=True)
class Line:
    """The line as one more run of a shop would find it."""

    own: int  # runs of the same shop that wait
    others: int  # runs of other shops whose turn comes before
    own_oldest_s: float
    oldest_s: float
    places: int  # of all living workers
    run_s: float

    @property
    def expected_wait_s(self) -> float:
        """Seconds until the run would begin: its turn among all, its turn within its shop's cap, or what is seen.

        While no worker lives, nobody can say; then it is as long as the longest wait so far.
        """
        if not self.own and not self.others:
            return 0.0
        if not self.places:
            return self.oldest_s
        among_all = (self.own + self.others) / self.places
        within_cap = self.own / shop_cap(self.places)
        return max(self.run_s * max(among_all, within_cap), self.own_oldest_s)


def line_for(shop: "Shop | None", pipeline: str) -> Line:
    """The line that a shopper's run of a pipeline would join, in one statement over what waits."""
    values: dict[str, Any] = {"nobody": NOBODY, "tenant": _tenant(shop.pk if shop else None), "pipeline": pipeline}
    with connection.cursor() as cursor:
        cursor.execute(LINE, values)
        own, others, own_oldest, oldest, places, run_s = cursor.fetchone()
    seconds = USUAL_RUN_SECONDS if run_s is None else float(run_s)
    return Line(int(own), int(others), float(own_oldest), float(oldest), int(places), seconds)


def require_room(shop: "Shop | None", pipeline: str) -> None:
    """Refuse a shopper's run that would wait longer than anybody watches a page.

    Raises:
        LineTooLong: with `Retry-After`.
    """
    wait_s = line_for(shop, pipeline).expected_wait_s
    if wait_s > settings.MAX_WAIT_SECONDS:
        raise LineTooLong(max(1, min(LONGEST_RETRY_AFTER, math.ceil(wait_s - settings.MAX_WAIT_SECONDS))))


def place_in_line(run: Run) -> int:
    """Which one in line a waiting shopper's run is, as turns are taken: 1 is next."""
    values: dict[str, Any] = {"nobody": NOBODY, "tenant": _tenant(run.shop_id), "priority": run.priority}
    with connection.cursor() as cursor:
        cursor.execute(PLACE, {**values, "due_at": run.due_at, "id": str(run.pk.hex)})
        return int(cursor.fetchone()[0])


def _tenant(shop_id: object) -> str:
    return str(getattr(shop_id, "hex", NOBODY.hex))
