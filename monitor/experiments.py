"""How the versions of a prompt do, and whether the one under trial is better: by shops, because shops are dealt.

An experiment deals shops, not runs, to two versions (`prompts.selection`). So the comparison takes the runs of those
shops alone that the dealing decided for: not of shops that have the flag, and not those of an override or an edit.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.db import connection
from django.utils import timezone

from monitor.uncertainty import MIN_RUNS, MIN_SHOPS, Estimate, difference, mean, runs_to_see, share
from prompts.library import Library, Release, library
from prompts.selection import FLAG, in_experiment
from shops.models import Shop

PERIODS = (7, 28, 90)
ROUNDING = 1e-9
VISIBLE = 0.05  # a difference in shares that somebody would act on

# Steps in the order of their ids, which is their order in time. Runs of staff do not count, nor reused steps.
ASKED = """
SELECT s.prompt_version AS version, s.prompt_source AS source, s.shop_id, s.run_id, s.latency_ms, s.cost_usd,
       r.status, c.feedback_verdict AS verdict,
       (SELECT bool_and(m.passed) FROM runs_metricresult m
        WHERE m.run_id = s.run_id AND m.attempt = 1 AND m.must_pass AND m.passed IS NOT NULL) AS gate
FROM runs_step s
JOIN runs_run r ON r.id = s.run_id AND r.mode = 'live' AND r.status IN ('completed', 'failed')
LEFT JOIN storefront_compositerun c ON c.run_id = s.run_id
WHERE s.prompt_name = %(name)s AND s.reused_from_id IS NULL AND s.created_at >= %(since)s
"""
BY_SHOP = f"""
SELECT version, source, shop_id, count(*), count(*) FILTER (WHERE status = 'completed'),
       count(gate), count(*) FILTER (WHERE gate), sum(latency_ms), count(latency_ms), sum(cost_usd), count(cost_usd),
       count(*) FILTER (WHERE verdict = 'up'), count(*) FILTER (WHERE verdict IN ('up', 'down'))
FROM ({ASKED}) asked GROUP BY 1, 2, 3
"""  # noqa: S608 - constants
BY_VERSION = f"""
SELECT version, source, percentile_cont(0.5) WITHIN GROUP (ORDER BY latency_ms),
       percentile_cont(0.95) WITHIN GROUP (ORDER BY latency_ms)
FROM ({ASKED}) asked GROUP BY 1, 2
"""  # noqa: S608 - constants
BEGAN = """
SELECT min(created_at) FROM runs_step
WHERE prompt_name = %(name)s AND prompt_version = %(version)s AND prompt_source = 'experiment'
  AND created_at >= %(since)s
"""


@dataclass(frozen=True, slots=True)
class ShopRow:
    """What one shop's runs with one version came to."""

    version: str
    source: str
    shop_id: Any
    runs: int
    completed: int
    judged: int
    passed: int
    latency_ms: int | None
    timed: int
    cost_usd: Any
    priced: int
    up: int
    voted: int


@dataclass(frozen=True, slots=True)
class Measure:
    """One question that versions are compared by; `pick` gives (sum, number) of a shop."""

    key: str
    label: str
    kind: str
    more_is_better: bool
    pick: Callable[[ShopRow], tuple[float, int]]

    def of(self, rows: Iterable[ShopRow]) -> Estimate | None:
        """The estimate over shops."""
        return (share if self.kind == "share" else mean)([self.pick(row) for row in rows])


MEASURES = (
    Measure("completed", "Runs that gave a picture", "share", True, lambda row: (row.completed, row.runs)),
    Measure("gate", "Passed the gate at once", "share", True, lambda row: (row.passed, row.judged)),
    Measure("feedback", "Thumbs up, of those who voted", "share", True, lambda row: (row.up, row.voted)),
    Measure("latency", "Time of the step", "ms", False, lambda row: (float(row.latency_ms or 0), row.timed)),
    Measure("cost", "Cost of the step", "usd", False, lambda row: (float(row.cost_usd or 0), row.priced)),
)


@dataclass(frozen=True, slots=True)
class Comparison:
    """The version under trial against production by one measure, and what may be said about it."""

    measure: Measure
    before: Estimate | None
    after: Estimate | None
    gap: float = 0.0
    low: float = 0.0
    high: float = 0.0
    verdict: str = "unknown"  # better | worse | same | open | few | unknown
    needed: int | None = None

    @property
    def sides(self) -> tuple[Estimate | None, Estimate | None]:
        """Production and trial."""
        return self.before, self.after


@dataclass(slots=True)
class VersionRow:
    """One version, or the overrides together, in the period."""

    version: str
    source: str
    use: str
    description: str = ""
    rows: list[ShopRow] = field(default_factory=list)
    p50_ms: float | None = None
    p95_ms: float | None = None

    @property
    def runs(self) -> int:
        return sum(row.runs for row in self.rows)

    @property
    def estimates(self) -> list[tuple[Measure, Estimate | None]]:
        """Every measure, over all shops that had this version."""
        return [(measure, measure.of(self.rows)) for measure in MEASURES]


@dataclass(frozen=True, slots=True)
class PromptCard:
    """One prompt: where its pointers stand, who gets what, how the versions do."""

    name: str
    release: Release
    dealt: int
    flagged: int
    shops: int
    versions: list[VersionRow]
    began_at: datetime | None
    comparisons: list[Comparison]
    min_runs: int = MIN_RUNS
    min_shops: int = MIN_SHOPS

    @property
    def share_percent(self) -> float:
        return self.release.share * 100

    @property
    def says(self) -> str:
        """The state of the experiment in a sentence."""
        trial, best = self.release.experimental, self.release.production
        if not trial:
            return f"Everybody gets {best}; no version is under trial."
        if not self.release.share and not self.flagged:
            return f"Everybody gets {best}; {trial} is ready for a trial, its share is 0."
        verdicts = {item.measure.key: item.verdict for item in self.comparisons}
        told = [item for item in self.comparisons if item.verdict in ("better", "worse")]
        if told:
            said = ", and ".join(f"{item.verdict} than {best} by “{item.measure.label.lower()}”" for item in told)
            return f"{trial} is {said}."
        if "open" in verdicts.values():
            return f"No difference between {trial} and {best} can be told yet."
        return f"Not enough runs yet to compare {trial} with {best}."


def read_experiments(days: int, prompts: Library | None = None) -> list[PromptCard]:
    """Every prompt of the library over the last `days`; three queries each, and one for the shops."""
    known = prompts or library()
    shops = dict(Shop.objects.values_list("id", "features"))
    since = timezone.now() - timedelta(days=days)
    return [_card(known, name, shops, since) for name in known.names()]


def _card(prompts: Library, name: str, shops: dict[Any, dict[str, Any]], since: datetime) -> PromptCard:
    release = prompts.release(name)
    flagged = {pk for pk, features in shops.items() if features.get(FLAG) is True}
    dealt = {pk for pk in shops if pk not in flagged and in_experiment(name, str(pk), prompts)}
    trial = release.experimental
    began = _ask(BEGAN, name=name, version=trial, since=since)[0][0] if trial else None
    comparisons = []
    if trial and began:
        rows = [row for row in _shop_rows(name, began) if row.shop_id in shops and row.shop_id not in flagged]
        before = [row for row in rows if row.shop_id not in dealt and _is(row, release.production, "library")]
        after = [row for row in rows if row.shop_id in dealt and _is(row, trial, "experiment")]
        comparisons = [_compare(measure, before, after) for measure in MEASURES]
    return PromptCard(
        name=name,
        release=release,
        dealt=len(dealt) if trial else 0,
        flagged=len(flagged) if trial else 0,
        shops=len(shops),
        versions=_versions(prompts, name, since),
        began_at=began,
        comparisons=comparisons,
    )


def _is(row: ShopRow, version: str, source: str) -> bool:
    return (row.version, row.source) == (version, source)


def _compare(measure: Measure, before: Sequence[ShopRow], after: Sequence[ShopRow]) -> Comparison:
    one, two = measure.of(before), measure.of(after)
    if one is None or two is None:
        return Comparison(measure, one, two)
    gap, low, high = difference(one, two)
    if not (one.is_enough and two.is_enough):
        return Comparison(measure, one, two, gap, low, high, "few")
    if max(abs(low), abs(high)) < ROUNDING:
        return Comparison(measure, one, two, gap, low, high, "same")
    if low <= 0 <= high:
        needed = runs_to_see(VISIBLE, one, two) if measure.kind == "share" else None
        return Comparison(measure, one, two, gap, low, high, "open", needed)
    return Comparison(measure, one, two, gap, low, high, "better" if (gap > 0) == measure.more_is_better else "worse")


def _versions(prompts: Library, name: str, since: datetime) -> list[VersionRow]:
    """The library's versions, newest first, then what overrides were used; without those that nobody has or had."""
    release, found = prompts.release(name), {}
    for version in reversed(prompts.versions(name)):
        use, text = release.role_of(version), prompts.get(name, version).description
        found[version] = VersionRow(version, "library", "" if use == "-" else use, text)
    found["override"] = VersionRow("overrides", "override", "", "Whatever shops were patched with.")
    for row in _shop_rows(name, since):
        found["override" if row.source == "override" or row.version not in found else row.version].rows.append(row)
    for version, source, p50, p95 in _ask(BY_VERSION, name=name, since=since):
        entry = found["override" if source == "override" or version not in found else version]
        if entry.version == version:
            entry.p50_ms, entry.p95_ms = p50, p95
    return [row for row in found.values() if row.rows or row.use]


def _shop_rows(name: str, since: datetime) -> list[ShopRow]:
    return [ShopRow(*row) for row in _ask(BY_SHOP, name=name, since=since)]


def _ask(statement: str, **values: Any) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(statement, values)
        return list(cursor.fetchall())
