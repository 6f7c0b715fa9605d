"""A run on a real vendor's wire is reproduced like any other: with a refusal by pace, a repair, and the next route."""

import pytest

from runs.inline import execute_inline, replay_deps
from runs.models import Run
from runs.replaying import start_replay
from runs.verdicts import judge_replay
from tests.runs.engine import publish
from tests.runs.test_repairing import FACTS, FENCED, PROSE, ask
from tests.vendor_servers import gemini as wire
from tests.vendor_servers.server import Answer, VendorServer

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    ("texts", "ended"), [((PROSE, FACTS), ("gemini", 3)), ((PROSE, FENCED), ("local", 4))], ids=["mended", "moved_on"]
)
def test_a_gemini_run_is_reproduced_with_every_attempt(
    published: None, texts: tuple[object, ...], ended: tuple[str, int]
) -> None:
    publish("facts_alone", {"key": "facts", "step": "facts@1", "retries": 2}, ir_mode="enforce")
    account = wire.Gemini(texts=texts)
    with VendorServer(account.answer) as server:
        server.plan(Answer(wire.quota_error("GenerateRequestsPerMinutePerProjectPerModel", "0.05s")))
        run = ask(server)
        assert run.status == Run.Status.COMPLETED, run.error_message
        step = run.steps.get()
        assert (step.vendor, step.attempt) == ended
        before = len(server.requests)
        replay = execute_inline(start_replay(run, by="test", inline_owner="test"), replay_deps())
        assert len(server.requests) == before, "zero calls out"
    verdict = judge_replay(replay)
    assert verdict.reproduced, [str(item) for item in verdict.differences]
    assert [error.code for error in replay.errors.order_by("attempt")] == [
        error.code for error in run.errors.order_by("attempt")
    ]
