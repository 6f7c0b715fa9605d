"""The steps of a run as its page shows them: payload, attempts, metrics, evidence, links."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.urls import reverse

from irschemas.models import MetricDefinition
from monitor.subjects import subject_url
from runs.models import Artifact, MetricResult, Run, RunError, Step, StepOutputLink, StepPayload

SHOW_BYTES = 64 * 1024
WORKER_LOST = "worker_lost"


@dataclass(frozen=True, slots=True)
class JsonBlock:
    """A JSON value to look at, and where to get all of it."""

    key: str
    label: str
    text: str
    url: str
    note: str = ""


# What becomes of an image model's picture, in order.
PAINTED = (
    ("guide", "the guide it was given"),
    ("raw", "what it sent"),
    ("aligned", "laid over the photo"),
    ("kept", "what is kept of it"),
    ("result", "room restored"),
)


@dataclass(frozen=True, slots=True)
class MetricRow:
    """A metric beside its meaning."""

    result: MetricResult
    definition: MetricDefinition | None

    @property
    def name(self) -> str:
        """In words."""
        return self.definition.name if self.definition else self.result.key.replace("_", " ")

    @property
    def sign(self) -> str:
        """How the value has to stand to the threshold."""
        return {"lower": "≤", "higher": "≥"}.get(self.definition.direction if self.definition else "", "")

    @property
    def is_flag(self) -> bool:
        """Whether it is a yes or no."""
        return self.definition is not None and self.definition.direction == "boolean"


@dataclass(slots=True)
class AttemptView:
    """One attempt of a step: how it failed if it did, its metrics and its evidence."""

    number: int
    error: RunError | None = None
    metrics: list[MetricRow] = field(default_factory=list)
    evidence: list[Artifact] = field(default_factory=list)

    @property
    def pictures(self) -> list[Artifact]:
        """The pictures it made, each once."""
        made = [item for item in self.evidence if item.role in ("image", "result") and is_picture(item)]
        return list({item.blob_id or item.pk: item for item in made}.values())

    @property
    def painted(self) -> list[tuple[str, Artifact]]:
        """An image model's picture on its way back into the photo, in words: as far as this attempt got with it."""
        pictures = [item for item in self.evidence if is_picture(item)]
        made = {item.name: item for item in pictures if (item.role == "result") == (item.name == "result")}
        return [(words, made[name]) for name, words in PAINTED if name in made] if "raw" in made else []

    @property
    def asked(self) -> bool:
        """Whether a model was asked."""
        return any(item.role in ("prompt", "request") for item in self.evidence)

    @property
    def lost(self) -> bool:
        """Whether it ended because its worker did."""
        return self.error is not None and self.error.code == WORKER_LOST

    @property
    def failed_metrics(self) -> list[MetricRow]:
        """What it was rejected for."""
        return [row for row in self.metrics if row.result.passed is False]


@dataclass(slots=True)
class StepView:
    """One step with its texts and attempts, the last attempt first in importance."""

    step: Step
    payload: StepPayload | None
    attempts: list[AttemptView]
    links: list[StepOutputLink] = field(default_factory=list)
    opened: bool = False
    inline: bool = True
    blocks: dict[str, JsonBlock] = field(default_factory=dict)

    @property
    def last(self) -> AttemptView:
        """The attempt that counts."""
        return self.attempts[-1]

    @property
    def earlier(self) -> list[AttemptView]:
        """Attempts that failed before it."""
        return self.attempts[:-1]

    @property
    def skipped_routes(self) -> list[dict[str, str]]:
        """Models that were passed over before the one that was asked, and why."""
        found = self.payload.reasoning.get("skipped_routes") if self.payload else None
        return found if isinstance(found, list) else []

    @property
    def reasons(self) -> list[tuple[str, Any, float]]:
        """Why candidates were dropped: reason, count, and its share of the most frequent one in percent."""
        if self.skipped:
            return []
        counts = {name: value for name, value in self.step.reasons.items() if _is_number(value)}
        most = max(counts.values(), default=0) or 1
        return [(name, value, round(value * 100 / most, 1)) for name, value in counts.items()]

    @property
    def skipped(self) -> bool:
        """Whether it was not executed because its condition or those before it said no."""
        return self.step.status == Step.Status.SKIPPED

    @property
    def seen(self) -> dict[str, str]:
        """What a condition that was false found, by path."""
        seen = self.step.reasons.get("seen")
        return {path: json.dumps(value) for path, value in seen.items()} if isinstance(seen, Mapping) else {}

    @property
    def limit(self) -> Mapping[str, Any] | None:
        """The model service's limit that it waited for, and how long."""
        waited = self.payload.reasoning.get("limit") if self.payload else None
        return waited if isinstance(waited, Mapping) else None

    @property
    def linked(self) -> list[tuple[str, str, str]]:
        """What it made in the domain: kind, id, page."""
        targets = [(link.target_type, link.target_id) for link in self.links]
        return [(kind, identifier, subject_url(kind, identifier)) for kind, identifier in targets]


def read_step(step: Step) -> StepView:
    """One step alone, for runs with too many to show all at once."""
    [view] = read_steps(step.run, [step], inline=True)
    return view


def json_block(key: str, label: str, value: Any, url: str, note: str = "") -> JsonBlock:
    """A JSON value indented; what is too long to look at is cut and says so."""
    text = json.dumps(value, indent=2, ensure_ascii=False)
    if len(text) > SHOW_BYTES:
        note = note or f"The first {SHOW_BYTES // 1024} of {len(text) // 1024} KiB are shown."
        text = text[:SHOW_BYTES]
    return JsonBlock(key, label, text, url, note)


def read_steps(run: Run, steps: Sequence[Step], *, inline: bool) -> list[StepView]:
    ids = [step.pk for step in steps]
    payloads = {row.step_id: row for row in StepPayload.objects.filter(step_id__in=ids)} if inline else {}
    evidence = _grouped(Artifact.objects.select_related("blob").filter(run=run, step_id__in=ids).order_by("id"))
    errors = _grouped(RunError.objects.filter(run=run, step_id__in=ids).order_by("id"))
    metrics = _grouped(MetricResult.objects.filter(run=run, step_id__in=ids).order_by("id"))
    links = _grouped(StepOutputLink.objects.filter(run=run, step_id__in=ids).order_by("id"))
    keys = {result.key for results in metrics.values() for result in results}
    definitions = {item.key: item for item in MetricDefinition.objects.filter(key__in=keys)} if keys else {}
    last = steps[-1].pk if steps else None
    views = []
    for step in steps:
        attempts = _attempts(step, evidence.get(step.pk, []), errors.get(step.pk, []), metrics.get(step.pk, []),
                             definitions)  # fmt: skip
        view = StepView(step, payloads.get(step.pk), attempts, links.get(step.pk, []), inline=inline)
        view.opened = inline and (step.status == Step.Status.FAILED or (step.pk == last and len(steps) == 1))
        view.blocks = _blocks(view)
        views.append(view)
    return views


def _grouped(rows: Any) -> dict[Any, list[Any]]:
    found: dict[Any, list[Any]] = {}
    for row in rows:
        found.setdefault(row.step_id, []).append(row)
    return found


def _attempts(
    step: Step,
    evidence: list[Artifact],
    errors: list[RunError],
    metrics: list[MetricResult],
    definitions: Mapping[str, MetricDefinition],
) -> list[AttemptView]:
    found = {step.attempt: AttemptView(step.attempt)}
    for error in errors:
        found.setdefault(error.attempt, AttemptView(error.attempt)).error = error
    for item in evidence:
        found.setdefault(item.attempt, AttemptView(item.attempt)).evidence.append(item)
    for result in metrics:
        row = MetricRow(result, definitions.get(result.key))
        found.setdefault(result.attempt, AttemptView(result.attempt)).metrics.append(row)
    return [found[number] for number in sorted(found)]


LABELS = {
    "ir": "Answer (IR)",
    "output": "Output",
    "input": "What it was given",
    "variables": "Variables",
    "params": "Params",
    "reasoning": "Reasoning facts",
    "extra": "Undeclared fields",
}


def _blocks(view: StepView) -> dict[str, JsonBlock]:
    """The payload's fields that say something; a field kept as evidence links to it."""
    payload = view.payload
    if payload is None:
        return {}
    whole = {item.name: item for item in view.last.evidence if item.role == Artifact.Role.PAYLOAD}
    found = {}
    for key, label in LABELS.items():
        value = getattr(payload, key)
        if value in (None, {}, []):
            continue
        url, note = reverse("admin:monitor_payload", args=[str(payload.pk), key]), ""
        if key in payload.truncated:
            size = value.get("bytes") if isinstance(value, Mapping) else None
            told = f" ({size:,} bytes)" if isinstance(size, int) else ""
            note = f"Only a preview is kept here; the whole value{told} is a piece of evidence."
            if key in whole:
                url = reverse("admin:monitor_artifact", args=[str(whole[key].pk)])
        found[key] = json_block(key, label, value, url, note)
    return found


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def is_picture(item: Artifact) -> bool:
    """A deleted one may have been a picture: pages say that it is gone."""
    return item.blob is None or item.blob.media_type.startswith("image/")
