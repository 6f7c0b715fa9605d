"""The computing child of a worker: reads (function, arguments) from a pipe, answers (ok, result or exception)."""

import asyncio
import inspect
import os
import pickle
import signal
import sys
from typing import Any, BinaryIO

from core.processes import end_with_parent
from runs.compute import HEADER


def main() -> None:
    """Serve until the parent closes the pipe or dies."""
    parent = os.getppid()
    end_with_parent()
    if os.getppid() != parent:
        return
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # whatever a library prints must not enter the pipe
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    import django

    django.setup()
    serve(sys.stdin.buffer, answers)


def serve(requests: BinaryIO, answers: BinaryIO) -> None:
    """One request after another."""
    while header := requests.read(HEADER.size):
        body = requests.read(HEADER.unpack(header)[0])
        answer = _answer(body)
        answers.write(HEADER.pack(len(answer)))
        answers.write(answer)
        answers.flush()


def _answer(body: bytes) -> bytes:
    try:
        function, arguments = pickle.loads(body)  # noqa: S301 - from our own parent, over our own pipe
        result: Any = function(*arguments)
        if inspect.isawaitable(result):
            result = asyncio.run(_wait(result))
        return pickle.dumps((True, result), protocol=pickle.HIGHEST_PROTOCOL)
    except Exception as error:  # whatever a stage raises becomes a failed attempt in the worker
        return _pickled_error(error)


async def _wait(awaitable: Any) -> Any:
    return await awaitable


def _pickled_error(error: Exception) -> bytes:
    try:
        body = pickle.dumps((False, error), protocol=pickle.HIGHEST_PROTOCOL)
        pickle.loads(body)  # noqa: S301 - an exception that cannot be rebuilt must not reach the parent
    except Exception:
        body = pickle.dumps((False, RuntimeError(f"{type(error).__name__}: {error}")))
    return body


if __name__ == "__main__":
    main()
