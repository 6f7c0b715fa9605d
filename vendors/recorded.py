"""The vendor `recorded`: answers every call with what was answered when it was made the first time."""

from collections.abc import Mapping, Sequence
from typing import Literal

from vendors.base import Call, Rejected, Reply


class NotRecorded(Rejected):
    """Exactly this was never asked, so there is no answer to it."""


class RecordedVendor:
    """Replies by idempotency key; a call that was never recorded is refused, not made up."""

    name = "recorded"
    kind: Literal["network", "cpu"] = "network"
    tasks: Sequence[str] = ("cutout", "facts", "placement", "composite")

    def __init__(self, replies: Mapping[str, Reply]) -> None:
        self._replies = replies

    async def call(self, call: Call) -> Reply:
        """The recorded reply to exactly this call.

        Raises:
            NotRecorded: there is no recording under the call's idempotency key.
        """
        reply = self._replies.get(call.idempotency_key)
        if reply is None:
            raise NotRecorded(
                f"There is no recording of this {call.task} call (key {call.idempotency_key or 'missing'})."
            )
        return reply
