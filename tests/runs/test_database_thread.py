"""The thread with the engine's database connection: who is told what when the database refuses."""

import asyncio
from collections.abc import Iterator

import pytest
from django.db import DataError, OperationalError, connection

from runs.database_thread import DatabaseThread

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def thread() -> Iterator[DatabaseThread]:
    thread = DatabaseThread()
    thread.start()
    yield thread
    thread.close()


def ask(statement: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement)


def test_asking_for_too_much_is_not_a_database_that_is_away(thread: DatabaseThread) -> None:
    many = ", ".join(["1"] * 1_700)  # PostgreSQL gives at most 1,664 columns
    with pytest.raises(DataError, match="1664"):
        asyncio.run(thread(ask, f"SELECT {many}"))
    asyncio.run(thread(ask, "SELECT 1"))


def test_a_session_that_was_ended_is_a_database_that_is_away(thread: DatabaseThread) -> None:
    with pytest.raises(OperationalError):
        asyncio.run(thread(ask, "SELECT pg_terminate_backend(pg_backend_pid())"))
    asyncio.run(thread(ask, "SELECT 1"))
