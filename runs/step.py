"""The handle a stage gets: it records decisions and evidence, and asks the one model call a step may make."""

import asyncio
import contextlib
import inspect
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from core.canonical import canonical_json
from core.pictures import PictureRef, bind_pictures, unbind_pictures
from core.pools import off_loop
from core.storage import BlobStore
from prompts.selection import Selection
from runs.blobs import BlobDraft, describe_blob
from runs.compute import Compute
from runs.errors import AttemptFailed
from runs.recording import Recorder, Recording
from runs.registry import Stage, find_stage
from runs.rules import AttemptRules
from vendors.base import Reply
from vendors.routes import Route

MAX_ANSWER = 5 * 1024 * 1024
OPAQUE = "application/octet-stream"


@dataclass(frozen=True, slots=True)
class StepSpec:
    """What a stage works on, as plain values: the same in the worker and in its computing child."""

    run_id: str
    owner: str
    node_key: str
    stage: str
    attempt: int
    params: Mapping[str, Any]
    bindings: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Question:
    """A model call as a stage puts it: the task, the prompt's name and variables, pictures by role in order.

    `answers` names the properties of the stage's answer that the model is to give as JSON: none for all of them, None
    where it is not asked for JSON.
    """

    task: str
    prompt: str | None
    variables: Mapping[str, Any]
    images: Mapping[str, PictureRef]
    params: Mapping[str, Any]
    answers: tuple[str, ...] | None = None


class Asker(Protocol):
    """Asks a stage's question on the route that the attempt uses."""

    def route_for(self, task: str) -> Route: ...

    def __call__(self, question: Question, recorder: Recorder) -> Awaitable[Reply]: ...


class StepHandle(Recorder):
    """What a stage's first argument offers.

    `params` are the stage's defaults overlaid by the node's. `artifact`, `candidates`, `why`, `confidence`, `score` and
    `reasoning` record. `ask` is the one model call, `compute` runs a plain function where computing belongs.
    """

    def __init__(
        self,
        spec: StepSpec,
        store: BlobStore,
        *,
        asker: Asker | None = None,
        rules: AttemptRules | None = None,
        compute: Compute | None = None,
    ) -> None:
        super().__init__(store, spec.owner)
        self.spec = spec
        self.params = dict(spec.params)
        self._asker = asker
        self._rules = rules
        self._compute = compute
        self._asked = False
        self._being_put: dict[str, tuple[bytes, asyncio.Future[Any]]] = {}

    async def ask(
        self,
        task: str,
        *,
        prompt: str | None = None,
        variables: Mapping[str, Any] | None = None,
        images: Mapping[str, PictureRef] | None = None,
        params: Mapping[str, Any] | None = None,
        answers: Sequence[str] | None = None,
    ) -> Reply:
        """Ask the model that the task is routed to.

        `answers` asks for JSON: the named properties of this stage's answer, or with `()` all of it. It is held against
        the schema before it gets here, whatever the model is.

        Raises:
            RuntimeError: a second call in one step; make two nodes, so that each has its own prompt, schema and cost.
            AttemptFailed: the vendor did not give a usable answer.
        """
        if self._asked:
            raise RuntimeError("A step makes at most one model call; split the stage into two nodes.")
        if self._asker is None:
            raise RuntimeError("A stage that asks a model waits, so it has to be `async def`.")
        stage = find_stage(self.spec.stage)
        if stage is not None and stage.task and (task, prompt or "") != (stage.task, stage.prompt):
            known = f"the task {stage.task} with {f'the prompt {stage.prompt}' if stage.prompt else 'no prompt'}"
            raise RuntimeError(f"Stage {stage.key} is registered as one that asks for {known}.")
        self._asked = True
        asked = {**self.params, **(params or {})}
        names = None if answers is None else tuple(answers)
        question = Question(task, prompt, variables or {}, images or {}, asked, names)
        return await self._asker(question, self)

    def route(self, task: str) -> Route:
        """Where a call for this task would go now, without making it: what a model is shown may depend on who it is.

        Raises:
            AttemptFailed: no model is routed to the task.
        """
        if self._asker is None:
            raise RuntimeError("A stage that asks a model waits, so it has to be `async def`.")
        return self._asker.route_for(task)

    def close(self) -> None:
        """The attempt is over: whatever its stage still does, it asks no model."""
        self._asked = True

    async def read(self, picture: PictureRef) -> bytes:
        """A picture's bytes, for stages that wait: `picture.read()` would hold up every run of the worker."""
        return await off_loop(picture.read)

    def read_blob(self, sha256: str) -> bytes:
        """Bytes of this run's shop by hash, those included that are still on their way into the store."""
        if sha256 in self._being_put:
            return self._being_put[sha256][0]
        return super().read_blob(sha256)

    def _keep_bytes(self, content: bytes, media_type: str) -> BlobDraft:
        """In a stage that waits the store takes its time while the stage goes on; `settle` waits for it."""
        if self._asker is None:
            return super()._keep_bytes(content, media_type)
        draft = describe_blob(self._owner, content, media_type)
        if draft.body is None and draft.sha256 not in self._being_put:
            put = asyncio.ensure_future(off_loop(self._store.put, self._owner, content, media_type))
            self._being_put[draft.sha256] = content, put
        return draft

    async def settle(self) -> None:
        """Wait until everything that was recorded is in the store; what could not be stored is not evidence.

        Raises:
            Exception: the store's, when it refused something.
        """
        if not self._being_put:
            return
        results = await asyncio.gather(*(put for _, put in self._being_put.values()), return_exceptions=True)
        errors = {sha256: e for sha256, e in zip(self._being_put, results, strict=True) if isinstance(e, BaseException)}
        self._being_put.clear()
        for error in errors.values():
            kept = [draft for draft in self.recording.artifacts if draft.blob.sha256 not in errors]
            self.recording.artifacts = kept
            raise error

    def prompt(self, name: str) -> Selection:
        """Which prompt a call would use now (override, experiment or production), without making it."""
        if self._rules is None:
            raise RuntimeError("Prompts are selected on the event loop; make the stage `async def`.")
        return self._rules.select(name)

    async def fetch(
        self, name: str, function: Callable[..., Awaitable[bytes]], *arguments: Any, media_type: str = OPAQUE
    ) -> bytes:
        """Bytes that an async function brings from outside. They are evidence, and a replay takes them from there."""
        if self._rules is None:
            raise RuntimeError("What is fetched is waited for; make the stage `async def`.")
        content = await off_loop(self._rules.from_outside, name)
        if content is None:
            content = await function(*arguments)
        self.artifact(name, content, media_type)
        return content

    async def compute(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Run a module-level function with plain arguments where computing belongs (the worker's child process)."""
        if self._compute is None:
            raise RuntimeError("This stage computes already; call the function.")
        return await self._compute(function, *arguments)


def call_arguments(stage: Stage, handle: StepHandle) -> dict[str, Any]:
    """Keyword arguments of a stage, by name from its bindings, pictures as lazy references.

    Parameters with a default are optional. Raises RuntimeError when neither input nor ancestors have a needed one.
    """
    bindings = handle.spec.bindings
    parameters = [
        parameter
        for parameter in inspect.signature(stage.function).parameters.values()
        if parameter.kind is inspect.Parameter.KEYWORD_ONLY
    ]
    missing = [
        parameter.name
        for parameter in parameters
        if parameter.name not in bindings and parameter.default is inspect.Parameter.empty
    ]
    if missing:
        raise RuntimeError(f"Stage {stage.key} needs {', '.join(missing)}; neither input nor ancestors have it.")
    return {
        parameter.name: bind_pictures(bindings[parameter.name], handle.read_blob)
        for parameter in parameters
        if parameter.name in bindings
    }


def run_computing_stage(spec: StepSpec, store: BlobStore) -> tuple[Any, Recording]:
    """Execute a `def` stage here and now; this is what the computing child is asked to do."""
    stage = find_stage(spec.stage)
    if stage is None:
        raise RuntimeError(f"There is no stage {spec.stage}.")
    handle = StepHandle(spec, store)
    try:
        ir = stage.function(handle, **call_arguments(stage, handle))
    except AttemptFailed as failure:
        failure.recording = handle.recording
        raise
    answer = unbind_pictures(ir)
    with contextlib.suppress(ValueError, TypeError, RecursionError):  # what is not JSON is told from outside
        refuse_large(len(canonical_json(answer)), handle.recording)
    return answer, handle.recording


def refuse_large(size: int, recording: Recording | None = None) -> None:
    """Refuse an answer that is too large to be a run's memory, before it travels any further.

    Raises:
        AttemptFailed: `ir_too_large`.
    """
    if size > MAX_ANSWER:
        text = f"The stage's answer has {size:,} bytes as JSON; an answer has at most {MAX_ANSWER:,}."
        failure = AttemptFailed("ir_too_large", f"{text} What is larger belongs into `step.artifact`.")
        failure.recording = recording
        raise failure
