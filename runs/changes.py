"""What a fork is given differently from the run it goes on from: written by whoever starts it, read by the engine."""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from core.canonical import json_hash
from runs.errors import ChangesInvalid
from vendors.routes import Route, Routes

ROUTE = re.compile(r"(?P<vendor>[a-z][a-z0-9_-]{0,62})/(?P<model>[^\s/][^\s]{0,126})")


class _Prompt(BaseModel):
    model_config = ConfigDict(extra="forbid")
    template: str = Field(min_length=1)


class _Document(BaseModel):
    model_config = ConfigDict(extra="forbid")
    prompts: dict[str, _Prompt] = Field(default_factory=dict)
    input: dict[str, Any] = Field(default_factory=dict)
    routes: dict[str, str] = Field(default_factory=dict)
    answers: dict[str, str] = Field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Changes:
    """What a fork is given differently; what is absent is as it would be without the fork.

    `prompts` are whole prompt texts by name. `input` is laid over the run's input, key by key. `routes` name the one
    model that answers a task, `vendor/model`: no other is tried. `answers` are answers that a person wrote, by the key
    of the node, which is not executed; once the fork is written they are with its steps, and `answered` has their
    hashes.
    """

    prompts: Mapping[str, str] = field(default_factory=dict)
    input: Mapping[str, Any] = field(default_factory=dict)
    routes: Mapping[str, str] = field(default_factory=dict)
    answers: Mapping[str, Any] = field(default_factory=dict)
    answered: Mapping[str, str] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.prompts or self.input or self.routes or self.answers or self.answered)

    def over(self, earlier: "Changes", *, executed: Collection[str] = ()) -> "Changes":
        """These laid over those of the run that the fork goes on from, which hold in the fork, too.

        Of earlier answers that a person wrote those remain whose nodes are not `executed` now.
        """
        return Changes(
            prompts={**earlier.prompts, **self.prompts},
            input={**earlier.input, **self.input},
            routes={**earlier.routes, **self.routes},
            answers=self.answers,
            answered={node: sha256 for node, sha256 in earlier.answered.items() if node not in executed},
        )

    def to_json(self) -> dict[str, Any]:
        """How `Run.fork_changes` keeps them."""
        found = {
            "prompts": {name: {"template": text} for name, text in self.prompts.items()},
            "input": dict(self.input),
            "routes": dict(self.routes),
            "answers": {**self.answered, **{node: json_hash(answer) for node, answer in self.answers.items()}},
        }
        return {name: value for name, value in found.items() if value}

    @classmethod
    def from_json(cls, raw: Any) -> "Changes":
        """The changes that a run was started with.

        Raises:
            ChangesInvalid: naming the first place that is wrong.
        """
        try:
            document = _Document.model_validate(raw or {})
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            place = ".".join(str(part) for part in first["loc"]) or "changes"
            raise ChangesInvalid(f"{place}: {first['msg']}.") from error
        for task, name in document.routes.items():
            split_route(task, name)
        prompts = {name: prompt.template for name, prompt in document.prompts.items()}
        return cls(prompts, document.input, document.routes, answered=document.answers)

    def routes_for(self, task: str, routes: Routes) -> tuple[Route, ...]:
        """How a task is answered: as the installation says, or by the one model that was chosen for this run.

        A chosen model that the installation routes to keeps the params it has there.
        """
        usual = routes.for_task(task)
        if task not in self.routes:
            return usual
        vendor, model = split_route(task, self.routes[task])
        same = next((route for route in usual if (route.vendor, route.model) == (vendor, model)), None)
        return (replace(same, move_on=()) if same else Route(vendor, model),)


def split_route(task: str, name: str) -> tuple[str, str]:
    """Vendor and model of a route's name; a model's own name may have slashes.

    Raises:
        ChangesInvalid: it is not `vendor/model`.
    """
    found = ROUTE.fullmatch(name)
    if found is None:
        raise ChangesInvalid(f"The route of {task} has to be vendor/model, such as local/local-1.")
    return found["vendor"], found["model"]
