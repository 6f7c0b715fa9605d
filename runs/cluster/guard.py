"""The cluster's parent process: django-q2's sentinel, changed where a killed process froze, orphaned or repeated.

It is the only parent: django-q2's main process, which would wait beside it, is gone. Whatever it starts dies with it.
"""

import contextlib
import gc
import logging
import os
import signal
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from django_q import cluster
from django_q.conf import Conf

from core.processes import end_with_parent
from runs.cluster import orders
from runs.cluster.shared import STOP, Flag, SharedQueue, Timer

logger = logging.getLogger(__name__)
SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
PUSHER_SECONDS, MONITOR_SECONDS, HURRY_SECONDS = 1, 2, 5
SAME_SIGNAL_SECONDS = 1  # Ctrl-C reaches the whole group, and then whoever started us tells us once more
# A process that dies is replaced at once; one that dies again and again is not allowed to fill the log.
FREE_RESTARTS, RESTARTS_PER_SECOND = 10, 0.5


def serve() -> None:
    """Run a cluster until a signal ends it.

    The first SIGTERM, SIGINT or SIGHUP lets what is under way end or be handed over; the second hands over at once.
    """
    cluster.Queue, cluster.Event, cluster.Value = SharedQueue, Flag, Timer
    orders.current = orders.Orders()
    gc.collect()
    gc.freeze()  # what all processes share stays shared: the collector does not write into it
    guard = Guard(orders.current)
    try:
        guard.start()
    finally:
        end_now(guard.family)


class Guard(cluster.Sentinel):  # type: ignore[misc]
    """Starts the processes, replaces what dies, and ends them in order."""

    def __init__(self, given: orders.Orders) -> None:
        super().__init__(given.stopping, Flag(), uuid.uuid4(), start=False)
        self._hurry = given.hurry
        self._told_at = 0.0
        given.messages = self.task_queue
        self.broker.ending = self.event_out
        self._restarts = Allowance(FREE_RESTARTS, RESTARTS_PER_SECOND)
        for number in SIGNALS:
            signal.signal(number, self._on_signal)

    def start(self) -> None:
        """Start all processes and watch them until the cluster has ended."""
        self.spawn_cluster()
        self.guard()

    @property
    def family(self) -> list[BaseProcess]:
        """All child processes."""
        return [*self.pool, *(process for process in (self.pusher, self.monitor) if process is not None)]

    def _on_signal(self, *_: Any) -> None:
        if os.getpid() != self.pid:  # a child that has not yet come to ignore it
            return
        if not self.stop_event.is_set():
            self._told_at = time.monotonic()
            self.stop_event.set()
        elif time.monotonic() - self._told_at > SAME_SIGNAL_SECONDS:
            self._hurry.set()

    def spawn_process(self, target: Callable[..., None], *arguments: Any) -> BaseProcess:
        """Start a child that ends with us and leaves the signals to us."""
        process: BaseProcess = cluster.get_mp_context().Process(
            target=_run_child, args=(os.getpid(), target, arguments), name=f"{target.__name__}-{uuid.uuid4().hex[:8]}"
        )
        process.terminate = process.kill  # type: ignore[method-assign] # a child that is to be ended does not get to decide
        if target is cluster.worker:
            process.timer = arguments[2]  # type: ignore[attr-defined]
            self.pool.append(process)
        process.start()
        return process

    def guard(self) -> None:
        """Replace what has died, or is overdue, until we are told to stop."""
        self.start_event.set()
        while not self.stop_event.is_set():
            alive = [process.sentinel for process in self.family if process.is_alive()]
            wait([*alive, self.stop_event], Conf.GUARD_CYCLE)
            for process in self._ended():
                if self._restarts.take():
                    self.reincarnate(process)
        self.stop()

    def _ended(self) -> list[BaseProcess]:
        overdue = [process for process in self.pool if process.timer.value == 0]
        return overdue + [process for process in self.family if process not in overdue and not process.is_alive()]

    def stop(self) -> None:
        """End in order: no new messages, then the workers with what they hold, then the results."""
        self.event_out.set()
        self._end([self.pusher], PUSHER_SECONDS)
        self.task_queue.close()
        self._end(self.pool, orders.HANDOVER_SECONDS + HURRY_SECONDS, self._hurry)
        self.result_queue.put(STOP)
        self._end([self.monitor], MONITOR_SECONDS)

    def _end(self, processes: Sequence[BaseProcess], seconds: float, hurry: Flag | None = None) -> None:
        """Wait for processes to end by themselves, less long when there is a hurry, and kill what is left."""
        deadline = time.monotonic() + seconds
        flags: list[Any] = [hurry] if hurry else []
        while alive := [process for process in processes if process.is_alive()]:
            if hurry and flags and hurry.is_set():
                deadline, flags = min(deadline, time.monotonic() + HURRY_SECONDS), []
            if (left := deadline - time.monotonic()) <= 0:
                break
            wait([process.sentinel for process in alive] + flags, left)
        if late := [process for process in processes if process in self.pool and process.is_alive()]:
            logger.warning("workers did not end in time", extra={"pids": [process.pid for process in late]})
        end_now(processes)


def end_now(processes: Sequence[BaseProcess]) -> None:
    """Kill processes and collect them."""
    for process in processes:
        with contextlib.suppress(OSError):
            process.kill()
    for process in processes:
        process.join()


@dataclass
class Allowance:
    """So many at once, and so many a second after that."""

    free: float
    per_second: float
    _left: float = field(init=False)
    _at: float = field(init=False)

    def __post_init__(self) -> None:
        self._left, self._at = self.free, time.monotonic()

    def take(self) -> bool:
        """Whether one more is allowed now."""
        now = time.monotonic()
        self._left, self._at = min(self.free, self._left + (now - self._at) * self.per_second), now
        if self._left < 1:
            return False
        self._left -= 1
        return True


def _run_child(parent: int, target: Callable[..., None], arguments: Sequence[Any]) -> None:
    """A child's life: it ends with its parent, and the parent alone listens to signals."""
    end_with_parent()
    if os.getppid() != parent:  # it died before the kernel knew that we care
        os._exit(1)
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    with contextlib.suppress(OSError):  # what `ps -o comm` shows
        Path("/proc/self/comm").write_text(f"seeit-{target.__name__}")
    target(*arguments)
