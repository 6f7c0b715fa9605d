"""Hints that there is work. Any of them may be lost, doubled or late, and nothing changes: rows are the truth."""

import logging
from functools import cache

from django.conf import settings
from django.db import transaction
from django_q.brokers import Broker, get_broker
from django_q.tasks import async_task

from runs.cluster.broker import Fuse
from runs.cluster.listening import RUNS, notify

logger = logging.getLogger(__name__)
_fuse = Fuse(seconds=10)


def send_hint(run_id: object) -> None:
    """Tell the workers about a run; an empty id says that runs are to be expected.

    Without a broker the database notifies them when the caller's transaction commits. A broker gets its message after
    that; one that is down costs this hint and a short wait once in a while, never the run or the request.
    """
    if settings.BROKER_URL:
        transaction.on_commit(lambda: _send(str(run_id)), robust=True)
    else:
        notify(RUNS, str(run_id))


def expect_work() -> None:
    """Tell the workers that pictures are about to be asked for: a computing child takes a moment to start."""
    send_hint("")


def _send(run_id: str) -> None:
    if _fuse.blown:
        return
    broker = _broker()
    try:
        async_task("runs.tasks.kick", run_id, broker=broker)
    except broker.errors as error:
        _fuse.blow()
        logger.warning("hint not sent; the workers' sweep finds the run", extra={"run": run_id, "error": str(error)})


@cache
def _broker() -> Broker:
    """One client for the whole process."""
    return get_broker()
