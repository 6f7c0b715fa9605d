"""The demo's web and workers end with the demo, however it ends."""

import signal
import subprocess
import sys

import psutil
import pytest

from storefront.management.commands.demo import Command, Servers
from tests.workers import ROOT, wait_until

SERVE = """
import os, sys
os.environ["DJANGO_SETTINGS_MODULE"] = "config.settings"
import django
django.setup()
from storefront.management.commands.demo import Command, Servers
servers = Servers(1, Command())
servers._programs = {name: [sys.executable, "-c", "import time; time.sleep(600)"] for name in ("web", "workers")}
servers._wait_ready = lambda: True
servers.serve([])
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
def test_nobody_is_left_behind(number: int) -> None:
    demo = subprocess.Popen([sys.executable, "-c", SERVE], cwd=ROOT, stdout=subprocess.PIPE, start_new_session=True)
    children = wait_until(lambda: len(found := psutil.Process(demo.pid).children()) == 2 and found, "both are started")
    assert demo.stdout is not None and any(b"Ctrl-C" in line for line in demo.stdout), "its handlers are in place"
    demo.send_signal(number)
    demo.wait(timeout=10)
    try:
        wait_until(lambda: not any(lives(child) for child in children), "the children end", 5)
    finally:
        for child in children:
            if lives(child):
                child.kill()


def lives(process: psutil.Process) -> bool:
    return process.is_running() and process.status() != psutil.STATUS_ZOMBIE


def test_a_program_that_does_not_last_is_given_more_and_more_time(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    servers = Servers(1, Command())
    servers._started_at["web"] = now - 2
    assert [servers._rest("web") for _ in range(7)] == [1, 2, 4, 8, 16, 30, 30]
    servers._started_at["web"] = now - 600
    assert servers._rest("web") == 1, "it had settled"
