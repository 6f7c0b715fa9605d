"""The embedded PostgreSQL: shared, restarted when it died, stopped with its last user however that one ended."""

import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.workers import ROOT, wait_until

HOLD = """
import sys, time
from pathlib import Path
from config import embedded
print(embedded.ensure_running(Path(sys.argv[1])), flush=True)
time.sleep(600)
"""


class Holder:
    """A process that uses the server under a data folder."""

    def __init__(self, folder: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", HOLD, str(folder)], cwd=ROOT, stdout=subprocess.PIPE, text=True
        )

    def ready(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def end(self, number: int) -> None:
        self.process.send_signal(number)
        self.process.wait(timeout=10)


@pytest.fixture
def folder() -> Iterator[Path]:
    """Outside pytest's own folders: as root the server runs as another user, which those keep out."""
    with tempfile.TemporaryDirectory(prefix="seeit-pg-") as name:
        path = Path(name)
        path.chmod(0o755)
        yield path


def postmaster(folder: Path) -> int | None:
    try:
        pid = int((folder / "postgres" / "postmaster.pid").read_text().splitlines()[0])
    except (FileNotFoundError, IndexError, ValueError):
        return None
    alive = psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    return pid if alive else None


@pytest.mark.xdist_group("embedded")
def test_two_processes_share_one_server_and_the_last_one_stops_it(folder: Path) -> None:
    first, second = Holder(folder), Holder(folder)
    assert first.ready() == second.ready() != ""
    server = postmaster(folder)
    assert server is not None
    first.end(signal.SIGKILL)
    later = Holder(folder)
    assert later.ready()
    assert postmaster(folder) == server, "a kill -9 of one user does not disturb the others"
    second.end(signal.SIGTERM)
    later.end(signal.SIGKILL)
    wait_until(lambda: postmaster(folder) is None, "the server stops with its last user", 20)


@pytest.mark.xdist_group("embedded")
def test_a_killed_server_is_started_again_by_the_next_who_needs_it(folder: Path) -> None:
    first = Holder(folder)
    first.ready()
    server = postmaster(folder)
    assert server is not None
    psutil.Process(server).kill()
    wait_until(lambda: postmaster(folder) is None, "the server is gone", 10)
    second = Holder(folder)
    assert second.ready()
    assert postmaster(folder) not in (None, server)
    first.end(signal.SIGKILL)
    second.end(signal.SIGKILL)
    wait_until(lambda: postmaster(folder) is None, "the server stops", 20)


@pytest.mark.xdist_group("embedded")
def test_another_process_with_the_old_servers_id_is_not_taken_for_it(folder: Path) -> None:
    first = Holder(folder)
    old = first.ready()
    pid_file = folder / "postgres" / "postmaster.pid"
    lines = pid_file.read_text().splitlines()
    first.end(signal.SIGKILL)
    wait_until(lambda: not pid_file.exists(), "the server stops with its last user", 20)
    other = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)", str(folder / "postgres")])
    pid_file.write_text("\n".join([str(other.pid), *lines[1:]]) + "\n")
    later = Holder(folder)
    try:
        assert later.ready() == old, "it listens where it did"
        assert postmaster(folder) != other.pid
    finally:
        later.end(signal.SIGTERM)
        other.kill()
        other.wait()
