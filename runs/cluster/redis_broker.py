"""Redis as the broker (`BROKER_URL=redis://...`)."""

from typing import Any

import redis
from django.conf import settings
from django_q.conf import Conf
from redis.backoff import NoBackoff
from redis.retry import Retry

from runs.cluster.broker import CONNECT_SECONDS, SEND_SECONDS, CalmBroker, Message


class RedisBroker(CalmBroker):
    """A Redis list. At most once: a message that is received and lost is made good by the workers' sweep."""

    errors = (redis.RedisError, OSError)

    def __init__(self, list_key: str | None = None) -> None:
        super().__init__(list_key=f"django_q:{list_key or Conf.CLUSTER_NAME}:q")

    @staticmethod
    def get_connection(list_key: str | None = None) -> Any:
        """A client that gives up soon; it connects when it is first used."""
        return redis.Redis.from_url(
            settings.BROKER_URL,
            socket_connect_timeout=CONNECT_SECONDS,
            socket_timeout=SEND_SECONDS,
            retry=Retry(NoBackoff(), 0),
        )

    def enqueue(self, task: str) -> int:
        """Send a message; how many wait now."""
        return int(self.connection.rpush(self.list_key, task))

    def receive(self) -> list[Message] | None:
        """The oldest message, or nothing after a second."""
        found = self.connection.blpop([self.list_key], 1)
        return [(None, found[1])] if found else None

    def queue_size(self) -> int:
        """Messages that wait."""
        return int(self.connection.llen(self.list_key))

    def lock_size(self) -> int:
        """Redis hands a message over and forgets it."""
        return 0

    def delete(self, task_id: Any) -> None:
        """It is gone already."""

    def purge_queue(self) -> None:
        """Forget all messages."""
        self.connection.delete(self.list_key)

    def delete_queue(self) -> None:
        """Forget all messages."""
        self.purge_queue()

    def info(self) -> str:
        """What it is."""
        return "Redis"
