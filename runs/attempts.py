"""One attempt of one node: execute, validate, measure. It ends in a result or in `AttemptFailed`; it writes nothing."""

import asyncio
import logging
import re
import reprlib
import traceback
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any
from uuid import UUID

from core.canonical import Encoded, canonical_json, canonical_object, sha256_hex
from core.pictures import bind_pictures, picture_refs, unbind_pictures
from core.pools import off_loop_if_large
from core.storage import BlobStore
from irschemas.metrics import GateResult, evaluate, grade
from irschemas.records import ActiveSchema, Profile
from irschemas.validation import Validation, validate_active
from runs.asking import Asker, SaveReply
from runs.context import Deps, RunContext
from runs.errors import AttemptFailed, ComputeLost, DatabaseAway, LeaseLost, PutOff, ended_itself
from runs.recorded_rules import RecordedRules
from runs.recording import Recording
from runs.registry import Stage, find_stage
from runs.rules import AttemptRules
from runs.step import StepHandle, StepSpec, call_arguments, refuse_large, run_computing_stage
from runs.turns import CLAIMANT, PATIENCE, Claimant, Patience
from vendors.routes import METRIC_FAILED, Route

logger = logging.getLogger(__name__)
QUEUE_WORTH_TELLING_S = 0.05
HELD_UP = "held up the loop"
LAST_WORDS_S = 2.0  # for a stage that is cancelled
NUL = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")  # the escape, not a text that speaks of it
SHORT = reprlib.Repr()
SHORT.maxstring = SHORT.maxother = 200


@dataclass
class Attempt:
    """What one attempt came to; filled as it goes, so that a failed one is as readable as a good one."""

    node_key: str
    number: int
    route: int
    params: dict[str, Any]
    bindings: dict[str, Any]
    recording: Recording = field(default_factory=Recording)
    ir: Any = None
    schema: ActiveSchema | None = None
    validation: Validation | None = None
    gate: GateResult | None = None
    profile: str = ""
    routes_left: bool = False  # whether another route could be taken if this attempt failed
    asked_route: Route | None = None
    fell_back_from: str = ""  # the route that should have answered, where another one did
    first_route: int = field(init=False)  # where choosing began: a repetition chooses anew from there
    cache_key: str = ""
    reused_from: UUID | None = None
    rules: AttemptRules | None = None
    taken: bool = False  # a replay's, with an answer that cannot be made again

    def __post_init__(self) -> None:
        self.first_route = self.route

    def moves_on(self, failure: AttemptFailed) -> bool:
        """Whether a failure leads to the next route, and there is one that can be taken."""
        code = METRIC_FAILED if failure.kind == METRIC_FAILED else failure.code
        return self.routes_left and self.asked_route is not None and self.asked_route.moves_on(code)

    @cached_property
    def params_body(self) -> Encoded:
        """The params as canonical JSON."""
        return Encoded(canonical_json(self.params))

    @cached_property
    def bindings_body(self) -> Encoded:
        """What the stage was given by name, as canonical JSON."""
        return Encoded(canonical_json(self.bindings))

    @cached_property
    def ir_body(self) -> Encoded:
        """The answer as canonical JSON. Read it once the attempt is over, not before.

        Raises:
            ValueError, TypeError: the answer is not JSON.
        """
        return Encoded(canonical_json(self.ir))

    def encode(self) -> None:
        """Bring the answer into its stored form; raises as `ir_body` does."""
        self.ir_body  # noqa: B018 - a cached property

    @property
    def input_sha256(self) -> str:
        """Hash of everything the stage was given."""
        return sha256_hex(canonical_object({"params": self.params_body, "bindings": self.bindings_body}))


async def run_attempt(context: RunContext, deps: Deps, attempt: Attempt, save: SaveReply) -> None:
    """Fill in an attempt: the stage's answer, its validation, its metrics.

    Raises:
        AttemptFailed: named by what went wrong; the attempt keeps what had been recorded by then.
        LeaseLost: the run belongs to another worker now.
        DatabaseAway: the run goes on when the database is back.
    """
    node = context.dag.nodes[attempt.node_key]
    stage = find_stage(node.step)
    if stage is None:
        raise AttemptFailed("stage_missing", f"This release has no stage {node.step}.")
    CLAIMANT.set(Claimant(context.run.priority, context.owner))
    patience = Patience(node.timeout_ms / 1000)
    PATIENCE.set(patience)
    loop = asyncio.get_running_loop()
    started = loop.time()
    try:
        async with patience:
            if attempt.reused_from is None and not attempt.taken:
                await _execute(context, deps, attempt, stage, save)
            await _validate(context, deps, attempt, stage)
            await _measure(context, deps, attempt)
        _refuse_overtime(stage, node.timeout_ms / 1000, loop.time() - started - patience.queued_s)
    except TimeoutError as error:
        if error.__cause__ is not None and HELD_UP in error.__cause__.args:
            _refuse_overtime(stage, node.timeout_ms / 1000, loop.time() - started - patience.queued_s)
        text = f"The stage {stage.name} did not end within {node.timeout_ms / 1000:g} s."
        raise AttemptFailed("timeout", text, kind="timeout", retryable=True) from error
    except (AttemptFailed, DatabaseAway, LeaseLost, PutOff):
        raise
    except ComputeLost as error:
        raise AttemptFailed("worker_lost", f"{error}.", kind="worker_lost", retryable=True) from error
    except Exception as error:  # the one place that turns a crash into a failed attempt
        logger.exception("stage crashed", extra={"stage": stage.key, "node": attempt.node_key})
        detail = {"traceback": traceback.format_exc()[-4000:]}
        message = getattr(error, "message", None) or f"{type(error).__name__}: {error}"
        code = getattr(error, "code", None)  # ours is a word; other libraries keep numbers, or nothing, under that name
        named = code if isinstance(code, str) and code else "stage_crashed"
        raise AttemptFailed(named[:63], str(message)[:1000], details=detail) from error
    finally:
        if patience.queued_s >= QUEUE_WORTH_TELLING_S:
            attempt.recording.reasoning["queued_ms"] = round(patience.queued_s * 1000)


def _refuse_overtime(stage: Stage, allowed_s: float, taken_s: float) -> None:
    """Fail an attempt that took too long without its time-out having had a chance to end it."""
    if taken_s <= allowed_s:
        return
    text = f"The stage {stage.name} took {taken_s:.1f} s and may take {allowed_s:g} s."
    if stage.waits:
        text += (
            " It held up the event loop meanwhile: what computes, or waits without `await`, has to be a `def` stage."
        )
    raise AttemptFailed("timeout", text, kind="timeout", retryable=True)


async def _execute(context: RunContext, deps: Deps, attempt: Attempt, stage: Stage, save: SaveReply) -> None:
    spec = StepSpec(
        run_id=str(context.told_as),
        owner=context.owner,
        node_key=attempt.node_key,
        stage=stage.key,
        attempt=attempt.number,
        params=attempt.params,
        bindings=attempt.bindings,
    )
    if not stage.waits:
        try:
            attempt.ir, attempt.recording = await deps.compute(run_computing_stage, spec, deps.store)
        except AttemptFailed as failure:
            attempt.recording = failure.recording or attempt.recording
            attempt.ir = failure.answer
            raise
        return
    rules = rules_of(context, deps, attempt)
    asker = Asker(context, deps, attempt.node_key, attempt.route, save, rules)
    handle = StepHandle(
        spec,
        deps.store,
        asker=asker,
        rules=rules,
        compute=deps.compute,
    )
    attempt.recording = handle.recording
    try:
        attempt.ir = await _wait_for(stage, handle)
    finally:
        await handle.settle()
        choice = asker.conclude(attempt.recording.call)
        if choice is not None and choice.index is not None:
            attempt.route, attempt.asked_route, attempt.routes_left = choice.index, choice.route, choice.left
            attempt.fell_back_from = choice.fell_back_from(context.run.shop.features if context.run.shop else {})


async def _wait_for(stage: Stage, handle: StepHandle) -> Any:
    """The answer of a stage that waits. One that goes on when it is cancelled is left alone: its run has to end."""
    work = asyncio.ensure_future(_answer(stage, handle))
    try:
        await asyncio.wait({work})
    except asyncio.CancelledError as error:
        if work.done():  # nobody could be told that its time was over while it held the loop
            error.args = (HELD_UP,)
        work.cancel()
        handle.close()
        done, _ = await asyncio.wait({work}, timeout=LAST_WORDS_S)
        if not done:
            logger.error("stage ignores that it is cancelled", extra={"stage": stage.key, "node": handle.spec.node_key})
        elif not work.cancelled():
            work.exception()  # it has ended; how, does not matter any more
        raise
    return work.result()


async def _answer(stage: Stage, handle: StepHandle) -> Any:
    """One that wants to end the process must not take the loop's other runs along."""
    try:
        return unbind_pictures(await stage.function(handle, **call_arguments(stage, handle)))
    except (SystemExit, KeyboardInterrupt) as error:  # Ctrl-C reaches the main thread; no run is executed there
        raise AttemptFailed("stage_crashed", ended_itself(error)) from error


def rules_of(context: RunContext, deps: Deps, attempt: Attempt) -> AttemptRules:
    """The rules that an attempt goes by: those of now, or in a replay those of then."""
    if attempt.rules is None:
        recorded, key = context.recorded, attempt.node_key
        if recorded is not None:
            attempt.rules = RecordedRules(recorded, context, deps, key, attempt.number)
        else:
            attempt.rules = AttemptRules(context, deps)
    return attempt.rules


async def _validate(context: RunContext, deps: Deps, attempt: Attempt, stage: Stage) -> None:
    """Hold the answer against the active schema: off, logged, or enforced."""
    await off_loop_if_large(attempt.ir, _hold_against_schema, context, rules_of(context, deps, attempt), attempt, stage)


def _hold_against_schema(context: RunContext, rules: AttemptRules, attempt: Attempt, stage: Stage) -> None:
    try:
        attempt.encode()
        refuse_large(len(attempt.ir_body))
        if attempt.ir_body.find(b"\\u0000") >= 0 and NUL.search(attempt.ir_body):
            raise ValueError("a text holds a NUL character")
    except AttemptFailed:
        attempt.ir = None
        raise
    except (ValueError, TypeError, RecursionError) as error:
        shown, attempt.ir = SHORT.repr(attempt.ir), None
        text = f"The stage's answer is not JSON that can be stored: {error}."
        raise AttemptFailed("ir_invalid", text, kind="ir_invalid", details={"answer": shown}) from error
    attempt.schema = rules.schema(stage.target)
    mode = rules.ir_mode(context.dag.nodes[attempt.node_key].ir_mode)
    if mode == "off" or attempt.schema is None:
        return
    attempt.validation = validate_active(attempt.schema, attempt.ir)
    if attempt.validation.passed or mode == "log":
        return
    schema = f"{stage.target} v{attempt.schema.version}"
    text = f"The answer does not follow the schema {schema}. {attempt.validation.summary()}"
    raise AttemptFailed("ir_invalid", text[:1000], kind="ir_invalid", retryable=True)


async def _measure(context: RunContext, deps: Deps, attempt: Attempt) -> None:
    """Compute the node's metric profile; a must-pass metric that fails is a failed attempt."""
    key = context.dag.nodes[attempt.node_key].metric_profile
    if key is None:
        return
    profile = rules_of(context, deps, attempt).profile(key)
    if profile is None:
        raise AttemptFailed("profile_unknown", f"There is no metric profile {key}.")
    attempt.profile = key
    attempt.gate = await deps.compute(measure_profile, profile, attempt.ir, attempt.bindings, deps.store, context.owner)
    if not attempt.gate.passed:
        text = f"The quality gate rejected the result. {attempt.gate.summary()}"
        raise AttemptFailed(
            "gate_rejected",
            text[:1000],
            kind="metric_failed",
            retryable=_may_differ(deps, attempt),
            details={"failed": list(attempt.gate.failed_keys)},
        )


def _may_differ(deps: Deps, attempt: Attempt) -> bool:
    """Whether the same question may get another answer: a vendor that computes here gives the same one every time."""
    route = attempt.asked_route
    if (
        route is None or attempt.route > 0
    ):  # nobody was asked, or another one before whose answer may be better next time
        return True
    vendor = deps.vendors.get(route.vendor)  # a replay may be of a run that was answered by one that is not set up here
    return vendor is None or vendor.kind != "cpu"


def measure_profile(profile: Profile, ir: Any, bindings: dict[str, Any], store: BlobStore, owner: str) -> GateResult:
    """Evaluate and grade a profile here and now; this is what the computing child is asked to do."""

    def read(sha256: str) -> bytes:
        return store.read(owner, sha256)

    artifacts = {ref["$blob"]: bind_pictures(ref, read) for ref in picture_refs(ir)}
    values = evaluate(profile, bind_pictures(ir, read), bind_pictures(bindings, read), artifacts)
    return grade(profile, values)
