"""From a fork's edited prompt to the shop's override: what could be patched, what is live, and who has used it since.

`monitor` owns no table: `prompts.services` writes.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.models import AnonymousUser
from django.utils import timezone

from prompts.library import library
from prompts.models import PromptOverride
from prompts.selection import version_of
from prompts.services import DEFAULT_LIFETIME, MAX_LIFETIME
from runs.changes import Changes
from runs.models import Run, Step

USES = 5
GENERATIONS = 12
LIFETIMES = ((24, "24 hours"), (72, "72 hours"), (168, "7 days"), (336, "14 days"))
LASTING = ((720, "30 days"), (2160, "90 days"))


@dataclass(frozen=True, slots=True)
class Use:
    """A run that was asked with the override."""

    run: Run
    failed_metrics: int
    measured: int


@dataclass(frozen=True, slots=True)
class Patch:
    """One prompt that a fork was given, and what its shop gets of that prompt now.

    `tried`: the run was not given it, but asked with it as the shop's patch: a shopper's run, or a trial of the patch.
    """

    run: Run
    prompt: str
    template: str
    base_version: str
    live: PromptOverride | None
    uses: list[Use] = field(default_factory=list)
    tried: bool = False

    @property
    def applied(self) -> bool:
        """Whether the shop gets this very text."""
        return self.live is not None and self.live.template == self.template

    @property
    def also(self) -> list[str]:
        """What else the fork was given differently, which a patch does not carry."""
        changes = Changes.from_json(self.run.fork_changes)
        said = [f"the input {name}" for name in changes.input]
        said += [f"the answer of {node}" for node in changes.answers]
        said += [f"{model} for {task}" for task, model in changes.routes.items()]
        return said + [f"the prompt {name}" for name in changes.prompts if name != self.prompt]

    @property
    def seen(self) -> str:
        """What the page shows as live, for whoever patches from it."""
        return str(self.live.pk) if self.live else ""

    @property
    def possible(self) -> bool:
        """Whether the text has shown that it makes a picture."""
        made = self.run.status == Run.Status.COMPLETED and not self.tried
        return made and not self.applied and self.run.shop_id is not None


def read_patches(before: Run, after: Run) -> list[Patch]:
    """The edited prompts of the second run, else of the first: what one of them was forked for.

    A run that was asked with its shop's patch shows that one.
    """
    return list(_patches(after)) or list(_tried(after)) or list(_patches(before))


def find_patch(prompt: str, *runs: Run) -> Patch | None:
    """The patch that these two runs offer for a prompt."""
    return next((patch for patch in read_patches(*runs) if patch.prompt == prompt), None)


def _patches(run: Run) -> Iterator[Patch]:
    for prompt, template in Changes.from_json(run.fork_changes).prompts.items():
        if prompt not in library().names() or run.shop_id is None:
            continue
        rows = PromptOverride.objects.live(timezone.now()).filter(shop=run.shop_id, prompt_name=prompt)
        live = rows.first()
        patch = Patch(run, prompt, template, _base_version(run, prompt), live)
        if live is not None and patch.applied:
            patch.uses.extend(_uses(live))
        yield patch


def _tried(run: Run) -> Iterator[Patch]:
    asked = Step.objects.filter(run=run, prompt_source="override").values_list("prompt_name", "prompt_sha256")
    for prompt, sha256 in sorted(set(asked)):
        overrides = PromptOverride.objects.filter(shop=run.shop_id, prompt_name=prompt)
        used = overrides.filter(sha256=sha256).order_by("-id").first()
        if used is None:
            continue
        live = overrides.live(timezone.now()).first()
        patch = Patch(run, prompt, used.template, used.base_version, live, tried=True)
        if live is not None and patch.applied:
            patch.uses.extend(_uses(live))
        yield patch


def _base_version(run: Run, prompt: str) -> str:
    """The library's version that the edit started from: the one its origin was asked with, or that one's own base."""
    origin = origin_of(run, prompt)
    step = Step.objects.filter(run=origin, prompt_name=prompt).only("prompt_version", "prompt_sha256").first()
    if step is None:
        return library().production(prompt).version
    if step.prompt_version in library().versions(prompt):
        return step.prompt_version
    override = PromptOverride.objects.filter(prompt_name=prompt, sha256=step.prompt_sha256).first()
    return override.base_version if override else library().production(prompt).version


def origin_of(run: Run, prompt: str) -> Run:
    """The run behind a fork, or a fork of a fork, that was asked with what its shop got by itself."""
    for _ in range(GENERATIONS):
        if run.parent is None or prompt not in Changes.from_json(run.fork_changes).prompts:
            break
        run = run.parent
    return run


def _uses(override: PromptOverride) -> list[Use]:
    """The newest runs of the shop that were asked with it, each with how its last attempt was judged."""
    steps = Step.objects.filter(
        shop=override.shop_id, prompt_name=override.prompt_name, prompt_source="override",
        prompt_version=version_of(override.prompt_name, override.sha256), created_at__gte=override.created_at,
        reused_from=None,
    )  # fmt: skip
    newest = steps.select_related("run").order_by("-id")[:USES]
    runs = list({step.run_id: step.run for step in newest}.values())
    return [_use(run) for run in runs]


def _use(run: Run) -> Use:
    judged = [row for row in run.metrics.select_related("step") if row.step and row.attempt == row.step.attempt]
    verdicts = [row.passed for row in judged if row.passed is not None]
    return Use(run, verdicts.count(False), len(verdicts))


def node_of(run: Run, prompt: str) -> str:
    """The first node that a run asked with a prompt."""
    step = Step.objects.filter(run=run, prompt_name=prompt).exclude(node_key="").order_by("seq").first()
    return step.node_key if step else ""


def lifetimes(user: AbstractBaseUser | AnonymousUser) -> tuple[tuple[int, str], ...]:
    """For how long somebody may patch, in hours and words."""
    return LIFETIMES + LASTING if may_extend(user) else LIFETIMES


def may_extend(user: Any) -> bool:
    """Whether somebody may let an override last longer than 14 days."""
    return bool(user.has_perm("prompts.extend_promptoverride"))


def is_lasting(hours: int) -> bool:
    """Whether that is longer than anybody may."""
    return timedelta(hours=hours) > MAX_LIFETIME


DEFAULT_HOURS = int(DEFAULT_LIFETIME.total_seconds() // 3600)
