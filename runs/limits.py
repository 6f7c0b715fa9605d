"""One process's turns at model services with limits: those who wait stand in one line for each service.

One statement asks for all of them; what it is given are rows, as `runs.pace` keeps them.
"""

import asyncio
import heapq
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from itertools import count
from typing import Any, Protocol
from uuid import UUID

from django.db import DatabaseError, InterfaceError
from django.utils import timezone

from runs.errors import PutOff
from runs.pace import (
    LONGEST_REST_SECONDS,
    SLOT_SECONDS,
    Grant,
    let_rest,
    note_waiting,
    release_slots,
    renew_slots,
    reopen,
    take_slots,
    waiting_of,
)  # fmt: skip
from vendors.routes import Limit

PATIENCE_SECONDS = 5.0  # who would have to wait for longer makes room for others meanwhile
LOOK_SECONDS = 0.25  # how often to look for a place that another process has given back
REST_SECONDS = 2.0  # for a service that does not say how long


class Database(Protocol):
    """Runs a synchronous database function off the event loop and gives its result."""

    def __call__(self, function: Callable[..., Any], *arguments: Any, **named: Any) -> Awaitable[Any]: ...


class TurnTooLate(PutOff):
    """A call whose turn at a service comes later than it is worth waiting for."""

    def __init__(self, wait_s: float, why: str, limit: str, closed_by: str = "") -> None:
        super().__init__(wait_s, why)
        self.limit = limit
        self.closed_by = closed_by


@dataclass(frozen=True, slots=True)
class Rest:
    """A service that is left alone for so many seconds more; `closed_by` where that is no matter of pace."""

    seconds: float
    closed_by: str = ""


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
        self._rests: dict[str, tuple[float, str]] = {}  # until when by the process's clock, and what closed it
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

    async def let_rest(self, vendor: str, seconds: float | None, closed_by: str = "") -> None:
        """The service has asked to be left alone for some seconds, or did not say how long: all workers obey.

        Of a service without limits only this process knows.
        """
        seconds = min(REST_SECONDS if seconds is None else max(seconds, 0.0), LONGEST_REST_SECONDS)
        self._note_rest(vendor, seconds, closed_by)
        if vendor in self._limits:
            await self._database(let_rest, vendor, seconds, closed_by)

    async def note_answer(self, vendor: str) -> None:
        """The service has answered: if it was closed, it is open again."""
        if not self._rests.get(vendor, (0.0, ""))[1]:
            return
        del self._rests[vendor]
        if vendor in self._limits:
            await self._database(reopen, vendor)

    def resting(self, vendor: str) -> Rest | None:
        """What this process knows of a rest of the service at this moment."""
        until, closed_by = self._rests.get(vendor, (0.0, ""))
        left = until - time.monotonic()
        return Rest(left, closed_by) if left > 0 else None

    def _note_rest(self, vendor: str, seconds: float, closed_by: str) -> None:
        until, known = self._rests.get(vendor, (0.0, ""))
        now = time.monotonic()
        self._rests[vendor] = max(until, now + seconds), closed_by or (known if until > now else "")

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
                self._heed(vendor, grant)
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

    def _heed(self, vendor: str, grant: Grant) -> None:
        """Remember a rest, and forget one that is over."""
        if grant.limit == "rest":
            self._note_rest(vendor, grant.wait_s or 0.0, grant.closed_by)
        else:
            self._rests.pop(vendor, None)

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
        if grant.closed_by:
            why = f"{vendor} is not asked now: its last answer was {grant.closed_by}."
            waiter.turn.set_exception(TurnTooLate(known, why, grant.limit, grant.closed_by))
            continue
        if now + known < waiter.until:
            continue
        spread = random.uniform(1.0, 2.0)  # noqa: S311 - so that not all of them come back at once
        why = f"Waits for its turn at {vendor} ({grant.limit})."
        waiter.turn.set_exception(TurnTooLate(max(known, REST_SECONDS * spread), why, grant.limit))
