"""Work for a computing child: good, bad and worse."""

import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any


def double(number: int) -> int:
    print("whatever a library prints")
    os.write(1, b"or a C library")
    return number * 2


def pid() -> int:
    return os.getpid()


def sleep(seconds: float) -> int:
    time.sleep(seconds)
    return os.getpid()


def leave(code: int) -> None:
    os._exit(code)


def kill_itself() -> None:
    os.kill(os.getpid(), 9)


def exit_politely() -> None:
    sys.exit("good bye")


def interrupt() -> None:
    raise KeyboardInterrupt


def recurse(depth: int = 0) -> int:
    return recurse(depth + 1) + 1


def eat_memory() -> int:
    eaten = []
    while True:
        eaten.append(bytearray(64 * 2**20))


def read_input() -> str:
    return sys.stdin.read()


def unpicklable() -> Any:
    return lambda: None


def fork_and_return() -> int:
    """Both copies come back; only one of them is the child that was asked."""
    os.fork()
    return os.getpid()


def leave_things_behind(folder: str) -> int:
    """A thread, a fork and a program that outlive the work."""
    threading.Thread(target=time.sleep, args=(600,)).start()
    program = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    if (copy := os.fork()) == 0:
        time.sleep(600)
    Path(folder, "left").write_text(f"{program.pid} {copy}")
    return os.getpid()
