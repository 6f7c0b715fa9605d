"""Which model answers which task: an ordered list of routes per task, from a TOML file."""

import json
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from vendors.base import (
    BadResponse,
    KeyRefused,
    QuotaExhausted,
    RateLimited,
    Refused,
    Rejected,
    TimedOut,
    Unavailable,
    VendorError,
)

DEFAULT_TIMEOUT_S, LONGEST_TIMEOUT_S = 60.0, 600.0
TASKS = ("cutout", "facts", "placement", "composite")
# A picture that the quality gate rejected: the next route may do better, so it always moves on.
METRIC_FAILED = "metric_failed"
_ERRORS: tuple[type[VendorError], ...] = (
    VendorError,
    RateLimited,
    QuotaExhausted,
    Unavailable,
    TimedOut,
    Refused,
    Rejected,
    KeyRefused,
    BadResponse,
)
IR_INVALID = "ir_invalid"  # an answer that the schema refused, once the node's retries are used up
MOVE_ON_CODES = (*(error.code for error in _ERRORS), METRIC_FAILED, IR_INVALID)
# A service that refuses our key, or our quota, answers nobody: whoever can, asks the next one.
ALWAYS_MOVES_ON = frozenset({METRIC_FAILED, KeyRefused.code, QuotaExhausted.code})


class RoutesInvalid(ValueError):
    """The routes file cannot be used; one line naming file, place and problem."""


@dataclass(frozen=True, slots=True)
class Route:
    """One way to answer a task. Errors listed in `move_on` (codes of `vendors.base`) lead to the next route.

    A route with a `feature` is open to shops that have it switched on. `timeout_s` is how long an answer may take.
    """

    vendor: str
    model: str
    params: Mapping[str, Any] = field(default_factory=dict)
    move_on: tuple[str, ...] = ()
    feature: str = ""
    timeout_s: float = DEFAULT_TIMEOUT_S

    @property
    def name(self) -> str:
        """`vendor/model`."""
        return f"{self.vendor}/{self.model}"

    def moves_on(self, code: str) -> bool:
        """Whether an attempt that failed with this code goes to the next route."""
        return code in ALWAYS_MOVES_ON or code in self.move_on


@dataclass(frozen=True, slots=True)
class RunBudget:
    """What all calls of one run may cost, and how long after its start a service may still be asked; None: no limit."""

    max_cost_usd: Decimal | None = None
    max_latency_s: float | None = None


@dataclass(frozen=True, slots=True)
class Limit:
    """What all our processes together may ask of a vendor: calls at once and calls a minute; None where unlimited."""

    concurrency: int | None = None
    per_minute: int | None = None


@dataclass(frozen=True, slots=True)
class Routes:
    """All routes, in order of preference for each task, and the limits of vendors that have any."""

    by_task: Mapping[str, tuple[Route, ...]]
    limits: Mapping[str, Limit] = field(default_factory=dict)
    run: RunBudget = RunBudget()

    def for_task(self, task: str) -> tuple[Route, ...]:
        """The routes of a task, best first; empty when it has none."""
        return self.by_task.get(task, ())

    @property
    def vendors(self) -> frozenset[str]:
        """Names of all vendors that some route leads to."""
        return frozenset(route.vendor for routes in self.by_task.values() for route in routes)


class _Route(BaseModel):
    model_config = ConfigDict(extra="forbid")
    vendor: str = Field(min_length=1)
    model: str = Field(min_length=1)
    params: dict[str, Any] = Field(default_factory=dict)
    move_on: list[str] = Field(default_factory=list)
    feature: str = Field(default="", pattern=r"^([a-z][a-z0-9_]{0,62})?$")
    timeout_s: float = Field(default=DEFAULT_TIMEOUT_S, gt=0, le=LONGEST_TIMEOUT_S, strict=True)

    @field_validator("params")
    @classmethod
    def _are_json(cls, params: dict[str, Any]) -> dict[str, Any]:
        try:
            json.dumps(params, allow_nan=False)
        except (TypeError, ValueError) as error:
            raise ValueError(f"params are texts, numbers, booleans, lists and tables: {error}") from error
        return params

    @field_validator("move_on")
    @classmethod
    def _codes_exist(cls, codes: list[str]) -> list[str]:
        for code in codes:
            if code not in MOVE_ON_CODES:
                raise ValueError(f"{code!r} is no error code; known are {', '.join(MOVE_ON_CODES)}")
        return codes


class _Limit(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)
    concurrency: int | None = Field(default=None, ge=1)
    per_minute: int | None = Field(default=None, ge=1)


class _Budget(BaseModel):
    model_config = ConfigDict(extra="forbid")
    max_cost_usd: Decimal | None = Field(default=None, gt=0, allow_inf_nan=False)
    max_latency_s: float | None = Field(default=None, gt=0, allow_inf_nan=False)


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid")
    run: _Budget = Field(default_factory=_Budget)
    tasks: dict[str, list[_Route]]
    limits: dict[str, _Limit] = Field(default_factory=dict)


def load_routes(path: Path) -> Routes:
    """Read a routes file.

    Raises:
        RoutesInvalid: the file is missing, is not TOML, or says something that is not a route.
    """
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise RoutesInvalid(f"{path.name}: there is no such file") from error
    except (OSError, UnicodeDecodeError) as error:
        raise RoutesInvalid(f"{path.name}: cannot be read as text") from error
    except tomllib.TOMLDecodeError as error:
        raise RoutesInvalid(f"{path.name}: not TOML: {error}") from error
    try:
        file = _File.model_validate(raw)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(part) for part in first["loc"]) or "file"
        raise RoutesInvalid(f"{path.name}: {place}: {first['msg']}") from error
    for task in file.tasks:
        if task not in TASKS:
            raise RoutesInvalid(f"{path.name}: tasks.{task}: unknown task; known are {', '.join(TASKS)}")
    for task in TASKS:
        if not file.tasks.get(task):
            raise RoutesInvalid(f"{path.name}: tasks.{task}: a task needs at least one route")
    return Routes(
        {
            task: tuple(Route(**{**dict(item), "move_on": tuple(item.move_on)}) for item in routes)
            for task, routes in file.tasks.items()
        },
        {vendor: Limit(item.concurrency, item.per_minute) for vendor, item in file.limits.items()},
        RunBudget(file.run.max_cost_usd, file.run.max_latency_s),
    )
