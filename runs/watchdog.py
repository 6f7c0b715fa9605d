"""Notices that a worker's event loop has stopped turning, says which stage holds it, and replaces the worker."""

import asyncio
import logging
import os
import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import FrameType

from django.conf import settings
from django.db import connection

from runs.claims import Claim, forget_worker, release_runs
from runs.commits import fail_run
from runs.errors import LeaseLost
from runs.step import StepHandle, StepSpec

logger = logging.getLogger(__name__)
LOOK_SECONDS = 1.0
LOOKS_UNTIL_TOLD = 2
LAST_WORDS_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Holdup:
    """The stage whose attempt the loop is stuck in, and the line of code."""

    spec: StepSpec
    place: str


class Watchdog(threading.Thread):
    """Asks the loop every second to answer, from a thread of its own.

    Leases are renewed meanwhile, so nobody takes the runs over; their time-outs stand still with the loop. A loop that
    for as long as a lease has been in the same call is as good as dead: the run that holds it fails, for it would do
    the same to the next worker; the others are handed over; the process ends and is replaced. A loop that goes from
    call to call is only busy, however long its turn takes. And only looks that were made count, so a process that was
    stopped and woken is not accused.
    """

    def __init__(
        self, loop: asyncio.AbstractEventLoop, owner: str, held: Callable[[], Sequence[Claim]], over: threading.Event
    ) -> None:
        super().__init__(name="engine-watchdog", daemon=True)
        self._loop, self._watched = loop, threading.get_ident()
        self._owner, self._held, self._over = owner, held, over
        self._answered = threading.Event()
        self._call: object = None

    def run(self) -> None:
        """The thread's life: until the loop has ended, or the process with it."""
        patience, missed = max(LOOKS_UNTIL_TOLD + 1, round(settings.RUN_LEASE_SECONDS / LOOK_SECONDS)), 0
        while not self._over.is_set():
            self._answered.clear()
            if missed == 0:
                self._call = None
            try:
                self._loop.call_soon_threadsafe(self._answered.set)
            except RuntimeError:  # the loop has ended
                return
            missed = missed + 1 if not self._answered.wait(LOOK_SECONDS) and self._is_stuck() else 0
            if missed == LOOKS_UNTIL_TOLD:
                self._tell("event loop does not turn", missed)
            elif missed >= patience:
                self._tell("event loop is given up; the worker is replaced", missed)
                self._replace(missed)
            elif missed == 0:
                self._over.wait(LOOK_SECONDS)

    def _is_stuck(self) -> bool:
        """Whether the loop is in the very call that it was in when we looked last."""
        before, self._call = self._call, self._find_call()
        return before is None or self._call is before

    def _find_call(self) -> object:
        """The loop's call that its thread is in now; None between two calls."""
        frame: FrameType | None = sys._current_frames().get(self._watched)
        while frame is not None:
            if frame.f_code is asyncio.Handle._run.__code__:
                return frame.f_locals.get("self")
            frame = frame.f_back
        return None

    def _tell(self, what: str, missed: int) -> None:
        holdup = self._find()
        where = {"stage": holdup.spec.stage, "node": holdup.spec.node_key, "run": holdup.spec.run_id} if holdup else {}
        place = holdup.place if holdup else "the engine"
        logger.error(what, extra={"seconds": missed * LOOK_SECONDS, "place": place, **where})

    def _find(self) -> Holdup | None:
        """The attempt that the loop's thread is in: the innermost frame that holds a step's handle."""
        frame: FrameType | None = sys._current_frames().get(self._watched)
        innermost = frame
        while frame is not None:
            for value in frame.f_locals.values():
                if isinstance(value, StepHandle):
                    assert innermost is not None
                    place = f"{innermost.f_code.co_filename.rsplit('/', 1)[-1]}:{innermost.f_lineno}"
                    return Holdup(value.spec, f"{place} below {frame.f_code.co_name}:{frame.f_lineno}")
            frame = frame.f_back
        return None

    def _replace(self, missed: int) -> None:
        """End the run that is to blame, hand the others over, and the process with them."""
        threading.Timer(LAST_WORDS_SECONDS, os._exit, [1]).start()  # the database may hang, too
        try:
            holdup, held = self._find(), list(self._held())
            guilty = [claim for claim in held if holdup and str(claim.run_id) == holdup.spec.run_id]
            for claim in guilty:
                assert holdup is not None
                self._blame(claim, holdup, missed)
            if guilty:  # else one of them did it, and their starts count: released, it would come back for ever
                release_runs([claim for claim in held if claim not in guilty])
            forget_worker(self._owner)
            connection.close()
        except Exception:  # then the leases expire
            logger.exception("runs could not be handed over")
        finally:
            os._exit(1)

    def _blame(self, claim: Claim, holdup: Holdup, missed: int) -> None:
        text = (
            f"The stage {holdup.spec.stage} held up its worker's event loop for {missed * LOOK_SECONDS:g} s "
            f"({holdup.place}), and with it every other run there. What computes belongs into a `def` stage or "
            "`step.compute`."
        )
        try:
            fail_run(claim, stage=holdup.spec.node_key, code="loop_blocked", message=text, retryable=False)
        except LeaseLost:
            logger.warning("lease lost", extra={"run": str(claim.run_id)})
