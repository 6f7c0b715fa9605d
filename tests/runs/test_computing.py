"""Computing children: whatever work does to its process, the worker and everybody else's work are unharmed."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from runs.compute import ComputePool
from runs.errors import AttemptFailed, ComputeLost
from runs.turns import CLAIMANT, PATIENCE, Claimant, FairQueue, Patience
from tests.engineapp import work

pytestmark = pytest.mark.xdist_group("workers")


@pytest.fixture(autouse=True)
def children_that_start_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing here is about pictures, and most of these tests go through several children."""
    monkeypatch.setenv("DJANGO_SETTINGS_MODULE", "tests.pool_settings")


def with_pool(scenario: Callable[[ComputePool], Awaitable[Any]], size: int = 1) -> Any:
    async def lived() -> Any:
        pool = ComputePool(size)
        try:
            return await scenario(pool)
        finally:
            await pool.close()

    return asyncio.run(lived())


def test_whatever_work_does_the_next_one_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUN_COMPUTE_MEMORY_MB", "700")

    async def scenario(pool: ComputePool) -> None:
        for bad, error, says in (
            (work.kill_itself, ComputeLost, "SIGKILL"),
            (work.exit_politely, AttemptFailed, "SystemExit"),
            (work.interrupt, AttemptFailed, "KeyboardInterrupt"),
            (work.eat_memory, AttemptFailed, "no memory left"),
            (work.recurse, RecursionError, "recursion"),
            (work.unpicklable, RuntimeError, "pickle"),
        ):
            with pytest.raises(error, match=says):
                await pool(bad)
            assert await pool(work.double, 21) == 42
        with pytest.raises(ComputeLost, match="exit code 11"):
            await pool(work.leave, 11)
        assert await pool(work.read_input) == "", "the pipe is out of reach"
        assert await pool(work.double, 21) == 42

    with_pool(scenario)


def test_a_copy_that_work_forks_answers_nothing_and_a_child_that_is_littered_is_replaced(tmp_path: Path) -> None:
    async def scenario(pool: ComputePool) -> None:
        first = await pool(work.fork_and_return)
        second = await pool(work.leave_things_behind, str(tmp_path))
        assert await pool(work.double, 2) == 4
        assert await pool(work.pid) not in (first, second)
        left = [int(pid) for pid in (tmp_path / "left").read_text().split()]
        assert not [pid for pid in left if alive(pid)], "they went with the child"

    with_pool(scenario)


def alive(pid: int) -> bool:
    return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE


def test_a_child_that_dies_while_it_rests_costs_nobody_an_attempt() -> None:
    async def scenario(pool: ComputePool) -> None:
        pid = await pool(work.pid)
        psutil.Process(pid).kill()
        assert await pool(work.double, 1) == 2

    with_pool(scenario)


def test_a_child_that_has_nothing_to_do_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("runs.compute.IDLE_SECONDS", 0.0)

    async def scenario(pool: ComputePool) -> None:
        child = psutil.Process(await pool(work.pid))
        while child.is_running() and child.status() != psutil.STATUS_ZOMBIE:
            await asyncio.sleep(0.02)
        assert await pool(work.pid) != child.pid

    with_pool(scenario)


def test_cancelled_work_that_waits_disturbs_nobody_and_cancelled_work_under_way_is_stopped() -> None:
    async def scenario(pool: ComputePool) -> None:
        pid = await pool(work.pid)
        busy = asyncio.create_task(pool(work.sleep, 0.3))
        await asyncio.sleep(0.05)
        waiting = asyncio.create_task(pool(work.pid))
        await asyncio.sleep(0.05)
        waiting.cancel()
        assert await busy == pid
        under_way = asyncio.create_task(pool(work.sleep, 600))
        await asyncio.sleep(0.1)
        under_way.cancel()
        with pytest.raises(asyncio.CancelledError):
            await under_way
        assert not alive(pid)
        assert await pool(work.double, 3) == 6

    with_pool(scenario)


def test_a_time_out_counts_from_when_the_work_begins_and_the_wait_is_told() -> None:
    async def attempt(pool: ComputePool, seconds: float) -> float:
        patience = Patience(1.0)
        PATIENCE.set(patience)
        async with patience:
            await pool(work.sleep, seconds)
        return patience.queued_s

    async def scenario(pool: ComputePool) -> None:
        await pool(work.pid)
        tasks = [asyncio.create_task(attempt(pool, 0.4)) for _ in range(4)]
        waits = await asyncio.gather(*tasks)
        assert waits[0] < 0.8 and waits[3] > 1.0, "it waited for longer than its time-out"
        with pytest.raises(TimeoutError):
            await asyncio.create_task(attempt(pool, 600))

    with_pool(scenario)


def test_shoppers_go_first_and_shops_take_turns() -> None:
    served: list[str] = []

    async def claimant(queue: FairQueue, name: str, priority: int) -> None:
        CLAIMANT.set(Claimant(priority, name[0]))
        async with queue.turn():
            served.append(name)
            await asyncio.sleep(0)

    async def scenario() -> None:
        queue = FairQueue(1)
        line = [("a1", 10), ("a2", 10), ("a3", 10), ("b1", 10), ("c1", 0), ("b2", 10)]
        await asyncio.gather(*(claimant(queue, name, priority) for name, priority in line))

    asyncio.run(scenario())
    assert served == ["a1", "c1", "a2", "b1", "a3", "b2"]


def test_a_place_given_to_one_who_leaves_in_that_moment_is_passed_on() -> None:
    async def hold(queue: FairQueue) -> None:
        async with queue.turn():
            await asyncio.sleep(0)

    async def scenario() -> None:
        queue = FairQueue(1)
        first = asyncio.create_task(hold(queue))
        await asyncio.sleep(0)
        second, third = asyncio.create_task(hold(queue)), asyncio.create_task(hold(queue))
        await asyncio.sleep(0)
        await first
        second.cancel()
        await asyncio.gather(second, return_exceptions=True)
        async with asyncio.timeout(5):
            await third
            await hold(queue)

    asyncio.run(scenario())
