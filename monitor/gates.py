"""Quality gates as their pages show them, and what past results would come to under another one."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from statistics import quantiles
from typing import Any
from uuid import UUID

from django.contrib.admin.models import LogEntry
from django.db import connection
from django.db.models import F

from core.canonical import json_hash
from core.ids import Ulid
from irschemas.history import notes_of
from irschemas.library import ITEM_DEFAULTS, library_metrics
from irschemas.metrics import NOT_APPLICABLE, MetricValue, grade
from irschemas.models import MetricDefinition, MetricProfile
from irschemas.profiles import newest_revision, profile_content, profile_problems
from irschemas.records import Profile, ProfileItem
from runs.models import MetricResult, Run

LOOK_BACK, EXAMPLES, REVISIONS_SHOWN = 500, 5, 30

# The newest steps by each metric's index; other gates' results of the same metric are passed over.
STEPS = """
SELECT DISTINCT newest.step_id FROM unnest(%s::text[]) AS metric(key), LATERAL (
    SELECT step_id, id FROM runs_metricresult
    WHERE key = metric.key AND profile_key = %s AND source = 'auto' ORDER BY id DESC LIMIT %s
) AS newest ORDER BY newest.step_id DESC LIMIT %s
"""


@dataclass(slots=True)
class PastResult:
    """What was measured of one run at the gate, and whether it was rejected then."""

    run_id: UUID
    values: dict[str, MetricValue] = field(default_factory=dict)
    rejected: bool = False


@dataclass(frozen=True, slots=True)
class MetricOutlook:
    """One metric over the past results: how many were measured, how many would fail, and how the values spread."""

    key: str
    measured: int
    fails: int
    low: float | None
    middle: float | None
    high: float | None


@dataclass(frozen=True, slots=True)
class Outlook:
    """Past results under a gate: how many it would reject, how many were rejected, and whose verdict would change."""

    runs: int
    would_reject: int
    rejected: int
    newly_rejected: list[UUID]
    newly_passed: list[UUID]
    metrics: dict[str, MetricOutlook]

    @property
    def newly_rejected_shown(self) -> list[UUID]:
        """The newest few."""
        return self.newly_rejected[:EXAMPLES]

    @property
    def newly_passed_shown(self) -> list[UUID]:
        """The newest few."""
        return self.newly_passed[:EXAMPLES]


def past_results(profile_key: str, metric_keys: Iterable[str], limit: int = LOOK_BACK) -> list[PastResult]:
    """What a gate measured of the last shoppers' runs, newest first; of a step the attempt that counts."""
    with connection.cursor() as cursor:
        cursor.execute(STEPS, [list(metric_keys), profile_key, 2 * limit, 2 * limit])
        steps = [Ulid(int=row[0].int) for row in cursor.fetchall() if row[0] is not None]
    rows = MetricResult.objects.filter(
        step__in=steps, attempt=F("step__attempt"), source="auto", profile_key=profile_key, run__mode=Run.Mode.LIVE
    )
    found: dict[Any, PastResult] = {}
    for run_id, key, value, passed, must_pass, details in rows.values_list(
        "run_id", "key", "value", "passed", "must_pass", "details"
    ):
        result = found.setdefault(run_id, PastResult(run_id))
        applies = details.get("reason") != NOT_APPLICABLE
        result.values[key] = MetricValue(key, value, applies=applies)
        result.rejected = result.rejected or (must_pass and passed is False)
    return sorted(found.values(), key=lambda result: result.run_id, reverse=True)[:limit]


def foresee(profile: Profile, past: list[PastResult]) -> Outlook:
    """Judge past results by a gate. What was not measured then cannot be judged now, and is left out."""
    fails = dict.fromkeys((item.metric_key for item in profile.items), 0)
    rejected: list[UUID] = []
    passed: list[UUID] = []
    would_reject = 0
    for result in past:
        asked = Profile(profile.key, tuple(item for item in profile.items if item.metric_key in result.values))
        verdict = grade(asked, result.values.values())
        for outcome in verdict.results:
            fails[outcome.key] += outcome.passed is False
        would_reject += not verdict.passed
        if verdict.passed == result.rejected:
            (passed if result.rejected else rejected).append(result.run_id)
    metrics = {key: _outlook(key, count, past) for key, count in fails.items()}
    return Outlook(len(past), would_reject, sum(r.rejected for r in past), rejected, passed, metrics)


def _outlook(key: str, fails: int, past: list[PastResult]) -> MetricOutlook:
    found = [result.values[key].value for result in past if key in result.values]
    numbers = [float(value) for value in found if value is not None and math.isfinite(value)]
    if len(numbers) < 2:
        only = numbers[0] if numbers else None
        return MetricOutlook(key, len(numbers), fails, only, only, only)
    cuts = quantiles(numbers, n=20, method="inclusive")
    return MetricOutlook(key, len(numbers), fails, cuts[0], cuts[9], cuts[18])


@dataclass(slots=True)
class GateDraft:
    """A gate under check: all that is wrong with it, what it changes, and what it would have done."""

    key: str
    items: list[dict[str, Any]]
    description: str
    problems: list[str]
    changes: list[str] = field(default_factory=list)
    outlook: Outlook | None = None
    seen: int | None = None
    moved: MetricProfile | None = None

    @property
    def can_be_saved(self) -> bool:
        """Whether saving it would write something."""
        return not self.problems and bool(self.changes)


def check_gate(
    key: str, description: str, items: list[dict[str, Any]], problems: list[str], seen: int | None
) -> GateDraft:
    """Check a gate as it is typed.

    `problems`: what could not even be read. `seen`: the revision that the author began from.
    """
    now = newest_revision(key)
    definitions = {row.key: row for row in MetricDefinition.objects.all()}
    draft = GateDraft(key, items, description, problems or list(profile_problems(items, definitions)))
    draft.seen = now.revision if now else None
    draft.moved = now if now is not None and now.revision != seen else None
    if draft.problems:
        return draft
    content: dict[str, Any] = profile_content(now) if now else {"description": "", "items": []}
    draft.changes = gate_changes(content, {"description": description, "items": items})
    profile = Profile(key, tuple(_item(item, definitions[item["metric"]]) for item in items))
    known = {item["metric"] for item in content["items"]} | {item["metric"] for item in items}
    draft.outlook = foresee(profile, past_results(key, sorted(known)))
    return draft


def _item(item: Mapping[str, Any], metric: MetricDefinition) -> ProfileItem:
    direction: Any = metric.direction
    return ProfileItem(
        metric.key, metric.evaluator, item["threshold"], direction, item["must_pass"], item["weight"], metric.unit
    )


def gate_changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """What sets two revisions apart, in words."""
    old = {item["metric"]: item for item in before["items"]}
    new = {item["metric"]: item for item in after["items"]}
    found = [f"{key} is asked no more." for key in old if key not in new]
    found += [f"{key} is new: {_asks(item)}." for key, item in new.items() if key not in old]
    for key in old.keys() & new.keys():
        if old[key] != new[key]:
            found.append(f"{key}: {_asks(old[key])} → {_asks(new[key])}.")
    if before["description"] != after["description"]:
        found.append("The description is worded otherwise.")
    return sorted(found)


def _asks(item: Mapping[str, Any]) -> str:
    threshold = "no threshold" if item["threshold"] is None else f"threshold {item['threshold']:g}"
    weight = f", weight {item['weight']:g}" if item["weight"] != ITEM_DEFAULTS["weight"] else ""
    return f"{threshold}{', required' if item['must_pass'] else ''}{weight}"


@dataclass(frozen=True, slots=True)
class MetricChoice:
    """A metric in a gate's form: asked or not, and what is asked of it."""

    metric: MetricDefinition
    item: Mapping[str, Any]
    asked: bool

    @property
    def sign(self) -> str:
        """How a value has to stand to the threshold."""
        return {"lower": "≤", "higher": "≥"}.get(self.metric.direction, "")

    @property
    def threshold_text(self) -> str:
        """As a number input has it."""
        return "" if self.item["threshold"] is None else f"{self.item['threshold']:g}"

    @property
    def weight_text(self) -> str:
        """As a number input has it."""
        return f"{self.item['weight']:g}"


@dataclass(frozen=True, slots=True)
class GatePage:
    """A gate: one revision of it in a form, its past, and how it stands to the library."""

    profile: MetricProfile | None
    newest: MetricProfile | None
    choices: list[MetricChoice]
    revisions: list[MetricProfile]
    notes: list[LogEntry]
    library_differs: list[str]

    @property
    def is_newest(self) -> bool:
        """Whether this revision is in force."""
        return self.profile is not None and self.newest is not None and self.profile.pk == self.newest.pk


def read_gate(profile: MetricProfile | None) -> GatePage:
    """A revision of a gate, or an empty form for a new one."""
    content = profile_content(profile) if profile else {"items": []}
    newest = newest_revision(profile.key) if profile else None
    revisions = MetricProfile.objects.filter(key=profile.key) if profile else MetricProfile.objects.none()
    shown = list(revisions.select_related("created_by").order_by("-revision")[:REVISIONS_SHOWN])
    library = library_metrics().profiles.get(profile.key) if profile else None
    differs = newest is not None and library is not None and newest.library_sha256 != json_hash(library)
    return GatePage(
        profile=profile,
        newest=newest,
        choices=_choices(content["items"]),
        revisions=shown,
        notes=list(notes_of(MetricProfile, [row.pk for row in shown])[:REVISIONS_SHOWN]),
        library_differs=gate_changes(profile_content(newest), library) if differs and newest and library else [],
    )


def _choices(items: list[dict[str, Any]]) -> list[MetricChoice]:
    """The metrics that are asked in their order, then all others."""
    definitions = {row.key: row for row in MetricDefinition.objects.all()}
    asked = [MetricChoice(definitions[item["metric"]], item, True) for item in items]
    known = {choice.metric.key for choice in asked}
    return asked + [MetricChoice(row, ITEM_DEFAULTS, False) for key, row in definitions.items() if key not in known]


def read_gates() -> list[MetricProfile]:
    """Every gate's revision in force, with its items."""
    return list(MetricProfile.objects.in_force().with_items().select_related("created_by"))
