"""A computing child of a worker: reads (function, arguments) from a pipe, answers (ok, result or exception, last)."""

import asyncio
import contextlib
import inspect
import os
import pickle
import resource
import signal
import threading
from importlib import import_module
from pathlib import Path
from typing import Any, BinaryIO

from core.processes import end_with_parent
from runs.compute import BEGUN, HEADER
from runs.errors import AttemptFailed, ended_itself

LIKELY_VICTIM = "800"  # when memory is short, the kernel takes this process and not the worker or the database


def main() -> None:
    """Serve until the parent closes the pipe or dies."""
    parent = os.getppid()
    end_with_parent()
    if os.getppid() != parent:
        return
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    requests, answers = _take_pipes()
    os.register_at_fork(after_in_child=end_with_parent)
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    import django
    from django.conf import settings

    django.setup()
    _limit_memory(settings.RUN_COMPUTE_MEMORY_MB)
    for module in settings.RUN_COMPUTE_IMPORTS:
        import_module(module)
    serve(requests, answers)


def _take_pipes() -> tuple[BinaryIO, BinaryIO]:
    """The parent's pipes, out of reach: what a library prints or reads must not enter them, nor a program it starts."""
    requests, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    return requests, answers


def _limit_memory(megabytes: int) -> None:
    """Have too large an appetite end in a `MemoryError` here, and let the kernel look here first when it is short."""
    if megabytes:
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_DATA, (megabytes * 2**20, resource.getrlimit(resource.RLIMIT_DATA)[1]))
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text(LIKELY_VICTIM)


def serve(requests: BinaryIO, answers: BinaryIO) -> None:
    """One request after another, until one has left this process unfit for the next."""
    own, threads = os.getpid(), threading.active_count()
    while header := requests.read(HEADER.size):
        body = requests.read(HEADER.unpack(header)[0])
        answers.write(BEGUN)
        answers.flush()
        ok, value, last = _answer(body)
        if os.getpid() != own:  # a copy that the work has forked and that came back here with it
            os._exit(0)
        last = last or threading.active_count() > threads or _has_children()
        answer = _pickled(ok, value, last)
        answers.write(HEADER.pack(len(answer)))
        answers.write(answer)
        answers.flush()
        if last:
            break


def _answer(body: bytes) -> tuple[bool, Any, bool]:
    """(ok, result or exception, whether this process had better not go on)."""
    try:
        function, arguments = pickle.loads(body)  # noqa: S301 - from our own parent, over our own pipe
        result: Any = function(*arguments)
        return True, asyncio.run(_wait(result)) if inspect.isawaitable(result) else result, False
    except MemoryError as error:
        text = f"The computing process has no memory left for this ({error or 'MemoryError'})."
        return False, AttemptFailed("out_of_memory", text), True
    except (SystemExit, KeyboardInterrupt, GeneratorExit) as error:
        return False, AttemptFailed("stage_crashed", ended_itself(error)), True
    except Exception as error:  # whatever a stage raises becomes a failed attempt in the worker
        return False, error, False


async def _wait(awaitable: Any) -> Any:
    return await awaitable


def _pickled(ok: bool, value: Any, last: bool) -> bytes:
    try:
        body = pickle.dumps((ok, value, last), protocol=pickle.HIGHEST_PROTOCOL)
        if not ok:
            pickle.loads(body)  # noqa: S301 - an exception that cannot be rebuilt must not reach the parent
    except Exception as error:
        shown = value if isinstance(value, Exception) else error
        body = pickle.dumps((False, RuntimeError(f"{type(shown).__name__}: {shown}"), last))
    return body


def _has_children() -> bool:
    """Whether the work has left processes behind. Linux only; elsewhere they are found when they are killed."""
    with contextlib.suppress(OSError):
        return any(path.read_text().strip() for path in Path("/proc/self/task").glob("*/children"))
    return False


if __name__ == "__main__":
    main()
