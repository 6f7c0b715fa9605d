"""Limits of model services, shared by all workers: calls at once, calls a minute, and rests that a service asks for.

The rows are the truth: a bucket and one row for each call under way, changed under the bucket's lock by the database's
clock. In each process those who wait stand in one line for each service, and one statement asks for all of them.
"""

import asyncio
import heapq
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import count
from typing import Any, Protocol
from uuid import UUID

from django.db import DatabaseError, InterfaceError, connection, transaction
from django.db.models import Count, F
from django.db.models.functions import Greatest, Now
from django.utils import timezone

from runs.errors import PutOff
from runs.models import Run, Step, VendorPace, VendorSlot
from vendors.routes import Limit

SLOT_SECONDS = 15.0  # a dead process's calls count that long
PATIENCE_SECONDS = 5.0  # who would have to wait for longer makes room for others meanwhile
LOOK_SECONDS = 0.25  # how often to look for a place that another process has given back
REST_SECONDS = 2.0  # for a service that does not say how long
LONGEST_REST_SECONDS = 3600.0
WAITING = "waits_for"  # in the reasons of a step that was put off


class Database(Protocol):
    """Runs a synchronous database function off the event loop and gives its result."""

    def __call__(self, function: Callable[..., Any], *arguments: Any, **named: Any) -> Awaitable[Any]: ...


@dataclass(frozen=True, slots=True)
class Grant:
    """Places taken, and, if these are not all that were asked for, for what limit the others wait and how long."""

    slots: list[UUID]
    limit: str = ""
    wait_s: float | None = None


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
            return Grant([], "rest", (pace.not_before - now).total_seconds())
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


def let_rest(vendor: str, seconds: float | None) -> None:
    """Ask nobody to call a service before so many seconds are over; a longer rest that it has asked for stays."""
    until = Now() + timedelta(seconds=min(REST_SECONDS if seconds is None else max(seconds, 0.0), LONGEST_REST_SECONDS))
    VendorPace.objects.bulk_create([VendorPace(vendor=vendor)], ignore_conflicts=True)
    VendorPace.objects.filter(pk=vendor).update(not_before=Greatest(F("not_before"), until))


@dataclass(frozen=True, slots=True)
class LimitState:
    """A service's limits, and how much of them is used at this moment."""

    vendor: str
    concurrency: int | None
    under_way: int
    per_minute: int | None
    tokens: int | None
    rests_until: datetime | None


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
        states.append(LimitState(vendor, limit.concurrency, under_way.get(vendor, 0), limit.per_minute, tokens, rest))
    return states


class TurnTooLate(PutOff):
    """A call whose turn at a service comes later than it is worth waiting for."""

    def __init__(self, wait_s: float, why: str, limit: str) -> None:
        super().__init__(wait_s, why)
        self.limit = limit


@dataclass(slots=True)
class Waited:
    """How long a call waited for its turn, and for which limit last."""

    seconds: float = 0.0
    limit: str = ""


@dataclass(slots=True)
class _Waiter:
    turn: "asyncio.Future[UUID]"
    until: float
    limit: str = ""


@dataclass(slots=True)
class _Line:
    """Those of one process who wait for one service: shoppers first, then by arrival."""

    waiting: list[tuple[int, int, _Waiter]] = field(default_factory=list)
    served: asyncio.Event = field(default_factory=asyncio.Event)
    pump: "asyncio.Task[None] | None" = None

    def alive(self) -> list[_Waiter]:
        """Who still waits, first come first."""
        self.waiting = [entry for entry in self.waiting if not entry[2].turn.done()]
        heapq.heapify(self.waiting)
        return [waiter for _, _, waiter in sorted(self.waiting)]


class Limiter:
    """One process's turns at services with limits; without any, every call goes at once.

    Waiting holds no connection and no thread.
    """

    def __init__(
        self, limits: Mapping[str, Limit] | None = None, database: Database | None = None, owner: str = ""
    ) -> None:
        self._limits = limits or {}
        self._database = database or _nowhere
        self._owner = owner
        self._lines: dict[str, _Line] = {}
        self._held: set[UUID] = set()
        self._renewal: asyncio.Task[None] | None = None
        self._arrivals = count()

    @asynccontextmanager
    async def turn(
        self, vendor: str, *, priority: int = 0, step_id: UUID | None = None, token: int = 0
    ) -> AsyncIterator[Waited]:
        """Wait for a call's turn, and hold its place while the body runs.

        A step (its run claimed under `token`) that is put off keeps since when it waits: its whole wait is told.

        Raises:
            TurnTooLate: its turn comes later than it is worth waiting for.
        """
        limit = self._limits.get(vendor)
        if limit is None:
            yield Waited()
            return
        since, before = await self._since(step_id)
        try:
            waited, slot = await self._wait(vendor, limit, priority)
        except TurnTooLate as put_off:
            waits = {"vendor": vendor, "limit": put_off.limit, "since": since.isoformat()}
            if step_id is not None:
                await self._database(note_waiting, step_id, token, waits)
            raise
        if before:
            waited = Waited((timezone.now() - since).total_seconds(), waited.limit or before)
        self._held.add(slot)
        if self._renewal is None or self._renewal.done():
            self._renewal = asyncio.create_task(self._renew())
        try:
            yield waited
        finally:
            self._held.discard(slot)
            if not self._held and self._renewal is not None:
                self._renewal.cancel()
            with suppress(DatabaseError, InterfaceError):  # then it expires
                await asyncio.shield(self._database(release_slots, [slot]))
            self._line(vendor).served.set()

    async def let_rest(self, vendor: str, seconds: float | None) -> None:
        """The service has asked to be left alone for some seconds, or did not say how long: all workers obey."""
        if vendor in self._limits:
            await self._database(let_rest, vendor, seconds)

    async def _since(self, step_id: UUID | None) -> tuple[datetime, str]:
        """When a step began to wait, and for which limit when it was put off; now and nothing for one that was not."""
        known = await self._database(waiting_of, step_id) if step_id is not None else None
        return (datetime.fromisoformat(known["since"]), known["limit"]) if known else (timezone.now(), "")

    def _line(self, vendor: str) -> _Line:
        return self._lines.setdefault(vendor, _Line())

    async def _wait(self, vendor: str, limit: Limit, priority: int) -> tuple[Waited, UUID]:
        loop, line = asyncio.get_running_loop(), self._line(vendor)
        began = loop.time()
        waiter = _Waiter(loop.create_future(), began + PATIENCE_SECONDS)
        heapq.heappush(line.waiting, (priority, next(self._arrivals), waiter))
        if line.pump is None or line.pump.done() or line.pump.get_loop() is not loop:
            line.served = asyncio.Event()
            line.pump = asyncio.create_task(self._serve(vendor, limit, line))
        try:
            slot = await waiter.turn
        except asyncio.CancelledError:
            if waiter.turn.done() and not waiter.turn.cancelled() and waiter.turn.exception() is None:
                await asyncio.shield(self._database(release_slots, [waiter.turn.result()]))
            raise
        return Waited(loop.time() - began, waiter.limit), slot

    async def _serve(self, vendor: str, limit: Limit, line: _Line) -> None:
        """Ask for all who wait, until nobody does."""
        while waiting := line.alive():
            line.served.clear()
            try:
                grant: Grant = await self._database(take_slots, vendor, limit, self._owner, len(waiting))
                await self._hand_out(grant, line)
            except Exception as error:  # the database is away: that is for those who wait to know
                for waiter in line.alive():
                    waiter.turn.set_exception(error)
                return
            left = line.alive()
            _put_off(vendor, grant, left)
            if line.alive():
                pause = LOOK_SECONDS if grant.wait_s is None else min(max(grant.wait_s, 0.005), 1.0)
                with suppress(TimeoutError):
                    await asyncio.wait_for(line.served.wait(), pause)

    async def _hand_out(self, grant: Grant, line: _Line) -> None:
        """Places go to those who have not left meanwhile; what is over goes back."""
        waiting = line.alive()
        for waiter, slot in zip(waiting, grant.slots, strict=False):
            waiter.turn.set_result(slot)
        if over := grant.slots[len(waiting) :]:
            await self._database(release_slots, over)

    async def _renew(self) -> None:
        while True:
            await asyncio.sleep(SLOT_SECONDS / 3)
            with suppress(DatabaseError, InterfaceError):  # the next time may do
                await self._database(renew_slots, list(self._held))


async def _nowhere(function: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
    raise RuntimeError("limits need a database")


def _put_off(vendor: str, grant: Grant, left: Sequence[_Waiter]) -> None:
    """Send away who would have to wait beyond their patience, the later ones for longer."""
    now = asyncio.get_running_loop().time()
    for waiter in left:
        waiter.limit = grant.limit
        known = grant.wait_s or 0.0
        if now + known < waiter.until:
            continue
        spread = random.uniform(1.0, 2.0)  # noqa: S311 - so that not all of them come back at once
        why = f"Waits for its turn at {vendor} ({grant.limit})."
        waiter.turn.set_exception(TurnTooLate(max(known, REST_SECONDS * spread), why, grant.limit))
