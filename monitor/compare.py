"""The compare page's read model: two runs beside each other, what differs and why."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, cast

from django.template import TemplateDoesNotExist
from django.template.loader import select_template

from core.text_diff import TextDiff, diff_texts
from monitor.asked import read_question
from monitor.json_diff import MISSING, JsonDiff, diff_json
from monitor.metric_diff import MetricPair, pair_metrics
from monitor.pictures import Picture
from monitor.run_page import RunPage, read_run_page, run_version
from monitor.steps import StepView
from monitor.verdict import write_verdict
from monitor.why_different import Cause, read_causes
from runs.models import Run, Step

MOST_NODES = 60
FEW_ROWS = 24
MOST_PROMPTS = 12
MOST_PICTURES = 4
# What a run was for comes first; the rest in the order in which the runs name it.
FIRST = ("result", "cutout")

Pair = tuple[StepView | None, StepView | None]


@dataclass(frozen=True, slots=True)
class PicturePair:
    """The pictures of one name in both runs."""

    name: str
    before: Picture | None
    after: Picture | None

    @property
    def same(self) -> bool:
        """Whether both are the same bytes."""
        return bool(self.before and self.after and self.before.sha256 and self.before.sha256 == self.after.sha256)

    @property
    def comparable(self) -> bool:
        """Whether both are there, so that they can be laid over each other."""
        return bool(self.before and self.after and not self.before.gone and not self.after.gone)


@dataclass(frozen=True, slots=True)
class NodePair:
    """One node in both runs: how it went, what it answered, and what it was asked."""

    key: str
    before: StepView | None
    after: StepView | None
    answer: JsonDiff
    prompt: "PromptPair | None" = None

    @property
    def latency_ms(self) -> int | None:
        """How much longer the second took; None where one of them was not executed in its run."""
        return cast(int | None, _minus(self.after, self.before, "latency_ms"))

    @property
    def cost_usd(self) -> Any:
        """How much more the second cost; None where either is unknown."""
        return _minus(self.after, self.before, "cost_usd")

    @property
    def short(self) -> bool:
        """Whether its differences are few enough to be shown at once."""
        return len(self.answer.rows) <= FEW_ROWS

    @property
    def shared(self) -> bool:
        """Whether one run took the step over from the other: it is the same decision."""
        if self.before is None or self.after is None:
            return False
        origins = [view.step.reused_from_id or view.step.pk for view in (self.before, self.after)]
        return origins[0] == origins[1]


@dataclass(frozen=True, slots=True)
class PromptPair:
    """The prompts of one node: the files as used, and the messages as sent."""

    key: str
    before: Step
    after: Step
    template: TextDiff
    messages: list[tuple[str, TextDiff]]
    gone: tuple[str, ...] = ()

    @property
    def same(self) -> bool:
        """Whether nothing differs that could be read."""
        return self.template.same and all(diff.same for _, diff in self.messages)


@dataclass(slots=True)
class ComparePage:
    """Everything the compare page shows."""

    before: RunPage
    after: RunPage
    causes: list[Cause]
    nodes: list[NodePair]
    metrics: list[MetricPair]
    pictures: list[PicturePair]
    input: JsonDiff
    scene_template: str

    @property
    def version(self) -> str:
        """Changes with every write to either run."""
        return f"{self.before.version}+{self.after.version}"

    @property
    def verdict(self) -> str:
        """How the second stands to the first, in words."""
        return write_verdict(self)

    @property
    def is_over(self) -> bool:
        """Whether both runs have ended."""
        return self.before.run.is_over and self.after.run.is_over

    @property
    def same_pipeline(self) -> bool:
        """Whether both are runs of one pipeline, so that their nodes mean the same."""
        return self.before.run.pipeline_slug == self.after.run.pipeline_slug

    @property
    def same_shop(self) -> bool:
        """Whether both are one shop's."""
        return self.before.run.shop_id == self.after.run.shop_id

    @property
    def changed_pictures(self) -> list[PicturePair]:
        """Pictures to look at: those that are not the same in both."""
        return [pair for pair in self.pictures if not pair.same]

    @property
    def main_pictures(self) -> list[PicturePair]:
        """Of those the ones that the runs were for; the first few where no name says so."""
        changed = self.changed_pictures
        return [pair for pair in changed if pair.name in FIRST] or changed[:MOST_PICTURES]

    @property
    def other_pictures(self) -> list[PicturePair]:
        """The rest of them: what was made on the way."""
        main = self.main_pictures
        return [pair for pair in self.changed_pictures if pair not in main]

    @property
    def same_pictures(self) -> list[PicturePair]:
        """Pictures that both share."""
        return [pair for pair in self.pictures if pair.same]

    @property
    def answers(self) -> list[NodePair]:
        """Nodes whose answers differ."""
        return [node for node in self.nodes if node.answer]

    @property
    def prompts(self) -> list[PromptPair]:
        """Nodes whose prompts differ."""
        return [node.prompt for node in self.nodes if node.prompt is not None and not node.prompt.same]

    @property
    def latency_ms(self) -> int | None:
        """How much longer the second run took."""
        old, new = self.before.run.latency_ms, self.after.run.latency_ms
        return None if old is None or new is None else new - old

    @property
    def cost_usd(self) -> Any:
        """How much more the second run cost."""
        old, new = self.before.run.cost_usd, self.after.run.cost_usd
        return None if old is None or new is None else new - old

    @property
    def loud_metrics(self) -> list[MetricPair]:
        """Metrics that moved or turned."""
        return [pair for pair in self.metrics if not pair.quiet]

    @property
    def quiet_metrics(self) -> list[MetricPair]:
        """Metrics with nothing to see."""
        return [pair for pair in self.metrics if pair.quiet]

    def metrics_that(self, verdict: str) -> list[MetricPair]:
        """Metrics with one verdict."""
        return [pair for pair in self.metrics if pair.verdict == verdict]

    @property
    def better(self) -> list[MetricPair]:
        """Metrics that improved."""
        return self.metrics_that("better")

    @property
    def worse(self) -> list[MetricPair]:
        """Metrics that got worse."""
        return self.metrics_that("worse")


def read_compare(before: Run, after: Run) -> ComparePage:
    """Read both runs and what differs between them; nodes of both by their keys."""
    old, new = read_run_page(before, payloads=True), read_run_page(after, payloads=True)
    pairs = _pairs(old, new)
    return ComparePage(
        before=old,
        after=new,
        causes=read_causes(before, after, pairs),
        nodes=_nodes(pairs),
        metrics=pair_metrics(pairs),
        pictures=list(_pictures(old, new)),
        input=diff_json(before.input, after.input),
        scene_template=_scene_template(before.pipeline_slug) if before.pipeline_slug == after.pipeline_slug else "",
    )


def compare_version(before: Run, after: Run) -> str:
    """What `ComparePage.version` will be, without reading more than the rows."""
    return f"{run_version(before)}+{run_version(after)}"


def _pairs(old: RunPage, new: RunPage) -> dict[str, Pair]:
    """Both runs' steps by node, in the order of the first; what one of them lacks stands against nothing."""
    first, second = ({_key(view): view for view in page.steps[:MOST_NODES]} for page in (old, new))
    names = [*first, *(name for name in second if name not in first)]
    return {name: (first.get(name), second.get(name)) for name in names}


def _key(view: StepView) -> str:
    return view.step.node_key or view.step.name


def _nodes(pairs: dict[str, Pair]) -> list[NodePair]:
    prompts = list(_prompts(pairs))[:MOST_PROMPTS]
    by_node = {pair.key: pair for pair in prompts}
    return [
        NodePair(key, old, new, diff_json(_answer(old), _answer(new)), by_node.get(key))
        for key, (old, new) in pairs.items()
    ]


def _answer(view: StepView | None) -> Any:
    """A node's answer; one that has none yet differs from nothing."""
    if view is None or view.payload is None or view.payload.ir is None:
        return MISSING
    return view.payload.ir


def _prompts(pairs: dict[str, Pair]) -> Iterator[PromptPair]:
    """The nodes that were asked with a prompt in both runs, except where one took its step over from the other."""
    for key, (old, new) in pairs.items():
        if old is None or new is None or not (old.step.prompt_name and new.step.prompt_name):
            continue
        if (new.step.reused_from_id or new.step.pk) == (old.step.reused_from_id or old.step.pk):
            continue
        yield _prompt_pair(key, old, new)


def _prompt_pair(key: str, old: StepView, new: StepView) -> PromptPair:
    asked = [read_question(view.step, view.last.number) for view in (old, new)]
    before, after = ({message.role: message.text for message in question.messages} for question in asked)
    roles = [*before, *(role for role in after if role not in before)]
    gone = [name for name, question in zip(("left", "right"), asked, strict=True) if not question.messages]
    return PromptPair(
        key,
        old.step,
        new.step,
        diff_texts(*("" if gone else question.template for question in asked)),
        [] if gone else [(role, diff_texts(before.get(role, ""), after.get(role, ""))) for role in roles],
        tuple(gone),
    )


def _pictures(old: RunPage, new: RunPage) -> Iterator[PicturePair]:
    """Pictures by name: what the runs were for first."""
    names = [*old.named, *(name for name in new.named if name not in old.named)]
    for name in sorted(names, key=lambda name: FIRST.index(name) if name in FIRST else len(FIRST)):
        yield PicturePair(name, old.named.get(name), new.named.get(name))


def _scene_template(slug: str) -> str:
    """A pipeline's own picture of both runs, if it has one."""
    try:
        return str(select_template([f"monitor/pipelines/{slug}_compare.html"]).template.name)
    except TemplateDoesNotExist:
        return ""


def _minus(after: StepView | None, before: StepView | None, column: str) -> Any:
    if after is None or before is None:
        return None
    old, new = getattr(before.step, column), getattr(after.step, column)
    return None if old is None or new is None else new - old
