"""Processes that must not outlive the one that started them."""

import contextlib
import ctypes
import os
import signal
import sys
from collections.abc import Collection

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36


def end_with_parent(number: int = signal.SIGKILL) -> None:
    """Have the kernel send this process a signal when its parent ends, `kill -9` included. Linux only."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, number)


def adopt_orphans() -> None:
    """Become the parent of every descendant whose own parent ends, so that `end_orphans` finds it. Linux only."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1)


def end_orphans(known: Collection[int]) -> int:
    """Kill adopted processes and all below them; returns how many.

    Children in `known` are not orphans, and neither are those that chose a session of their own.
    """
    import psutil  # comes with the embedded server, the only place where we keep other programs' families

    ended = 0
    for child in psutil.Process().children():
        with contextlib.suppress(psutil.NoSuchProcess, ProcessLookupError):
            if child.pid in known or os.getsid(child.pid) != os.getsid(0):
                continue
            for process in [child, *child.children(recursive=True)]:
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.kill()
                    ended += 1
            child.wait(timeout=5)
    return ended
