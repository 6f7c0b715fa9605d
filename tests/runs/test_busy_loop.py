"""A worker whose machine is slow: nothing that is only late has failed, and nobody is accused of it."""

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable

import pytest

from runs import watchdog
from runs.turns import LAG, Lag, Patience
from runs.watchdog import Watchdog


def played(scenario: Callable[[], Awaitable[None]]) -> None:
    async def play() -> None:
        LAG.set(Lag(asyncio.get_running_loop()))
        await scenario()

    asyncio.run(play())


def test_a_time_out_does_not_count_what_the_loop_was_late() -> None:
    async def scenario() -> None:
        async with Patience(0.5):
            for _ in range(3):  # each of them holds the loop up for longer than the time-out
                await asyncio.sleep(0.01)
                time.sleep(0.6)
            await asyncio.sleep(0.01)

    played(scenario)


def test_what_hangs_on_a_loop_that_was_late_is_still_ended() -> None:
    async def scenario() -> None:
        with pytest.raises(TimeoutError):
            async with Patience(0.3):
                time.sleep(0.6)
                await asyncio.get_running_loop().create_future()

    played(scenario)


def test_a_pause_leaves_the_rest_of_the_time_and_a_later_hang_is_ended() -> None:
    async def scenario() -> None:
        patience = Patience(0.4)
        with pytest.raises(TimeoutError):
            async with patience:
                with patience.waiting():
                    await asyncio.sleep(0.6)
                await asyncio.get_running_loop().create_future()
        assert patience.queued_s >= 0.6

    played(scenario)


class Told(Watchdog):
    """A watchdog that says what it would have done."""

    def __init__(self, over: threading.Event) -> None:
        super().__init__(asyncio.get_running_loop(), "w", list, over)
        self.told: list[str] = []

    def _tell(self, what: str, missed: int) -> None:
        self.told.append(what)

    def _replace(self, missed: int) -> None:
        self._over.set()


def watched(seconds: list[float]) -> list[str]:
    """What the watchdog tells of a loop that has calls of such lengths to make in one turn."""

    async def play() -> list[str]:
        over = threading.Event()
        dog = Told(over)
        for length in seconds:
            asyncio.get_running_loop().call_soon(time.sleep, length)
        dog.start()
        await asyncio.sleep(0)
        over.set()
        dog.join()
        return dog.told

    return asyncio.run(play())


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watchdog, "LOOK_SECONDS", 0.25)


@pytest.mark.usefixtures("hasty")
def test_a_loop_that_goes_from_call_to_call_is_only_busy() -> None:
    assert watched([0.05] * 60) == []


@pytest.mark.usefixtures("hasty")
def test_a_loop_that_stays_in_one_call_is_told_of_and_given_up(settings: object) -> None:
    settings.RUN_LEASE_SECONDS = 1  # type: ignore[attr-defined]
    assert watched([2.5]) == ["event loop does not turn", "event loop is given up; the worker is replaced"]
