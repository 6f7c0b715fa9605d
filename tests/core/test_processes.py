"""Processes that must not outlive the one that started them."""

import subprocess
import sys

import psutil

from tests.workers import ROOT

FAMILY = """
import subprocess, sys, time
from core.processes import adopt_orphans, end_orphans
adopt_orphans()
kept = subprocess.Popen(["sleep", "600"])
apart = subprocess.Popen(["sleep", "600"], start_new_session=True)
parent = subprocess.Popen(["sh", "-c", "sleep 600 & echo $!; wait"], stdout=subprocess.PIPE, text=True)
orphan = int(parent.stdout.readline())
parent.kill()
parent.wait()
print(end_orphans([kept.pid]), orphan, kept.poll(), apart.poll(), flush=True)
kept.kill()
apart.kill()
"""


def test_an_orphan_is_ended_and_neither_a_known_child_nor_a_session_of_its_own() -> None:
    done = subprocess.run([sys.executable, "-c", FAMILY], cwd=ROOT, capture_output=True, text=True, timeout=60)
    ended, orphan, kept, apart = done.stdout.split()
    assert (ended, kept, apart) == ("1", "None", "None"), done.stderr
    assert not psutil.pid_exists(int(orphan))
