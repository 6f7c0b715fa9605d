"""django-q2's brokers as this cluster wants them: one that is down costs a hint, never a request or the cluster.

None keeps django-q2's statistics (`runs_worker` has ours), `ping` answers instead of raising, and where django-q2's
pusher would die of an error it rests a moment.
"""

import abc
import contextlib
import logging
import time
from collections.abc import Callable
from typing import Any

from django_q.brokers import Broker

from runs.cluster.shared import Flag, readable

logger = logging.getLogger(__name__)
Message = tuple[Any, str]
CONNECT_SECONDS, SEND_SECONDS, REST_SECONDS = 1, 3, 1.0
BULK = 10


class CalmBroker(Broker, abc.ABC):  # type: ignore[misc]
    """What our brokers share."""

    errors: tuple[type[Exception], ...] = ()
    ending: Flag | None = None  # set by the cluster: the pusher is to come back soon
    _down = False

    def dequeue(self) -> list[Message] | None:
        """Messages, or None after a while without any; the broker being down is such a while."""
        try:
            messages = self.receive()
        except self.errors as error:
            if not self._down:
                logger.warning("broker unavailable", extra={"broker": self.info(), "error": _first_line(error)})
            self._down = True
            self.rest()
            return None
        if self._down:
            logger.warning("broker is back", extra={"broker": self.info()})
        self._down = False
        return messages

    @abc.abstractmethod
    def receive(self) -> list[Message] | None:
        """One turn of waiting for messages."""

    def rest(self) -> None:
        """Wait a moment, less when the cluster ends."""
        flags = [self.ending] if self.ending else []
        readable(*flags, timeout=REST_SECONDS)

    def acknowledge(self, task_id: Any) -> None:
        """Forget a message; while the broker is down it will come again, and nothing changes."""
        with contextlib.suppress(*self.errors):
            self.delete(task_id)

    def fail(self, task_id: Any) -> None:
        """A message that cannot be read will not be readable later."""
        self.acknowledge(task_id)

    def ping(self) -> bool:
        """The cluster starts without its broker."""
        return True

    def set_stat(self, key: str, value: str, timeout: int) -> None:
        """Not kept."""

    def get_stat(self, key: str) -> None:
        """Not kept."""

    def get_stats(self, pattern: str) -> list[Any]:
        """Not kept."""
        return []


class Fuse:
    """Keeps callers from waiting for something that has just failed: after a failure it is left alone for a while."""

    def __init__(self, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._seconds, self._clock, self._until = seconds, clock, 0.0

    @property
    def blown(self) -> bool:
        """Whether it is too soon to try again."""
        return self._clock() < self._until

    def blow(self) -> None:
        """It has failed."""
        self._until = self._clock() + self._seconds


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
