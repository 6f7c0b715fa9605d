"""Queue messages: hints that there is work. Any of them may be lost, doubled or late, and nothing changes."""

from typing import Any

from django.db import transaction
from django_q.conf import Conf
from django_q.tasks import async_task


def send_hint(run_id: object) -> None:
    """Tell the workers about a run; inside a transaction the message leaves with it.

    On the database broker the message is a row of the same transaction. Any other broker gets it after the commit.
    """

    def send() -> Any:
        return async_task("runs.tasks.kick", str(run_id))

    if Conf.ORM:
        send()
    else:
        transaction.on_commit(send, robust=True)  # a broker that is down costs a hint, never the run
