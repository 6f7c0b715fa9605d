"""What a cluster's processes share: a flag, a timer, a queue. Nobody holds any of it."""

import os
import signal
import time
from multiprocessing import get_context
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import pytest

from runs.cluster.guard import Allowance
from runs.cluster.shared import INLINE_BYTES, STOP, Flag, SharedQueue, Timer
from tests.workers import wait_until


def forked(target: Any, *arguments: Any) -> BaseProcess:
    process = get_context("fork").Process(target=target, args=arguments)
    process.start()
    return process


def test_a_flag_is_seen_by_every_process_that_inherited_it() -> None:
    flag = Flag()
    assert not flag.is_set() and not flag.wait(0.01)
    forked(flag.set).join()
    assert flag.is_set() and flag.wait()
    flag.set()


def test_the_timer_counts_by_itself_and_keeps_django_qs_marks(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    timer = Timer("f", -1)
    assert timer.value == -1
    timer.value = 33
    with timer.get_lock():
        now = 1032.0
    assert timer.value == 1
    now = 1033.5
    assert timer.value == 0, "overdue"
    timer.value = -2
    assert int(timer.value) == -2


@pytest.mark.parametrize("size", [1, INLINE_BYTES - 100, INLINE_BYTES, 3_000_000])
def test_a_message_arrives_whole_whatever_its_size(size: int) -> None:
    queue = SharedQueue()
    assert queue.empty()
    forked(queue.put, {"args": b"x" * size}).join()
    assert not queue.empty()
    assert queue.get() == {"args": b"x" * size}
    assert queue.empty()


def test_a_closed_queue_is_emptied_before_its_readers_stop() -> None:
    queue = SharedQueue()
    queue.put(1)
    queue.put(2)
    queue.close()
    assert [queue.get() for _ in range(4)] == [1, 2, STOP, STOP]


def test_a_reader_that_is_killed_while_it_waits_keeps_nothing() -> None:
    queue = SharedQueue()
    for _ in range(3):
        process = forked(queue.get)
        wchan = Path(f"/proc/{process.pid}/wchan")
        wait_until(lambda wchan=wchan: "poll" in wchan.read_text(), "it waits for a message")
        os.kill(process.pid or 0, signal.SIGKILL)
        process.join()
        queue.put("hint")
        assert queue.get() == "hint"


def test_deaths_in_a_row_are_answered_at_once_and_then_at_a_measured_pace(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 50.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    allowance = Allowance(free=3, per_second=0.5)
    assert [allowance.take() for _ in range(5)] == [True, True, True, False, False]
    now += 1.9
    assert not allowance.take()
    now += 0.2
    assert allowance.take() and not allowance.take()
