"""Whether a replay met its original: every hash, or the first step and field that differ."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from core.canonical import sha256_hex
from core.storage import BlobMissing, BlobStore
from runs.blobs import read_blob
from runs.fingerprints import GONE, Key, Print, ended_from_outside, read_prints
from runs.models import Artifact, Run, Step
from runs.recorded import RecordedRun, load_recorded, taken_over
from runs.replaying import original_of
from runs.rules import computed_by

LISTED = 20
SHOWN = 120
ABSENT = "absent"


@dataclass(frozen=True, slots=True)
class Difference:
    """One value that the replay did not meet: where it is, and both hashes (`absent` where there is none).

    `path` leads to the first place within a JSON value that differs; `expected_value` and `found_value` are what stands
    there, shortened.
    """

    step: str
    attempt: int
    field: str
    expected: str
    found: str
    path: str = ""
    expected_value: str = ""
    found_value: str = ""

    def __str__(self) -> str:
        where = self.step or "the run"
        attempt = f", attempt {self.attempt}" if self.attempt else ""
        path = f" at {self.path}" if self.path else ""
        values = f" ({self.expected_value} became {self.found_value})" if self.expected_value else ""
        return f"{where}{attempt}: {self.field} differs{path}: {self.expected} was recorded, {self.found} found{values}"


@dataclass(frozen=True, slots=True)
class Verdict:
    """How many hashes of the original the replay met, and what differs, first things first."""

    run: str
    replay: str
    hashes: int
    met: int
    differences: list[Difference] = field(default_factory=list)
    differing: int = 0
    notes: list[str] = field(default_factory=list)

    @property
    def reproduced(self) -> bool:
        """Whether every hash was met."""
        return not self.differing and self.met == self.hashes

    @property
    def first(self) -> Difference | None:
        """Where to look."""
        return self.differences[0] if self.differences else None

    def to_json(self) -> dict[str, Any]:
        """What `reproduce --json` prints and the replay's summary keeps."""
        first = asdict(self.first) if self.first else None
        rest = {"differences": [asdict(item) for item in self.differences], "differing": self.differing}
        known = {"run": self.run, "replay": self.replay, "hashes": self.hashes, "met": self.met, "notes": self.notes}
        return {"reproduced": self.reproduced, **known, "difference": first, **rest}

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> "Verdict":
        """A verdict that was kept."""
        differences = [Difference(**item) for item in raw["differences"]]
        names = ("run", "replay", "hashes", "met", "differing", "notes")
        return cls(differences=differences, **{name: raw[name] for name in names})


def read_verdict(replay: Run, store: BlobStore | None = None) -> Verdict:
    """The verdict on a replay that has ended: as it was kept, or found now and kept."""
    kept = replay.summary.get("verdict")
    if kept:
        return Verdict.from_json(kept)
    verdict = judge_replay(replay, store)
    replay.summary = {**replay.summary, "verdict": verdict.to_json()}
    Run.objects.filter(pk=replay.pk).update(summary=replay.summary)
    return verdict


def judge_replay(replay: Run, store: BlobStore | None = None) -> Verdict:
    """Compare a replay that has ended with its original, and the original's stored bytes with their hashes."""
    store, original = store or BlobStore(), original_of(replay)
    recorded = load_recorded(original.pk, store)
    damaged = list(_damaged(original, recorded, store))
    outside = frozenset(
        key
        for key, step in recorded.steps.items()
        if ended_from_outside(step, recorded.attempt(key, step.attempt).failure)
    )
    expected, found = (
        {item.key: item for item in read_prints(one, store, outside=outside) if _counts(item, recorded)}
        for one in (recorded.run, replay)
    )
    differing = [*damaged, *_differences(expected, found)]
    checked = original.artifacts.filter(blob__isnull=False).values("blob").distinct().count()
    gone = {key for key, item in (*expected.items(), *found.items()) if item.sha256 == GONE}
    hashes = len((expected.keys() | found.keys()) - gone) + checked
    return Verdict(
        run=str(original.pk),
        replay=str(replay.pk),
        hashes=hashes,
        met=hashes - len(differing),
        differences=differing[:LISTED],
        differing=len(differing),
        notes=_notes(original, recorded),
    )


def _counts(item: Print, recorded: RecordedRun) -> bool:
    """Nodes that the original never brought to an end have nothing to meet."""
    step = recorded.steps.get(item.step)
    return not item.step or (step is not None and step.status in Step.ENDED)


def _damaged(original: Run, recorded: RecordedRun, store: BlobStore) -> Iterator[Difference]:
    """Stored bytes that are not those of their hash any more."""
    keys = {step.pk: key for key, step in recorded.steps.items()}
    seen = set()
    for item in original.artifacts.filter(blob__isnull=False).select_related("blob").order_by("step__seq", "id"):
        blob = item.blob
        if blob is None or blob.pk in seen:
            continue
        seen.add(blob.pk)
        try:
            found = sha256_hex(read_blob(blob, store))
        except BlobMissing:
            found = ABSENT
        if found != blob.sha256:
            node = keys.get(item.step_id, "") if item.step_id else ""
            yield Difference(node, item.attempt if node else 0, f"stored {item.role} {item.name}", blob.sha256, found)


def _differences(expected: Mapping[Key, Print], found: Mapping[Key, Print]) -> Iterator[Difference]:
    for key, item in expected.items():
        other = found.get(key)
        if GONE in (item.sha256, other.sha256 if other else ""):
            continue
        if other is None:
            yield Difference(*key, item.sha256, ABSENT)
        elif other.sha256 != item.sha256:
            yield _explain(item, other)
    for key, item in found.items():
        if key not in expected and item.sha256 != GONE:
            yield Difference(*key, ABSENT, item.sha256)


def _explain(expected: Print, found: Print) -> Difference:
    if expected.read is None or found.read is None:
        return Difference(*expected.key, expected.sha256, found.sha256)
    path, one, other = first_difference(expected.read(), found.read())
    return Difference(*expected.key, expected.sha256, found.sha256, path, _short(one), _short(other))


class _Nothing:
    def __repr__(self) -> str:
        return "nothing"


NOTHING = _Nothing()


def first_difference(one: Any, other: Any, path: str = "$") -> tuple[str, Any, Any]:
    """The path of the first place in which two JSON values differ, and what stands there in each."""
    if isinstance(one, dict) and isinstance(other, dict):
        pairs: Iterable[tuple[str, Any, Any]] = (
            (f"{path}.{name}", one.get(name, NOTHING), other.get(name, NOTHING)) for name in sorted({*one, *other})
        )
    elif isinstance(one, list) and isinstance(other, list):
        longest = range(max(len(one), len(other)))
        pairs = ((f"{path}[{place}]", _at(one, place), _at(other, place)) for place in longest)
    else:
        return path, one, other
    for inner, left, right in pairs:
        if left != right or type(left) is not type(right):
            return first_difference(left, right, inner)
    return path, one, other


def _at(values: list[Any], place: int) -> Any:
    return values[place] if place < len(values) else NOTHING


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}…"


def _notes(original: Run, recorded: RecordedRun) -> list[str]:
    """What a reader of the verdict should know: what was not computed again, and what it was computed with."""
    notes = list(_computed_with(recorded))
    outside = [key for key, node in recorded.dag.nodes.items() if node.side_effects == "external"]
    taken = [key for key, step in recorded.steps.items() if key in outside or taken_over(step)]
    if taken:
        notes.append(f"Taken over, not executed again: {', '.join(taken)}.")
    cut_off = [key for key, step in recorded.steps.items() if step.status not in Step.ENDED]
    if cut_off and original.is_over:
        notes.append(f"Never ended in the original, so there is nothing to meet: {', '.join(cut_off)}.")
    gone = original.artifacts.filter(blob__isnull=True).exclude(role=Artifact.Role.INPUT).count()
    if gone:
        notes.append(f"{gone} pieces of evidence are gone by retention and were not compared.")
    return notes


def _computed_with(recorded: RecordedRun) -> Iterator[str]:
    """Where release or libraries are not those of the original."""
    now, seen = computed_by(), set()
    for attempt in recorded.attempts.values():
        then = recorded.readable_rules(attempt).get("computed_by") or {}
        for name, value in {
            "release": then.get("release"),
            "python": then.get("python"),
            **then.get("libraries", {}),
        }.items():
            today = now.get(name, now["libraries"].get(name))
            if value is not None and value != today and name not in seen:
                seen.add(name)
                yield f"Computed with {name} {value or 'unknown'}, here it is {today or 'unknown'}."
