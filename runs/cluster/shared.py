"""What the processes of a cluster share, without a lock that a killed process could leave locked.

django-q2 shares `multiprocessing`'s queue, events and values: an idle worker sleeps holding the queue's semaphore, and
after a SIGKILL every other worker waits for it for ever.
"""

import contextlib
import os
import pickle
import select
import socket
import threading
import time
from collections.abc import Iterator
from multiprocessing.sharedctypes import RawValue
from typing import Any

INLINE_BYTES = 32 * 1024
STOP = "STOP"


class Flag:
    """An event that is set once: a pipe that becomes readable. The kernel keeps it; nobody can die holding it."""

    def __init__(self) -> None:
        self._reader, self._writer = os.pipe()
        os.set_blocking(self._writer, False)

    def fileno(self) -> int:
        """Readable once the flag is set."""
        return self._reader

    def set(self) -> None:
        """Set it, from any process that inherited it; fit for a signal handler."""
        with contextlib.suppress(BlockingIOError):
            os.write(self._writer, b"!")

    def is_set(self) -> bool:
        """Whether anybody has set it."""
        return self.wait(0)

    def wait(self, timeout: float | None = None) -> bool:
        """Wait at most `timeout` seconds; whether it is set."""
        return bool(readable(self, timeout=timeout))


class Timer:
    """django-q2's task timer: seconds left of the task under way; -1 idle, -2 recycled, 0 overdue.

    Kept as one 8-byte number, the moment the time is over, that only the worker writes: no lock, and no countdown.
    """

    def __init__(self, typecode: str = "d", value: float = -1) -> None:
        self._ends = RawValue("d", value)

    @property
    def value(self) -> float:
        """Seconds left, or one of the marks."""
        ends = float(self._ends.value)
        return ends if ends <= 0 else max(0.0, ends - time.monotonic())

    @value.setter
    def value(self, seconds: float) -> None:
        self._ends.value = seconds if seconds <= 0 else time.monotonic() + seconds

    def get_lock(self) -> contextlib.AbstractContextManager[None]:
        """There is none."""
        return contextlib.nullcontext()


class SharedQueue:
    """Messages between processes over a socket pair that keeps their borders; whoever receives first has it.

    What does not fit into one datagram travels as the descriptor of a memory file. A closed queue gives `STOP` to every
    reader once it is empty.
    """

    def __init__(self, maxsize: int = 0) -> None:
        self._in, self._out = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._out.setblocking(False)
        self._closed = Flag()
        self.room = threading.Event()  # of this process: whether it may take messages at once
        self.room.set()

    def put(self, item: Any) -> None:
        """Send; waits while the buffer is full."""
        body = pickle.dumps(item, protocol=pickle.HIGHEST_PROTOCOL)
        if len(body) <= INLINE_BYTES:
            self._in.send(body)
            return
        with _memory_file(body) as file:
            socket.send_fds(self._in, [b""], [file])

    def get(self) -> Any:
        """The next message, or `STOP`; a process without room takes at most one a second."""
        self.room.wait(timeout=1)
        while True:
            with contextlib.suppress(BlockingIOError):
                return self._receive()
            if self._closed in readable(self._out, self._closed) and self._out not in readable(self._out, timeout=0):
                return STOP

    def _receive(self) -> Any:
        body, files, _, _ = socket.recv_fds(self._out, INLINE_BYTES, 1)
        if not files:
            return pickle.loads(body)  # noqa: S301 - from our own family, over our own socket
        with os.fdopen(files[0], "rb") as file:
            file.seek(0)
            return pickle.load(file)  # noqa: S301

    def close(self) -> None:
        """Nobody puts anything any more."""
        self._closed.set()

    def join_thread(self) -> None:
        """There is none: what was put is in the kernel's hands."""

    def qsize(self) -> int:
        """Not known, and nobody needs it."""
        return 0

    def empty(self) -> bool:
        """Whether nothing waits."""
        return not readable(self._out, timeout=0)


@contextlib.contextmanager
def _memory_file(body: bytes) -> Iterator[int]:
    file = os.memfd_create("message")
    try:
        view = memoryview(body)
        while view:
            view = view[os.write(file, view) :]
        yield file
    finally:
        os.close(file)


def readable(*things: Any, timeout: float | None = None) -> list[Any]:
    """Those of some flags, sockets and connections that can be read, after at most `timeout` seconds."""
    poll = select.poll()
    by_number = {thing.fileno(): thing for thing in things}
    for number in by_number:
        poll.register(number, select.POLLIN)
    return [by_number[number] for number, _ in poll.poll(None if timeout is None else max(0, timeout * 1000))]
