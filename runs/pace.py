"""Limits of model services, shared by all workers: calls at once, calls a minute, and rests that a service asks for.

The rows are the truth: a bucket and one row for each call under way, changed under the bucket's lock by the database's
clock.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.db import connection, transaction
from django.db.models import Count, F
from django.db.models.functions import Greatest, Now

from runs.models import Run, Step, VendorPace, VendorSlot
from vendors.routes import Limit

SLOT_SECONDS = 15.0  # a dead process's calls count that long
PROBE_SECONDS = 60.0  # how long one call has to show that a closed service is open again
LONGEST_REST_SECONDS = 3600.0
WAITING = "waits_for"  # in the reasons of a step that was put off


@dataclass(frozen=True, slots=True)
class Grant:
    """Places taken, and, if these are not all that were asked for, for what limit the others wait and how long."""

    slots: list[UUID]
    limit: str = ""
    wait_s: float | None = None
    closed_by: str = ""
    probe: bool = False  # the one call that shows whether the service is open again


def take_slots(vendor: str, limit: Limit, owner: str, want: int) -> Grant:
    """Take up to `want` places for calls of a service, with a token each.

    What cannot be had now is said with the limit's name (`rest`, `per_minute`, `concurrency`) and, where that is known,
    the seconds until there is more.
    """
    with transaction.atomic():
        VendorPace.objects.bulk_create([VendorPace(vendor=vendor)], ignore_conflicts=True)
        pace = VendorPace.objects.select_for_update().get(pk=vendor)
        now = _clock()
        if pace.not_before is not None and pace.not_before > now:
            return Grant([], "rest", (pace.not_before - now).total_seconds(), pace.closed_by)
        if pace.closed_by:  # one may try; the others are told to stay away meanwhile
            until = now + timedelta(seconds=PROBE_SECONDS)
            VendorPace.objects.filter(pk=vendor).update(not_before=until)
            slot = VendorSlot(vendor=vendor, owner=owner, expires_at=now + timedelta(seconds=SLOT_SECONDS))
            slot.save(force_insert=True)
            return Grant([slot.pk], "rest", PROBE_SECONDS, pace.closed_by, probe=True)
        under_way = _under_way(vendor, now)
        places = want if limit.concurrency is None else limit.concurrency - under_way
        tokens, tat, wait_s = _tokens(pace.tat, limit, now, min(want, max(0, places)))
        slots = [
            VendorSlot(vendor=vendor, owner=owner, expires_at=now + timedelta(seconds=SLOT_SECONDS))
            for _ in range(tokens)
        ]
        VendorSlot.objects.bulk_create(slots)
        if tokens and tat is not None:
            VendorPace.objects.filter(pk=vendor).update(tat=tat)
    taken = [slot.pk for slot in slots]
    if len(taken) == want:
        return Grant(taken)
    return Grant(taken, "per_minute", wait_s) if wait_s is not None else Grant(taken, "concurrency")


def _clock() -> datetime:
    """The database's clock now, not at the transaction's beginning: the lock may have been waited for."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        return cursor.fetchone()[0]  # type: ignore[no-any-return]


def _under_way(vendor: str, now: datetime) -> int:
    VendorSlot.objects.filter(vendor=vendor, expires_at__lt=now).delete()
    return VendorSlot.objects.filter(vendor=vendor).count()


def pace_of(per_minute: int) -> tuple[timedelta, int]:
    """The bucket of a rate: the time between tokens, and how many may be taken at once.

    A tenth may be taken at once; the others come so that no 60 seconds ever see more than `per_minute`.
    """
    burst = max(1, per_minute // 10)
    return timedelta(seconds=60 / (per_minute - burst + 1)), burst


def _tokens(tat: datetime | None, limit: Limit, now: datetime, want: int) -> tuple[int, datetime | None, float | None]:
    """How many tokens there are up to `want`, the bucket after that, and seconds to the next one if there were too few.

    The generic cell rate algorithm (ITU-T I.371, virtual scheduling): a token may be taken while the theoretical
    arrival time lies at most `burst - 1` steps ahead.
    """
    if limit.per_minute is None:
        return want, tat, None
    step, burst = pace_of(limit.per_minute)
    arrival = max(tat or now, now)
    there = max(0, int((now + step * (burst - 1) - arrival) / step) + 1) if arrival <= now + step * (burst - 1) else 0
    taken = min(want, there)
    after = arrival + step * taken
    wait_s = max(0.0, (after - step * (burst - 1) - now).total_seconds()) if taken < want else None
    return taken, after, wait_s


def renew_slots(slots: Sequence[UUID]) -> None:
    """Say that these calls are still under way."""
    VendorSlot.objects.filter(pk__in=slots).update(expires_at=Now() + timedelta(seconds=SLOT_SECONDS))


def release_slots(slots: Sequence[UUID]) -> None:
    """Give places back."""
    VendorSlot.objects.filter(pk__in=slots).delete()


def waiting_of(step_id: UUID) -> dict[str, str] | None:
    """For which limit a step was put off, and since when it waits; None for one that was not."""
    reasons = Step.objects.values_list("reasons", flat=True).get(pk=step_id)
    return reasons.get(WAITING)  # type: ignore[no-any-return]


def note_waiting(step_id: UUID, token: int, waits: dict[str, str]) -> None:
    """Keep with a step what it waits for and since when, if its run is still held under this token."""
    held = Step.objects.filter(pk=step_id, run__token=token, run__status=Run.Status.RUNNING)
    held.update(reasons={WAITING: waits})


def let_rest(vendor: str, seconds: float, closed_by: str = "") -> None:
    """Let nobody call a service before so many seconds are over (an hour at most); a longer rest of before stays.

    `closed_by` is the code of an error that anybody else would get, too: nobody waits for the end of such a rest.
    """
    until = Now() + timedelta(seconds=min(max(seconds, 0.0), LONGEST_REST_SECONDS))
    VendorPace.objects.bulk_create([VendorPace(vendor=vendor)], ignore_conflicts=True)
    closed = {"closed_by": closed_by} if closed_by else {}
    VendorPace.objects.filter(pk=vendor).update(not_before=Greatest(F("not_before"), until), **closed)


def reopen(vendor: str) -> None:
    """A closed service has answered: whoever wants to may call it again."""
    VendorPace.objects.filter(pk=vendor).update(not_before=None, closed_by="")


@dataclass(frozen=True, slots=True)
class LimitState:
    """A service's limits, and how much of them is used at this moment."""

    vendor: str
    concurrency: int | None
    under_way: int
    per_minute: int | None
    tokens: int | None
    rests_until: datetime | None
    closed_by: str = ""


def limit_states(limits: Mapping[str, Limit]) -> list[LimitState]:
    """The present state of all limits, for a page; three queries, whatever their number."""
    now = _clock()
    paces = {pace.vendor: pace for pace in VendorPace.objects.filter(pk__in=limits)}
    counted = VendorSlot.objects.filter(vendor__in=limits, expires_at__gte=now).values_list("vendor")
    under_way = dict(counted.annotate(Count("id")))
    states = []
    for vendor, limit in sorted(limits.items()):
        pace = paces.get(vendor, VendorPace(vendor=vendor))
        tokens = None if limit.per_minute is None else _tokens(pace.tat, limit, now, limit.per_minute)[0]
        rest = pace.not_before if pace.not_before is not None and pace.not_before > now else None
        calls = under_way.get(vendor, 0)
        states.append(
            LimitState(vendor, limit.concurrency, calls, limit.per_minute, tokens, rest, pace.closed_by if rest else "")
        )
    return states
