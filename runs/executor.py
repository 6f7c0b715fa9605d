"""Executes one claimed run to its end: ready nodes side by side, one commit per node, what follows by policy."""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any, Protocol

from django.conf import settings
from django.db import InterfaceError, OperationalError

from core.errors import SeeItError
from runs import commits
from runs.attempts import Attempt, run_attempt
from runs.claims import Claim, rest_run
from runs.context import Deps, RunContext, load_context
from runs.dag import Node
from runs.errors import AttemptFailed, BytesGone, LeaseLost, PutOff
from runs.grounds import Ended
from runs.policy import (
    COMPLETED,
    FAILED,
    Decisions,
    after_failure,
    decide,
    outcome_of,
    undecidable,
    worker_lost,
)
from runs.recording import ArtifactDraft
from runs.replaying import end_as_recorded
from runs.reuse import cache_key, reuse_earlier
from runs.rows import ended_by
from runs.sweeping import park

logger = logging.getLogger(__name__)
# Not a matter of what is being written: the run is another's now, or the database is gone and a lease will expire.
OUT_OF_HANDS = (LeaseLost, OperationalError, InterfaceError)
# A run of which nothing is at work is not held in memory for longer than this; its rows say when it goes on.
LONGEST_WAIT_S = 2.0

Finished = tuple[Attempt, AttemptFailed | PutOff | None]


class Database(Protocol):
    """Runs a synchronous database function off the event loop and gives its result."""

    def __call__(self, function: Callable[..., Any], *arguments: Any, **named: Any) -> Awaitable[Any]: ...


class RunExecutor:
    """One run in the hands of one worker.

    Attempts run side by side, each a task; what follows from them is decided and committed here, one after another. A
    node that has ended is never executed again. Losing the lease ends the execution silently: whoever holds the run now
    goes on from the same memory.
    """

    def __init__(self, context: RunContext, deps: Deps, database: Database, *, rests: bool) -> None:
        self.context = context
        self.deps = deps
        self.database = database
        self._rests = rests
        self._tasks: dict[str, asyncio.Task[Finished]] = {}
        self._due: dict[str, float] = {}
        self._refused: dict[str, AttemptFailed] = {}
        self._fatal: tuple[Attempt, AttemptFailed] | None = None

    async def execute(self) -> None:
        """Work until the run has ended, or has to wait for long.

        Raises:
            LeaseLost: the run belongs to another worker now.
        """
        try:
            await self._open()
            while self.context.run.status == "running":
                if not self._tasks and await self._wait_elsewhere():
                    return
                await self._step()
        finally:
            await _cancel(self._tasks.values())

    async def _open(self) -> None:
        """Begin what is ready; what a worker had in hand when it was lost begins again, or may not.

        A node that had failed for good has failed the run: its worker was lost while others of the run were ending.
        """
        context, fresh = self.context, self.context.claim.token == 1
        nodes = context.dag.nodes
        doomed = [key for key, end in context.ended.items() if end.status == FAILED and not nodes[key].continue_on_fail]
        if doomed:
            await self.database(commits.fail_doomed, context, doomed[0])
            context.run.status = FAILED
            return
        running = [key for key, step in context.steps.items() if step.status == "running"]
        lost = [] if fresh else running
        unknown = [key for key in lost if context.dag.nodes[key].side_effects == "external"]
        now = asyncio.get_running_loop().time()
        self._due = {key: now + step.wait_s for key, step in context.steps.items() if step.wait_s is not None}
        decisions = self._decide(context.ended, at_work=set(running))
        decisions.begin = [key for key in lost if key not in unknown] + decisions.begin
        if not await self._began(decisions):
            return
        for key in lost:
            refusal = undecidable(context.dag.nodes[key], context.grounds(key, context.ended))
            self._refused |= {key: refusal} if refusal else {}
        self._refused |= {key: outcome_of(context.dag.nodes[key], worker_lost()) for key in unknown}
        self._begin(decisions, *unknown, *(running if fresh else ()))

    async def _step(self) -> None:
        """Wait for an attempt to end or a rest to be over, and commit what follows."""
        now = asyncio.get_running_loop().time()
        until_due = None if self._fatal else min((due - now for due in self._due.values() if due > now), default=None)
        done: set[asyncio.Task[Finished]] = set()
        if self._tasks:
            tasks = self._tasks.values()
            done, _ = await asyncio.wait(tasks, timeout=until_due, return_when=asyncio.FIRST_COMPLETED)
        else:
            await asyncio.sleep(until_due or 0.0)
        if done:  # one after another: what follows from the next depends on what this one brings
            key = next(key for key, task in self._tasks.items() if task in done)
            await self._settle(*self._tasks.pop(key).result())
        if self._fatal is not None and not self._tasks:
            await self._give_up(*self._fatal)
        elif not done and self._fatal is None:
            await self._go_on()

    async def _settle(self, attempt: Attempt, failure: AttemptFailed | PutOff | None) -> None:
        """Commit how an attempt ended."""
        if isinstance(failure, PutOff):
            await self.database(commits.put_off_node, self.context, attempt.node_key, failure)
            self._rest(attempt.node_key, failure.wait_s)
            return
        refused = await self._complete(attempt) if failure is None else failure
        if refused is not None:
            await self._fail(attempt, refused)

    async def _complete(self, attempt: Attempt) -> AttemptFailed | None:
        """Commit a good attempt and begin what follows; returns why it could not be committed."""
        key = attempt.node_key
        ended = ended_by(self.context, attempt, COMPLETED)
        decisions = self._follow(key, ended)
        try:
            await self.database(commits.commit_node, self.context, attempt, ended, decisions, self.deps.store)
        except AttemptFailed as failure:
            return failure
        except OUT_OF_HANDS:
            raise
        except BytesGone as error:
            return AttemptFailed(error.code, error.message, kind="worker_lost", retryable=True)
        except Exception as error:  # a domain's output handler or a constraint said no: the node failed, not the worker
            logger.exception("commit refused", extra={"node": key})
            return AttemptFailed("output_refused", f"{type(error).__name__}: {error}"[:1000])
        self._begin(decisions)
        return None

    async def _fail(self, attempt: Attempt, failure: AttemptFailed) -> None:
        """Retry, go on without the node, or give the run up, as its policy says.

        While the run is being given up nothing begins any more, but what acts outside is not broken off: its end is
        waited for and written down.
        """
        node, step = self.context.dag.nodes[attempt.node_key], self.context.steps[attempt.node_key]
        failure = outcome_of(node, failure)
        logger.info("attempt failed", extra={"node": node.key, "attempt": attempt.number, "code": failure.code})
        retry = after_failure(node, failure, retries=step.retries, moves=attempt.moves_on(failure))
        if self.context.recorded is not None:
            retry = self.context.recorded.retry(node.key, attempt.number, retry)
        if retry is not None:  # while the run is being given up, it is not begun any more
            write = self.database(commits.commit_failed_attempt, self.context, attempt, failure, self.deps.store, retry)
            if await self._written(write, attempt, failure):
                self._rest(node.key, retry.wait_s)
        elif node.continue_on_fail or self._fatal is not None:
            ended = ended_by(self.context, attempt, FAILED, failure.code)
            decisions = self._follow(node.key, ended)
            arguments = (self.context, attempt, failure, self.deps.store)
            write = self.database(commits.commit_failure, *arguments, ended=ended, decisions=decisions)
            if await self._written(write, attempt, failure):
                self._begin(decisions)
        else:
            self._fatal = attempt, failure
            inside = [key for key in self._tasks if self.context.dag.nodes[key].side_effects != "external"]
            broken_off = [key for key in inside if not self._tasks[key].done()]
            await _cancel([self._tasks.pop(key) for key in broken_off])

    async def _give_up(self, attempt: Attempt, failure: AttemptFailed) -> None:
        write = self.database(commits.commit_failure, self.context, attempt, failure, self.deps.store)
        await self._written(write, attempt, failure)

    async def _written(self, write: Awaitable[Any], attempt: Attempt, failure: AttemptFailed) -> bool:
        """Whether a failure could be written; evidence that cannot be stored must not keep the run from ending."""
        try:
            await write
        except OUT_OF_HANDS:
            raise
        except Exception:  # a NUL, a NaN: no reason to try the same again
            logger.exception("failure refused", extra={"node": attempt.node_key})
            stage, message = attempt.node_key, failure.message
            what = {"stage": stage, "code": failure.code, "message": message, "retryable": failure.retryable}
            await self.database(commits.fail_run, self.context.claim, **what)
            self.context.run.status = FAILED
            return False
        return True

    async def _go_on(self) -> None:
        """Begin what has rested long enough, if its group has room."""
        decisions = self._decide(self.context.ended, at_work=set(self._tasks))
        if await self._began(decisions):
            self._begin(decisions)

    async def _began(self, decisions: Decisions) -> bool:
        """Write what begins and what is skipped; a domain that refuses a run of which nothing is left ends it."""
        if not (decisions.begin or decisions.skips):
            return True
        try:
            await self.database(commits.begin_nodes, self.context, decisions)
        except OUT_OF_HANDS:
            raise
        except Exception as error:
            logger.exception("beginning refused", extra={"run": str(self.context.run.id)})
            what = {"code": "output_refused", "message": f"{type(error).__name__}: {error}"[:1000], "retryable": False}
            await self.database(commits.fail_run, self.context.claim, **what)
            self.context.run.status = FAILED
            return False
        return True

    async def _wait_elsewhere(self) -> bool:
        """With nothing at work and a long rest ahead, hand the run back until then; whether that was done."""
        if not self._due and self.context.recorded is not None:
            await self.database(end_as_recorded, self.context)
            return True
        if not self._due:
            raise RuntimeError(f"nothing of run {self.context.run.id} can begin, and it has not ended")
        wait = min(self._due.values()) - asyncio.get_running_loop().time()
        if not self._rests or wait <= LONGEST_WAIT_S:
            return False
        await self.database(rest_run, self.context.claim, wait)
        return True

    def _follow(self, key: str, ended: Ended) -> Decisions:
        """What follows when a node ends so; nothing while the run is being given up."""
        if self._fatal is not None:
            return Decisions()
        return self._decide({**self.context.ended, key: ended}, at_work=set(self._tasks))

    def _decide(self, ended: dict[str, Ended], *, at_work: set[str]) -> Decisions:
        context, now = self.context, asyncio.get_running_loop().time()

        def grounds(key: str, ends: Mapping[str, str]) -> dict[str, Any]:
            return context.grounds(key, {name: ended.get(name) or Ended(status) for name, status in ends.items()})

        decisions = decide(
            context.dag,
            {key: end.status for key, end in ended.items()},
            grounds,
            at_work=at_work,
            resting=[key for key, due in self._due.items() if due > now],
            begun=[key for key, step in context.steps.items() if step.has_begun],
        )
        if context.recorded is not None:
            context.recorded.keep_order(decisions, bool(at_work))
        return decisions

    def _begin(self, decisions: Decisions, *more: str) -> None:
        self._refused |= decisions.refused
        for key in (*decisions.begin, *more):
            self._due.pop(key, None)
            self._tasks[key] = asyncio.create_task(self._attempt(key), name=key)

    def _rest(self, key: str, seconds: float) -> None:
        self.context.steps[key].wait_s = seconds
        self._due[key] = asyncio.get_running_loop().time() + seconds

    async def _attempt(self, key: str) -> Finished:
        """One attempt of a node, from an earlier answer to the same input where its policy allows that."""
        node, step = self.context.dag.nodes[key], self.context.steps[key]
        attempt = self._new_attempt(node, step.attempt, step.route)
        try:
            if key in self._refused:
                raise self._refused.pop(key)
            recorded = self.context.recorded
            if recorded is not None and recorded.is_taken(attempt) and (failure := recorded.take(attempt)):
                raise failure
            if node.cached and (reused := await self._reuse(node)):
                return reused, None
            attempt.cache_key = cache_key(self.context, attempt) if node.cached else ""
            await run_attempt(self.context, self.deps, attempt, self._saver(attempt))
        except (AttemptFailed, PutOff) as failure:
            return attempt, failure
        return attempt, None

    async def _reuse(self, node: Node) -> Attempt | None:
        """The attempt with an earlier answer, if there is one that passes the checks of today."""
        step = self.context.steps[node.key]
        attempt = self._new_attempt(node, step.attempt, step.route)
        attempt.cache_key = cache_key(self.context, attempt)
        if not await self.database(reuse_earlier, self.context, attempt, self.deps.clock()):
            return None
        try:
            await run_attempt(self.context, self.deps, attempt, self._saver(attempt))
        except AttemptFailed:
            return None
        return attempt

    def _new_attempt(self, node: Node, number: int, route: int) -> Attempt:
        return Attempt(node.key, number, route, self.context.params(node.key), self.context.bindings(node.key))

    def _saver(self, attempt: Attempt) -> Callable[[list[ArtifactDraft]], Awaitable[None]]:
        async def save(drafts: list[ArtifactDraft]) -> None:
            await self.database(commits.save_reply, self.context, attempt, drafts, self.deps.store)

        return save


async def _cancel(tasks: Iterable[asyncio.Task[Finished]]) -> None:
    tasks = list(tasks)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def execute_claim(claim: Claim, deps: Deps, database: Database, *, rests: bool = True) -> None:
    """Execute a claimed run until it has ended, its lease is lost, or it rests: then its row says when it goes on.

    A run that has been started too often is parked before anything of it is read: whatever it does, it is lost every
    time. One that cannot be read (a release without its stages, a secret without its key) fails and says so.
    """
    try:
        if claim.inline or claim.starts > settings.RUN_MAX_STARTS:
            await database(park, claim)
            return
        context = await database(load_context, claim)
        await RunExecutor(context, deps, database, rests=rests).execute()
        logger.info("run left", extra={"status": context.run.status, "pipeline": context.run.pipeline_slug})
    except LeaseLost:
        logger.warning("lease lost", extra={"run": str(claim.run_id)})
    except SeeItError as error:
        with contextlib.suppress(LeaseLost):
            await database(commits.fail_run, claim, code=error.code, message=error.message, retryable=error.retryable)
