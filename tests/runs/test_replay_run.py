"""Replays: every run comes out the same from its recording, and nothing is asked."""

import pytest

from runs.inline import execute_inline
from runs.models import Run
from runs.replaying import start_replay
from tests.runs.engine import ScriptedVendor, chain, deps, publish, run_inline

pytestmark = pytest.mark.django_db


def replay(run: Run) -> Run:
    return execute_inline(start_replay(run, by="test", inline_owner="test"), deps())


def test_a_replay_asks_nobody_and_arrives_at_the_same_answers() -> None:
    publish("p", *chain("asking@1", "noop@1"))
    vendor = ScriptedVendor([{"n": 1}])
    run = run_inline("p", {"question": "hm"}, deps(vendor))
    made = replay(run)
    assert (made.status, made.error_message, made.mode) == ("completed", "", "recorded")
    assert len(vendor.calls) == 1
    hashes = [list(one.steps.values_list("node_key", "output_sha256")) for one in (run, made)]
    assert hashes[0] == hashes[1]
