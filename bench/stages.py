"""Stages that cost nothing but what they say: they answer at once, wait, or burn processor time."""

import asyncio
import os
import time
from typing import Any

import runs.inline
from bench.slow_model import ADDRESS, SlowModel
from runs.registry import stage
from runs.step import StepHandle
from vendors.registry import build_vendors

if ADDRESS in os.environ:
    # The workers of a measurement know one vendor more than an installation does.
    setattr(runs.inline, "build_vendors", lambda settings: {**build_vendors(settings), "slow": SlowModel()})  # noqa: B010

SECONDS = {
    "type": "object",
    "required": ["seconds"],
    "additionalProperties": False,
    "properties": {"seconds": {"type": "number", "minimum": 0}},
}


@stage("bench_noop", version=1, type="analysis")
async def bench_noop(step: StepHandle) -> dict[str, Any]:
    """Answers at once."""
    return {"node": step.spec.node_key}


@stage("bench_wait", version=1, type="api", params=SECONDS)
async def bench_wait(step: StepHandle) -> dict[str, Any]:
    """Waits on the event loop, as for a model, `seconds` from its params."""
    await asyncio.sleep(step.params["seconds"])
    return {"waited_s": step.params["seconds"]}


@stage("bench_ask", version=1, type="llm")
async def bench_ask(step: StepHandle) -> dict[str, Any]:
    """Asks the model routed to `facts`."""
    reply = await step.ask("facts", params={"node": step.spec.node_key})
    return {"answer": reply.data}


@stage("bench_facts", version=1, type="llm")
async def bench_facts(step: StepHandle) -> dict[str, Any]:
    """Asks for a product's facts with the library's prompt."""
    variables = {"title": "Oak chair", "description": "45 x 50 x 90 cm", "product_type": "chair", "tags": []}
    reply = await step.ask("facts", prompt="facts_extraction", variables=variables)
    return {"answered_by": reply.model}


@stage("bench_burn", version=1, type="transform", params=SECONDS)
def bench_burn(step: StepHandle) -> dict[str, Any]:
    """Computes without a pause, `seconds` from its params."""
    end, rounds = time.monotonic() + step.params["seconds"], 0
    while time.monotonic() < end:
        rounds += 1
    return {"rounds": rounds}
