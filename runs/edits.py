"""The door of a fork: what somebody wants different is held against what the run's stages take, and refused in words.

Nothing is written here, so a page can ask while somebody types.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from django.utils import timezone

from core.canonical import canonical_json
from core.pictures import BLOB_KEY
from core.storage import BlobMissing
from irschemas.services import active_schemas
from irschemas.validation import validate_active
from prompts.document import complete
from prompts.errors import PromptError, PromptNotFound
from prompts.library import library
from prompts.selection import Selection, complete_edit, edited_selection, render_selection, select_prompt
from prompts.services import load_live_overrides
from prompts.template import Rendered
from runs.attempts import NUL
from runs.blobs import read_blob
from runs.changes import Changes, split_route
from runs.errors import ChangesInvalid
from runs.fork_plan import ForkPlan, prompt_of
from runs.inline import default_deps
from runs.models import Artifact, Run, Step
from runs.registry import find_stage, input_check
from runs.step import MAX_ANSWER
from vendors.base import Vendor

LINE = re.compile(r"Line (\d+)")
MAX_INPUT = 256 * 1024
PICTURES = (Artifact.Role.IMAGE, Artifact.Role.RESULT, Artifact.Role.INPUT)


@dataclass(frozen=True, slots=True)
class EditedPrompt:
    """A prompt as it would be asked. `recorded` says that it was filled in with what the run asked with before.

    Without that (the node asked nothing) it is filled in with the prompt's own example.
    """

    selection: Selection
    rendered: Rendered
    recorded: bool


def check_changes(plan: ForkPlan, vendors: Mapping[str, Vendor] | None = None) -> Changes:
    """The plan's changes as they are to be kept, every one of them checked.

    `vendors` are those that may be asked, by default the installation's.

    Raises:
        ChangesInvalid: what is wrong, and where.
        core.errors.SeeItError: whatever the domain says of its input.
    """
    changes = plan.changes
    if changes.routes:
        check_routes(changes.routes, vendors if vendors is not None else default_deps().vendors)
    given = check_input(plan.parent, changes.input) if changes.input else {}
    answers = {node: check_answer(plan, node, answer) for node, answer in changes.answers.items()}
    prompts = {name: fill_prompt(plan, name, text).selection.template for name, text in changes.prompts.items()}
    return replace(changes, input=given, answers=answers, prompts=prompts)


def check_routes(routes: Mapping[str, str], vendors: Mapping[str, Vendor]) -> None:
    """Whoever is named is set up here and does what it is asked for.

    Raises:
        ChangesInvalid: it is not.
    """
    for task, name in routes.items():
        vendor, _ = split_route(task, name)
        if vendor not in vendors:
            known = ", ".join(sorted(vendors))
            raise ChangesInvalid(f"The vendor {vendor!r} is not set up here; there are {known}.")
        if task not in vendors[vendor].tasks:
            raise ChangesInvalid(f"{vendor} does not do {task}; it does {', '.join(vendors[vendor].tasks)}.")


def usual_prompt(run: Run, name: str) -> Selection:
    """The prompt that a fork of this run would ask with if nobody edited it.

    Raises:
        PromptNotFound: the library has none by that name.
    """
    edited, now, shop = Changes.from_json(run.fork_changes).prompts.get(name), timezone.now(), run.shop
    if edited is not None:
        return edited_selection(name, edited, base_version=library().production(name).version, source="edit")
    return select_prompt(
        name,
        shop_key=str(shop.pk) if shop else "",
        features=shop.features if shop else {},
        override=load_live_overrides(shop, now).get(name) if shop else None,
        now=now,
    )


def fill_prompt(plan: ForkPlan, name: str, text: str) -> EditedPrompt:
    """An edited prompt, made whole and filled in with the run's own values, edited ones over them.

    Raises:
        ChangesInvalid: it is not a prompt, or cannot be filled in; the message says in which line and why.
    """
    try:
        return _fill(plan, name, text)
    except PromptNotFound as error:
        raise ChangesInvalid(error.message) from error
    except PromptError as error:
        said = _as_typed(error.message, name, _base_version(plan, name), text)
        raise ChangesInvalid(f"The prompt {name}: {said}", details={"prompt": name}) from error


def _fill(plan: ForkPlan, name: str, text: str) -> EditedPrompt:
    step, base = asking_step(plan, name), _base_version(plan, name)
    whole = complete_edit(name, text, base_version=base)
    selection = edited_selection(name, whole.template, base_version=base, source="edit")
    variables, params = asked_with(step) if step else ({}, {})
    if not variables:
        example = library().get(name, base).document.example
        return EditedPrompt(selection, render_selection(selection, example), recorded=False)
    over = {**plan.changes.input, **plan.changes.answers}
    filled = {key: over.get(key, value) for key, value in variables.items()}
    return EditedPrompt(selection, render_selection(selection, filled, params), recorded=True)


def _base_version(plan: ForkPlan, name: str) -> str:
    """The library's version that an edit completes: the one that was asked with, else production."""
    step = asking_step(plan, name)
    known = step is not None and step.prompt_version in library().versions(name)
    return step.prompt_version if step and known else library().production(name).version


def _as_typed(message: str, name: str, base: str, text: str) -> str:
    """An error's words with the line counted in what was typed, which may be only a part of a prompt."""
    found = LINE.match(message)
    if found is None:
        return message
    try:
        lines = complete(library().get(name, base).document, text).splitlines()
    except PromptError:
        return message  # it was met before anything was completed
    typed, at = text.splitlines(), int(found[1]) - 1
    if at < len(lines) and lines[at] in typed:
        return f"Line {typed.index(lines[at]) + 1}{message[found.end() :]}"
    return message


def asking_step(plan: ForkPlan, name: str) -> Step | None:
    """The run's step that asked with a prompt, or the first that would have."""
    users = [plan.steps[key] for key, node in plan.dag.nodes.items()
             if key in plan.steps and prompt_of(node, plan.steps[key]) == name]  # fmt: skip
    return next((step for step in users if step.prompt_name == name), users[0] if users else None)


def asked_with(step: Step) -> tuple[dict[str, Any], dict[str, Any]]:
    """The variables and params that a step filled its prompt in with; both empty where that was not kept."""
    payload = getattr(step, "payload", None)
    if payload is None:
        return {}, {}
    variables = payload.variables
    if "variables" in payload.truncated:
        variables = _evidence(step, Artifact.Role.PAYLOAD, "variables")
    sent = _evidence(step, Artifact.Role.PROMPT, "prompt")
    return variables or {}, sent.get("params", payload.params) if sent else payload.params


def prompt_sent(step: Step) -> str:
    """The text of the prompt that a step asked with; empty where it was not kept."""
    return str(_evidence(step, Artifact.Role.PROMPT, "prompt").get("template", ""))


def _evidence(step: Step, role: str, name: str) -> dict[str, Any]:
    found = step.artifacts.select_related("blob").filter(role=role, name=name, attempt=step.attempt).last()
    if found is None or found.blob is None:
        return {}
    try:
        value = json.loads(read_blob(found.blob))
    except (BlobMissing, ValueError):
        return {}
    return value if isinstance(value, dict) else {}


def check_input(run: Run, given: Mapping[str, Any]) -> dict[str, Any]:
    """Edited members of the run's input, as they are to be stored.

    Raises:
        ChangesInvalid: not JSON, too large, or it names a picture that the run was not given.
        core.errors.SeeItError: whatever the domain says.
    """
    if len(_json(given, "The edited input")) > MAX_INPUT:
        raise ChangesInvalid(f"The edited input has more than {MAX_INPUT // 1024} KiB as JSON.")
    own = run.artifacts.select_related("blob").filter(step=None, role=Artifact.Role.INPUT, blob__isnull=False)
    bound = _own_pictures(dict(given), {item.blob.sha256: item.blob.to_json() for item in own if item.blob})
    check = input_check(run.pipeline_slug)
    return dict(check(bound)) if check else bound


def check_answer(plan: ForkPlan, node: str, answer: Any) -> Any:
    """An answer that a person wrote for a node, held against the schema of the node's own answers.

    Raises:
        ChangesInvalid: with everything that is wrong, each with its path.
    """
    if len(_json(answer, f"The edited answer of {node}")) > MAX_ANSWER:
        raise ChangesInvalid(f"The edited answer of {node} has more than {MAX_ANSWER // 1024 // 1024} MB as JSON.")
    stage, step = find_stage(plan.dag.nodes[node].step), plan.steps.get(node)
    own = step.artifacts.select_related("blob").filter(role__in=PICTURES, blob__isnull=False) if step else ()
    given = plan.parent.artifacts.select_related("blob").filter(step=None, blob__isnull=False)
    known = {item.blob.sha256: item.blob.to_json() for item in [*own, *given] if item.blob}
    bound = _own_pictures(answer, known)
    schema = active_schemas([stage.target]).get(stage.target) if stage else None
    validation = validate_active(schema, bound) if schema else None
    if validation is not None and not validation.passed:
        problems = [str(problem) for problem in validation.errors]
        text = f"The edited answer of {node} does not follow its schema. {validation.summary()}"
        raise ChangesInvalid(text, details={"problems": problems})
    return bound


def _json(value: Any, what: str) -> bytes:
    try:
        body = canonical_json(value)
    except (ValueError, TypeError, RecursionError) as error:
        raise ChangesInvalid(f"{what} is not JSON: {error}.") from error
    if NUL.search(body):
        raise ChangesInvalid(f"{what} holds a NUL character.")
    return body


def _own_pictures(value: Any, known: Mapping[str, dict[str, Any]]) -> Any:
    """The same value with every picture as the store knows it.

    Only the run's own: another shopper's photo is not staff's to try things with, and would outlive its deletion.
    """
    if isinstance(value, Mapping):
        if BLOB_KEY in value:
            named = value[BLOB_KEY]
            if not isinstance(named, str) or named not in known:
                raise ChangesInvalid("A fork works with the pictures of its own run; this one has none by that hash.")
            return dict(known[named])
        return {key: _own_pictures(item, known) for key, item in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_own_pictures(item, known) for item in value]
    return value
