"""Threads for what would hold up an event loop: a slow store, big JSON, name resolution.

`concurrent.futures` refuses work once its process is stopping, which is when runs are handed over; these pools do not.
"""

import asyncio
import contextvars
import os
import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")
Job = tuple["Future[Any]", Callable[[], Any]]
STORE_THREADS = 8
LOOP_THREADS = 8
SMALL = 2_000


class WorkPool(ThreadPoolExecutor):
    """At most `size` daemon threads, started as they are needed, that take work for as long as the process lives.

    It calls itself a `ThreadPoolExecutor` because an event loop takes nothing else for its default executor.
    """

    def __init__(self, size: int, name: str) -> None:
        super().__init__(max_workers=size, thread_name_prefix=name)
        self._size, self._name = size, name
        self._forget()
        os.register_at_fork(after_in_child=self._forget)

    def _forget(self) -> None:
        """No thread outlives a fork."""
        self._jobs: queue.SimpleQueue[Job] = queue.SimpleQueue()
        self._idle = threading.Semaphore(0)
        self._started, self._starting = 0, threading.Lock()

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> "Future[T]":
        """Have a function called on one of the threads."""
        future: Future[T] = Future()
        self._jobs.put((future, partial(fn, *args, **kwargs)))
        if not self._idle.acquire(blocking=False):
            self._start_thread()
        return future

    def _start_thread(self) -> None:
        with self._starting:
            if self._started >= self._size:
                return
            self._started += 1
            name = f"{self._name}-{self._started}"
        threading.Thread(target=self._work, name=name, daemon=True).start()

    def _work(self) -> None:
        while True:
            future, function = self._jobs.get()
            if future.set_running_or_notify_cancel():
                try:
                    future.set_result(function())
                except BaseException as error:  # it belongs to whoever asked
                    future.set_exception(error)
            del future, function  # a result must not live until the next job
            self._idle.release()

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Nothing: the threads are daemons, and what is handed over at the very end still needs them."""


_store = WorkPool(STORE_THREADS, "store")


async def off_loop(function: Callable[P, T], *arguments: P.args, **named: P.kwargs) -> T:
    """The result of a function that waits for the store or works through many bytes, called on a thread of ours."""
    call = partial(contextvars.copy_context().run, function, *arguments, **named)
    return await asyncio.get_running_loop().run_in_executor(_store, call)


async def off_loop_if(large: bool, function: Callable[P, T], *arguments: P.args, **named: P.kwargs) -> T:
    """The function's result: by `off_loop` where it works through much, else here and now."""
    return await off_loop(function, *arguments, **named) if large else function(*arguments, **named)


async def off_loop_if_large(value: Any, function: Callable[P, T], *arguments: P.args, **named: P.kwargs) -> T:
    """The function's result: here and now when the JSON `value` that it works through is small, else by `off_loop`."""
    return await off_loop_if(not weighs_at_most(value, SMALL), function, *arguments, **named)


def weighs_at_most(value: Any, limit: int) -> bool:
    """Whether a JSON value has at most `limit` members and hundreds of characters; looks at no more than that."""
    waiting, seen = [value], 0
    while waiting:
        item = waiting.pop()
        seen += 1
        if isinstance(item, str):
            seen += len(item) // 100
        elif isinstance(item, dict | list | tuple):
            if len(item) > limit:
                return False
            waiting.extend(item.values() if isinstance(item, dict) else item)
        if seen > limit:
            return False
    return True


def serve_loop(loop: asyncio.AbstractEventLoop) -> None:
    """Give a loop a default executor that also works while the process stops: `getaddrinfo` is called on it."""
    loop.set_default_executor(WorkPool(LOOP_THREADS, "engine-work"))
