"""The same engine in the calling thread: for commands, tests and anybody who wants the answer now."""

import asyncio
import contextlib
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import Any

from asgiref.sync import AsyncToSync, async_to_sync, sync_to_async
from django.conf import settings
from django.db import DatabaseError, InterfaceError, connection
from django.utils import timezone

from core.storage import BlobStore
from runs.claims import Claim, renew_leases
from runs.commits import fail_run
from runs.compute import Compute, InPlace
from runs.context import Deps
from runs.errors import LeaseLost
from runs.executor import execute_claim
from runs.limits import Database, Limiter
from runs.models import Run
from vendors.base import Vendor
from vendors.local.vendor import LocalVendor
from vendors.prices import load_prices
from vendors.registry import build_vendors, installed_routes
from vendors.routes import Routes

LAST_BEAT_SECONDS = 2.0


def default_deps(
    *,
    vendors: dict[str, Vendor] | None = None,
    routes: Routes | None = None,
    store: BlobStore | None = None,
    clock: Callable[[], datetime] = timezone.now,
    compute: Compute | None = None,
    database: Database | None = None,
    owner: str = "inline",
) -> Deps:
    """The installation's vendors, routes, storage and clock, any of them replaced by the caller's.

    `database` is how the limits of model services are kept, in the calling thread by default, and `owner` by whom.
    """
    vendors = vendors if vendors is not None else build_vendors(settings.VENDORS)
    if routes is None:
        default = settings.MODEL_ROUTES == settings.DEFAULT_MODEL_ROUTES
        routes = installed_routes(settings.MODEL_ROUTES, vendors, default=default)
    return Deps(
        vendors=vendors,
        routes=routes,
        store=store or BlobStore(),
        clock=clock,
        compute=compute or InPlace(),
        limiter=Limiter(routes.limits, database or _same_thread, owner),
        prices=load_prices(settings.MODEL_PRICES),
    )


def replay_deps(*, recompute: bool = False) -> Deps:
    """For replays: nobody to ask but the engine that asks nobody, so that nothing could reach anybody.

    With `recompute` that one computes its answers anew.
    """
    return replace(default_deps(vendors={"local": LocalVendor()}, routes=Routes({})), recompute=recompute)


def execute_inline(run: Run, deps: Deps | None = None) -> Run:
    """Execute a run that was started with `inline_owner`, here and now, and return it as it ended."""
    claim = Claim(run.id, run.token, run.lease_owner)
    try:
        with _heartbeat(claim):
            _execute_here(claim, deps or default_deps())
    except BaseException:
        _abandon(claim)
        raise
    run.refresh_from_db()
    return run


def _execute_here(claim: Claim, deps: Deps) -> None:
    """Execute a claim on a loop that serves its database work on this thread.

    Ctrl-C reaches this thread, not the loop's: it stops the loop too and serves what it still asks for. Otherwise the
    loop would wait for an answer for ever, and the process for the loop.
    """
    over: Future[None] = Future()
    working: list[tuple[asyncio.AbstractEventLoop, asyncio.Task[Any], Any]] = []

    async def work() -> None:
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        assert task is not None
        here = getattr(AsyncToSync.executors, "current", None) or AsyncToSync.loop_thread_executors.get(loop)
        working.append((loop, task, here))
        try:
            await execute_claim(claim, deps, _same_thread, rests=False)
        finally:
            over.set_result(None)

    try:
        async_to_sync(work)()
    except BaseException:
        for loop, task, here in working:
            if here is not None and not over.done():
                loop.call_soon_threadsafe(task.cancel)
                here.run_until_future(over)
        raise


@contextlib.contextmanager
def _heartbeat(claim: Claim) -> Iterator[None]:
    """Renew the run's lease for as long as this process lives; soon after that the workers end the run."""
    over = threading.Event()

    def beat() -> None:
        while not over.wait(settings.RUN_LEASE_SECONDS / 3):
            with contextlib.suppress(DatabaseError, InterfaceError):  # the next beat may do
                renew_leases([claim])
            connection.close()

    heart = threading.Thread(target=beat, name="inline-heartbeat", daemon=True)
    heart.start()
    try:
        yield
    finally:
        over.set()
        heart.join(LAST_BEAT_SECONDS)  # it may wait for a row that the caller's transaction has locked


def _abandon(claim: Claim) -> None:
    """Nobody else works on an inline run, so one that is broken off ends here and now."""
    with contextlib.suppress(LeaseLost, DatabaseError):
        fail_run(
            claim,
            code="interrupted",
            message="The command that made this run was broken off.",
            retryable=True,
        )


async def _same_thread(function: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
    """Database work on the thread that called us, inside its transaction if it has one."""
    return await sync_to_async(partial(function, *arguments, **named), thread_sensitive=True)()
