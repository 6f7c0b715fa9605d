"""What apps register with the engine: stages, and what becomes of their results."""

import inspect
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from typing import TYPE_CHECKING, Any

from jsonschema import Draft202012Validator

if TYPE_CHECKING:
    from runs.models import Run, Step

StageFunction = Callable[..., Any] | Callable[..., Awaitable[Any]]


@dataclass(frozen=True)
class Stage:
    """A registered stage: `async def` where it waits, `def` where it computes."""

    name: str
    version: int
    type: str
    function: StageFunction
    defaults: Mapping[str, Any]
    params: Mapping[str, Any] | None = None
    task: str = ""
    prompt: str = ""

    @property
    def key(self) -> str:
        """How a DAG names it: `name@version`."""
        return f"{self.name}@{self.version}"

    @property
    def waits(self) -> bool:
        """Whether the stage runs on the event loop; the others run in the computing child."""
        return inspect.iscoroutinefunction(self.function)

    @property
    def target(self) -> str:
        """The IR schema target its answers are held against."""
        return f"stage:{self.name}"

    @cached_property
    def reads(self) -> frozenset[str]:
        """What it asks for by name: answers of nodes before it, or run input."""
        parameters = inspect.signature(self.function).parameters.values()
        return frozenset(item.name for item in parameters if item.kind is inspect.Parameter.KEYWORD_ONLY)

    def param_problems(self, given: Mapping[str, Any]) -> list[str]:
        """What is wrong with a node's params, each with its path: `.margin: 'wide' is not of type 'number'`."""
        if self.params is None:
            return []
        errors = Draft202012Validator(self.params).iter_errors({**self.defaults, **given})
        return [f"{error.json_path.removeprefix('$')}: {error.message[:200]}" for error in islice(errors, 20)]


@dataclass(frozen=True, slots=True)
class NodeOutput:
    """What an `@output` handler gets: the node's step, its IR, and the artifacts it recorded, by name."""

    run: "Run"
    step: "Step"
    ir: Any
    blobs: Mapping[str, Any]


OutputHandler = Callable[[NodeOutput], list[tuple[str, str]]]
FinishHandler = Callable[["Run"], None]
ForkHandler = Callable[["Run", "Run"], None]
InputCheck = Callable[[Mapping[str, Any]], Mapping[str, Any]]
Chore = Callable[[], object]

NO_PARAMS: Mapping[str, Any] = {"type": "object", "additionalProperties": False}

_stages: dict[str, Stage] = {}
_outputs: dict[tuple[str, str], OutputHandler] = {}
_finishers: dict[str, list[FinishHandler]] = {}
_fork_handlers: dict[str, list[ForkHandler]] = {}
_input_checks: dict[str, InputCheck] = {}
_chores: list[Chore] = []


def stage(
    name: str,
    *,
    version: int,
    type: str,
    defaults: Mapping[str, Any] | None = None,
    params: Mapping[str, Any] | None = None,
    task: str = "",
    prompt: str = "",
) -> Callable[[StageFunction], StageFunction]:
    """Register a function as the stage `name@version`.

    Its first argument is the step handle; keyword arguments bind to ancestors' IR by node key, else to the run's input.
    `type` is one of `Step.Type`; `defaults` are the params a node may override. `params` is their JSON Schema
    (Draft 2020-12): a pipeline whose node has others is refused when it is published. Without one, a node may have any.
    `task` and `prompt` name the one model call that it makes: by them a fork knows which nodes a change concerns.
    """
    if params is not None:
        Draft202012Validator.check_schema(params)

    def register(function: StageFunction) -> StageFunction:
        entry = Stage(name, version, type, function, dict(defaults or {}), params, task, prompt)
        known = _stages.get(entry.key)
        if known is not None and _place(known.function) != _place(function):
            raise RuntimeError(f"Stage {entry.key} is registered twice.")
        _stages[entry.key] = entry
        return function

    return register


def _place(function: StageFunction) -> tuple[str, str]:
    """Where a function stands: a module that is imported anew registers the same one."""
    return function.__module__, function.__qualname__


def output(pipeline: str, node: str) -> Callable[[OutputHandler], OutputHandler]:
    """Register what a node's result does to the domain.

    The handler runs inside the engine's fenced transaction, so it writes rows only: no network, no pictures. It returns
    links, pairs of (target type, target id).
    """

    def register(function: OutputHandler) -> OutputHandler:
        _outputs[pipeline, node] = function
        return function

    return register


def on_finish(pipeline: str) -> Callable[[FinishHandler], FinishHandler]:
    """Register what the end of a run does to the domain, whoever ended it and however. Rows only, as for `output`."""

    def register(function: FinishHandler) -> FinishHandler:
        handlers = _finishers.setdefault(pipeline, [])
        if function not in handlers:
            handlers.append(function)
        return function

    return register


def on_fork(pipeline: str) -> Callable[[ForkHandler], ForkHandler]:
    """Register what a fork of a run (parent, fork) means to the domain, inside the transaction that writes it.

    Rows only; a `SeeItError` refuses the fork.
    """

    def register(function: ForkHandler) -> ForkHandler:
        handlers = _fork_handlers.setdefault(pipeline, [])
        if function not in handlers:
            handlers.append(function)
        return function

    return register


def checks_input(pipeline: str) -> Callable[[InputCheck], InputCheck]:
    """Register what holds edited run input of a pipeline against what its stages take.

    The function gets some of the input's members and gives them as they are to be stored; a `SeeItError` refuses them.
    """

    def register(function: InputCheck) -> InputCheck:
        _input_checks[pipeline] = function
        return function

    return register


def find_stage(key: str) -> Stage | None:
    """The stage a DAG names, or None."""
    return _stages.get(key)


def find_output(pipeline: str, node: str) -> OutputHandler | None:
    """The handler of a node's result, or None."""
    return _outputs.get((pipeline, node))


def finishers(pipeline: str) -> list[FinishHandler]:
    """The handlers of a pipeline's run ends."""
    return list(_finishers.get(pipeline, ()))


def fork_handlers(pipeline: str) -> list[ForkHandler]:
    """The handlers of a pipeline's forks."""
    return list(_fork_handlers.get(pipeline, ()))


def input_check(pipeline: str) -> InputCheck | None:
    """What edited input of a pipeline is held against, or None."""
    return _input_checks.get(pipeline)


def chore(function: Chore) -> Chore:
    """Register what has to be done every minute or so, by any one worker: forgetting what its time is over for."""
    if function not in _chores:
        _chores.append(function)
    return function


def chores() -> list[Chore]:
    """Every app's chores."""
    return list(_chores)
