"""Stages that exist only for tests of the engine: they do nothing, fail, ask, hang or die on demand."""

import asyncio
import contextlib
import os
import signal
import threading
import time
from pathlib import Path
from typing import Any

from runs.errors import StageError
from runs.registry import stage

PIXEL = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108020000009077"
    "53de0000000c49444154789c63f8cfc0000003010100c9fe92ef0000000049454e44ae426082"
)


@stage("noop", version=1, type="analysis")
async def noop(step: Any) -> dict[str, Any]:
    """Answers at once, on the event loop."""
    return {"node": step.spec.node_key}


@stage("computed", version=1, type="transform")
def computed(step: Any, *, number: int = 1) -> dict[str, Any]:
    """Answers at once, in the computing child; says which process that was."""
    return {"double": number * 2, "pid": os.getpid()}


@stage("asking", version=1, type="llm")
async def asking(step: Any, *, question: str = "?") -> dict[str, Any]:
    """Asks the model routed to `facts` and repeats its answer."""
    reply = await step.ask("facts", params={"question": question})
    picture = step.artifact("drawing", reply.images[0].content, "image/png") if reply.images else None
    return {"answer": reply.data, "picture": picture}


@stage("prompted", version=1, type="llm", task="facts", prompt="facts_extraction")
async def prompted(step: Any, *, title: str = "Oak chair") -> dict[str, Any]:
    """Asks the model routed to `facts` with a prompt of the library and repeats its answer."""
    variables = {"title": title, "description": "", "product_type": "", "tags": []}
    reply = await step.ask("facts", prompt="facts_extraction", variables=variables)
    return {"answer": reply.data}


@stage("drawing", version=1, type="image")
async def drawing(step: Any) -> dict[str, Any]:
    """Draws as often as its params say, each time under the same name; the last picture is the answer."""
    pictures = [step.artifact("drawing", PIXEL + b"\0" * n, "image/png") for n in range(step.params.get("times", 1))]
    return {"picture": pictures[-1]}


@stage("sieve", version=1, type="filter")
def sieve(step: Any, *, items: list[int], limit: int = 10) -> dict[str, Any]:
    """Keeps the items at or above the limit."""
    kept = [item for item in items if item >= limit]
    step.candidates(len(items), len(kept), {"too_small": len(items) - len(kept)})
    step.why(f"Kept {len(kept)} of {len(items)}.")
    return {"kept": kept}


@stage("uncounted", version=1, type="filter")
def uncounted(step: Any) -> dict[str, Any]:
    """A filter that does not say what it dropped."""
    return {}


@stage(
    "flaky",
    version=1,
    type="api",
    params={
        "type": "object",
        "additionalProperties": False,
        "properties": {"failures": {"type": "integer", "minimum": 0}, "kind": {"type": "string"}},
    },
)
async def flaky(step: Any) -> dict[str, Any]:
    """Fails as often as its params say, then answers."""
    if step.spec.attempt <= step.params.get("failures", 0):
        raise StageError("flaked", "Not this time.", retryable=True, kind=step.params.get("kind", "vendor"))
    return {"attempt": step.spec.attempt}


@stage("crashing", version=1, type="transform")
def crashing(step: Any) -> dict[str, Any]:
    """Has a bug."""
    return {"ratio": 1 / 0}


@stage("not_json", version=1, type="transform")
def not_json(step: Any) -> dict[str, Any]:
    """Answers with something that JSON has no word for."""
    return {"value": float("nan")}


@stage("hanging", version=1, type="transform")
def hanging(step: Any) -> dict[str, Any]:
    """Never ends by itself, in the computing child."""
    while True:
        time.sleep(60)


@stage("dying", version=1, type="transform")
def dying(step: Any) -> dict[str, Any]:
    """Takes its process with it."""
    os._exit(11)


@stage("marking", version=1, type="api")
async def marking(step: Any, *, folder: str) -> dict[str, Any]:
    """Leaves a mark of every execution, waits as its params say, and answers."""
    mark = Path(folder) / f"{step.spec.run_id}.{step.spec.node_key}.{time.time_ns()}.{os.getpid()}"
    mark.touch()
    await asyncio.sleep(step.params.get("seconds", 0))
    return {"pid": os.getpid()}


@stage("unstorable", version=1, type="transform")
def unstorable(step: Any) -> dict[str, Any]:
    """Says something about its work that no JSON column takes."""
    step.reasoning(value=float("nan") if step.params["what"] == "nan" else "\0")
    return {}


@stage("raising", version=1, type="transform")
def raising(step: Any) -> dict[str, Any]:
    """Raises an exception with the text of its params, and with the `code` that they name, if any."""
    error = RuntimeError(step.params["text"])
    if "code" in step.params:
        error.code = step.params["code"]  # type: ignore[attr-defined]
    raise error


@stage("interrupted", version=1, type="transform")
async def interrupted(step: Any) -> dict[str, Any]:
    """Ctrl-C comes while it works, to the process and so to its main thread."""
    signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
    await asyncio.sleep(0.2)
    return {}


@stage("blocking", version=1, type="api")
async def blocking(step: Any) -> dict[str, Any]:
    """Sleeps on the event loop, where nobody must."""
    time.sleep(step.params["seconds"])
    return {}


@stage("exiting", version=1, type="api")
async def exiting(step: Any) -> dict[str, Any]:
    """Wants to end its process, from the event loop."""
    if step.params["how"] == "interrupt":
        raise KeyboardInterrupt
    raise {"exit": SystemExit(3), "memory": MemoryError(), "depth": RecursionError()}[step.params["how"]]


@stage("killing", version=1, type="api")
async def killing(step: Any) -> dict[str, Any]:
    """Kills its worker, every time."""
    os.kill(os.getpid(), signal.SIGKILL)
    return {}


@stage("stubborn", version=1, type="api")
async def stubborn(step: Any) -> dict[str, Any]:
    """Goes on for two seconds, whoever cancels it."""
    until = time.monotonic() + 2
    while time.monotonic() < until:
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.sleep(0.05)
    STUBBORN_ENDED.append(step.spec.run_id)
    return {}


STUBBORN_ENDED: list[str] = []


@stage("seeing", version=1, type="llm", task="facts", prompt="facts_extraction")
async def seeing(step: Any, *, picture: Any, title: str = "Oak chair") -> dict[str, Any]:
    """Asks the model routed to `facts` with a prompt of the library and a picture, and repeats its answer."""
    variables = {"title": title, "description": "", "product_type": "", "tags": []}
    reply = await step.ask("facts", prompt="facts_extraction", variables=variables, images={"product": picture})
    return {"answer": reply.data}
