"""Executes one claimed run to its end: ready nodes side by side, one commit per node, failures by policy."""

import asyncio
import contextlib
import logging
import random
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

from django.conf import settings
from django.db import InterfaceError, OperationalError

from core.errors import SeeItError
from runs import commits
from runs.attempts import Attempt, run_attempt
from runs.claims import Claim
from runs.context import Deps, RunContext, load_context
from runs.dag import Node
from runs.errors import AttemptFailed, BytesGone, LeaseLost
from runs.recording import ArtifactDraft
from runs.registry import find_stage
from runs.sweeping import park

logger = logging.getLogger(__name__)
# Not a matter of what is being written: the run is another's now, or the database is gone and a lease will expire.
OUT_OF_HANDS = (LeaseLost, OperationalError, InterfaceError)


class Database(Protocol):
    """Runs a synchronous database function off the event loop and gives its result."""

    def __call__(self, function: Callable[..., Any], *arguments: Any, **named: Any) -> Awaitable[Any]: ...


class RunExecutor:
    """One run in the hands of one worker.

    A completed node is never executed again. Losing the lease ends the execution silently: whoever holds the run now
    goes on from the same memory.
    """

    def __init__(self, context: RunContext, deps: Deps, database: Database) -> None:
        self.context = context
        self.deps = deps
        self.database = database
        self._committing = asyncio.Lock()

    async def execute(self) -> None:
        """Work until the run has ended.

        Raises:
            LeaseLost: the run belongs to another worker now.
        """
        context = self.context
        ready = context.dag.ready(set(context.irs), set())
        if self._must_begin(ready):
            await self.database(commits.begin_nodes, context, ready)
        tasks = {asyncio.create_task(self._node(key), name=key) for key in ready}
        try:
            while tasks:
                done, tasks = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    tasks |= {asyncio.create_task(self._node(key), name=key) for key in task.result()}
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def _must_begin(self, ready: list[str]) -> bool:
        """Nodes that wait have to be begun; running ones again if another worker had them (inline ones are fresh)."""
        waiting = any(self.context.steps[key].status != "running" for key in ready)
        return waiting or self.context.claim.token > 1

    async def _node(self, key: str) -> list[str]:
        """Attempt a node until it is done or given up; returns the nodes that begin now."""
        node = self.context.dag.nodes[key]
        step = self.context.steps[key]
        number, route, retries = step.attempt, step.route, 0
        while True:
            attempt = self._new_attempt(node, number, route)
            try:
                await run_attempt(self.context, self.deps, attempt, self._saver(attempt))
                return await self._commit(attempt)
            except AttemptFailed as failure:
                logger.info("attempt failed", extra={"node": key, "attempt": number, "code": failure.code})
                wait, moved = self._next(node, attempt, failure, retries)
                if wait is None:
                    await self._give_up(attempt, failure)
                    return []
                route += moved
                retries += not moved
                await self._log_failed(attempt, failure, route)
                number += 1
                await asyncio.sleep(wait)

    def _new_attempt(self, node: Node, number: int, route: int) -> Attempt:
        stage = find_stage(node.step)
        defaults = stage.defaults if stage else {}
        return Attempt(node.key, number, route, {**defaults, **node.params}, self.context.bindings(node.key))

    def _saver(self, attempt: Attempt) -> Callable[[list[ArtifactDraft]], Awaitable[None]]:
        async def save(drafts: list[ArtifactDraft]) -> None:
            await self.database(commits.save_reply, self.context, attempt, drafts, self.deps.store)

        return save

    async def _commit(self, attempt: Attempt) -> list[str]:
        """Commit a node; one after another, since which nodes become ready depends on all that are done."""
        async with self._committing:
            return await self._commit_next(attempt)

    async def _commit_next(self, attempt: Attempt) -> list[str]:
        context = self.context
        done = {*context.irs, attempt.node_key}
        taken = {key for key, step in context.steps.items() if step.status == "running"} | done
        following = context.dag.ready(done, taken)
        try:
            await self.database(commits.commit_node, context, attempt, following, self.deps.store)
        except (AttemptFailed, *OUT_OF_HANDS):
            raise
        except BytesGone as error:
            raise AttemptFailed(error.code, error.message, kind="worker_lost", retryable=True) from error
        except Exception as error:  # a domain's output handler or a constraint said no: the node failed, not the worker
            logger.exception("commit refused", extra={"node": attempt.node_key})
            raise AttemptFailed("output_refused", f"{type(error).__name__}: {error}"[:1000]) from error
        context.irs[attempt.node_key] = attempt.ir
        return following

    def _next(self, node: Node, attempt: Attempt, failure: AttemptFailed, retries: int) -> tuple[float | None, bool]:
        """What policy says after a failed attempt: seconds to wait (None: give up), and whether to change the route.

        A failed must-pass metric always moves on to the next route, a vendor's error where the route lists it. A vendor
        that wants a longer rest than a whole attempt may take is not waited for: the run would hold a place meanwhile.
        """
        moves = failure.kind == "metric_failed" or failure.code in attempt.move_on
        if moves and attempt.routes_left:
            return 0.0, True
        waits_too_long = (failure.retry_after_s or 0.0) > node.timeout_ms / 1000
        if failure.retryable and failure.kind in node.retry_on and retries < node.retries and not waits_too_long:
            backoff = node.backoff
            delay = min(backoff.initial_ms * backoff.factor**retries, backoff.max_ms) / 1000
            delay *= 1 + backoff.jitter * (random.random() - 0.5)  # noqa: S311 - spreads load, guards nothing
            return max(delay, failure.retry_after_s or 0.0), False
        return None, False

    async def _log_failed(self, attempt: Attempt, failure: AttemptFailed, route: int) -> None:
        try:
            await self.database(
                commits.commit_failed_attempt, self.context, attempt, failure, self.deps.store, route=route
            )
        except OUT_OF_HANDS:
            raise
        except Exception:  # its evidence cannot be stored (a NUL, a NaN): no reason to try the same again
            logger.exception("failed attempt refused", extra={"node": attempt.node_key})
            await self._give_up(attempt, failure)

    async def _give_up(self, attempt: Attempt, failure: AttemptFailed) -> None:
        try:
            await self.database(commits.commit_failure, self.context, attempt, failure, self.deps.store)
        except OUT_OF_HANDS:
            raise
        except Exception:  # evidence that cannot be stored must not keep the run from ending: it ends without
            logger.exception("failure refused", extra={"node": attempt.node_key})
            await self.database(
                commits.fail_run,
                self.context.claim,
                stage=attempt.node_key,
                code=failure.code,
                message=failure.message,
                retryable=failure.retryable,
            )
        raise RunOver()


class RunOver(Exception):
    """The run has ended with this node; nothing else of it goes on."""


async def execute_claim(claim: Claim, deps: Deps, database: Database) -> None:
    """Execute a claimed run until it has ended or its lease is lost.

    A run that has been started too often is parked before anything of it is read: whatever it does, it is lost every
    time. One that cannot be read (a release without its stages, a secret without its key) fails and says so.
    """
    try:
        if claim.inline or claim.starts > settings.RUN_MAX_STARTS:
            await database(park, claim)
            return
        context = await database(load_context, claim)
        with contextlib.suppress(RunOver):
            await RunExecutor(context, deps, database).execute()
        logger.info("run ended", extra={"status": context.run.status, "pipeline": context.run.pipeline_slug})
    except LeaseLost:
        logger.warning("lease lost", extra={"run": str(claim.run_id)})
    except SeeItError as error:
        with contextlib.suppress(LeaseLost):
            await database(commits.fail_run, claim, code=error.code, message=error.message, retryable=error.retryable)
