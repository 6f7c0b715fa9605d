"""The engine's loop in every worker process: claims runs, keeps many in flight, renews leases, hands over on exit.

django-q2 hosts the process and carries hints. The loop has a thread of its own with an event loop on it, one database
thread, one computing child, and one heartbeat thread, so that neither a slow stage nor a slow commit loses a lease.
"""

import asyncio
import contextlib
import logging
import os
import socket
import threading
import time
from functools import partial
from typing import Any

import structlog
from django.conf import settings
from django.db import InterfaceError, OperationalError, connection

from core.storage import BlobStore
from runs.claims import Claim, beat, claim_runs, release_run, renew_leases, room_of
from runs.compute import ComputeChild
from runs.context import Deps
from runs.database_thread import DatabaseThread
from runs.executor import execute_claim
from runs.sweeping import keep_house

logger = logging.getLogger(__name__)
HANDOVER_SECONDS = 20
CHORES_SECONDS = 60


class EngineLoop(threading.Thread):
    """One worker's share of the engine. Not a daemon: the process waits until what is under way is handed over."""

    def __init__(self, capacity: int) -> None:
        super().__init__(name="engine-loop", daemon=False)
        self.owner = f"{socket.gethostname()}:{os.getpid()}"
        self._capacity = capacity
        self._turn = 0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._wake: asyncio.Event | None = None
        self._db = DatabaseThread()
        self._held: dict[Claim, asyncio.Task[None]] = {}
        self._compute = ComputeChild()
        self._over = threading.Event()
        self._chores_at = time.monotonic() + CHORES_SECONDS

    def run(self) -> None:
        """The thread's life."""
        heartbeat = threading.Thread(target=self._beat, name="engine-heartbeat", daemon=True)
        heartbeat.start()
        self._db.start()
        try:
            asyncio.run(self._serve())
        except BaseException:  # a worker without its loop would look alive and do nothing: let the sentinel replace it
            logger.exception("engine loop crashed")
            os._exit(1)
        self._over.set()
        self._db.close()

    def wake(self) -> None:
        """Look for due runs now instead of at the next sweep; from any thread."""
        if self._loop is not None and self._wake is not None:
            with contextlib.suppress(RuntimeError):  # the loop has just ended: another worker will see the run
                self._loop.call_soon_threadsafe(self._wake.set)

    async def _serve(self) -> None:
        self._loop, self._wake = asyncio.get_running_loop(), asyncio.Event()
        deps = self._deps()
        with contextlib.suppress(OSError):
            await self._compute.start()
        while threading.main_thread().is_alive():
            self._wake.clear()
            await self._claim(deps)
            await self._keep_house()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), settings.RUN_SWEEP_SECONDS)
        await self._hand_over()
        await self._compute.close()

    async def _claim(self, deps: Deps) -> None:
        if len(self._held) >= self._capacity:
            return
        self._turn += 1
        try:
            claims = await self._db(claim_runs, self.owner, room_of(self._capacity, list(self._held), self._turn))
        except (OperationalError, InterfaceError) as error:
            logger.warning("database unavailable", extra={"error": str(error)})
            await asyncio.sleep(1)
            return
        for claim in claims:
            task = asyncio.create_task(self._execute(claim, deps))
            self._held[claim] = task
            task.add_done_callback(partial(self._done, claim))

    async def _keep_house(self) -> None:
        """Every app's chores; the workers share one turn a minute."""
        if time.monotonic() < self._chores_at:
            return
        self._chores_at = time.monotonic() + CHORES_SECONDS
        with contextlib.suppress(OperationalError, InterfaceError):  # the claim has told the log
            await self._db(keep_house)

    def _done(self, claim: Claim, task: asyncio.Task[None]) -> None:
        self._held.pop(claim, None)
        if not task.cancelled() and (error := task.exception()) is not None:
            logger.error("run abandoned; its lease will expire", exc_info=error, extra={"run": str(claim.run_id)})
        if self._wake is not None:
            self._wake.set()

    async def _execute(self, claim: Claim, deps: Deps) -> None:
        structlog.contextvars.bind_contextvars(run_id=str(claim.run_id))
        await execute_claim(claim, deps, self._db)

    def _deps(self) -> Deps:
        from runs.inline import default_deps

        return default_deps(compute=self._compute, store=BlobStore())

    def _beat(self) -> None:
        """Renew all leases in one statement, and cancel what is not ours any more."""
        host = socket.gethostname()
        interval = settings.RUN_LEASE_SECONDS / 3
        while not self._over.is_set():
            held = dict(self._held)
            try:
                beat(self.owner, host, os.getpid(), len(held), self._capacity)
                kept = renew_leases(list(held)) if held else set()
                for claim, task in held.items():
                    if claim.run_id not in kept:
                        self._cancel(task)
            except Exception as error:  # whatever it is, the next beat may do: without beats every lease is lost
                logger.warning("heartbeat failed", extra={"error": str(error)})
                connection.close()
            self._over.wait(min(interval, 5.0))
        connection.close()

    def _cancel(self, task: asyncio.Task[None]) -> None:
        if self._loop is not None and not task.done():
            self._loop.call_soon_threadsafe(task.cancel)

    async def _hand_over(self) -> None:
        """The process is stopping: give what is under way a moment, then release the rest for others to go on."""
        deadline = time.monotonic() + HANDOVER_SECONDS
        while self._held and time.monotonic() < deadline:
            await asyncio.wait(list(self._held.values()), timeout=deadline - time.monotonic())
        for claim, task in list(self._held.items()):
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            with contextlib.suppress(OperationalError, InterfaceError):  # then its lease expires
                await self._db(release_run, claim)


_engine: EngineLoop | None = None


def start_in_worker(**_: Any) -> None:
    """Start the loop in a freshly forked django-q2 worker (`post_spawn`)."""
    global _engine
    connection.close()
    _engine = EngineLoop(settings.RUNS_IN_FLIGHT)
    _engine.start()


def wake(run_id: str) -> None:
    """Wake this process's loop; without one (a message executed elsewhere) the sweep will find the run."""
    if _engine is not None:
        _engine.wake()
