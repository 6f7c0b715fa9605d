"""The run page's read model: one run with everything that is recorded about it, in a fixed number of queries."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.template.loader import select_template
from django.urls import reverse
from django.utils import timezone

from core.errors import SeeItError
from core.pictures import BLOB_KEY, picture_refs
from monitor.graph import Graph, draw_graph
from monitor.headline import Headline, write_headline
from monitor.pictures import Picture, Pictures, find_picture, gone_text, pictures_by_hash, summary_pictures
from monitor.steps import WORKER_LOST, JsonBlock, StepView, is_picture, json_block, read_steps
from monitor.subjects import subject_url
from monitor.timeline import Timeline, draw_timeline
from monitor.unreadable import readable
from runs.models import Artifact, Blob, Run, RunError, Step
from runs.verdicts import Verdict, read_verdict

INLINE_STEPS = 24
RECENT = 6
REPLAYS = 2
MANY_ALIKE = 1000
NO_HEADLINE = "What it did is unreadable: what is recorded has another shape."


@dataclass(frozen=True, slots=True)
class Alike:
    """How many runs failed like one, and since when; `number` is not counted beyond a thousand."""

    number: int
    first: datetime
    last: datetime

    @property
    def many(self) -> bool:
        """Whether there are more than were counted."""
        return self.number > MANY_ALIKE


@dataclass(slots=True)
class RunPage:
    """Everything the run page shows."""

    run: Run
    headline: str
    notes: tuple[str, ...]
    version: str
    steps: list[StepView]
    timeline: Timeline
    pictures: Pictures
    named: dict[str, Picture]
    irs: dict[str, Any]
    input: JsonBlock
    pictures_template: str
    evidence: list[Artifact] = field(default_factory=list)
    errors: list[RunError] = field(default_factory=list)
    recent: list[tuple[Run, Pictures]] = field(default_factory=list)
    forks: list[Run] = field(default_factory=list)
    graph: Graph | None = None
    alike: "Alike | None" = None
    gone_text: str = ""
    replays: list[Run] = field(default_factory=list)
    verdict: Verdict | None = None

    @property
    def more_differences(self) -> int:
        """How many differences of a replay are not listed."""
        return self.verdict.differing - len(self.verdict.differences) if self.verdict else 0

    @property
    def subject_url(self) -> str:
        """The page of what the run is about."""
        return subject_url(self.run.subject_type, self.run.subject_id)

    @property
    def waits_until(self) -> datetime | None:
        """When a resting run goes on."""
        resting = self.run.status == Run.Status.PENDING and self.run.due_at > timezone.now()
        return self.run.due_at if resting else None

    @property
    def lost_workers(self) -> int:
        """How often a worker was lost over it."""
        attempts = (attempt for view in self.steps for attempt in view.attempts)
        return sum(attempt.lost for attempt in attempts) or max(0, self.run.starts - 1) * self.parked

    @property
    def parked(self) -> bool:
        """Whether it was ended because its worker was lost at every start."""
        return self.run.error_code == WORKER_LOST and not self.run.error_stage

    @property
    def can_rerun(self) -> bool:
        """Whether a new run may begin where this one failed, or at any of its nodes."""
        return self.run.is_over and self.run.pipeline_version_id is not None

    @property
    def failed_node(self) -> str:
        """The node to begin with: the one to blame, else the first that has not ended well, else the first."""
        nodes = [view.step for view in self.steps if view.step.node_key]
        open_nodes = [step for step in nodes if step.status not in ("completed", "skipped")]
        return self.run.error_stage or next((step.node_key for step in [*open_nodes, *nodes]), "")

    @property
    def jump_failed(self) -> Any:
        """The step to look at first: the one that failed, else the last whose metrics or attempts did."""
        steps = self.steps[::-1]
        worst = next((view for view in steps if view.step.status == Step.Status.FAILED), None)
        doubtful = next((view for view in steps if view.last.failed_metrics or view.earlier), None)
        found = worst or doubtful
        return found.step.pk if found else None

    @property
    def jump_prompt(self) -> Any:
        """The step whose prompt one asks about: the failing one's, else the last that had one."""
        asked = [view.step for view in self.steps if view.step.prompt_name]
        blamed = next((step for step in asked if step.status == Step.Status.FAILED), None)
        found = blamed or (asked[-1] if asked else None)
        return found.pk if found else None

    @property
    def why(self) -> str:
        """What the last step that decided said for itself."""
        return next((view.step.why for view in reversed(self.steps) if view.step.why), "")


def run_version(run: Run) -> str:
    """Changes with every write of the engine: a page that has seen it has nothing to fetch."""
    return f"{run.updated_at.timestamp():.6f}-{run.status}"


def read_run_page(run: Run, *, payloads: bool = False) -> RunPage:
    """Read a run with steps, payloads, evidence, errors, metrics, links and its neighbours.

    Of a run with more than 24 steps the payloads are left to be fetched one by one, unless `payloads` asks for them.
    """
    steps = list(run.steps.select_related("ir_schema").order_by("seq", "id"))
    inline = payloads or len(steps) <= INLINE_STEPS
    views = read_steps(run, steps, inline=inline)
    artifacts = [item for view in views for attempt in view.attempts for item in attempt.evidence]
    own = list(run.artifacts.select_related("blob").filter(step=None))
    errors = [attempt.error for view in views for attempt in view.attempts if attempt.error]
    stepless = list(run.errors.filter(step=None))
    pictures = _pictures(run, views, [*own, *artifacts])
    headline = readable("headline", lambda: write_headline(run, views, stepless), Headline(NO_HEADLINE))
    gone = gone_text([*own, *artifacts])
    forks = list(run.forks.order_by("-id")[: RECENT * 3])
    return RunPage(
        run=run,
        headline=headline.sentence,
        notes=headline.notes,
        version=run_version(run),
        steps=views,
        timeline=draw_timeline(run, steps, errors),
        pictures=pictures,
        named=_named(run, own, artifacts, pictures, gone),
        irs={view.step.node_key: view.payload.ir for view in views if view.payload and view.step.node_key},
        input=json_block("input", "Input", run.input, reverse("admin:monitor_input", args=[str(run.pk)])),
        pictures_template=_pictures_template(run.pipeline_slug),
        evidence=own,
        errors=stepless,
        recent=_recent(run),
        forks=[fork for fork in forks if fork.mode != Run.Mode.RECORDED][:RECENT],
        replays=[fork for fork in forks if fork.mode == Run.Mode.RECORDED][:REPLAYS],
        verdict=readable("verdict", lambda: _verdict(run), None),
        graph=_graph(run, steps),
        alike=_alike(run),
        gone_text=gone,
    )


def _alike(run: Run) -> Alike | None:
    """Shoppers' runs with the same error signature, through its index; what staff try again is no further failure."""
    if not run.error_signature:
        return None
    alike = Run.objects.shoppers().like(run.error_signature)
    number = len(alike.values_list("pk")[: MANY_ALIKE + 1])
    if number < 1 + (run.mode == Run.Mode.LIVE):  # it counts itself
        return None
    dates = alike.values_list("created_at", flat=True)
    return Alike(number, dates.order_by("id")[0], dates.order_by("-id")[0])


def _graph(run: Run, steps: list[Step]) -> Graph | None:
    """The version that it runs, coloured by how its steps stand; none for what is executed elsewhere."""
    if run.pipeline_version is None or not run.pipeline_version.dag.get("nodes"):
        return None
    statuses = {step.node_key: step.status for step in steps}
    return draw_graph(run.pipeline_version.dag, statuses, {step.node_key: f"#step-{step.pk}" for step in steps})


def _pictures(run: Run, views: list[StepView], artifacts: list[Artifact]) -> Pictures:
    """Pictures by hash; what IR or input name beyond the run's own evidence is looked up in its shop, in one query."""
    known = {item.blob.sha256 for item in artifacts if item.blob is not None}
    values = [run.input, run.summary.get("pictures", {}), *(view.payload.ir for view in views if view.payload)]
    told = (ref[BLOB_KEY] for ref in picture_refs(values))
    named = {sha256 for sha256 in told if isinstance(sha256, str)} | set(run.summary.get("pictures", {}).values())
    missing = named - known
    more = Blob.objects.kept().filter(shop=run.shop, sha256__in=missing, media_type__startswith="image/")
    return pictures_by_hash(artifacts, more if missing else ())


def _named(
    run: Run, own: list[Artifact], artifacts: list[Artifact], pictures: Pictures, gone: str
) -> dict[str, Picture]:
    """The run's pictures by name, inputs first; a deleted one stays as gone."""
    found: dict[str, Picture] = {}
    for item in [*own, *artifacts]:
        if item.role not in ("input", "image", "result") or not is_picture(item):
            continue
        sha256 = item.blob.sha256 if item.blob else ""
        found[item.name] = find_picture(pictures, sha256, item.name, gone) or Picture(item.name, sha256, gone_text=gone)
    for name, sha256 in run.summary.get("pictures", {}).items():
        found.setdefault(name, find_picture(pictures, sha256, name, gone) or Picture(name, sha256, gone_text=gone))
    return found


def _pictures_template(slug: str) -> str:
    """A pipeline's own pictures, or the plain gallery."""
    names = [f"monitor/pipelines/{slug}.html", "monitor/pipelines/any.html"]
    return str(select_template(names).template.name)


def _verdict(run: Run) -> Verdict | None:
    """Whether a replay that has ended met its original."""
    if run.mode != Run.Mode.RECORDED or not run.is_over or run.parent_id is None:
        return None
    try:
        return read_verdict(run)
    except SeeItError:  # this release has lost a stage of it since
        return None


def _recent(run: Run) -> list[tuple[Run, Pictures]]:
    """Other runs about the same thing, newest first."""
    if not run.subject_id:
        return []
    same = Run.objects.filter(subject_type=run.subject_type, subject_id=run.subject_id).exclude(pk=run.pk)
    runs = list(same.defer("input").order_by("-id")[:RECENT])
    pictures = summary_pictures(runs)
    return [(other, pictures[other.pk]) for other in runs]
