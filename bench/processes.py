"""Real processes around a measurement: workers and a web server, watched, weighed and ended."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeVar

import psutil

ROOT = Path(__file__).resolve().parent.parent
PATIENCE_SECONDS = 90
T = TypeVar("T")


class Program:
    """One program in a session of its own, with its children."""

    def __init__(self, arguments: list[str], **environment: str) -> None:
        with program_log().open("ab") as log:
            self.process = subprocess.Popen(
                arguments, cwd=ROOT, env={**os.environ, **environment}, start_new_session=True, stdout=log, stderr=log
            )

    def family(self) -> list[psutil.Process]:
        """The program's living processes."""
        with suppress(psutil.NoSuchProcess):
            top = psutil.Process(self.process.pid)
            return [top, *top.children(recursive=True)]
        return []

    def stop(self) -> None:
        """SIGTERM as a service manager would, and SIGKILL for whatever is left."""
        family = self.family()
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(timeout=30)
        for process in family:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        self.process.wait(timeout=10)


@contextmanager
def running_workers(**environment: str) -> Iterator[Program]:
    """A `qcluster` on the scratch database whose workers have all reported."""
    from runs.models import Worker

    count = int(environment.get("WORKERS", "2"))
    program = Program([sys.executable, "manage.py", "qcluster"], **environment)
    try:
        wait_for(lambda: Worker.objects.count() >= count, "the workers report")
        yield program
    finally:
        program.stop()


@contextmanager
def running_web() -> Iterator[str]:
    """Gunicorn as the demo runs it; gives its address."""
    port = free_port()
    base = f"http://127.0.0.1:{port}"
    options = ["--worker-class", "gthread", "--workers", "2", "--threads", "4", "--log-level", "warning"]
    program = Program([sys.executable, "-m", "gunicorn", "config.wsgi", "--bind", f"127.0.0.1:{port}", *options])
    try:
        wait_for(lambda: _connects(port), "the web server listens")
        yield base
    finally:
        program.stop()


def program_log() -> Path:
    """Where the programs write; shown when a measurement fails."""
    return Path(os.environ["SEEIT_DATA_DIR"]) / "programs.log"


def free_port() -> int:
    """A port on loopback that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _connects(port: int) -> bool:
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


def wait_for(condition: Callable[[], T], what: str, *, seconds: float = PATIENCE_SECONDS, every: float = 0.05) -> T:
    """Poll until something is so and give it.

    Raises:
        TimeoutError: it never became so; the sentence says what.
    """
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if value := condition():
            return value
        time.sleep(every)
    raise TimeoutError(f"It did not happen within {seconds:g} s: {what}.")


def resident_mib(processes: list[psutil.Process]) -> float:
    """Memory of some processes in MiB, what they share counted once (PSS)."""
    total = 0
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            total += process.memory_full_info().pss
    return total / 2**20


def processor_seconds(processes: list[psutil.Process]) -> float:
    """Processor time that some processes have used so far."""
    total = 0.0
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            total += sum(process.cpu_times()[:2])
    return total
