"""What somebody has filled in on the re-run page, as changes: only what differs from what would be done anyway."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from core.errors import SeeItError
from irschemas.services import active_schemas
from monitor.answer_fields import answer_fields, with_value
from prompts.errors import PromptNotFound
from runs.changes import Changes
from runs.edits import usual_prompt
from runs.fork_plan import ForkPlan, prompt_of, task_of
from runs.json_changes import json_changes
from runs.models import Run
from runs.registry import find_stage

Form = Mapping[str, str]


@dataclass(slots=True)
class Draft:
    """A form as changes, and what of it could not be read, by the field's name."""

    from_node: str = ""
    prompts: dict[str, str] = field(default_factory=dict)
    input: dict[str, Any] = field(default_factory=dict)
    routes: dict[str, str] = field(default_factory=dict)
    answers: dict[str, Any] = field(default_factory=dict)
    problems: dict[str, str] = field(default_factory=dict)

    @property
    def changes(self) -> Changes:
        """As the services take them."""
        return Changes(prompts=self.prompts, input=self.input, routes=self.routes, answers=self.answers)


def read_draft(base: ForkPlan, form: Form) -> Draft:
    """The form's changes against a run whose plan without changes is `base`; a field that is not there changes nothing.

    Fields: `from`; `prompt:NAME`; `route:TASK` and, over it, `other:TASK`; `x:KEY` and `y:KEY`, a point in percent;
    `input:KEY`, JSON; `overlay`, a JSON object; `answer:NODE`, JSON, and over it `field:NODE:PATH`.
    """
    draft = Draft(form.get("from", "").strip())
    for key, node in base.dag.nodes.items():
        if name := prompt_of(node, base.steps.get(key)):
            _read_prompt(draft, base.parent, name, form)
        if task := task_of(node):
            _read_route(draft, base.parent, task, form)
        _read_answer(draft, base, key, form)
    _read_input(draft, base.parent, form)
    return draft


def _read_prompt(draft: Draft, run: Run, name: str, form: Form) -> None:
    typed = form.get(f"prompt:{name}")
    if typed is None:
        return
    typed = typed.replace("\r\n", "\n")
    try:
        usual = usual_prompt(run, name).template
    except PromptNotFound:
        return
    if typed.strip() != usual.strip():
        draft.prompts[name] = typed


def _read_route(draft: Draft, run: Run, task: str, form: Form) -> None:
    inherited = Changes.from_json(run.fork_changes).routes.get(task, "")
    chosen = form.get(f"other:{task}", "").strip() or form.get(f"route:{task}", inherited).strip()
    if chosen and chosen != inherited:
        draft.routes[task] = chosen


def _read_answer(draft: Draft, base: ForkPlan, key: str, form: Form) -> None:
    step, stage = base.steps.get(key), find_stage(base.dag.nodes[key].step)
    if step is None or not hasattr(step, "payload") or step.payload.ir is None or stage is None:
        return
    recorded = answer = step.payload.ir
    raw = form.get(f"answer:{key}", "").strip()
    if raw:
        try:
            answer = json.loads(raw)
        except (ValueError, RecursionError) as error:
            draft.problems[f"answer:{key}"] = f"The answer of {key} is not JSON: {error}."
            return
    names = [name for name in form if name.startswith(f"field:{key}:")]
    schema = active_schemas([stage.target]).get(stage.target) if names else None
    groups = answer_fields(schema.schema, recorded) if schema else []
    known = {item.path: item for group in groups for item in group.fields}
    for name in names:
        path = name.removeprefix(f"field:{key}:")
        item, typed = known.get(path), form[name].strip()
        if item is None or typed == item.value:
            continue
        try:
            answer = with_value(answer, path, item.read(typed))
        except (ValueError, KeyError, TypeError):
            draft.problems[name] = f"{key}, {path}: {typed!r} is not a number."
    if json_changes(recorded, answer):
        draft.answers[key] = answer


def _read_input(draft: Draft, run: Run, form: Form) -> None:
    for name in form:
        kind, _, key = name.partition(":")
        if kind == "x":
            _read_point(draft, run, key, form)
        elif kind == "input":
            _read_member(draft, run, key, form[name])
    overlay = form.get("overlay", "").strip()
    if not overlay:
        return
    try:
        members = json.loads(overlay)
    except (ValueError, RecursionError) as error:
        draft.problems["overlay"] = f"The other input is not JSON: {error}."
        return
    if not isinstance(members, dict):
        draft.problems["overlay"] = 'The other input has to be an object, such as {"hints": {"hint": "left"}}.'
        return
    draft.input |= members


def _read_point(draft: Draft, run: Run, key: str, form: Form) -> None:
    typed = [form.get(f"{axis}:{key}", "").strip().replace(",", ".") for axis in ("x", "y")]
    if not any(typed):
        point = None
    else:
        try:
            x, y = (round(float(text) / 100, 4) for text in typed)
        except ValueError:
            draft.problems[f"x:{key}"] = f"{key}: both numbers are needed, in percent of the photo's width and height."
            return
        point = {"x": x, "y": y}
    if json_changes(_rounded(run.input.get(key)), point):
        draft.input[key] = point


def _rounded(point: Any) -> Any:
    """A recorded point as the form shows it, so that looking at it changes nothing."""
    return {axis: round(float(value), 4) for axis, value in point.items()} if isinstance(point, dict) else point


def _read_member(draft: Draft, run: Run, key: str, text: str) -> None:
    try:
        value = json.loads(text) if text.strip() else None
    except (ValueError, RecursionError):
        draft.problems[f"input:{key}"] = f"{key} is not JSON."
        return
    if json_changes(run.input.get(key), value):
        draft.input[key] = value


def refused(error: SeeItError) -> str:
    """Why a draft cannot be started, with every problem that the service lists."""
    more = [str(text) for text in (error.details or {}).get("problems", ())]
    return error.message if len(more) < 2 else f"{error.message} ({len(more)} problems)"
