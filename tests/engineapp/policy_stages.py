"""Stages that exist only for tests of policy: they follow a script, act outside, crowd, or answer oddly on demand."""

import asyncio
import time
from typing import Any

from irschemas.metrics import MetricValue, evaluator
from runs.errors import StageError
from runs.registry import stage

LOST: dict[tuple[str, str], int] = {}
AT_WORK: dict[str, list[int]] = {}
CALLS: list[str] = []
ANY_PARAMS = {"type": "object"}


@stage("scripted", version=1, type="analysis", params=ANY_PARAMS)
async def scripted(step: Any) -> dict[str, Any]:
    """Does what its script says, a word an attempt, the last one for ever; attempts that a worker lost do not count."""
    script = step.params["script"]
    attempt = step.spec.attempt - LOST.get((step.spec.run_id, step.spec.node_key), 0)
    word = script[min(attempt, len(script)) - 1]
    if word == "crash":
        raise RuntimeError("a bug")
    if word != "ok":
        raise StageError(f"scripted_{word}", "As the script says.", retryable=True, kind=word)
    return {"score": step.params.get("score", 1)}


@evaluator("test_score")
def test_score(ir: Any, inputs: Any, artifacts: Any) -> list[MetricValue]:
    """The score in the answer, as the documents' faithfulness."""
    return [MetricValue("faithfulness_v1", ir["score"])]


@stage("crowding", version=1, type="analysis")
async def crowding(step: Any) -> dict[str, Any]:
    """Notes how many of its run are at work at once, itself included."""
    run, node = step.spec.run_id, step.spec.node_key
    present = AT_WORK.setdefault(run, [0, 0])
    present[0] += 1
    present[1] = max(present)
    for _ in range(20):
        await asyncio.sleep(0)
    present[0] -= 1
    return {"node": node}


@stage("calling", version=1, type="api", params=ANY_PARAMS)
async def calling(step: Any) -> dict[str, Any]:
    """Does something outside, then waits as long as its params say, fails as they say, or answers."""
    CALLS.append(f"{step.spec.node_key} {step.spec.attempt}")
    await asyncio.sleep(step.params.get("seconds", 0))
    if step.params.get("kind") and step.spec.attempt == 1:
        raise StageError("called", "Not now.", retryable=True, kind=step.params["kind"])
    return {"called": True}


@stage("calling", version=2, type="api", params=ANY_PARAMS)
async def calling_anew(step: Any) -> dict[str, Any]:
    """The next version of it."""
    CALLS.append(f"{step.spec.node_key} v2")
    return {"called": True}


@stage("reading", version=1, type="analysis")
async def reading(step: Any, *, a: Any = "unbound") -> dict[str, Any]:
    """Says what it was given as the answer of node a."""
    return {"a": a}


@stage("picturing", version=1, type="image")
async def picturing(step: Any, *, subject: str = "") -> dict[str, Any]:
    """Asks with a prompt, keeps the picture that it got, and counts what it looked at."""
    reply = await step.ask("facts", params={"question": subject})
    step.candidates(10, 4, {"dull": 6})
    step.why("It looks well.")
    return {"picture": step.artifact("drawing", reply.images[0].content, "image/png", role="result")}


@stage("odd", version=1, type="transform", params=ANY_PARAMS)
def odd(step: Any) -> Any:
    """Answers with something that no answer may be."""
    what = step.params["what"]
    if what == "large":
        return {"text": "x" * 50_000_000}
    if what == "deep":
        nested: list[Any] = []
        for _ in range(5000):
            nested = [nested]
        return nested
    return {"text": "a\0b"} if what == "nul" else {1, 2}


@stage("dawdling", version=1, type="api", params=ANY_PARAMS)
async def dawdling(step: Any) -> dict[str, Any]:
    """Waits as no stage may: the whole event loop stands still."""
    time.sleep(step.params["seconds"])
    return {}


@stage("hundredth", version=1, type="transform")
def hundredth(step: Any) -> dict[str, Any]:
    """Goes well ninety-nine times."""
    CALLS.append("hundredth")
    if len(CALLS) % 100 == 0:
        raise ValueError("enough")
    return {}
