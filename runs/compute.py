"""Where computing is done: in place for commands and tests, in a killable child process of each worker."""

import asyncio
import contextlib
import inspect
import logging
import pickle
import struct
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol, TypeVar

from runs.errors import ComputeLost

logger = logging.getLogger(__name__)
T = TypeVar("T")
HEADER = struct.Struct(">Q")
STREAM_LIMIT = 2**20


class Compute(Protocol):
    """Runs a module-level function with plain arguments and gives its result."""

    async def __call__(self, function: Callable[..., Any], *arguments: Any) -> Any: ...


class InPlace:
    """Computes in the calling process."""

    async def __call__(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """The function's result; a coroutine function is awaited."""
        result = function(*arguments)
        return await result if inspect.isawaitable(result) else result


class ComputeChild:
    """One child process that computes, one thing at a time; cancelling the work kills the child.

    The child is started when first needed and again after it died. It ends with its parent.
    """

    def __init__(self) -> None:
        self._process: asyncio.subprocess.Process | None = None
        self._free = asyncio.Lock()

    async def start(self) -> None:
        """Start the child ahead of its first work; importing the picture libraries takes a moment."""
        async with self._free:
            await self._ensure()

    async def __call__(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """The function's result, or the exception that it raised.

        Raises:
            ComputeLost: the child died under the work.
        """
        async with self._free:
            process = await self._ensure()
            try:
                await _send(process, (function, arguments))
                ok, value = await _receive(process)
            except (asyncio.IncompleteReadError, BrokenPipeError, ConnectionResetError) as error:
                await self._kill()
                raise ComputeLost("the computing process died") from error
            except BaseException:  # cancelled by a time-out or a lost lease: the work must stop too
                await self._kill()
                raise
        if ok:
            return value
        raise value

    async def _ensure(self) -> asyncio.subprocess.Process:
        if self._process is None or self._process.returncode is not None:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "runs.child",
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                limit=STREAM_LIMIT,
                cwd=Path(__file__).resolve().parent.parent,
            )
        return self._process

    async def _kill(self) -> None:
        process, self._process = self._process, None
        if process is not None and process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await asyncio.shield(process.wait())

    async def close(self) -> None:
        """End the child."""
        await self._kill()


async def _send(process: asyncio.subprocess.Process, value: Any) -> None:
    assert process.stdin is not None
    body = pickle.dumps(value, protocol=pickle.HIGHEST_PROTOCOL)
    process.stdin.write(HEADER.pack(len(body)))
    process.stdin.write(body)
    await process.stdin.drain()


async def _receive(process: asyncio.subprocess.Process) -> tuple[bool, Any]:
    assert process.stdout is not None
    (size,) = HEADER.unpack(await process.stdout.readexactly(HEADER.size))
    ok, value = pickle.loads(await process.stdout.readexactly(size))  # noqa: S301 - our own child, over our own pipe
    return bool(ok), value
