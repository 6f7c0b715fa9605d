"""How the prompt of an attempt differs from the one that others get: the library's, or the last good run's."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from core.text_diff import TextDiff, diff_texts
from monitor.asked import read_sent
from prompts.errors import PromptError
from prompts.library import library
from prompts.selection import library_selection, render_selection
from runs.models import Run, Step

LOOKED_AT = 5


@dataclass(frozen=True, slots=True)
class PromptDiff:
    """An attempt's prompt beside another: the files, and what was sent; `note` says what is missing."""

    other: str
    note: str = ""
    template: TextDiff | None = None
    sent: TextDiff | None = None
    run: Run | None = None


def against_library(step: Step, attempt: int) -> PromptDiff:
    """Beside the library's current version, filled in with the same values."""
    sent = read_sent(step, attempt)
    if sent is None or step.prompt_name not in library().names():
        return PromptDiff("the library", "This prompt is gone." if sent is None else "The library has no such prompt.")
    current = library().production(step.prompt_name)
    other = f"{current.name} {current.version} of the library"
    template = diff_texts(current.template, str(sent.get("template", "")))
    if template.same:
        return PromptDiff(other, "It is the library's current version, word for word.")
    payload = getattr(step, "payload", None)
    if payload is None or attempt != step.attempt or "variables" in payload.truncated:
        return PromptDiff(other, "The values that it was filled in with are not at hand.", template)
    try:
        rendered = render_selection(library_selection(current.name, current.version), payload.variables,
                                    sent.get("params"))  # fmt: skip
    except PromptError as error:
        return PromptDiff(other, f"It could not be filled in with the same values: {error.message}", template)
    return PromptDiff(other, "", template, diff_texts(rendered.text, _as_text(sent)))


def against_good(step: Step, attempt: int) -> PromptDiff:
    """Beside what the same node of this shop's last good run was asked."""
    sent = read_sent(step, attempt)
    if sent is None:
        return PromptDiff("the last good run", "This prompt is gone.")
    for good in _good_steps(step):
        other = read_sent(good, good.attempt)
        if other is not None:
            template = diff_texts(str(other.get("template", "")), str(sent.get("template", "")))
            return PromptDiff(
                f"{good.prompt_name} {good.prompt_version} of", "", template,
                diff_texts(_as_text(other), _as_text(sent)), good.run,
            )  # fmt: skip
    return PromptDiff("the last good run", "No other run of this shop has asked here and ended well.")


PEERS: Mapping[str, Callable[[Step, int], PromptDiff]] = {"library": against_library, "good": against_good}


def _good_steps(step: Step) -> list[Step]:
    """The same node's steps in the shop's last completed runs, newest first; earlier runs than this one go first."""
    same = Step.objects.filter(
        shop=step.shop, pipeline_slug=step.pipeline_slug, node_key=step.node_key, status=Step.Status.COMPLETED,
        run__status=Run.Status.COMPLETED, run__mode=Run.Mode.LIVE, prompt_name=step.prompt_name,
    ).select_related("run").exclude(run_id=step.run_id)  # fmt: skip
    earlier = list(same.filter(run_id__lt=step.run_id).order_by("-run_id")[:LOOKED_AT])
    return earlier or list(same.order_by("-run_id")[:LOOKED_AT])


def _as_text(sent: Mapping[str, Any]) -> str:
    """All messages with their roles, as a rendered prompt is written."""
    return "\n\n".join(f"<<{message['role']}>>\n{message['text']}" for message in sent.get("messages", []))
