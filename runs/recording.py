"""What an attempt records while it works: plain values that travel between processes and become rows in one commit."""

from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from core.canonical import canonical_json
from core.pictures import PictureRef
from core.storage import BlobStore
from runs.blobs import BlobDraft, draft_blob
from runs.models import Artifact
from runs.redaction import redact_secrets

WHY_LIMIT = 500
REASONS_LIMIT = 20
NAME_LIMIT = 127


@dataclass(frozen=True, slots=True)
class ArtifactDraft:
    """A reference that the next commit writes."""

    role: str
    name: str
    blob: BlobDraft


@dataclass(slots=True)
class ModelCall:
    """The one model call of an attempt, in numbers and names."""

    task: str
    vendor: str
    model: str
    idempotency_key: str
    latency_ms: int | None = None
    tokens_in: int | None = None
    tokens_out: int | None = None
    tokens_cached: int | None = None
    tokens_thinking: int | None = None
    tokens_image: int | None = None
    cost_usd: Decimal | None = None
    cost_source: str = ""
    finish_reason: str = ""
    response_id: str | None = None
    thinking_removed: bool = False
    answered_from: str = ""  # `vendor`, `recording`, or empty for a call that was not made

    @property
    def cost_unknown(self) -> bool:
        """Whether something was asked that may have cost more than nobody knows what."""
        return bool(self.answered_from) and self.cost_usd is None


@dataclass(slots=True)
class PromptUse:
    """Which prompt an attempt was asked with."""

    name: str
    version: str
    sha256: str
    source: str


@dataclass(slots=True)
class Recording:
    """Everything a stage said about its own work."""

    artifacts: list[ArtifactDraft] = field(default_factory=list)
    why: str = ""
    candidates_in: int | None = None
    candidates_out: int | None = None
    reasons: dict[str, int] = field(default_factory=dict)
    confidence: float | None = None
    score: float | None = None
    reasoning: dict[str, Any] = field(default_factory=dict)
    variables: dict[str, Any] = field(default_factory=dict)
    prompt: PromptUse | None = None
    call: ModelCall | None = None
    saved: set[ArtifactDraft] = field(default_factory=set)  # those of the artifacts that have their rows already

    def keep(self, role: str, name: str, blob: BlobDraft) -> ArtifactDraft:
        """Add evidence. Other bytes under a role and name used before are another piece and get a number: `crop-2`."""
        taken = {draft.name: draft for draft in self.artifacts if draft.role == role}
        number, free = 1, name
        while free in taken:
            if taken[free].blob.sha256 == blob.sha256:
                return taken[free]
            number += 1
            free = f"{name[: NAME_LIMIT - 6]}-{number}"
        draft = ArtifactDraft(str(role), free, blob)
        self.artifacts.append(draft)
        return draft

    @property
    def drop_ratio(self) -> float | None:
        """Share of candidates dropped, 0..1; 0 when there were none; None when nothing was counted."""
        if self.candidates_in is None or self.candidates_out is None:
            return None
        return 1 - self.candidates_out / self.candidates_in if self.candidates_in else 0.0


class Recorder:
    """The recording half of the step handle; it works the same in the worker and in its computing child."""

    def __init__(self, store: BlobStore, owner: str) -> None:
        self.recording = Recording()
        self._store = store
        self._owner = owner

    def artifact(
        self, name: str, content: bytes | Any, media_type: str = "application/json", *, role: str = Artifact.Role.IMAGE
    ) -> PictureRef:
        """Keep evidence of this attempt: bytes of a picture, or any JSON value. Returns a reference for the IR.

        A name used before in this attempt and role gets a number: the second `crop` is `crop-2`.
        """
        if not isinstance(content, bytes):
            content, media_type = canonical_json(redact_secrets(content)), "application/json"
        draft = self._keep_bytes(content, media_type)
        self.recording.keep(role, name, draft)
        return PictureRef(draft.sha256, media_type, draft.width, draft.height, self.read_blob)

    def _keep_bytes(self, content: bytes, media_type: str) -> BlobDraft:
        return draft_blob(self._store, self._owner, content, media_type)

    def candidates(self, before: int, after: int, reasons: dict[str, int] | None = None) -> None:
        """Say how many candidates came in and went out, and why the others were dropped (counts by reason)."""
        if not 0 <= after <= before:
            raise ValueError(f"candidates out ({after}) must lie between 0 and candidates in ({before})")
        ranked = sorted((reasons or {}).items(), key=lambda item: (-item[1], item[0]))[:REASONS_LIMIT]
        self.recording.candidates_in, self.recording.candidates_out = before, after
        self.recording.reasons = dict(ranked)

    def why(self, text: str) -> None:
        """Say in one or two sentences why this step decided as it did (at most 500 characters)."""
        self.recording.why = text if len(text) <= WHY_LIMIT else text[: WHY_LIMIT - 1] + "…"

    def confidence(self, value: float) -> None:
        """How sure the step is, 0..1."""
        self.recording.confidence = float(value)

    def score(self, value: float) -> None:
        """The score of what was chosen."""
        self.recording.score = float(value)

    def reasoning(self, **facts: Any) -> None:
        """Small structured facts behind the decision."""
        self.recording.reasoning.update(facts)

    def read_blob(self, sha256: str) -> bytes:
        """Bytes of this run's shop by hash."""
        return self._store.read(self._owner, sha256)
