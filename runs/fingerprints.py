"""A run as a list of hashes, in the order in which one thing follows from another: what a replay has to meet.

Times, costs and who answered are left out: they are about one execution, not about what came out of it.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from core.canonical import json_hash
from core.storage import BlobMissing, BlobStore
from runs.blobs import read_blob
from runs.models import Artifact, Blob, MetricResult, Run, RunError, Step
from runs.recorded import FROM_OUTSIDE, came_with_fork

Role = Artifact.Role
# A question before its answer, an answer before what was made of it.
CAUSAL = (Role.RULES, Role.PROMPT, Role.REQUEST, Role.RESPONSE, Role.REPLY, Role.IMAGE, Role.RESULT, Role.PAYLOAD)
DECIDED = ("why", "candidates_in", "candidates_out", "drop_ratio", "reasons", "confidence", "score")
ASKED = ("vendor", "model", "prompt_name", "prompt_version", "prompt_sha256", "prompt_source")
ENDED = ("status", "attempt", "route", "error_code", "ir_valid", "ir_error_count")
MEASURED = ("profile_key", "value", "passed", "threshold", "must_pass", "unit", "details")
FAILED = ("code", "message", "retryable", "vendor", "model")
OF_ONE_CALL = ("idempotency_key", "finish_reason", "response_id")
OF_ONE_EXECUTION = frozenset({"queued_ms", "limit"})
OF_ONE_ATTEMPT = frozenset({"started_at", "traceback", "answered"})

GONE = "gone"  # deleted since: nothing to meet

Key = tuple[str, int, str]


@dataclass(frozen=True, slots=True)
class Print:
    """One value of a run by its hash. `step` is empty for the run's own, `attempt` 0 for what the step ended with."""

    step: str
    attempt: int
    name: str
    sha256: str
    read: Callable[[], Any] | None = None  # the value, where it is JSON

    @property
    def key(self) -> Key:
        """What is compared with what."""
        return self.step, self.attempt, self.name


def read_prints(run: Run, store: BlobStore | None = None, *, outside: frozenset[str] = frozenset()) -> list[Print]:
    """All hashes of a run, in causal order; of nodes that were ended from `outside` only that they were."""
    return list(_Reader(run, store or BlobStore(), outside).prints())


def ended_from_outside(step: Step, error: RunError | None) -> bool:
    """Whether neither a step's stage nor a rule has ended it: what it had done by then is a matter of chance."""
    failed = step.status == Step.Status.FAILED
    return failed and (not hasattr(step, "payload") or (error is not None and error.code in FROM_OUTSIDE))


class _Reader:
    def __init__(self, run: Run, store: BlobStore, outside: frozenset[str]) -> None:
        self._run, self._store, self._outside = run, store, outside
        self._artifacts: dict[tuple[Any, int], list[Artifact]] = {}
        for artifact in run.artifacts.select_related("blob").order_by("id"):
            self._artifacts.setdefault((artifact.step_id, artifact.attempt), []).append(artifact)
        self._metrics: dict[tuple[Any, int], list[MetricResult]] = {}
        for metric in run.metrics.filter(source="auto").order_by("id"):
            self._metrics.setdefault((metric.step_id, metric.attempt), []).append(metric)
        self._errors: dict[tuple[Any, int], RunError] = {}
        for error in run.errors.order_by("id"):
            self._errors[error.step_id, error.attempt] = error

    def prints(self) -> Iterator[Print]:
        run, version = self._run, self._run.pipeline_version
        yield _json("", 0, "pipeline", version.dag_sha256 if version else "")
        yield _json("", 0, "input", run.input)
        yield Print("", 0, "input hash", run.input_sha256)
        for item in self._artifacts.get((None, 1), []):
            if item.role == Role.INPUT and item.blob is not None:
                yield Print("", 0, f"input {item.name}", item.blob.sha256)
        for step in run.steps.select_related("payload", "ir_schema").order_by("seq"):
            if step.node_key and step.status in Step.ENDED:
                yield from self._step(step)
        yield _json("", 0, "end", _end(run))

    def _step(self, step: Step) -> Iterator[Print]:
        outside = step.node_key in self._outside
        told = hasattr(step, "payload") and not outside
        if told:
            yield _json(step.node_key, 0, "params", step.payload.params)
            yield _json(step.node_key, 0, "given", step.payload.input)
            yield Print(step.node_key, 0, "given hash", step.input_sha256)
            yield _json(step.node_key, 0, "variables", step.payload.variables)
        for number in range(1, step.attempt + 1):
            yield from self._attempt(step, number)
        if told:
            yield _json(step.node_key, 0, "answer", step.payload.ir)
            yield Print(step.node_key, 0, "answer hash", step.output_sha256)
            yield _json(step.node_key, 0, "validation", step.payload.validation_errors)
            yield _json(step.node_key, 0, "reasoning", lasting(step.payload.reasoning))
        if not outside:
            yield _json(step.node_key, 0, "decision", _columns(step, DECIDED))
            yield _json(step.node_key, 0, "asked", _columns(step, ASKED))
        names = ("status", "attempt", "error_code") if outside or came_with_fork(step) else ENDED
        yield _json(step.node_key, 0, "end", _columns(step, names))

    def _attempt(self, step: Step, number: int) -> Iterator[Print]:
        node = step.node_key
        kept = self._artifacts.get((step.pk, number), [])
        for role in CAUSAL:
            for item in sorted((item for item in kept if item.role == role), key=lambda item: item.name):
                yield self._artifact(node, item)
        for metric in self._metrics.get((step.pk, number), []):
            yield _json(node, number, f"metric {metric.key}", _columns(metric, MEASURED))
        error = self._errors.get((step.pk, number))
        if error is not None and error.code in FROM_OUTSIDE:
            yield _json(node, number, "error", {"code": error.code})
        elif error is not None:
            details = {name: value for name, value in error.details.items() if name not in OF_ONE_ATTEMPT}
            yield _json(node, number, "error", {**_columns(error, FAILED), "details": details})

    def _artifact(self, node: str, item: Artifact) -> Print:
        name, blob = f"{item.role} {item.name}" if item.role != item.name else str(item.role), item.blob
        if blob is None:
            return Print(node, item.attempt, name, GONE)
        if item.role == Role.RULES or (item.role == Role.PAYLOAD and item.name in ("attempt", "reasoning")):
            value = lasting(self._read(blob))
            return _json(node, item.attempt, name, value)
        is_json = blob.media_type == "application/json"
        return Print(node, item.attempt, name, blob.sha256, (lambda: self._read(blob)) if is_json else None)

    def _read(self, blob: Blob) -> Any:
        try:
            return json.loads(read_blob(blob, self._store))
        except (BlobMissing, ValueError):
            return None


def lasting(value: Any) -> Any:
    """What an attempt has said or gone by, without what is about this one execution of it."""
    if not isinstance(value, Mapping):
        return value
    kept = {name: item for name, item in value.items() if name not in OF_ONE_EXECUTION | {"computed_by"}}
    if isinstance(kept.get("reasoning"), Mapping):
        kept["reasoning"] = lasting(kept["reasoning"])
    if isinstance(kept.get("call"), Mapping):
        kept["call"] = {name: kept["call"].get(name) for name in OF_ONE_CALL}
    return kept


def _json(step: str, attempt: int, name: str, value: Any) -> Print:
    return Print(step, attempt, name, json_hash(value), lambda: value)


def _columns(row: Any, names: Iterable[str]) -> dict[str, Any]:
    return {name: getattr(row, name) for name in names}


def _end(run: Run) -> dict[str, Any]:
    """A cancelled run's end was somebody's wish: that it was cancelled is all there is to meet."""
    if run.status == Run.Status.CANCELLED:
        return {"status": run.status}
    return _columns(run, ("status", "error_stage", "error_code", "error_message", "degraded"))
