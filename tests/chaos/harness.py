"""Kills processes of working clusters at random instants, by a seeded generator, while runs go through them."""

import random
import signal
import subprocess
import sys
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID

import psutil
from django.db import connection
from django.db.utils import InterfaceError, OperationalError

from runs.models import Run, Worker
from runs.services import publish_dag, start_run
from tests.chaos.stages import EFFECTS, PIPELINES
from tests.chaos.vendor import Model
from tests.workers import APPLICATION, ROOT, worker_environment

PATIENCE_SECONDS = 180
MARK = "CHAOS_MARK"
WEIGHTS = {
    "worker": 40,
    "computing child": 15,
    "helper": 12,
    "parent": 10,
    "whole cluster": 6,
    "database sessions": 6,
    "zombie": 6,
    "database restart": 3,
}
KILLS = frozenset({"worker", "computing child", "helper", "parent", "whole cluster"})


@dataclass(frozen=True, slots=True)
class Plan:
    """How much chaos: SIGKILLs to reach, seconds between two strikes, runs kept in flight, and the engine's times."""

    kills: int
    seed: int
    pause_s: float = 0.8
    in_flight: int = 24
    clusters: int = 2
    workers: int = 2
    lease_s: int = 3
    sweep_s: float = 0.5
    model_s: float = 0.4
    restart_database: Callable[[], None] | None = None


@dataclass
class Story:
    """What was done and what came of it."""

    strikes: Counter[str] = field(default_factory=Counter)
    kills: int = 0
    runs: list[UUID] = field(default_factory=list)
    recoveries_s: list[float] = field(default_factory=list)
    seconds: float = 0.0
    asked: Counter[str] = field(default_factory=Counter)
    paid: Counter[str] = field(default_factory=Counter)
    exit_codes: list[int] = field(default_factory=list)
    orphans: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        strikes = ", ".join(f"{count} {what}" for what, count in self.strikes.most_common())
        asked = f"{self.asked.total()} model calls for {len(self.asked)} questions"
        return f"{self.kills} kills in {self.seconds:.0f} s ({strikes}); {len(self.runs)} runs, {asked}"


class Supervisor:
    """What systemd does: starts a cluster, and starts it again when it has ended."""

    def __init__(self, plan: Plan, files: Path, mark: str, model_url: str) -> None:
        self._environment = worker_environment(
            files,
            DJANGO_SETTINGS_MODULE="tests.chaos.settings",
            CHAOS_MODEL_URL=model_url,
            CHAOS_LEASE_SECONDS=str(plan.lease_s),
            CHAOS_SWEEP_SECONDS=str(plan.sweep_s),
            WORKERS=str(plan.workers),
            RUNS_IN_FLIGHT=str(plan.in_flight),
            LOG_LEVEL="ERROR",
            **{MARK: mark},
        )
        self._log = (files.parent / "clusters.log").open("ab")
        self.restarts = 0
        self.process = self._start()

    def _start(self) -> "subprocess.Popen[bytes]":
        return subprocess.Popen(
            [sys.executable, "manage.py", "qcluster"],
            cwd=ROOT,
            env=self._environment,
            start_new_session=True,
            stdout=self._log,
            stderr=self._log,
        )

    def watch(self) -> None:
        """Start the cluster again if it has ended."""
        if self.process.poll() is not None:
            self.restarts += 1
            self.process = self._start()

    def family(self) -> list[psutil.Process]:
        """The parent first, then all below it."""
        with suppress(psutil.NoSuchProcess):
            top = psutil.Process(self.process.pid)
            return [top, *top.children(recursive=True)]
        return []

    def stop(self) -> int:
        """SIGTERM; gives the exit code."""
        self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(timeout=45)
        finally:
            self._log.close()


class Chaos:
    """One go: `go()` does it and gives the story; the caller judges it."""

    def __init__(self, plan: Plan, files: Path) -> None:
        self.plan = plan
        self.random = random.Random(plan.seed)
        self.story = Story()
        self._files = files
        self._mark = uuid.uuid4().hex
        self._watched: dict[UUID, tuple[int, float]] = {}
        self._stopped: list[tuple[float, psutil.Process]] = []

    def go(self) -> Story:
        """Start everything, strike until the plan's kills are reached, let the runs end, and stop everything."""
        began = time.monotonic()
        model = Model(self.plan.model_s)
        with connection.cursor() as cursor:
            cursor.execute(EFFECTS)
        for slug, nodes in PIPELINES.items():
            publish_dag(slug, {"dag_version": 1, "nodes": nodes})
        self._clusters = [Supervisor(self.plan, self._files, self._mark, model.url) for _ in range(self.plan.clusters)]
        try:
            self._strike_until_enough()
            self._let_end()
            self.story.exit_codes = [cluster.stop() for cluster in self._clusters]
        finally:
            self.story.orphans = self._end_all()
            model.shutdown()
            model.server_close()
        self.story.asked, self.story.paid = model.asked, model.paid
        self.story.seconds = time.monotonic() - began
        return self.story

    def _strike_until_enough(self) -> None:
        self._until(lambda: Worker.objects.alive().count() >= self.plan.workers, "the workers report")
        self._feed()
        strike_at = time.monotonic() + self.plan.pause_s
        while self.story.kills < self.plan.kills:
            self._look()
            self._feed()
            if time.monotonic() >= strike_at:
                self._strike()
                strike_at = time.monotonic() + self.random.expovariate(1 / self.plan.pause_s)
            time.sleep(0.02)

    def _let_end(self) -> None:
        def over() -> bool:
            self._look()
            return not Run.objects.unfinished().exists() and not self._stopped

        self._until(over, "every run has ended")

    def _until(self, condition: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not _patiently(condition):
            for cluster in self._clusters:
                cluster.watch()
            if time.monotonic() > deadline:
                left = list(Run.objects.unfinished().values("pk", "status", "starts", "phase", "lease_owner")[:5])
                raise AssertionError(f"It did not happen (seed {self.plan.seed}): {what}. {left}")
            time.sleep(0.05)

    def _feed(self) -> None:
        """Keep the plan's number of runs in flight."""

        def feed() -> bool:
            for _ in range(self.plan.in_flight - Run.objects.unfinished().count()):
                slug = self.random.choice(list(PIPELINES))
                priority = self.random.choice([0, 10])
                self.story.runs.append(start_run(pipeline=slug, shop=None, input={}, priority=priority).pk)
            return True

        _patiently(feed)

    def _strike(self) -> None:
        what = self.random.choices(list(WEIGHTS), list(WEIGHTS.values()))[0]
        victims = [family for cluster in self._clusters if len(family := cluster.family()) > 1]
        if what == "database sessions":
            _patiently(_end_sessions)
        elif what == "database restart":
            if self.plan.restart_database is None:
                return
            connection.close()
            self.plan.restart_database()
        elif not victims or not (chosen := self._choose(what, self.random.choice(victims))):
            return
        elif what == "zombie":
            _signal(chosen[0], signal.SIGSTOP)
            self._stopped.append((time.monotonic() + self.plan.lease_s + 1.5, chosen[0]))
        else:
            self._watch_runs_of(chosen)
            for process in chosen:
                _signal(process, signal.SIGKILL)
        self.story.strikes[what] += 1
        self.story.kills += what in KILLS

    def _choose(self, what: str, family: list[psutil.Process]) -> list[psutil.Process]:
        """The processes of a family that play a part, one of them by chance (all of them for the whole cluster)."""
        workers = set(_ask(lambda: Worker.objects.values_list("pid", flat=True)))
        parts: dict[str, list[psutil.Process]] = {
            "parent": family[:1],
            "worker": [],
            "computing child": [],
            "helper": [],
        }
        for process in family[1:]:
            with suppress(psutil.NoSuchProcess):
                computes = "runs.child" in process.cmdline()
                part = "computing child" if computes else "worker" if process.pid in workers else "helper"
                parts[part].append(process)
        if what == "whole cluster":
            return family
        chosen = parts["worker" if what == "zombie" else what]
        return [self.random.choice(chosen)] if chosen else []

    def _watch_runs_of(self, processes: list[psutil.Process]) -> None:
        """From now until somebody else has them, the runs of these workers are being recovered."""
        pids = tuple(f":{process.pid}" for process in processes)
        if any(process.pid == cluster.process.pid for process in processes for cluster in self._clusters):
            pids += tuple(f":{child.pid}" for process in processes for child in _children(process))
        now = time.monotonic()
        for pk, token, owner in _ask(
            lambda: Run.objects.filter(status="running").values_list("pk", "token", "lease_owner")
        ):
            if owner.endswith(pids):
                self._watched.setdefault(pk, (token, now))

    def _look(self) -> None:
        """Restart what ended, wake the zombies whose time has come, and note which runs are in good hands again."""
        for cluster in self._clusters:
            cluster.watch()
        now = time.monotonic()
        for woken in [entry for entry in self._stopped if entry[0] <= now]:
            self._stopped.remove(woken)
            _signal(woken[1], signal.SIGCONT)
        if not self._watched:
            return
        rows = _ask(lambda: Run.objects.filter(pk__in=list(self._watched)).values_list("pk", "token", "status"))
        for pk, token, status in rows:
            lost_token, killed_at = self._watched[pk]
            if token > lost_token or status != "running":
                self.story.recoveries_s.append(now - killed_at)
                del self._watched[pk]

    def _end_all(self) -> list[str]:
        """Whatever process of ours is still there, wherever it hangs in the tree; it is ended."""
        time.sleep(0.3)
        left = []
        for process in _marked(self._mark):
            with suppress(psutil.NoSuchProcess):
                left.append(f"{process.pid} {' '.join(process.cmdline())[:80]}")
                process.kill()
        connection.close()
        _patiently(_end_sessions)
        return left


def _marked(mark: str) -> Iterator[psutil.Process]:
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            embedded = "config.embedded" in " ".join(process.cmdline())  # the database's keeper serves everybody
            if process.environ().get(MARK) == mark and process.status() != psutil.STATUS_ZOMBIE and not embedded:
                yield process


def _children(process: psutil.Process) -> list[psutil.Process]:
    with suppress(psutil.NoSuchProcess):
        return [*process.children(recursive=True)]
    return []


def _signal(process: psutil.Process, number: int) -> None:
    with suppress(psutil.NoSuchProcess, ProcessLookupError):
        process.send_signal(number)


def _patiently(function: Callable[[], bool]) -> bool:
    """The function's answer; False while the database is not there."""
    try:
        return function()
    except (OperationalError, InterfaceError):
        connection.close()
        return False


def _ask(query: Callable[[], Iterable[Any]]) -> list[Any]:
    try:
        return [*query()]
    except (OperationalError, InterfaceError):
        connection.close()
        return []


def _end_sessions() -> bool:
    """Cut every connection of the clusters to the database."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND application_name = %s",
            [APPLICATION],
        )
    return True
