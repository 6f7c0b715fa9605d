"""Brokers: each message to one receiver, again when it was lost; one that is down costs a hint and nothing else."""

import logging
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.conf import LazySettings
from django.db import connection, transaction
from django_q.conf import Conf

from runs import messages
from runs.claims import claim_runs
from runs.cluster.broker import CalmBroker, Fuse
from runs.cluster.pg_broker import PgBroker
from runs.models import Run
from runs.services import start_run
from tests.runs.engine import chain, publish
from tests.services import RedisServer, free_port, sqs_server


@pytest.fixture(scope="module")
def redis_server() -> Iterator[RedisServer]:
    server = RedisServer()
    yield server
    server.close()


@pytest.fixture(scope="module")
def sqs() -> Iterator[dict[str, str]]:
    with sqs_server() as environment:
        yield environment


@pytest.fixture(params=["postgresql", "redis", "sqs"])
def broker(
    request: pytest.FixtureRequest, settings: LazySettings, monkeypatch: pytest.MonkeyPatch, transactional_db: None
) -> CalmBroker:
    """Each of them, empty."""
    name = f"test-{time.monotonic_ns()}"
    if request.param == "postgresql":
        return PgBroker(name)
    if request.param == "redis":
        from runs.cluster.redis_broker import RedisBroker

        settings.BROKER_URL = request.getfixturevalue("redis_server").url
        return RedisBroker(name)
    from runs.cluster import sqs_broker

    for variable, value in request.getfixturevalue("sqs").items():
        monkeypatch.setenv(variable, value)
    settings.SQS_REGION = "eu-west-1"
    monkeypatch.setattr(sqs_broker, "WAIT_SECONDS", 1)
    return sqs_broker.SqsBroker(name)


def test_a_message_is_received_once_and_forgotten_when_it_is_acknowledged(broker: CalmBroker) -> None:
    broker.enqueue("one")
    assert broker.queue_size() == 1
    ((receipt, body),) = broker.dequeue() or []
    assert body in ("one", b"one")
    assert broker.queue_size() == 0 and not _received_within(broker, 0.1)
    broker.acknowledge(receipt)
    assert broker.lock_size() == 0
    broker.enqueue("two")
    broker.purge_queue()
    assert broker.queue_size() == 0


def _received_within(broker: CalmBroker, seconds: float) -> Any:
    if isinstance(broker, PgBroker):
        return broker._take()
    return broker.dequeue()


@pytest.mark.django_db(transaction=True)
def test_an_unacknowledged_message_comes_again_by_the_databases_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    broker = PgBroker("again")
    monkeypatch.setattr(Conf, "RETRY", 3600)
    broker.enqueue("lost")
    ((number, _),) = broker.dequeue() or []
    assert broker._take() == [] and broker.lock_size() == 1
    with connection.cursor() as cursor:
        cursor.execute("UPDATE django_q_ormq SET lock = lock - interval '2 hours'")
    assert broker.dequeue() == [(number, "lost")]


@pytest.mark.django_db(transaction=True)
def test_messages_are_taken_oldest_first_and_a_roll_back_takes_its_own_back() -> None:
    broker = PgBroker("order")
    for text in "abc":
        broker.enqueue(text)
    with pytest.raises(RuntimeError), transaction.atomic():
        broker.enqueue("never")
        raise RuntimeError
    assert [text for _, text in broker.dequeue() or []] == ["a", "b", "c"]


@pytest.mark.django_db(transaction=True)
def test_a_receiver_is_not_in_anothers_way(second_session: Callable[[str], Any]) -> None:
    broker = PgBroker("shared")
    broker.enqueue("theirs")
    second_session("SELECT id FROM django_q_ormq WHERE key = 'shared' FOR UPDATE")
    broker.enqueue("ours")
    assert [text for _, text in broker._take()] == ["ours"]


@pytest.fixture
def second_session() -> Iterator[Callable[[str], Any]]:
    """A session of its own with a transaction that stays open."""
    other = connection.copy()
    other.set_autocommit(False)
    yield lambda statement: other.cursor().execute(statement)
    other.rollback()
    other.close()


@pytest.mark.django_db(transaction=True)
def test_the_queue_has_an_index_for_its_receivers() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT indexdef FROM pg_indexes WHERE indexname = 'runs_queue_due'")
        assert "(key, lock, id)" in cursor.fetchone()[0]


@pytest.fixture
def hinting(settings: LazySettings, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    """Has hints go to a Redis at an address."""

    def use(url: str) -> None:
        settings.BROKER_URL = url
        monkeypatch.setattr(Conf, "BROKER_CLASS", "runs.cluster.redis_broker.RedisBroker")
        monkeypatch.setattr(messages, "_fuse", Fuse(60))
        messages._broker.cache_clear()

    yield use
    messages._broker.cache_clear()


@pytest.mark.django_db(transaction=True)
def test_a_hint_leaves_after_the_commit_and_not_without_it(
    hinting: Callable[[str], None], redis_server: RedisServer
) -> None:
    from runs.cluster.redis_broker import RedisBroker

    hinting(redis_server.url)
    queue = RedisBroker()
    queue.purge_queue()
    publish("noops", *chain("noop@1"))
    with transaction.atomic():
        start_run(pipeline="noops", shop=None, input={})
        assert queue.queue_size() == 0
    assert queue.queue_size() == 1
    with pytest.raises(RuntimeError), transaction.atomic():
        start_run(pipeline="noops", shop=None, input={})
        raise RuntimeError
    assert queue.queue_size() == 1


@pytest.mark.django_db(transaction=True)
def test_a_broker_that_is_down_costs_one_attempt_and_no_run(
    hinting: Callable[[str], None], caplog: pytest.LogCaptureFixture
) -> None:
    hinting(f"redis://127.0.0.1:{free_port()}/0")
    publish("noops", *chain("noop@1"))
    with caplog.at_level(logging.WARNING):
        for _ in range(5):
            start_run(pipeline="noops", shop=None, input={})
    assert Run.objects.count() == 5 and len(claim_runs("w", 9)) == 5
    assert [record.getMessage() for record in caplog.records] == ["hint not sent; the workers' sweep finds the run"], (
        "one attempt; the others did not wait for it"
    )


def test_a_receiver_rests_while_its_broker_is_away_and_says_so_once(
    settings: LazySettings, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from runs.cluster.redis_broker import RedisBroker

    server = RedisServer()
    try:
        settings.BROKER_URL = server.url
        broker, rests = RedisBroker("away"), []
        monkeypatch.setattr(broker, "rest", lambda: rests.append(1))
        server.stop()
        with caplog.at_level(logging.WARNING):
            assert [broker.dequeue() for _ in range(3)] == [None, None, None]
            assert len(rests) == 3 and broker.ping()
            server.start()
            broker.enqueue("hello")
            assert broker.dequeue() == [(None, b"hello")]
        assert [record.getMessage() for record in caplog.records] == ["broker unavailable", "broker is back"]
    finally:
        server.close()
