"""The re-run page's read model: what can be changed at each node, and what a fork with these changes would do."""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from django.template import TemplateDoesNotExist
from django.template.loader import get_template

from core.errors import SeeItError
from core.text_diff import TextDiff, diff_texts
from irschemas.services import active_schemas
from monitor.answer_fields import FieldGroup, answer_fields
from monitor.fork_draft import Draft, refused
from monitor.pictures import Pictures, pictures_by_hash
from prompts.errors import PromptError
from prompts.selection import Selection
from prompts.template import Rendered
from runs.changes import Changes
from runs.context import Deps
from runs.edits import asking_step, check_changes, fill_prompt, prompt_sent, usual_prompt
from runs.errors import ChangesInvalid
from runs.estimating import Estimate, NodeEstimate, estimate_fork, model_for
from runs.fork_plan import CHOSEN, ForkPlan, plan_fork, prompt_of, task_of
from runs.inline import default_deps
from runs.json_changes import json_changes
from runs.models import Run, Step
from runs.registry import find_stage
from vendors.base import Message, Role
from vendors.local.vendor import LocalVendor

MAX_RAW = 128 * 1024
RECENT = 5
BY_HAND = "by hand"


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of a filled-in message; `source` is the variable that it came from, empty for the template's text."""

    text: str
    source: str = ""


@dataclass(slots=True)
class PromptEditor:
    """A prompt as it stands in the form, what it becomes, and how it differs from the one that the run asked with."""

    name: str
    usual: Selection
    text: str
    used: str = ""
    used_version: str = ""
    messages: list[tuple[Role, list[Piece]]] = field(default_factory=list)
    recorded: bool = True
    problem: str = ""
    diff: TextDiff | None = None
    params: Mapping[str, Any] | None = None

    @property
    def line(self) -> int | None:
        """The line that the problem is about."""
        found = re.search(r"\bLine (\d+)", self.problem)
        return int(found[1]) if found else None

    @property
    def moved(self) -> bool:
        """Whether the run asked with another text than it would now."""
        return bool(self.used) and self.used.strip() != self.usual.template.strip()


@dataclass(frozen=True, slots=True)
class RouteChoice:
    """Who may answer a task: `usual` would, `chosen` is what the run that this goes on from was given.

    `others` are the models that the installation routes it to, `vendors` those that can do it and are set up.
    """

    task: str
    usual: str
    chosen: str
    others: tuple[str, ...]
    vendors: tuple[str, ...]


@dataclass(slots=True)
class NodeEditor:
    """What can be changed at one node."""

    key: str
    type: str
    step: Step | None
    prompt: PromptEditor | None = None
    route: RouteChoice | None = None
    fields: list[FieldGroup] = field(default_factory=list)
    raw: str = ""


@dataclass(frozen=True, slots=True)
class NodeRow:
    """What becomes of a node: `runs`, `reused` or `by hand`, and why it runs."""

    key: str
    state: str
    why: str = ""
    estimate: NodeEstimate | None = None


@dataclass(slots=True)
class ForkPreview:
    """What a fork would do, or why it cannot be started."""

    rows: list[NodeRow] = field(default_factory=list)
    node: str = ""
    wanted: str = ""
    estimate: Estimate | None = None
    changed: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)

    @property
    def states(self) -> dict[str, NodeRow]:
        """The rows by node."""
        return {row.key: row for row in self.rows}

    @property
    def moved(self) -> bool:
        """Whether it starts elsewhere than was asked for, and not for an answer by hand there."""
        wanted = self.states.get(self.wanted)
        return wanted is not None and self.node != self.wanted and wanted.state != BY_HAND


@dataclass(slots=True)
class ForkPage:
    """Everything the re-run page shows."""

    run: Run
    nodes: list[NodeEditor]
    preview: ForkPreview
    pictures: Pictures
    input_template: str
    others: list[Run]
    from_node: str

    @property
    def input_json(self) -> dict[str, str]:
        """The members of the run's input as JSON, for fields that choose among values."""
        return {name: json.dumps(value, ensure_ascii=False) for name, value in self.run.input.items()}


def read_fork_page(run: Run, draft: Draft) -> ForkPage:
    """The page for a run that has ended.

    Raises:
        core.errors.SeeItError: it cannot be run again, whatever is changed.
    """
    base = plan_fork(run, from_node=draft.from_node or None)
    nodes, preview = preview_fork(base, draft)
    own = run.artifacts.select_related("blob").filter(step=None, blob__isnull=False)
    return ForkPage(
        run=run,
        nodes=nodes,
        preview=preview,
        pictures=pictures_by_hash(own),
        input_template=_input_template(run.pipeline_slug),
        others=list(run.forks.order_by("-id")[:RECENT]),
        from_node=draft.from_node or base.node,
    )


def _input_template(slug: str) -> str:
    """A pipeline's own way to edit its input; empty where it has none."""
    name = f"monitor/pipelines/{slug}_rerun.html"
    try:
        get_template(name)
    except TemplateDoesNotExist:
        return ""
    return name


def preview_fork(base: ForkPlan, draft: Draft) -> tuple[list[NodeEditor], ForkPreview]:
    """The editors with what is typed in them, and what starting it now would do."""
    problems, plan, deps = list(draft.problems.values()), base, default_deps()
    filled_with = base  # values that are wrong themselves are filled into nothing
    try:
        plan = plan_fork(base.parent, from_node=draft.from_node or None, changes=draft.changes)
        check_changes(replace(plan, changes=replace(plan.changes, prompts={})), deps.vendors)
        filled_with = plan
    except SeeItError as error:
        problems.append(refused(error))
    nodes: list[NodeEditor] = []
    for key in base.dag.order:
        nodes.append(_editor(filled_with, key, draft, deps, nodes))
    problems += [node.prompt.problem for node in nodes if node.prompt and node.prompt.problem]
    messages = {node.key: _as_asked(node.prompt) for node in nodes if node.prompt}
    estimate = estimate_fork(plan, deps, messages)
    remarks = _remarks(nodes, estimate)
    preview = ForkPreview(
        _rows(plan, estimate), plan.node, draft.from_node, estimate, _changed(plan, nodes), problems, remarks
    )
    return nodes, preview


def _editor(plan: ForkPlan, key: str, draft: Draft, deps: Deps, before: Sequence[NodeEditor]) -> NodeEditor:
    """A prompt and a task stand at the first node that uses them: a change holds for all."""
    node, step = plan.dag.nodes[key], plan.steps.get(key)
    prompts = {other.prompt.name for other in before if other.prompt}
    tasks = {other.route.task for other in before if other.route}
    stage = find_stage(node.step)
    editor = NodeEditor(key, stage.type if stage else "", step)
    if (name := prompt_of(node, step)) and name not in prompts:
        editor.prompt = _prompt(plan, name, draft.prompts.get(name))
    if (task := task_of(node)) and task not in tasks:
        editor.route = _route(plan.parent, task, deps)
    answer = step.payload.ir if step is not None and hasattr(step, "payload") else None
    if answer is not None and plan.dag.children[key] and stage is not None:
        schema = active_schemas([stage.target]).get(stage.target)
        editor.fields = answer_fields(schema.schema, answer) if schema else []
        raw = json.dumps(answer, indent=2, ensure_ascii=False)
        editor.raw = raw if len(raw) <= MAX_RAW else ""
    return editor


def _prompt(plan: ForkPlan, name: str, typed: str | None) -> PromptEditor | None:
    """None for a prompt that the library does not have any more."""
    try:
        usual = usual_prompt(plan.parent, name)
    except PromptError:
        return None
    step = asking_step(plan, name)
    editor = PromptEditor(name, usual, usual.template if typed is None else typed)
    if step is not None and step.prompt_name == name:
        editor.used, editor.used_version = prompt_sent(step), step.prompt_version
    try:
        filled = fill_prompt(plan, name, editor.text)
    except ChangesInvalid as error:
        editor.problem = error.message
    else:
        editor.messages, editor.recorded = _pieces(filled.rendered), filled.recorded
        editor.params = filled.selection.params
    against = editor.used or usual.template
    if editor.text.strip() != against.strip():
        editor.diff = diff_texts(against, editor.text.replace("\r\n", "\n"))
    return editor


def _pieces(rendered: Rendered) -> list[tuple[Role, list[Piece]]]:
    """Messages cut where a value was filled in."""
    found = []
    for number, message in enumerate(rendered.messages):
        pieces: list[Piece] = []
        at = 0
        for segment in (segment for segment in rendered.segments if segment.message == number):
            pieces += [Piece(message.text[at : segment.start])] if segment.start > at else []
            pieces.append(Piece(message.text[segment.start : segment.end], segment.name or "value"))
            at = segment.end
        found.append((message.role, [*pieces, Piece(message.text[at:])]))
    return found


def _as_asked(editor: PromptEditor | None) -> tuple[Message, ...]:
    if editor is None:
        return ()
    return tuple(Message(role, "".join(piece.text for piece in pieces)) for role, pieces in editor.messages)


def _route(run: Run, task: str, deps: Deps) -> RouteChoice:
    chosen = Changes.from_json(run.fork_changes).routes.get(task, "")
    configured = [route.name for route in deps.routes.for_task(task)]
    usual = model_for(run, task, {}, deps)
    able = tuple(sorted(name for name, vendor in deps.vendors.items() if task in vendor.tasks))
    return RouteChoice(task, usual, chosen, tuple(dict.fromkeys(configured)), able)


def _rows(plan: ForkPlan, estimate: Estimate) -> list[NodeRow]:
    estimates = {node.node: node for node in estimate.nodes}
    rows = []
    for key in plan.dag.order:
        if key in plan.executed:
            reasons = [reason for reason in plan.because.get(key, ()) if reason != CHOSEN]
            why = "; ".join(reasons) or ("it starts here" if key == plan.node else _after(plan, key))
            rows.append(NodeRow(key, "runs", why, estimates.get(key)))
        else:
            rows.append(NodeRow(key, BY_HAND if key in plan.changes.answers else "reused"))
    return rows


def _remarks(nodes: Iterable[NodeEditor], estimate: Estimate) -> list[str]:
    """Which edits are of words where nobody reads words: `local` takes a prompt's params and variables alone."""
    models = {node.node: node.model for node in estimate.nodes}
    said = []
    for node in nodes:
        editor, model = node.prompt, models.get(node.key, "")
        if editor is None or editor.diff is None or editor.moved or model.partition("/")[0] != LocalVendor.name:
            continue
        if editor.params == editor.usual.params:
            said.append(
                f"{model} computes and reads no words: of the prompt {editor.name} only the params at its top change "
                "what it answers. This edit makes a difference once a model service is asked."
            )
    return said


def _after(plan: ForkPlan, key: str) -> str:
    """The executed node that this one follows, or that it had not been finished."""
    before = [parent for parent in plan.dag.nodes[key].depends_on if parent in plan.executed]
    return f"it follows {before[-1]}" if before else "it had not been finished"


def _changed(plan: ForkPlan, nodes: Iterable[NodeEditor]) -> list[str]:
    """What would be different, in words."""
    editors: Mapping[str, PromptEditor] = {node.prompt.name: node.prompt for node in nodes if node.prompt}
    said = []
    for name in plan.changes.prompts:
        diff = diff_texts(editors[name].usual.template, editors[name].text) if name in editors else None
        count = f": {diff.words_new} words new, {diff.words_gone} gone" if diff else ""
        said.append(f"prompt {name}{count}")
    for key, value in plan.changes.input.items():
        said += [change.under(key) for change in json_changes(plan.parent.input.get(key), value)]
    for key, answer in plan.changes.answers.items():
        before = plan.steps[key].payload.ir if key in plan.steps else None
        said += [change.under(key) for change in json_changes(before, answer)]
    return said + [f"{task} asks {name} and no other" for task, name in plan.changes.routes.items()]
