"""Which model answers which task: an ordered list of routes per task, from a TOML file."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

TASKS = ("cutout", "facts", "placement", "composite")


class RoutesInvalid(ValueError):
    """The routes file cannot be used; one line naming file, place and problem."""


@dataclass(frozen=True, slots=True)
class Route:
    """One way to answer a task. Errors listed in `move_on` (codes of `vendors.base`) lead to the next route."""

    vendor: str
    model: str
    params: Mapping[str, Any] = field(default_factory=dict)
    move_on: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Routes:
    """All routes, in order of preference for each task."""

    by_task: Mapping[str, tuple[Route, ...]]

    def for_task(self, task: str) -> tuple[Route, ...]:
        """The routes of a task, best first; empty when it has none."""
        return self.by_task.get(task, ())


class _Route(BaseModel):
    model_config = ConfigDict(extra="forbid")
    vendor: str = Field(min_length=1)
    model: str = Field(min_length=1)
    params: dict[str, Any] = Field(default_factory=dict)
    move_on: list[str] = Field(default_factory=list)


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid")
    tasks: dict[str, list[_Route]]


def load_routes(path: Path) -> Routes:
    """Read a routes file.

    Raises:
        RoutesInvalid: the file is missing, is not TOML, or says something that is not a route.
    """
    try:
        raw = tomllib.loads(path.read_text())
    except FileNotFoundError as error:
        raise RoutesInvalid(f"{path.name}: there is no such file") from error
    except tomllib.TOMLDecodeError as error:
        raise RoutesInvalid(f"{path.name}: not TOML: {error}") from error
    try:
        file = _File.model_validate(raw)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise RoutesInvalid(f"{path.name}: {place}: {first['msg']}") from error
    for task, routes in file.tasks.items():
        if task not in TASKS:
            raise RoutesInvalid(f"{path.name}: tasks.{task}: unknown task; known are {', '.join(TASKS)}")
        if not routes:
            raise RoutesInvalid(f"{path.name}: tasks.{task}: a task needs at least one route")
    return Routes(
        {
            task: tuple(Route(item.vendor, item.model, item.params, tuple(item.move_on)) for item in routes)
            for task, routes in file.tasks.items()
        }
    )
