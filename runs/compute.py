"""Where computing is done: in place for commands and tests, in killable child processes of each worker."""

import asyncio
import contextlib
import inspect
import logging
import os
import pickle
import signal
import struct
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from core.pools import off_loop
from runs.errors import ComputeLost
from runs.turns import PATIENCE, FairQueue, Patience

logger = logging.getLogger(__name__)
HEADER = struct.Struct(">Q")
BEGUN = b"\x01"
STREAM_LIMIT = 2**20
IDLE_SECONDS = 300.0
START_SECONDS = 60.0
STARTS = 3
BROKEN = (asyncio.IncompleteReadError, BrokenPipeError, ConnectionResetError)


class Compute(Protocol):
    """Runs a module-level function with plain arguments and gives its result."""

    async def __call__(self, function: Callable[..., Any], *arguments: Any) -> Any: ...


class InPlace:
    """Computes in the calling process."""

    async def __call__(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """The function's result; a coroutine function is awaited."""
        result = function(*arguments)
        return await result if inspect.isawaitable(result) else result


class NotBegun(Exception):
    """The child was gone before it began: the work can be given to another one."""


class ComputeChild:
    """One child process that computes one thing at a time. It has its own process group and ends with its parent."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self.spent = self._killed = False

    @classmethod
    async def start(cls) -> "ComputeChild":
        """A new child; it is ready when its imports are done, and takes work before that."""
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "runs.child",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            limit=STREAM_LIMIT,
            cwd=Path(__file__).resolve().parent.parent,
            process_group=0,
        )
        return cls(process)

    @property
    def alive(self) -> bool:
        """Whether it can be given work, as far as is known."""
        return self._process.returncode is None and not self.spent

    async def work(self, body: bytes, begun: Callable[[], None]) -> tuple[bool, Any]:
        """Send a pickled (function, arguments), say when it has begun, and give (ok, result or exception).

        Raises:
            NotBegun: it died, or hung, before it began.
            ComputeLost: it died under the work.
        """
        try:
            await self._send(body)
            async with asyncio.timeout(START_SECONDS):
                await self._read(len(BEGUN))
        except (TimeoutError, *BROKEN) as error:
            await self.kill()
            raise NotBegun(f"the computing process {self._ended()} before it began") from error
        begun()
        try:
            (size,) = HEADER.unpack(await self._read(HEADER.size))
            ok, value, self.spent = await off_loop(pickle.loads, await self._read(size))
        except BROKEN as error:
            await self.kill()
            raise ComputeLost(f"the computing process {self._ended()}") from error
        return bool(ok), value

    async def _send(self, body: bytes) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(HEADER.pack(len(body)))
        self._process.stdin.write(body)
        await self._process.stdin.drain()

    async def _read(self, size: int) -> bytes:
        assert self._process.stdout is not None
        return await self._process.stdout.readexactly(size)

    def _ended(self) -> str:
        code = self._process.returncode
        if code is None:
            return "closed its connection"
        return f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"

    async def kill(self) -> None:
        """End it and whatever it has started, and wait until it is gone."""
        if not self._killed:
            self.spent = self._killed = True
            assert self._process.stdout is not None
            if self._process.stdout.at_eof():  # it is ending by itself: how, is worth knowing
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(asyncio.shield(self._process.wait()), 1)
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)
        await asyncio.shield(self._process.wait())


class ComputePool:
    """Children that compute, at most `size` at once, started when needed and ended when idle for some minutes.

    Whoever finds all of them at work waits in a fair line; an attempt's time-out does not count that wait. Cancelling
    work that is being done kills its child; cancelling work that waits disturbs nobody.
    """

    def __init__(self, size: int = 1) -> None:
        self._queue = FairQueue(size)
        self._rested: list[ComputeChild] = []
        self._warming = False
        self._retiring: dict[ComputeChild, asyncio.TimerHandle] = {}

    async def warm(self) -> None:
        """Have a child ready for work that is to be expected; importing the picture libraries takes a moment."""
        if not self._rested and not self._queue.busy and not self._warming:
            self._warming = True
            try:
                self._rest(await ComputeChild.start())
            finally:
                self._warming = False

    async def __call__(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """The function's result, or the exception that it raised.

        Raises:
            ComputeLost: the child died under the work.
        """
        body = await off_loop(pickle.dumps, (function, arguments), pickle.HIGHEST_PROTOCOL)
        patience = PATIENCE.get() or Patience(0)
        with contextlib.ExitStack() as clock:

            def begun() -> None:
                clock.close()
                clock.enter_context(patience.working())

            clock.enter_context(patience.waiting())
            async with self._queue.turn():
                ok, value = await self._work(body, begun)
        if ok:
            return value
        raise value

    async def _work(self, body: bytes, begun: Callable[[], None]) -> tuple[bool, Any]:
        for _ in range(STARTS):
            child = self._rouse() or await ComputeChild.start()
            try:
                answer = await child.work(body, begun)
            except NotBegun as error:
                lost = error
                continue
            except BaseException:  # a time-out or a lost lease: the work must stop too
                await child.kill()
                raise
            self._rest(child)
            return answer
        raise ComputeLost(str(lost))

    def _rouse(self) -> ComputeChild | None:
        while self._rested:
            child = self._rested.pop()
            self._retiring.pop(child).cancel()
            if child.alive:
                return child
        return None

    def _rest(self, child: ComputeChild) -> None:
        loop = asyncio.get_running_loop()
        if not child.alive:
            self._end(child)
            return
        self._rested.append(child)
        self._retiring[child] = loop.call_later(IDLE_SECONDS, self._retire, child)

    def _retire(self, child: ComputeChild) -> None:
        self._rested.remove(child)
        del self._retiring[child]
        self._end(child)

    def _end(self, child: ComputeChild) -> None:
        self._ending = asyncio.ensure_future(child.kill())

    async def close(self) -> None:
        """End the children that rest; those at work end with the attempts they work for."""
        while child := self._rouse():
            await child.kill()
