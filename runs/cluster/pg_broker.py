"""django-q2's queue in our PostgreSQL: SKIP LOCKED to share it, LISTEN and NOTIFY instead of polling."""

from functools import cached_property

import psycopg
from django.db import DatabaseError, InterfaceError, connection
from django_q.conf import Conf

from runs.cluster.broker import BULK, CalmBroker, Message
from runs.cluster.listening import MESSAGES, Listener

LOOK_SECONDS = 5.0  # for messages whose receiver never acknowledged them
ENQUEUE = """
WITH message AS (
    INSERT INTO django_q_ormq (key, payload, lock) VALUES (%s, %s, statement_timestamp()) RETURNING id
) SELECT id, pg_notify(%s, '') FROM message
"""
TAKE = """
WITH due AS MATERIALIZED (
    SELECT id FROM django_q_ormq WHERE key = %(key)s AND lock <= statement_timestamp()
    ORDER BY lock, id LIMIT %(bulk)s FOR UPDATE SKIP LOCKED
)
UPDATE django_q_ormq SET lock = statement_timestamp() + make_interval(secs => %(retry)s)
FROM due WHERE django_q_ormq.id = due.id RETURNING django_q_ormq.id, payload
"""


class PgBroker(CalmBroker):
    """django-q2's own queue table, oldest first, nobody in anybody's way; the pusher sleeps until it is notified.

    At least once: a message is locked for `retry` seconds by the database's clock and deleted when it is done.
    """

    errors = (DatabaseError, InterfaceError, psycopg.OperationalError)

    @cached_property
    def _listener(self) -> Listener:
        return Listener(MESSAGES)

    def enqueue(self, task: str) -> int:
        """Write a message; inside a transaction it leaves with it."""
        with connection.cursor() as cursor:
            cursor.execute(ENQUEUE, [self.list_key, task, MESSAGES])
            return int(cursor.fetchone()[0])

    def receive(self) -> list[Message] | None:
        """What is there, or what arrives within a few seconds."""
        if messages := self._take():
            return messages
        self._listener.wait(LOOK_SECONDS, *([self.ending] if self.ending else []))
        return self._take()

    def _take(self) -> list[Message]:
        with connection.cursor() as cursor:
            cursor.execute(TAKE, {"retry": Conf.RETRY, "key": self.list_key, "bulk": BULK})
            return sorted(cursor.fetchall())

    def rest(self) -> None:
        """Wait a moment; the next look connects anew."""
        connection.close()
        super().rest()

    def acknowledge(self, task_id: int) -> None:
        """Forget a message; on a connection that broke meanwhile, on a new one."""
        try:
            self.delete(task_id)
        except self.errors:
            connection.close()
            super().acknowledge(task_id)

    def delete(self, task_id: int) -> None:
        """Forget a message."""
        with connection.cursor() as cursor:
            cursor.execute("DELETE FROM django_q_ormq WHERE id = %s", [task_id])

    def queue_size(self) -> int:
        """Messages that wait."""
        return self._count("lock <= statement_timestamp()")

    def lock_size(self) -> int:
        """Messages that somebody works on."""
        return self._count("lock > statement_timestamp()")

    def _count(self, condition: str) -> int:
        with connection.cursor() as cursor:
            cursor.execute(f"SELECT count(*) FROM django_q_ormq WHERE key = %s AND {condition}", [self.list_key])  # noqa: S608
            return int(cursor.fetchone()[0])

    def purge_queue(self) -> None:
        """Forget all messages."""
        with connection.cursor() as cursor:
            cursor.execute("DELETE FROM django_q_ormq WHERE key = %s", [self.list_key])

    def delete_queue(self) -> None:
        """Forget all messages."""
        self.purge_queue()

    def info(self) -> str:
        """What it is."""
        return "PostgreSQL"
