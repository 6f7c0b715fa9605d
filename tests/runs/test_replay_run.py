"""Replays: every run comes out the same from its recording, and nothing is asked."""


import pytest

from runs.inline import execute_inline
from runs.models import Run
from runs.replaying import start_replay
from tests.runs.engine import ScriptedVendor, chain, deps, publish, run_inline

pytestmark = pytest.mark.django_db


def replay(run: Run) -> Run:
    return execute_inline(start_replay(run, by="test", inline_owner="test"), deps())


def test_simple() -> None:
    publish("p", *chain("asking@1", "noop@1"))
    vendor = ScriptedVendor([{"n": 1}])
    run = run_inline("p", {"question": "hm"}, deps(vendor))
    assert run.status == "completed"
    made = replay(run)
    assert (made.status, made.error_message) == ("completed", "")
    assert len(vendor.calls) == 1
    for step in made.steps.all():
        print(step, step.output_sha256 == run.steps.get(node_key=step.node_key).output_sha256, [(str(a), a.attempt) for a in step.artifacts.all()])
