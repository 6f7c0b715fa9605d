"""A scratch installation: a data folder of its own with the embedded server, and a fresh database per measurement."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

TEMPLATE = "bench_template"
LOOPBACK_ONLY = (
    "DATABASE_URL", "STORAGE_BUCKET", "MODEL_ROUTES", "SECRET_KEY", "FIELD_ENCRYPTION_KEYS", "SEEIT_DEMO",
    "GEMINI_API_KEY", "OPENAI_API_KEY", "OPENAI_BASE_URL", "PHOTOROOM_API_KEY",
)  # fmt: skip


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """Settings for this process and its children that point into a new folder; all of it is gone at the end."""
    for name in LOOPBACK_ONLY:
        os.environ.pop(name, None)
    with tempfile.TemporaryDirectory(prefix="seeit-bench-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        os.environ |= {
            "SEEIT_DATA_DIR": str(folder),
            "DJANGO_SETTINGS_MODULE": "bench.settings",
            "LOG_LEVEL": "ERROR",
            "RELEASE": "bench",
        }
        import django

        django.setup()
        try:
            yield folder
        finally:
            _stop_server(folder)


@contextmanager
def scratch_database(name: str) -> Iterator[None]:
    """A database with everything migrated and published, used by this process and its children; dropped at the end."""
    from django.db import connections

    _ensure_template()
    database = f"bench_{name}"
    administer(f'CREATE DATABASE "{database}" TEMPLATE "{TEMPLATE}"')
    _use(database)
    try:
        yield
    finally:
        connections.close_all()
        administer(f'DROP DATABASE "{database}" WITH (FORCE)')


def _ensure_template() -> None:
    """Migrate and publish once; the measurements' databases are copies."""
    from django.core.management import call_command
    from django.db import connections

    if administer(f"SELECT 1 FROM pg_database WHERE datname = '{TEMPLATE}'"):  # noqa: S608
        return
    administer(f'CREATE DATABASE "{TEMPLATE}"')
    _use(TEMPLATE)
    call_command("migrate", verbosity=0)
    with Path(os.devnull).open("w") as nowhere:
        call_command("publish_pipelines", stdout=nowhere)
    connections.close_all()


def _use(database: str) -> None:
    from django.db import connection

    connection.close()
    connection.settings_dict["NAME"] = database
    os.environ["BENCH_DATABASE"] = database


def administer(statement: str) -> bool:
    """Execute a statement on the server itself; whether it found a row."""
    import psycopg
    from django.conf import settings

    from config import embedded

    host = str(embedded.ensure_running(settings.DATA_DIR))
    with psycopg.connect(host=host, user=embedded.USER, dbname="postgres", autocommit=True) as server:
        cursor = server.execute(statement.encode())
        return cursor.description is not None and cursor.fetchone() is not None


def _stop_server(folder: Path) -> None:
    from django.db import connections

    from config import embedded

    connections.close_all()
    if (folder / "postgres" / "postmaster.pid").exists():
        embedded.stop(folder / "postgres")
