"""The engine's loop in every worker process: claims runs, keeps many in flight, renews leases, hands over on exit.

django-q2 hosts the process and carries hints where there is a broker; without one the loop hears of runs from the
database itself. The loop has a thread of its own with an event loop on it, and one thread each for the database, for
the heartbeat and for listening, so that neither a slow stage nor a slow commit loses a lease.
"""

import asyncio
import contextlib
import logging
import os
import socket
import threading
import time
from collections.abc import Iterable
from functools import partial
from typing import Any

import psycopg
import structlog
from django.conf import settings
from django.db import DatabaseError, InterfaceError, OperationalError, connection
from django.db.models import F
from django_q.conf import Conf

from core.pools import serve_loop
from core.storage import BlobStore
from runs.claims import (
    Claim,
    beat,
    claim_runs,
    forget_dead_workers,
    forget_worker,
    put_off_runs,
    release_runs,
    renew_leases,
    room_of,
)
from runs.cluster import orders
from runs.cluster.listening import OTHERS_SECONDS, RUNS, Listener, patience
from runs.compute import ComputePool
from runs.context import Deps
from runs.database_thread import DatabaseThread
from runs.executor import execute_claim
from runs.models import Worker
from runs.suspects import divide
from runs.sweeping import keep_house
from runs.turns import LAG, Lag
from runs.watchdog import Watchdog

logger = logging.getLogger(__name__)
CHORES_SECONDS = 60
REST_SECONDS = 1.0
LISTEN_SECONDS = 60.0
GONE = (OperationalError, InterfaceError)


class EngineLoop(threading.Thread):
    """One worker's share of the engine. Not a daemon: the process waits until what is under way is handed over."""

    def __init__(self, capacity: int, given: orders.Orders) -> None:
        super().__init__(name="engine-loop", daemon=False)
        self.owner = f"{socket.gethostname()}:{os.getpid()}"
        self._orders = given
        self._capacity = capacity
        self._turn = 0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._wake: asyncio.Event | None = None
        self._next_look: asyncio.TimerHandle | None = None
        self._db = DatabaseThread()
        self._held: dict[Claim, asyncio.Task[None]] = {}
        self._dropped: list[Claim] = []
        self._colleagues: list[str] = []
        self._compute = ComputePool(max(1, (os.cpu_count() or 1) // Conf.WORKERS))
        self._over = threading.Event()
        self._database = Presence("database")
        self._chores_at = time.monotonic() + CHORES_SECONDS
        self._chores: threading.Thread | None = None

    def run(self) -> None:
        """The thread's life."""
        heartbeat = threading.Thread(target=self._beat, name="engine-heartbeat", daemon=True)
        heartbeat.start()
        self._db.start()
        try:
            asyncio.run(self._serve())
        except BaseException:  # a worker without its loop would look alive and do nothing: let it be replaced
            logger.exception("engine loop crashed")
            os._exit(1)
        self._over.set()
        self._db.close()
        heartbeat.join(timeout=1)

    def wake(self) -> None:
        """Look for due runs now instead of at the next sweep; from any thread."""
        self._look_in(0)

    def warm(self) -> None:
        """Have a computing child ready; from any thread."""
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):
                asyncio.run_coroutine_threadsafe(self._compute.warm(), self._loop)

    def _look_in(self, seconds: float) -> None:
        """Look for due runs in a moment; many such wishes are one look."""
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):  # the loop has just ended: another worker will see the run
                self._loop.call_soon_threadsafe(self._plan_look, seconds)

    def _plan_look(self, seconds: float) -> None:
        assert self._loop is not None and self._wake is not None
        if seconds <= 0:
            self._wake.set()
            return
        at = self._loop.time() + seconds
        if self._next_look is not None and not self._next_look.cancelled():
            if self._loop.time() <= self._next_look.when() <= at:
                return
            self._next_look.cancel()
        self._next_look = self._loop.call_at(at, self._wake.set)

    async def _serve(self) -> None:
        self._loop, self._wake = asyncio.get_running_loop(), asyncio.Event()
        serve_loop(self._loop)
        LAG.set(Lag(self._loop))
        Watchdog(self._loop, self.owner, lambda: list(self._held), self._over).start()
        self._loop.add_reader(self._orders.stopping, self._stop)
        if not settings.BROKER_URL:
            threading.Thread(target=self._listen, name="engine-ears", daemon=True).start()
        deps = self._deps()
        while not self._orders.stopping.is_set():
            self._wake.clear()
            await self._claim(deps)
            self._keep_house()
            self._tell_room()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), settings.RUN_SWEEP_SECONDS)
        await self._hand_over()
        await self._compute.close()

    def _stop(self) -> None:
        assert self._loop is not None and self._wake is not None
        self._loop.remove_reader(self._orders.stopping)
        self._wake.set()

    async def _claim(self, deps: Deps) -> None:
        try:
            if self._dropped:
                await self._db(release_runs, list(self._dropped))
                self._dropped.clear()
            if len(self._held) >= self._capacity:
                return
            self._turn += 1
            room = room_of(self._capacity, list(self._held), self._turn)
            found = await self._db.first(claim_runs, self.owner, room)
            claims, put_off = divide(found, self._held, self._capacity)
            self._take(claims, deps)  # first: whatever happens now, somebody holds them
            if put_off:
                await self._db(put_off_runs, put_off, settings.RUN_SWEEP_SECONDS)
        except GONE as error:
            self._database.lost(error)
            await asyncio.sleep(REST_SECONDS)
            return
        self._database.found()

    def _take(self, claims: Iterable[Claim], deps: Deps) -> None:
        for claim in claims:
            task = asyncio.create_task(self._execute(claim, deps))
            self._held[claim] = task
            task.add_done_callback(partial(self._done, claim))

    def _tell_room(self) -> None:
        """A worker that is full leaves the messages to the others."""
        if self._orders.messages is not None:
            room = self._orders.messages.room
            room.set() if len(self._held) < self._capacity else room.clear()

    def _listen(self) -> None:
        """Hear of runs from the database as they are committed, and look when it is our turn."""
        ears, present = Listener(RUNS), Presence("notifications")
        while not self._over.is_set():
            try:
                heard = ears.wait(LISTEN_SECONDS, self._orders.stopping)
            except (psycopg.Error, DatabaseError, InterfaceError) as error:
                present.lost(error)
                connection.close()
                self._over.wait(REST_SECONDS)
                continue
            present.found()
            if self._orders.stopping.is_set():
                break
            if "" in heard:
                self.warm()
            if not heard or any(heard):
                waits = [patience(run, self.owner, self._colleagues) for run in heard if run]
                self._look_in(min(waits, default=OTHERS_SECONDS))
        ears.close()

    def _keep_house(self) -> None:
        """Every app's chores, on a thread of their own; the workers share one turn a minute."""
        busy = self._chores is not None and self._chores.is_alive()
        if busy or time.monotonic() < self._chores_at:
            return
        self._chores_at = time.monotonic() + CHORES_SECONDS
        self._chores = threading.Thread(target=_do_chores, name="engine-chores", daemon=True)
        self._chores.start()

    def _done(self, claim: Claim, task: asyncio.Task[None]) -> None:
        self._held.pop(claim, None)
        if not task.cancelled() and (error := task.exception()) is not None:
            if isinstance(error, GONE):  # nothing is wrong with the run: it is due again when the database is back
                self._dropped.append(claim)
                self._database.lost(error)
            else:
                logger.error("run abandoned; its lease will expire", exc_info=error, extra={"run": str(claim.run_id)})
        if self._wake is not None:
            self._wake.set()

    async def _execute(self, claim: Claim, deps: Deps) -> None:
        structlog.contextvars.bind_contextvars(run_id=str(claim.run_id))
        await execute_claim(claim, deps, self._db)

    def _deps(self) -> Deps:
        from runs.inline import default_deps

        return default_deps(compute=self._compute, store=BlobStore(), database=self._db, owner=self.owner)

    def _beat(self) -> None:
        """Renew all leases in one statement, and cancel what is not ours any more."""
        interval, host, present = min(settings.RUN_LEASE_SECONDS / 3, 5.0), socket.gethostname(), Presence("heartbeat")
        first = True
        while not self._over.is_set():
            held = dict(self._held)
            try:
                beat(self.owner, host, os.getpid(), len(held), self._capacity)
                if first and forget_dead_workers(host):
                    self.wake()
                first = False
                self._colleagues = with_room()
                kept = renew_leases(list(held)) if held else set()
                for claim, task in held.items():
                    if claim.run_id not in kept:
                        self._cancel(task)
                present.found()
            except Exception as error:  # whatever it is, the next beat may do: without beats every lease is lost
                present.lost(error)
                connection.close()
            self._over.wait(interval if present.here else REST_SECONDS)
        with contextlib.suppress(*GONE):
            forget_worker(self.owner)
        connection.close()

    def _cancel(self, task: asyncio.Task[None]) -> None:
        if self._loop is not None and not task.done():
            self._loop.call_soon_threadsafe(task.cancel)

    async def _hand_over(self) -> None:
        """The process is stopping: give what is under way a moment, then release the rest for others to go on."""
        assert self._loop is not None
        hurry = asyncio.Event()
        self._loop.add_reader(self._orders.hurry, hurry.set)
        waits = asyncio.create_task(hurry.wait())
        deadline = time.monotonic() + orders.HANDOVER_SECONDS
        while self._held and not hurry.is_set() and (left := deadline - time.monotonic()) > 0:
            await asyncio.wait([waits, *self._held.values()], timeout=left, return_when=asyncio.FIRST_COMPLETED)
        self._loop.remove_reader(self._orders.hurry)
        waits.cancel()
        rest = dict(self._held)
        for task in rest.values():
            task.cancel()
        await asyncio.gather(*rest.values(), return_exceptions=True)
        if unfinished := [*rest, *self._dropped]:
            with contextlib.suppress(*GONE):  # then their leases expire
                await self._db(release_runs, unfinished)


class Presence:
    """Something that comes and goes, told to the log once each time."""

    def __init__(self, name: str) -> None:
        self._name = name
        self.here = True

    def lost(self, error: BaseException) -> None:
        """It is gone."""
        if self.here:
            text = (str(error).splitlines() or [type(error).__name__])[0]
            logger.warning(f"{self._name} unavailable", extra={"error": text})
        self.here = False

    def found(self) -> None:
        """It is here."""
        if not self.here:
            logger.warning(f"{self._name} is back")
        self.here = True


def with_room() -> list[str]:
    """The living workers that can take another run."""
    return list(Worker.objects.alive().filter(runs_in_flight__lt=F("capacity")).values_list("name", flat=True))


def _do_chores() -> None:
    try:
        keep_house()
    except GONE as error:
        logger.warning("chores left for the next time", extra={"error": str(error)})
    finally:
        connection.close()


_engine: EngineLoop | None = None


def start_in_worker(**_: Any) -> None:
    """Start the loop in a freshly forked worker of our cluster (`post_spawn`)."""
    global _engine
    connection.close()
    if orders.current is None:
        raise RuntimeError("The engine's workers are hosted by `manage.py qcluster` alone.")
    _engine = EngineLoop(settings.RUNS_IN_FLIGHT, orders.current)
    _engine.start()


def wake(run_id: str) -> None:
    """Wake this process's loop; without one (a message executed elsewhere) the sweep will find the run."""
    if _engine is not None:
        _engine.wake() if run_id else _engine.warm()
