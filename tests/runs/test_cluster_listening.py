"""LISTEN and NOTIFY: who hears of a run, who looks first, and what happens where notifications do not arrive."""

import contextlib
import logging
import uuid
from collections.abc import Iterator

import psycopg
import pytest
from django.db import connection, transaction
from hypothesis import given
from hypothesis import strategies as st

from runs.cluster import listening
from runs.cluster.listening import OTHERS_SECONDS, TURNS, Listener, notify, patience
from runs.cluster.shared import Flag
from tests.services import DeafProxy
from tests.workers import wait_until

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def ears() -> Iterator[Listener]:
    listener = Listener("test_channel")
    listener.wait(0)
    yield listener
    listener.close()


def test_what_is_said_is_heard_with_the_commit_and_only_then(ears: Listener) -> None:
    notify("test_channel", "now")
    assert ears.wait(5) == ["now"]
    with transaction.atomic():
        notify("test_channel", "later")
        notify("test_channel", "later")
        assert ears.wait(0.1) == []
    assert ears.wait(5) == ["later"]
    notify("another_channel", "not for us")
    assert ears.wait(0.1) == []


def test_a_flag_ends_the_wait(ears: Listener) -> None:
    flag = Flag()
    flag.set()
    assert ears.wait(600, flag) == [], "it came back"


def test_a_session_that_was_ended_is_begun_again(ears: Listener) -> None:
    assert ears._session is not None
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(%s)", [ears._session.info.backend_pid])

    def hears() -> bool:
        notify("test_channel", "again")
        with contextlib.suppress(psycopg.OperationalError):
            return "again" in ears.wait(1)
        return False

    wait_until(hears, "it listens again")


def test_where_no_notification_arrives_it_says_so_once_and_polls(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(listening, "ANSWER_SECONDS", 0.2)
    monkeypatch.setattr(listening, "POLL_SECONDS", 0.1)
    proxy, address = DeafProxy(), listening._address()
    monkeypatch.setattr(listening, "_address", lambda: {**address, "host": proxy.host})
    listener = Listener("test_channel")
    try:
        with caplog.at_level(logging.WARNING):
            for _ in range(8):
                assert listener.wait(600) == [], "it comes back soon, for its caller to look"
        assert [record.getMessage() for record in caplog.records] == [
            "no notifications arrive; polling. Behind a pooler in transaction mode set DATABASE_DIRECT_URL."
        ]
        monkeypatch.setattr(listening, "_address", lambda: address)  # as with a direct address
        listener._deaf_until = 0
        listener.wait(0)
        notify("test_channel", "heard")
        assert listener.wait(5) == ["heard"]
    finally:
        listener.close()
        proxy.close()


@given(workers=st.lists(st.uuids(), min_size=1, max_size=40, unique=True), run=st.uuids())
def test_one_worker_looks_at_once_two_soon_after_and_the_others_by_and_by(
    workers: list[uuid.UUID], run: uuid.UUID
) -> None:
    names = [str(worker) for worker in workers]
    waits = sorted(patience(str(run), name, names) for name in names)
    assert waits == [*TURNS, *[OTHERS_SECONDS] * len(names)][: len(names)]


def test_the_first_to_look_is_another_for_every_run() -> None:
    names = [f"host:{number}" for number in range(4)]
    first = [next(n for n in names if patience(f"run-{i}", n, names) == 0) for i in range(400)]
    assert all(60 < first.count(name) < 140 for name in names)


def test_a_worker_that_nobody_knows_yet_leaves_the_first_look_to_those_who_are_known() -> None:
    assert patience("run", "new", ["old"]) == OTHERS_SECONDS
    assert patience("run", "alone", []) == 0
