"""Several clusters on one PostgreSQL, as on several machines, with each broker that BROKER_URL names."""

import os
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from django.conf import LazySettings
from django_q.conf import Conf

from runs import messages
from runs.cluster.broker import Fuse
from runs.models import Run, Worker
from runs.services import start_run
from tests.runs.engine import chain, publish
from tests.services import DeafProxy, RedisServer, sqs_server
from tests.workers import Cluster, database_url, wait_until

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.xdist_group("workers")]
NEVER = "600"


@pytest.fixture
def clusters(files_of_its_own: Path) -> Iterator[Callable[..., Cluster]]:
    running: list[Cluster] = []

    def start(**environment: str) -> Cluster:
        before = Worker.objects.count()
        running.append(Cluster(files_of_its_own, RUNS_IN_FLIGHT="20", **environment))
        wait_until(lambda: Worker.objects.count() >= before + 2, "two workers report")
        return running[-1]

    yield start
    for cluster in running:
        cluster.kill()


@pytest.fixture
def hint_by(settings: LazySettings, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str, str], None]]:
    """Has this process send its hints by a broker, as the web server would."""

    def use(url: str, broker_class: str) -> None:
        settings.BROKER_URL = url
        monkeypatch.setattr(Conf, "BROKER_CLASS", broker_class)
        monkeypatch.setattr(messages, "_fuse", Fuse(10))
        messages._broker.cache_clear()

    yield use
    messages._broker.cache_clear()


def by_cluster(runs: list[Run], *clusters: Cluster) -> Counter[int]:
    """How many of the runs each cluster's workers have in hand or had last."""
    pids = {pid: number for number, cluster in enumerate(clusters) for pid in cluster.pids("worker")}
    owners = Run.objects.filter(pk__in=[run.pk for run in runs]).values_list("lease_owner", flat=True)
    return Counter(pids[int(owner.rsplit(":", 1)[1])] for owner in owners if owner)


def test_two_clusters_share_the_work_and_one_goes_on_when_the_other_is_gone(
    clusters: Callable[..., Cluster], hint_by: Callable[[str, str], None], tmp_path: Path
) -> None:
    server = RedisServer()
    try:
        one, other = clusters(BROKER_URL=server.url), clusters(BROKER_URL=server.url)
        hint_by(server.url, "runs.cluster.redis_broker.RedisBroker")
        publish("marking", {"key": "first", "step": "marking@1", "params": {"seconds": 3}})
        runs = [start_run(pipeline="marking", shop=None, input={"folder": str(tmp_path)}) for _ in range(60)]
        wait_until(lambda: sum(by_cluster(runs, one, other).values()) == 60, "every run is in hand")
        assert min(by_cluster(runs, one, other)[number] for number in (0, 1)) >= 10, "both have their share"
        one.kill()
        wait_until(lambda: not Run.objects.unfinished().exists(), "the other finishes all of it")
        assert set(Run.objects.values_list("status", flat=True)) == {Run.Status.COMPLETED}
        assert set(by_cluster(runs, other)) == {0}, "whatever ended last, ended there"
    finally:
        server.close()


def test_runs_go_on_while_redis_is_away(clusters: Callable[..., Cluster], hint_by: Callable[[str, str], None]) -> None:
    server = RedisServer()
    try:
        cluster = clusters(BROKER_URL=server.url)
        hint_by(server.url, "runs.cluster.redis_broker.RedisBroker")
        publish("noops", *chain("noop@1"))
        server.stop()
        for _ in range(3):
            start_run(pipeline="noops", shop=None, input={})
        wait_until(lambda: Run.objects.filter(status="completed").count() == 3, "the sweep finds them")
        server.start()
        assert len(cluster.pids("pusher")) == 1 and "Traceback" not in cluster.log, cluster.log
    finally:
        server.close()


@pytest.mark.parametrize("kind", ["redis", "sqs"])
def test_a_hint_by_a_broker_wakes_a_worker_that_would_not_look_by_itself(
    clusters: Callable[..., Cluster],
    hint_by: Callable[[str, str], None],
    monkeypatch: pytest.MonkeyPatch,
    settings: LazySettings,
    kind: str,
) -> None:
    publish("noops", *chain("noop@1"))
    if kind == "redis":
        server = RedisServer()
        _is_hinted(clusters, hint_by, server.url, "runs.cluster.redis_broker.RedisBroker", {})
        server.close()
        return
    settings.SQS_REGION = "eu-west-1"
    with sqs_server() as environment:
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        _is_hinted(clusters, hint_by, "sqs://eu-west-1/hints", "runs.cluster.sqs_broker.SqsBroker", environment)


def _is_hinted(
    clusters: Callable[..., Cluster],
    hint_by: Callable[[str, str], None],
    url: str,
    broker_class: str,
    environment: dict[str, str],
) -> None:
    from urllib.parse import urlsplit

    cluster = clusters(BROKER_URL=url, TEST_SWEEP_SECONDS=NEVER, **environment)
    hint_by(url, broker_class)
    if url.startswith("sqs"):
        messages._broker().list_key = urlsplit(url).path.strip("/")
    for _ in range(3):
        run = start_run(pipeline="noops", shop=None, input={})
        wait_until(lambda run=run: Run.objects.get(pk=run.pk).is_over, "the hint arrives")
    assert "Traceback" not in cluster.log, cluster.log
    assert cluster.stop() == 0


@pytest.mark.skipif("/" not in os.environ.get("PGHOST", "/"), reason="the proxy speaks over a Unix socket")
def test_behind_a_pooler_that_loses_notifications_the_workers_poll(clusters: Callable[..., Cluster]) -> None:
    from django.db import connection

    proxy = DeafProxy()
    try:
        url = database_url().replace(
            connection.settings_dict["HOST"].replace("/", "%2F"), proxy.host.replace("/", "%2F")
        )
        cluster = clusters(DATABASE_URL=url, TEST_SWEEP_SECONDS=NEVER)
        wait_until(lambda: "no notifications arrive" in cluster.log, "the listeners notice")
        publish("noops", *chain("noop@1"))
        for _ in range(3):
            run = start_run(pipeline="noops", shop=None, input={})
            wait_until(lambda run=run: Run.objects.get(pk=run.pk).is_over, "a worker looks")
        assert cluster.log.count("no notifications arrive") == 3, "two workers and the pusher, once each"
    finally:
        proxy.close()
