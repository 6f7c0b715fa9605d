"""Small pipelines of test stages, and the engine's dependencies for them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.utils import timezone

import tests.engineapp.stages  # noqa: F401 - registers the test stages
from core.storage import BlobStore
from runs.compute import InPlace
from runs.context import Deps
from runs.inline import execute_inline
from runs.models import Run
from runs.services import publish_dag, start_run
from vendors.base import Call, Reply
from vendors.routes import Route, Routes


@dataclass
class ScriptedVendor:
    """A vendor that answers from a list, in order; an exception in the list is raised."""

    answers: list[Any]
    name: str = "scripted"
    kind: str = "network"
    tasks: Sequence[str] = ("facts",)
    calls: list[Call] = field(default_factory=list)

    async def call(self, call: Call) -> Reply:
        self.calls.append(call)
        answer = self.answers[min(len(self.calls), len(self.answers)) - 1]
        if isinstance(answer, Exception):
            raise answer
        return answer if isinstance(answer, Reply) else Reply(model=call.model, data=answer)


def publish(slug: str, *nodes: Mapping[str, Any], **defaults: Any) -> None:
    """Publish a pipeline of the given nodes."""
    publish_dag(slug, {"dag_version": 1, "defaults": defaults, "nodes": [dict(node) for node in nodes]})


def chain(*steps: str, **extra: Any) -> list[dict[str, Any]]:
    """Nodes a, b, c, ... of the given stages, each after the one before."""
    keys = "abcdefgh"
    return [
        {"key": keys[i], "step": step, "depends_on": [keys[i - 1]] if i else [], **extra}
        for i, step in enumerate(steps)
    ]


def deps(*vendors: ScriptedVendor, move_on: Sequence[str] = ()) -> Deps:
    """Dependencies with these vendors routed to the task `facts`, in order."""
    routes = tuple(Route(vendor.name, f"{vendor.name}-1", {}, tuple(move_on)) for vendor in vendors)
    return Deps(
        {vendor.name: vendor for vendor in vendors}, Routes({"facts": routes}), BlobStore(), timezone.now, InPlace()
    )


def run_inline(slug: str, input: Mapping[str, Any] | None = None, given: Deps | None = None, **extra: Any) -> Run:
    """Start and execute a run here and now."""
    run = start_run(pipeline=slug, shop=extra.pop("shop", None), input=input or {}, inline_owner="inline", **extra)
    return execute_inline(run, given or deps())
