"""Whose turn it is where a worker computes, and a time-out that does not count the wait for a turn."""

import asyncio
import contextlib
from collections import OrderedDict, deque
from collections.abc import AsyncIterator, Iterator
from contextvars import ContextVar
from dataclasses import dataclass
from types import TracebackType

LAG_STEP = 0.25


@dataclass(frozen=True, slots=True)
class Claimant:
    """On whose behalf something is computed: the run's priority (lower is sooner) and its shop."""

    priority: int = 0
    owner: str = ""


class Lag:
    """How late an event loop has been in all: time in which nobody's work could go on, however fast it was.

    A worker on a busy machine has hundreds of answers to look at in one turn of its loop; none of them came too late.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.seconds = 0.0
        self._loop = loop
        self._plan()

    def _plan(self) -> None:
        self._due = self._loop.time() + LAG_STEP
        self._loop.call_at(self._due, self._measure)

    def _measure(self) -> None:
        self.seconds += max(0.0, self._loop.time() - self._due)
        self._plan()


class Patience:
    """A time-out of an attempt or of its call. It stands still while everything that is done waits for its turn.

    Neither does it count what the loop was late. Raises `TimeoutError` as `asyncio.timeout` does. Not reusable.
    """

    def __init__(self, seconds: float) -> None:
        self.queued_s = 0.0
        self._timeout = asyncio.timeout(None)
        self._timer: asyncio.TimerHandle | None = None
        self._lag = LAG.get()
        self._lag_known = 0.0
        self._waiting = self._working = 0
        self._paused_at: float | None = None
        self._left = seconds
        self._entered = False

    async def __aenter__(self) -> "Patience":
        await self._timeout.__aenter__()
        self._entered = True
        self._start(self._left)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._entered = False
        self._stop()
        await self._timeout.__aexit__(kind, error, trace)

    def _start(self, seconds: float) -> None:
        self._lag_known = self._lag.seconds if self._lag else 0.0
        loop = asyncio.get_running_loop()
        self._timer = loop.call_at(loop.time() + seconds, self._expire)

    def _stop(self) -> float:
        """Stop the clock; gives the seconds that are left."""
        if self._timer is None:
            return 0.0
        self._timer.cancel()
        due, self._timer = self._timer.when(), None
        return due - asyncio.get_running_loop().time() + self._late(due)

    def _late(self, due: float) -> float:
        """For how long the loop could not attend to us since the clock was started."""
        if self._lag is None:
            return 0.0
        return max(self._lag.seconds - self._lag_known, asyncio.get_running_loop().time() - due)

    def _expire(self) -> None:
        assert self._timer is not None
        late, self._timer = self._late(self._timer.when()), None
        if late > LAG_STEP:
            self._start(late)
        else:
            self._timeout.reschedule(asyncio.get_running_loop().time())

    @contextlib.contextmanager
    def waiting(self) -> Iterator[None]:
        """While a piece of the attempt's work waits for its turn."""
        self._waiting += 1
        self._reckon()
        try:
            yield
        finally:
            self._waiting -= 1
            self._reckon()

    @contextlib.contextmanager
    def working(self) -> Iterator[None]:
        """While a piece of the attempt's work is being computed: the clock runs, whatever else waits."""
        self._working += 1
        self._reckon()
        try:
            yield
        finally:
            self._working -= 1
            self._reckon()

    def _reckon(self) -> None:
        if not self._entered:  # work that is nobody's attempt
            return
        now = asyncio.get_running_loop().time()
        paused = self._waiting > 0 and self._working == 0
        if paused and self._paused_at is None and self._timer is not None:
            self._left, self._paused_at = self._stop(), now
        elif not paused and self._paused_at is not None:
            self.queued_s += now - self._paused_at
            self._paused_at = None
            self._start(self._left)


CLAIMANT: ContextVar[Claimant | None] = ContextVar("claimant", default=None)
PATIENCE: ContextVar[Patience | None] = ContextVar("patience", default=None)
LAG: ContextVar[Lag | None] = ContextVar("lag", default=None)


class FairQueue:
    """At most `places` at once. The most urgent priority goes first, in it the shops in turn, each first come first."""

    def __init__(self, places: int) -> None:
        self._places = self._free = places
        self._lines: dict[int, OrderedDict[str, deque[asyncio.Future[None]]]] = {}

    @property
    def busy(self) -> bool:
        """Whether anybody has a place."""
        return self._free < self._places

    @contextlib.asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Wait for a place and hold it; a claimant that is cancelled while it waits leaves the line."""
        if self._free and not self._lines:
            self._free -= 1
        else:
            await self._wait(CLAIMANT.get() or Claimant())
        try:
            yield
        finally:
            self._leave()

    async def _wait(self, claimant: Claimant) -> None:
        mine: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._lines.setdefault(claimant.priority, OrderedDict()).setdefault(claimant.owner, deque()).append(mine)
        try:
            await mine
        except asyncio.CancelledError:
            if mine.done() and not mine.cancelled():  # the place was given in the same moment: pass it on
                self._leave()
            raise

    def _leave(self) -> None:
        while (following := self._next()) is not None:
            if not following.done():
                following.set_result(None)
                return
        self._free += 1

    def _next(self) -> asyncio.Future[None] | None:
        if not self._lines:
            return None
        priority = min(self._lines)
        shops = self._lines[priority]
        owner, line = shops.popitem(last=False)
        following = line.popleft()
        if line:
            shops[owner] = line  # behind the other shops
        if not shops:
            del self._lines[priority]
        return following
