"""One thread with one database connection, fed by an event loop."""

import asyncio
import itertools
import queue
import threading
from collections.abc import Callable
from contextvars import copy_context
from functools import partial
from typing import Any

from django.db import DataError, InterfaceError, OperationalError, close_old_connections, connection

Job = tuple[Callable[[], Any], "asyncio.Future[Any]", asyncio.AbstractEventLoop]
FIRST, NEXT, LAST = range(3)
# PostgreSQL, appendix "Error codes", class 54: what was asked is too much, and will be the next time. Its driver calls
# that an operational error, as it does when the server is away.
LIMIT_EXCEEDED = "54"


class DatabaseThread(threading.Thread):
    """Runs synchronous database functions one after another.

    Not a `ThreadPoolExecutor`: that one takes no more work once the process is stopping, which is when runs are handed
    over.
    """

    def __init__(self) -> None:
        super().__init__(name="engine-db", daemon=True)
        self._jobs: queue.PriorityQueue[tuple[int, int, Job | None]] = queue.PriorityQueue()
        self._order = itertools.count()

    async def __call__(self, function: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
        """The function's result, computed on the thread with the caller's log context."""
        return await self._ask(NEXT, partial(function, *arguments, **named))

    async def first(self, function: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
        """The same ahead of what has been asked for: a claim does not wait behind the rows of what was claimed."""
        return await self._ask(FIRST, partial(function, *arguments, **named))

    async def _ask(self, rank: int, work: Callable[[], Any]) -> Any:
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Any] = loop.create_future()
        job = partial(copy_context().run, _connected, work), answer, loop
        self._jobs.put((rank, next(self._order), job))
        return await answer

    def run(self) -> None:
        """The thread's life, until `close`."""
        while (job := self._jobs.get()[2]) is not None:
            work, answer, loop = job
            try:
                result, error = work(), None
            except BaseException as caught:  # it belongs to whoever asked
                result, error = None, caught
            loop.call_soon_threadsafe(_deliver, answer, result, error)
        connection.close()

    def close(self) -> None:
        """Finish what was asked for and end the thread."""
        self._jobs.put((LAST, next(self._order), None))
        self.join()


def _deliver(answer: "asyncio.Future[Any]", result: Any, error: BaseException | None) -> None:
    if answer.cancelled():
        return
    if error is not None:
        answer.set_exception(error)
    else:
        answer.set_result(result)


def _connected(function: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
    close_old_connections()
    try:
        return function(*arguments, **named)
    except OperationalError as error:
        connection.close()
        if str(getattr(error.__cause__, "sqlstate", None)).startswith(LIMIT_EXCEEDED):
            raise DataError(*error.args) from error
        raise
    except InterfaceError:
        connection.close()
        raise
