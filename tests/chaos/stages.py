"""Stages of the chaos pipelines, and their effect: a row without a unique index, so that the fence alone guards it."""

import time
from typing import Any

from django.db import connection

import runs.inline
from runs.errors import StageError
from runs.registry import NodeOutput, output, stage
from tests.chaos.vendor import LOOPBACK, pay
from vendors.registry import build_vendors

setattr(runs.inline, "build_vendors", lambda settings: {**build_vendors(settings), "loopback": LOOPBACK})  # noqa: B010

EFFECTS = (
    "CREATE TABLE IF NOT EXISTS chaos_effect (run uuid NOT NULL, node text NOT NULL, at timestamptz DEFAULT now())"
)
RETRIES = {"retries": 10, "backoff": {"initial_ms": 50, "max_ms": 200}}


def node(key: str, step: str, *after: str, **extra: Any) -> dict[str, Any]:
    return {"key": key, "step": step, "depends_on": list(after), **RETRIES, **extra}


PIPELINES = {
    "chaos_mixed": [
        node("ask", "chaos_ask@1"),
        node("left", "chaos_burn@1", "ask"),
        node("right", "chaos_flaky@1", "ask"),
        node("again", "chaos_ask@1", "left", "right"),
    ],
    "chaos_wide": [
        node("first", "chaos_flaky@1"),
        *(node(f"ask{n}", "chaos_ask@1", "first") for n in range(4)),
        node("last", "chaos_burn@1", *(f"ask{n}" for n in range(4))),
    ],
    "chaos_paying": [
        node("ask", "chaos_ask@1"),
        node("pay", "chaos_pay@1", "ask", side_effects="external"),
        node("note", "chaos_flaky@1", "pay"),
    ],
}


@stage("chaos_ask", version=1, type="llm")
async def chaos_ask(step: Any) -> dict[str, Any]:
    """Waits for the model."""
    reply = await step.ask("facts", params={"node": step.spec.node_key})
    step.artifact("thought", {"answer": reply.data})
    return {"answer": reply.data["text"]}


@stage("chaos_burn", version=1, type="transform")
def chaos_burn(step: Any) -> dict[str, Any]:
    """Computes for a moment in the child."""
    end = time.process_time() + 0.05
    while time.process_time() < end:
        pass
    time.sleep(0.1)
    return {"number": 1}


@stage("chaos_flaky", version=1, type="api")
async def chaos_flaky(step: Any) -> dict[str, Any]:
    """Fails at its first attempt in half of all runs."""
    if step.spec.attempt == 1 and int(step.spec.run_id[-1], 36) % 2:
        raise StageError("flaked", "Not this time.", retryable=True, kind="vendor")
    return {}


@stage("chaos_pay", version=1, type="api")
async def chaos_pay(step: Any) -> dict[str, Any]:
    """Does something outside that must not be done twice."""
    await pay(f"{step.spec.run_id}:{step.spec.node_key}")
    return {}


def note_effect(result: NodeOutput) -> list[tuple[str, str]]:
    """An effect inside the engine's transaction."""
    with connection.cursor() as cursor:
        cursor.execute("INSERT INTO chaos_effect (run, node) VALUES (%s, %s)", [result.run.id, result.step.node_key])
    return []


for _slug, _nodes in PIPELINES.items():
    for _node in _nodes:
        output(_slug, _node["key"])(note_effect)
