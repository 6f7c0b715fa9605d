"""The same code on a PostgreSQL server: Debian's, started for the test, reached by DATABASE_URL."""

import os
import pwd
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.fernet import Fernet

from storefront.demo_catalog import load_catalog
from tests.workers import ROOT

MISSING = "No PostgreSQL server is installed: `apt-get install postgresql`, or set PG_BIN to the folder of `initdb`."


def server_programs() -> Path:
    """The folder of a server's programs: `PG_BIN`, else the newest that Debian installed."""
    named = os.environ.get("PG_BIN")
    found = [Path(named)] if named else sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    programs = next((folder for folder in found if (folder / "initdb").exists()), None)
    if programs is None:
        pytest.fail(MISSING, pytrace=False)
    return programs


@pytest.fixture
def database_url() -> Iterator[str]:
    """A fresh server on a free loopback port."""
    programs = server_programs()
    user = {"user": "postgres"} if os.geteuid() == 0 else {}  # PostgreSQL refuses to run as root
    with tempfile.TemporaryDirectory(prefix="seeit-server-") as name:
        folder = Path(name)
        if user:
            shutil.chown(folder, "postgres")
        owner = pwd.getpwuid(folder.stat().st_uid).pw_name
        cluster = folder / "cluster"
        port = free_port()

        def program(*command: str) -> None:
            subprocess.run(
                [str(programs / command[0]), *command[1:]], check=True, capture_output=True, cwd=folder, **user
            )

        program("initdb", "--auth=trust", "--encoding=utf8", "-U", owner, "-D", str(cluster))
        options = f"-c listen_addresses=127.0.0.1 -c port={port} -c unix_socket_directories={folder}"
        program("pg_ctl", "-w", "-D", str(cluster), "-o", options, "-l", str(folder / "log"), "start")
        try:
            program("createdb", "-h", "127.0.0.1", "-p", str(port), "-U", owner, "seeit")
            yield f"postgresql://{owner}@127.0.0.1:{port}/seeit"
        finally:
            program("pg_ctl", "-w", "-m", "immediate", "-D", str(cluster), "stop")


def free_port() -> int:
    """A loopback port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.mark.xdist_group("server")
def test_a_server_database_runs_the_main_job(database_url: str, tmp_path: Path) -> None:
    environment = {
        **os.environ,
        "DATABASE_URL": database_url,
        "SECRET_KEY": "not a secret, but long enough for a test run",
        "FIELD_ENCRYPTION_KEYS": Fernet.generate_key().decode(),
        "ALLOWED_HOSTS": "localhost",
        "SEEIT_DATA_DIR": str(tmp_path),
    }

    def manage(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "manage.py", *arguments]
        return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)

    for setup in ("migrate", "publish_pipelines"):
        done = manage(setup)
        assert done.returncode == 0, done.stderr
    sofa, room = load_catalog().products[0], load_catalog().rooms[0]
    out = tmp_path / "out.jpg"
    done = manage(
        "composite",
        "--product",
        str(sofa.photo_path),
        "--room",
        str(room.photo_path),
        "--title",
        sofa.title,
        "--description",
        sofa.description_html,
        "--out",
        str(out),
    )
    assert done.returncode == 0, done.stderr
    assert out.read_bytes().startswith(b"\xff\xd8")
    assert not (tmp_path / "postgres").exists(), "no embedded server was started"
