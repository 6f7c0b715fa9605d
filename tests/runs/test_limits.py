"""Limits of model services: exact over all processes, and waiting for them costs nobody anything."""

import asyncio
import threading
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.db import connection
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from runs import limits, pace
from runs.claims import claim_runs
from runs.database_thread import DatabaseThread
from runs.errors import PutOff
from runs.executor import execute_claim
from runs.inline import _same_thread as same_thread
from runs.inline import default_deps
from runs.limits import Limiter
from runs.models import Run, Step, VendorPace, VendorSlot
from runs.pace import let_rest, limit_states, release_slots, renew_slots, take_slots
from runs.services import start_run
from tests.runs.engine import ScriptedVendor, publish, run_inline
from vendors.base import RateLimited, Reply
from vendors.routes import Limit, Route, Routes

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


@given(st.integers(1, 600), st.lists(st.floats(0, 30), min_size=1, max_size=60))
def test_no_minute_ever_sees_more_calls_than_allowed(per_minute: int, pauses: list[float]) -> None:
    limit, now, tat, taken = Limit(per_minute=per_minute), NOON, None, []
    for pause in pauses:
        now += timedelta(seconds=pause)
        got, tat, wait_s = pace._tokens(tat, limit, now, 1000)
        taken += [now] * got
        assert wait_s is not None and wait_s <= 60
    for first in set(taken):
        assert sum(first <= moment < first + timedelta(seconds=60) for moment in taken) <= per_minute


def test_a_token_is_there_when_it_was_promised_and_not_before() -> None:
    limit = Limit(per_minute=60)
    got, tat, wait_s = pace._tokens(None, limit, NOON, 100)
    assert got == 6, "a tenth at once"
    then = NOON + timedelta(seconds=wait_s)
    assert pace._tokens(tat, limit, then - timedelta(milliseconds=5), 1)[0] == 0
    assert pace._tokens(tat, limit, then, 1)[0] == 1


@pytest.mark.django_db
def test_places_are_counted_and_given_back() -> None:
    limit = Limit(concurrency=3)
    first = take_slots("gemini", limit, "a", 2)
    second = take_slots("gemini", limit, "b", 2)
    assert (len(first.slots), len(second.slots), second.limit, second.wait_s) == (2, 1, "concurrency", None)
    assert take_slots("openai", limit, "a", 3).limit == "", "each service has its own"
    release_slots(first.slots)
    assert len(take_slots("gemini", limit, "b", 5).slots) == 2


@pytest.mark.django_db
def test_the_places_of_a_dead_process_come_back_and_those_of_a_living_one_do_not() -> None:
    limit = Limit(concurrency=2)
    dead, alive = take_slots("gemini", limit, "dead", 1), take_slots("gemini", limit, "alive", 1)
    VendorSlot.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    renew_slots(alive.slots)
    assert len(take_slots("gemini", limit, "next", 2).slots) == 1
    assert not VendorSlot.objects.filter(pk__in=dead.slots).exists()


@pytest.mark.django_db
def test_what_dead_processes_held_is_forgotten_where_only_the_pace_is_limited() -> None:
    limit = Limit(per_minute=1000)
    take_slots("gemini", limit, "dead", 3)
    VendorSlot.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    take_slots("gemini", limit, "alive", 1)
    assert VendorSlot.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_many_processes_at_once_never_exceed_a_limit() -> None:
    start, taken = threading.Barrier(6), []

    def process(name: str) -> None:
        start.wait()
        for _ in range(3):
            taken.extend(take_slots("gemini", Limit(concurrency=7, per_minute=100), name, 2).slots)
            taken.extend(take_slots("openai", Limit(per_minute=50), name, 2).slots)
        connection.close()

    threads = [threading.Thread(target=process, args=(f"p{n}",)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert VendorSlot.objects.filter(vendor="gemini").count() == 7
    assert VendorSlot.objects.filter(vendor="openai").count() <= 7, "a burst of five, and what a moment brings"
    assert len(set(taken)) == VendorSlot.objects.count()


@pytest.mark.django_db
def test_a_service_that_asks_for_a_rest_is_left_alone_by_all() -> None:
    let_rest("gemini", 40)
    let_rest("gemini", 5)
    grant = take_slots("gemini", Limit(), "anybody", 1)
    assert (grant.slots, grant.limit) == ([], "rest")
    assert 35 < grant.wait_s <= 40, "the longer rest stays"
    let_rest("openai", 1e12)
    assert VendorPace.objects.get(pk="openai").not_before < timezone.now() + timedelta(hours=2)


def test_a_rest_after_a_closure_is_over_is_only_a_rest() -> None:
    async def closed_then_resting() -> str | None:
        limiter = Limiter()
        await limiter.let_rest("gemini", 0, "vendor_key_refused")
        await limiter.let_rest("gemini", 40)
        rest = limiter.resting("gemini")
        return rest and rest.closed_by

    assert async_to_sync(closed_then_resting)() == ""


@pytest.mark.django_db
def test_the_state_of_all_limits_can_be_read() -> None:
    take_slots("gemini", Limit(concurrency=20, per_minute=60), "a", 2)
    let_rest("openai", 30)
    known = {"gemini": Limit(20, 60), "openai": Limit(5), "photoroom": Limit(None, 30)}
    gemini, openai, photoroom = limit_states(known)
    assert (gemini.vendor, gemini.under_way, gemini.tokens, gemini.rests_until) == ("gemini", 2, 4, None)
    assert (openai.under_way, openai.tokens) == (0, None) and openai.rests_until > timezone.now()
    assert (photoroom.concurrency, photoroom.tokens) == (None, 3)


@pytest.fixture
def database() -> Iterator[DatabaseThread]:
    thread = DatabaseThread()
    thread.start()
    yield thread
    thread.close()


async def calls(limiter: Limiter, count: int, body: Callable[[], Awaitable[Any]]) -> list[Any]:
    async def one(number: int) -> Any:
        async with limiter.turn("gemini", priority=-number) as waited:
            await body()
            return waited

    return await asyncio.gather(*(one(number) for number in range(count)), return_exceptions=True)


@pytest.mark.django_db(transaction=True)
def test_those_who_wait_take_turns_and_nobody_is_lost(database: DatabaseThread) -> None:
    at_once, most = 0, 0

    async def body() -> None:
        nonlocal at_once, most
        at_once += 1
        most = max(most, at_once)
        await asyncio.sleep(0.01)
        at_once -= 1

    limiter = Limiter({"gemini": Limit(concurrency=3)}, database, "test")
    waits = asyncio.run(calls(limiter, 12, body))
    assert most == 3
    assert {type(waited) for waited in waits} == {limits.Waited}
    assert [waited.limit for waited in waits].count("concurrency") >= 9
    assert not VendorSlot.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_who_would_wait_too_long_is_sent_away_and_says_for_what(
    database: DatabaseThread, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "PATIENCE_SECONDS", 0.05)
    let_rest("gemini", 60)
    limiter = Limiter({"gemini": Limit()}, database, "test")
    (outcome,) = asyncio.run(calls(limiter, 1, lambda: asyncio.sleep(0)))
    assert isinstance(outcome, PutOff)
    assert 50 < outcome.wait_s <= 60 and "gemini (rest)" in outcome.why


@pytest.mark.django_db(transaction=True)
def test_a_call_that_is_broken_off_gives_its_place_back(database: DatabaseThread) -> None:
    limiter = Limiter({"gemini": Limit(concurrency=1)}, database, "test")

    async def scene() -> None:
        inside = asyncio.Event()

        async def hang() -> None:
            inside.set()
            await asyncio.Event().wait()

        busy = asyncio.create_task(calls(limiter, 1, hang))
        await inside.wait()
        waiting = asyncio.create_task(calls(limiter, 1, hang))
        await asyncio.sleep(0.05)
        for task in (waiting, busy):
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        await calls(limiter, 1, lambda: asyncio.sleep(0))

    asyncio.run(scene())
    assert not VendorSlot.objects.exists()


def test_a_service_without_limits_is_asked_at_once() -> None:
    assert [waited.limit for waited in asyncio.run(calls(Limiter(), 3, lambda: asyncio.sleep(0)))] == [""] * 3


def limited(*answers: Any, **limit: int) -> tuple[ScriptedVendor, Any]:
    vendor = ScriptedVendor(list(answers))
    routes = Routes({"facts": (Route("scripted", "s"),)}, {"scripted": Limit(**limit)})
    return vendor, default_deps(vendors={"scripted": vendor}, routes=routes)


@pytest.mark.django_db
def test_a_429_lets_everybody_rest() -> None:
    publish("asking", {"key": "a", "step": "asking@1", "retries": 0})
    _vendor, deps = limited(RateLimited("slow down", retry_after_s=30))
    run = run_inline("asking", {}, deps)
    assert (run.status, run.error_code) == (Run.Status.FAILED, "vendor_rate_limited")
    assert take_slots("scripted", Limit(), "another", 1).limit == "rest"
    assert not VendorSlot.objects.exists(), "its place is free"


@pytest.mark.django_db
def test_the_step_says_how_long_it_waited_and_for_what() -> None:
    publish("asking", {"key": "a", "step": "asking@1"})
    _vendor, deps = limited({"yes": True}, concurrency=1)
    taken = take_slots("scripted", Limit(concurrency=1), "another", 1)
    VendorSlot.objects.filter(pk__in=taken.slots).update(expires_at=timezone.now() + timedelta(seconds=0.3))
    run = run_inline("asking", {}, deps)
    said = run.steps.get().payload.reasoning["limit"]
    assert (run.status, said["vendor"], said["limit"]) == (Run.Status.COMPLETED, "scripted", "concurrency")
    assert said["waited_ms"] > 0
    assert run.steps.get().payload.reasoning["call"]["latency_ms"] is not None


@pytest.mark.django_db
def test_a_call_that_waits_at_once_is_recorded_without_a_word_about_limits() -> None:
    publish("asking", {"key": "a", "step": "asking@1"})
    _, deps = limited(Reply(model="s", data=1), concurrency=5, per_minute=100)
    run = run_inline("asking", {}, deps)
    assert "limit" not in run.steps.get().payload.reasoning


@pytest.mark.django_db
def test_a_step_that_was_put_off_tells_its_whole_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "PATIENCE_SECONDS", 0.0)
    publish("asking", {"key": "a", "step": "asking@1"})
    step = start_run(pipeline="asking", shop=None, input={}).steps.get()
    (claim,) = claim_runs("w", 1)
    limiter = Limiter({"gemini": Limit(concurrency=1)}, same_thread, "test")

    async def once(token: int) -> limits.Waited:
        async with limiter.turn("gemini", step_id=step.pk, token=token) as waited:
            return waited

    def put_off(token: int) -> dict[str, Any]:
        with pytest.raises(limits.TurnTooLate):
            async_to_sync(once)(token)
        step.refresh_from_db()
        return step.reasons

    (taken,) = take_slots("gemini", Limit(concurrency=1), "another", 1).slots
    assert put_off(claim.token + 1) == {}, "who lost the run writes nothing"
    said = put_off(claim.token)["waits_for"]
    assert (said["vendor"], said["limit"]) == ("gemini", "concurrency")
    then = timezone.now() - timedelta(minutes=3)
    Step.objects.filter(pk=step.pk).update(reasons={"waits_for": {**said, "since": then.isoformat()}})
    assert put_off(claim.token)["waits_for"]["since"] == then.isoformat(), "it goes on waiting since then"
    release_slots([taken])
    waited = async_to_sync(once)(claim.token)
    assert waited.limit == "concurrency" and waited.seconds > 179


@pytest.mark.django_db
def test_a_run_that_would_wait_long_goes_back_to_the_queue_and_counts_no_attempt() -> None:
    publish("asking", {"key": "a", "step": "asking@1"})
    run = start_run(pipeline="asking", shop=None, input={})
    vendor, given_deps = limited({"yes": True}, concurrency=1)
    let_rest("scripted", 600)
    (claim,) = claim_runs("w", 1)
    async_to_sync(execute_claim)(claim, given_deps, same_thread)
    run.refresh_from_db()
    step = run.steps.get()
    assert (run.status, step.status, step.attempt, vendor.calls) == ("pending", "pending", 1, [])
    assert run.due_at > timezone.now() + timedelta(minutes=9) and claim_runs("w", 1) == []
    assert step.reasons["waits_for"]["limit"] == "rest" and not run.errors.exists()
