"""Live overrides that the library has left behind, and the overrides that a shop has had."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from django.utils import timezone

from core.text_diff import TextDiff, diff_texts
from prompts.errors import PromptError
from prompts.library import library
from prompts.models import PromptOverride
from prompts.selection import complete_edit


@dataclass(frozen=True, slots=True)
class Drift:
    """A live override whose base has moved on, and how."""

    override: PromptOverride
    kind: Literal["moved", "edited", "gone", "broken"]
    detail: str

    @property
    def missed(self) -> TextDiff | None:
        """What the library has changed since, which the shop does not get; None where its base is gone."""
        base = _base(self.override)
        return None if base is None else diff_texts(base, library().production(self.override.prompt_name).template)


def drifted_overrides(now: datetime | None = None) -> list[Drift]:
    """Live overrides whose base version is no longer what they were made from, oldest first."""
    rows = PromptOverride.objects.live(now or timezone.now()).select_related("shop").order_by("id")
    return [drift for drift in map(drift_of, rows) if drift is not None]


def drift_of(override: PromptOverride) -> Drift | None:
    """How an override's base has moved on since it was made, or None; the most serious fact comes first."""
    name, base_version = override.prompt_name, override.base_version
    prompts = library()
    if name not in prompts.names() or base_version not in prompts.versions(name):
        return Drift(override, "gone", f"{name} {base_version} is no longer in the library")
    production = prompts.production(name)
    try:
        complete_edit(name, override.template, base_version=production.version)
    except PromptError as error:
        return Drift(override, "broken", error.message)
    if production.version != base_version:
        return Drift(override, "moved", f"made from {base_version}, production is {production.version}")
    if prompts.get(name, base_version).sha256 != override.base_sha256:
        return Drift(override, "edited", f"the library's {base_version} was edited after the override was made")
    return None


def own_change(override: PromptOverride) -> TextDiff | None:
    """What an override says differently from the library's version it was made from; None where that is gone."""
    base = _base(override)
    return None if base is None else diff_texts(base, override.template)


def _base(override: PromptOverride) -> str | None:
    try:
        return library().get(override.prompt_name, override.base_version).template
    except PromptError:
        return None


@dataclass(frozen=True, slots=True)
class Past:
    """One override among all that a shop has had of a prompt: its state, and how it ended if it has."""

    override: PromptOverride
    state: str
    ending: str


def override_history(override: PromptOverride, now: datetime | None = None) -> list[Past]:
    """Every override of the same shop and prompt, newest first; none is ever deleted."""
    now = now or timezone.now()
    rows = list(PromptOverride.objects.filter(shop=override.shop_id, prompt_name=override.prompt_name))
    made = {row.created_at: row for row in rows}
    return [Past(row, row.state(now), _ending(row, row.state(now), made)) for row in rows]


def _ending(row: PromptOverride, state: str, made: dict[datetime, PromptOverride]) -> str:
    """An override is closed in the same instant in which the one that replaces it is made."""
    if state != "closed" or row.revoked_at is None:
        return state
    follower = made.get(row.revoked_at)
    replaced = follower is not None and follower.pk != row.pk
    return f"{'replaced' if replaced else 'closed'} by {row.revoked_by}"
