"""A run as it was recorded, for its replay: the rules, the models' answers, and whatever else came from outside.

Everything that a stage computes is computed anew. What it cannot compute is taken from the recording: answers of
models, bytes that were fetched, nodes that act outside, answers that the run itself had taken over from an earlier one,
and how attempts ended that nobody ended from inside (a time-out, a worker that was lost).
"""

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, TypeVar
from uuid import UUID

from core.canonical import sha256_hex
from core.ids import Ulid
from core.storage import BlobMissing, BlobStore
from irschemas.models import IRSchema
from runs.blobs import BlobDraft, read_blob
from runs.dag import Dag, published_dag
from runs.errors import AttemptFailed
from runs.models import Artifact, Run, RunError, Step
from runs.policy import Decisions, Retry
from runs.recording import ModelCall, PromptUse, Recording

if TYPE_CHECKING:
    from runs.attempts import Attempt

T = TypeVar("T")
# How an attempt ends when neither its stage nor a rule has ended it; doing the same again would not repeat it.
FROM_OUTSIDE = frozenset({"timeout", "worker_lost", "bytes_gone", "output_refused", "outcome_unknown", "interrupted"})
SAID = ("why", "candidates_in", "candidates_out", "reasons", "confidence", "score")
EXCHANGE = (Artifact.Role.REQUEST, Artifact.Role.RESPONSE, Artifact.Role.REPLY)


@dataclass
class RecordedAttempt:
    """What is kept of one attempt: its evidence, and its error if it failed."""

    artifacts: list[Artifact] = field(default_factory=list)
    failure: RunError | None = None

    def of_role(self, *roles: str) -> list[Artifact]:
        """Evidence that is still there."""
        return [item for item in self.artifacts if item.role in roles and item.blob is not None]


@dataclass
class RecordedRun:
    """The original of a replay."""

    run: Run
    dag: Dag
    steps: Mapping[str, Step]
    attempts: Mapping[tuple[str, int], RecordedAttempt]
    store: BlobStore
    rank: Mapping[str, int]  # the nodes that ended, in the order in which they did
    _rules: dict[UUID, dict[str, Any] | AttemptFailed] = field(default_factory=dict)

    @property
    def run_values(self) -> dict[str, Any]:
        """What conditions saw of the run."""
        origin = self.run.summary.get("origin") or {}
        run = self.run
        values = {"trigger": run.trigger, "mode": run.mode, "environment": run.environment}
        return {**values, **{name: origin[name] for name in values if name in origin}}

    @property
    def shop_values(self) -> dict[str, Any] | None:
        """What conditions saw of the shop, if any of them looked."""
        for attempt in self.attempts.values():
            if shop := self.readable_rules(attempt).get("shop"):
                return dict(shop)
        return None

    def attempt(self, node_key: str, number: int) -> RecordedAttempt:
        """What is kept of an attempt; an empty one for an attempt that never was."""
        return self.attempts.get((node_key, number)) or RecordedAttempt()

    def rules_of(self, attempt: RecordedAttempt) -> dict[str, Any]:
        """The rules that an attempt went by; empty where it went by none. Read once, so that no event loop waits.

        Raises:
            AttemptFailed: as `read`.
        """
        kept = attempt.of_role(Artifact.Role.RULES)
        if not kept:
            return {}
        if kept[0].pk not in self._rules:
            self._rules[kept[0].pk] = self._read_rules(kept[0])
        known = self._rules[kept[0].pk]
        if isinstance(known, AttemptFailed):
            raise known
        return known

    def _read_rules(self, artifact: Artifact) -> dict[str, Any] | AttemptFailed:
        try:
            return dict(json.loads(self.read(artifact)))
        except AttemptFailed as failure:
            return failure

    def readable_rules(self, attempt: RecordedAttempt) -> dict[str, Any]:
        """The rules that an attempt went by; empty also where they cannot be read: whoever needs them will say so."""
        try:
            return self.rules_of(attempt)
        except AttemptFailed:
            return {}

    def read(self, artifact: Artifact) -> bytes:
        """The bytes of a piece of evidence.

        Raises:
            AttemptFailed: `evidence_damaged`: they are not those that were recorded; `evidence_gone`: there are none.
        """
        assert artifact.blob is not None
        what = f"{artifact.role} {artifact.name}"
        try:
            content = read_blob(artifact.blob, self.store)
        except BlobMissing as error:
            raise AttemptFailed("evidence_gone", f"The bytes of {what} are gone.") from error
        if sha256_hex(content) != artifact.blob.sha256:
            raise AttemptFailed("evidence_damaged", f"The bytes of {what} are not those that were recorded.")
        return content

    def columns(self, node_key: str) -> dict[str, Any]:
        """What conditions saw of an ended step that a replay would measure differently."""
        step = self.steps[node_key]
        cost = None if step.cost_usd is None else float(step.cost_usd)
        return {"latency_ms": step.latency_ms, "cost_usd": cost, "reused": taken_over(step)}

    def keep_order(self, decisions: Decisions, at_work: bool) -> None:
        """Begin one node at a time, in the order in which they ended; none that has not ended.

        So a replay ends with the failure that the original ended with, whatever would be quicker now.
        """
        able = sorted((key for key in decisions.begin if key in self.rank), key=self.rank.__getitem__)
        decisions.begin = [] if at_work else able[:1]

    def retry(self, node_key: str, number: int, decided: Retry | None) -> Retry | None:
        """What follows a failed attempt: what policy says, without the wait; a lost worker counts as no retry."""
        failure = self.attempt(node_key, number).failure
        if failure is not None and failure.details.get("lost") == "worker" and number < self.steps[node_key].attempt:
            return Retry(0.0, next_route=False, counts=False)
        return replace(decided, wait_s=0.0) if decided else None

    def take(self, attempt: "Attempt") -> AttemptFailed | None:
        """Fill in an attempt that is not executed; gives the failure that it ended with, if it did.

        Its answer is validated and measured again, as any other.
        """
        known, step = self.attempt(attempt.node_key, attempt.number), self.steps[attempt.node_key]
        attempt.taken = True
        if known.failure is not None:
            attempt.recording = _evidence(Recording(), known)
            return self.failure(attempt.node_key, attempt.number)
        attempt.recording = _evidence(_said(step), known)
        attempt.ir = step.payload.ir
        attempt.reused_from = step.reused_from_id
        attempt.cache_key = step.cache_key
        return None

    def is_taken(self, attempt: "Attempt") -> bool:
        """Whether an attempt cannot be repeated: it acted outside, was ended from there, or was somebody else's."""
        step, known = self.steps[attempt.node_key], self.attempt(attempt.node_key, attempt.number)
        if known.failure is not None:
            last = attempt.number == step.attempt and step.status == Step.Status.FAILED
            unwritten = last and not hasattr(step, "payload")  # ended over the head of its attempt
            return known.failure.code in FROM_OUTSIDE or unwritten or self._acts_outside(attempt.node_key)
        return taken_over(step) or self._acts_outside(attempt.node_key)

    def failure(self, node_key: str, number: int) -> AttemptFailed:
        """The failure that an attempt ended with, once more."""
        row = self.attempt(node_key, number).failure
        if row is None:
            return AttemptFailed("not_recorded", f"What attempt {number} of {node_key} came to is not recorded.")
        details = {name: value for name, value in row.details.items() if name not in ENGINES}
        # An end that nothing followed was the end, however often the policy might have tried again.
        last = number >= self.steps[node_key].attempt and row.code in FROM_OUTSIDE
        return AttemptFailed(
            row.code,
            row.message,
            kind="" if last else str(row.details.get("kind", "")),
            retryable=row.retryable,
            retry_after_s=row.details.get("retry_after_s"),
            details=details,
        )

    def _acts_outside(self, node_key: str) -> bool:
        return self.dag.nodes[node_key].side_effects == "external"


ENGINES = frozenset({"kind", "retry_after_s", "started_at", "lost"})  # what the engine adds to an error's details


def taken_over(step: Step) -> bool:
    """Whether a step's answer was not made in its run: a fork's reused one, or an earlier answer to the same input."""
    if step.status not in (Step.Status.COMPLETED, Step.Status.SKIPPED):
        return False
    return came_with_fork(step) or (hasattr(step, "payload") and "reused_from" in step.payload.reasoning)


def came_with_fork(step: Step) -> bool:
    """Whether a fork had this step from its start: taken over with the answer, or written by a person."""
    return step.type == Step.Type.HUMAN or (step.status in Step.ENDED and step.finished_at is None)


def load_recorded(run_id: UUID, store: BlobStore | None = None) -> RecordedRun:
    """Read what is kept of a run that has ended."""
    run = Run.objects.select_related("pipeline_version").get(pk=run_id)
    assert run.pipeline_version is not None
    dag = published_dag(run.pipeline_version.dag_sha256, run.pipeline_version.dag)
    steps = {step.node_key: step for step in run.steps.select_related("payload").filter(node_key__in=dag.order)}
    keys = {step.pk: key for key, step in steps.items()}
    attempts: defaultdict[tuple[str, int], RecordedAttempt] = defaultdict(RecordedAttempt)
    for artifact in run.artifacts.filter(step__in=keys).select_related("blob").order_by("id"):
        if artifact.step_id is not None:
            attempts[keys[artifact.step_id], artifact.attempt].artifacts.append(artifact)
    for error in run.errors.filter(step__in=keys).order_by("id"):
        if error.step_id is not None:
            attempts[keys[error.step_id], error.attempt].failure = error
    return RecordedRun(run, dag, steps, attempts, store or BlobStore(), _ranks(steps.values()))


def _ranks(steps: Iterable[Step]) -> dict[str, int]:
    ended = [step for step in steps if step.status in (Step.Status.COMPLETED, Step.Status.FAILED)]
    ended.sort(key=lambda step: (step.finished_at or datetime.min.replace(tzinfo=step.created_at.tzinfo), step.seq))
    return {step.node_key: rank for rank, step in enumerate(ended)}


def schema_ids(recorded: RecordedRun) -> dict[tuple[str, str], UUID]:
    """Rows of the schemas that a run's answers were held against, as far as this installation has them."""
    kept = [recorded.readable_rules(attempt).get("schemas", {}) for attempt in recorded.attempts.values()]
    hashes = {raw["sha256"] for schemas in kept for raw in schemas.values()}
    rows = IRSchema.objects.filter(sha256__in=hashes).values_list("target", "sha256", "id") if hashes else ()
    return {(target, sha256): Ulid(int=row_id.int) for target, sha256, row_id in rows}


def _said(step: Step) -> Recording:
    """What a step that is taken over has said for itself."""
    payload = step.payload
    reasoning = dict(payload.reasoning)
    call = reasoning.pop("call", None)
    recording = Recording(reasoning=reasoning, variables=dict(payload.variables))
    for name in SAID:
        setattr(recording, name, getattr(step, name))
    if step.prompt_name:
        recording.prompt = PromptUse(step.prompt_name, step.prompt_version, step.prompt_sha256, step.prompt_source)
    if call:
        recording.call = ModelCall("", step.vendor, step.model, call.get("idempotency_key") or "")
        recording.call.finish_reason = call.get("finish_reason") or ""
        recording.call.response_id = call.get("response_id")
        note_free(recording.call)
    return recording


def note_free(call: ModelCall) -> None:
    """Nobody was asked, so nothing was spent; that is known."""
    call.answered_from, call.cost_usd, call.cost_source = "recording", Decimal(0), "recording"
    call.tokens_in = call.tokens_out = 0


def _evidence(recording: Recording, known: RecordedAttempt) -> Recording:
    keep_evidence(recording, [item for item in known.artifacts if item.blob is not None])
    return recording


def keep_evidence(recording: Recording, artifacts: Sequence[Artifact]) -> None:
    """Refer to the same bytes again."""
    for item in artifacts:
        assert item.blob is not None
        names = ("sha256", "size", "media_type", "storage_key", "width", "height", "body")
        values = {name: getattr(item.blob, name) for name in names}
        body = values["body"]
        draft = BlobDraft(**{**values, "body": None if body is None else bytes(body)})
        recording.keep(item.role, item.name, draft)
