"""PostgreSQL's LISTEN and NOTIFY: news that arrives with the commit it is about.

A notification is a hint like any message. Where none arrive (a pooler in transaction mode hands the session to others
after LISTEN), the listener finds out by calling itself, says so once, and whoever waits polls instead.
"""

import contextlib
import logging
import os
import time
from collections.abc import Sequence
from hashlib import blake2b
from typing import Any

import psycopg
from django.conf import settings
from django.db import connection

from runs.cluster.shared import Flag, readable

logger = logging.getLogger(__name__)
RUNS, MESSAGES = "seeit_runs", "seeit_messages"
NOTIFY = "SELECT pg_notify(%s, %s)"
# Without notifications: look this often. With them: call oneself this often, to notice a connection that went deaf.
POLL_SECONDS, CALL_SECONDS, ANSWER_SECONDS, AGAIN_SECONDS = 0.5, 300.0, 3.0, 60.0
NEVER = float("-inf")
# Who looks after a notification, and how soon: one worker at once, two more should it be gone; the others by and by.
TURNS, OTHERS_SECONDS = (0.0, 0.004, 0.012), 0.25


class Listener:
    """One session that listens to a channel, by the database's direct address where one is set."""

    def __init__(self, channel: str) -> None:
        self._channel = channel
        self._own = f"{channel}_{os.getpid()}_{os.urandom(4).hex()}"
        self._session: psycopg.Connection | None = None
        self._called_at: float | None = None
        self._heard_at = NEVER
        self._deaf_until = 0.0

    def wait(self, timeout: float, *flags: Flag) -> list[str]:
        """What was said on the channel, after at most `timeout` seconds; an empty list means that it is time to look.

        Ends early when one of the flags is set. Without notifications it waits at most `POLL_SECONDS`.

        Raises:
            psycopg.OperationalError: the database is gone; the next call connects anew.
        """
        if time.monotonic() < self._deaf_until:
            readable(*flags, timeout=min(timeout, POLL_SECONDS))
            return []
        try:
            session = self._session or self._connect()
            self._call(session)
            if self._session is None:  # it has just turned out to be deaf
                return []
            heard = self._heard(session)
            if not heard:
                readable(session, *flags, timeout=min(timeout, self._patience()))
                heard = self._heard(session)
            return heard
        except psycopg.OperationalError:
            self.close()
            raise

    def _connect(self) -> psycopg.Connection:
        self._session = psycopg.connect(**_address(), autocommit=True)
        self._session.execute(f'LISTEN "{self._channel}"'.encode())
        self._session.execute(f'LISTEN "{self._own}"'.encode())
        self._called_at, self._heard_at = None, NEVER
        return self._session

    def _call(self, session: psycopg.Connection) -> None:
        """Call ourselves from time to time, through the pooler if there is one, and see whether it arrives."""
        now = time.monotonic()
        if self._called_at is not None and self._heard_at < self._called_at:
            if now - self._called_at > ANSWER_SECONDS:
                self._go_deaf()
            return
        if now - self._heard_at > CALL_SECONDS:
            notify(self._own, "")
            connection.close()
            self._called_at = now

    def _go_deaf(self) -> None:
        logger.warning(
            "no notifications arrive; polling. Behind a pooler in transaction mode set DATABASE_DIRECT_URL.",
            extra={"channel": self._channel},
        )
        self.close()
        self._deaf_until = time.monotonic() + AGAIN_SECONDS

    def _patience(self) -> float:
        """Seconds until the next call, or until an answer to the last one is overdue."""
        waits_for_answer = self._called_at is not None and self._heard_at < self._called_at
        return POLL_SECONDS if waits_for_answer else CALL_SECONDS

    def _heard(self, session: psycopg.Connection) -> list[str]:
        heard = []
        for news in session.notifies(timeout=0):
            if news.channel == self._own:
                self._heard_at = time.monotonic()
            else:
                heard.append(news.payload)
        return heard

    def close(self) -> None:
        """End the session; the next wait begins another."""
        if self._session is not None:
            with contextlib.suppress(psycopg.Error):
                self._session.close()
        self._session = None


def _address() -> dict[str, Any]:
    """How to connect: the direct address if there is one, else as everybody does."""
    if settings.DATABASE_DIRECT_URL:
        return {"conninfo": settings.DATABASE_DIRECT_URL, "connect_timeout": 5}
    params = connection.get_connection_params()
    for name in ("cursor_factory", "context"):
        params.pop(name, None)
    return {**params, "keepalives_idle": 30, "keepalives_interval": 10, "keepalives_count": 3}


def notify(channel: str, payload: str) -> None:
    """Say something on a channel; inside a transaction it is said when that commits, and once."""
    with connection.cursor() as cursor:
        cursor.execute(NOTIFY, [channel, payload])


def patience(run_id: str, me: str, workers: Sequence[str]) -> float:
    """Seconds this worker lets pass before it looks for a run it has heard of.

    Every worker ranks all workers that have room by a hash with the run (rendezvous hashing), so that without a word
    between them one looks at once, two soon after in case the first is gone, and a notification never wakes them all.
    """
    if me not in workers:
        return OTHERS_SECONDS if workers else 0.0
    mine = _weight(run_id, me)
    rank = sum(_weight(run_id, other) > mine for other in workers if other != me)
    return TURNS[rank] if rank < len(TURNS) else OTHERS_SECONDS


def _weight(run_id: str, worker: str) -> bytes:
    return blake2b(f"{run_id} {worker}".encode(), digest_size=8).digest()
