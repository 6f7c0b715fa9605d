"""Real worker processes on the test's database."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psutil
from django.conf import settings
from django.db import connection

ROOT = Path(__file__).resolve().parent.parent
PATIENCE_SECONDS = 60
APPLICATION = "seeit-test-worker"


def database_url() -> str:
    """The test database as another process reaches it."""
    values = connection.settings_dict
    user, name, host = values["USER"], values["NAME"], values["HOST"]
    if host.startswith("/"):
        return f"postgresql://{user}@/{name}?host={quote(host, safe='')}&application_name={APPLICATION}"
    server = f"{user}:{values['PASSWORD']}@{host}:{values['PORT'] or 5432}"
    return f"postgresql://{server}/{name}?application_name={APPLICATION}"


def worker_environment(files: Path, **extra: str) -> dict[str, str]:
    """The environment of a process that works on the test's database and files."""
    return {
        **os.environ,
        "DATABASE_URL": database_url(),
        "SECRET_KEY": settings.SECRET_KEY,
        "FIELD_ENCRYPTION_KEYS": ",".join(settings.FIELD_ENCRYPTION_KEYS),
        "SEEIT_DATA_DIR": str(files.parent),
        "DJANGO_SETTINGS_MODULE": "tests.worker_settings",
        "ALLOWED_HOSTS": "localhost,127.0.0.1",
        "LOG_LEVEL": "WARNING",
        **extra,
    }


class Cluster:
    """A `qcluster` with its worker processes; what it says goes to a log of its own."""

    def __init__(self, files: Path, **environment: str) -> None:
        files.parent.mkdir(parents=True, exist_ok=True)
        self._log = files.parent / f"cluster-{time.monotonic_ns()}.log"
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "manage.py", "qcluster"],
                cwd=ROOT,
                env=worker_environment(files, **environment),
                start_new_session=True,
                stderr=log,
            )

    @property
    def log(self) -> str:
        """What it has said so far."""
        return self._log.read_text(errors="replace")

    def pids(self, role: str) -> set[int]:
        """Its processes of one role: worker, pusher or monitor."""
        return {process.pid for process in self.family() if _name(process) == f"seeit-{role}"}

    def family(self) -> list[psutil.Process]:
        """The cluster's processes, its computing children included."""
        try:
            top = psutil.Process(self.process.pid)
            return [top, *top.children(recursive=True)]
        except psutil.NoSuchProcess:
            return []

    def stop(self) -> int:
        """SIGTERM, as a service manager would; returns the exit code."""
        family = self.family()
        self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(timeout=40)
        finally:
            self.kill(family)

    def kill(self, family: list[psutil.Process] | None = None) -> None:
        """SIGKILL to every process of it."""
        for process in family if family is not None else self.family():
            try:
                process.kill()
            except psutil.NoSuchProcess:
                continue
        self.process.wait(timeout=10)
        end_other_sessions()


def _name(process: psutil.Process) -> str:
    try:
        return Path(f"/proc/{process.pid}/comm").read_text().strip()
    except OSError:
        return ""


def living(processes: list[psutil.Process]) -> list[psutil.Process]:
    """Those that still run; what has ended and is not yet collected does not."""
    return [p for p in processes if p.is_running() and p.status() != psutil.STATUS_ZOMBIE]


def end_other_sessions() -> None:
    """End the database sessions of processes that are gone, so that the test database can be dropped."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND application_name = %s",
            [APPLICATION],
        )


def wait_until(condition: Callable[[], Any], what: str, seconds: float = PATIENCE_SECONDS) -> Any:
    """Poll until something is so; fails with a sentence when it never becomes so."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if value := condition():
            return value
        time.sleep(0.05)
    raise AssertionError(f"It did not happen within {seconds:g} s: {what}")
