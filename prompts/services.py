"""Everything that writes overrides, and what a run asks before it starts."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal
from uuid import UUID

import yaml
from django.db import transaction
from django.utils import timezone

from prompts.document import split_document
from prompts.errors import OverrideInvalid, OverrideNotFound, PromptError, PromptParamsInvalid
from prompts.library import library
from prompts.models import PromptOverride
from prompts.selection import LiveOverride, Selection, complete_edit, select_prompt
from shops.models import Shop

logger = logging.getLogger(__name__)

DEFAULT_LIFETIME = timedelta(hours=72)
MAX_LIFETIME = timedelta(days=14)
MAX_REASON = 500


def create_override(
    *,
    shop: Shop,
    prompt_name: str,
    template: str,
    reason: str,
    created_by: str,
    params: Mapping[str, Any] | None = None,
    base_version: str | None = None,
    expires_at: datetime | None = None,
    now: datetime | None = None,
) -> PromptOverride:
    """Give one shop its own text of a prompt, closing the one it has.

    `template` is a whole prompt file or a part of one (see `prompts.document.complete`); `params` go over those in its
    header. `base_version` defaults to production, `expires_at` to 72 hours from now.

    Raises:
        PromptNotFound: there is no such prompt or version.
        OverrideInvalid: no reason, or the expiry is not within the next 14 days.
        PromptError: the text is not a valid prompt, or does not render against the library's input.
    """
    now = now or timezone.now()
    expires_at = (expires_at or now + DEFAULT_LIFETIME).replace(microsecond=0)
    reason, created_by = reason.strip(), created_by.strip() or "unknown"
    check_reason(reason)
    check_expiry(expires_at, now)
    base = library().get(prompt_name, base_version or library().production(prompt_name).version)
    edited = complete_edit(prompt_name, with_params(template, params), base_version=base.version)
    with transaction.atomic():
        # The lock on the shop's row makes rivals take turns, so closing and creating are one step.
        Shop.objects.select_for_update(no_key=True).get(pk=shop.pk)
        replaced = (
            PromptOverride.objects.for_shop(shop)
            .open()
            .filter(prompt_name=prompt_name)
            .update(revoked_at=now, revoked_by=created_by)
        )
        override = PromptOverride.objects.create(
            shop=shop,
            prompt_name=prompt_name,
            template=edited.template,
            sha256=edited.sha256,
            params=dict(edited.params),
            base_version=base.version,
            base_sha256=base.sha256,
            reason=reason,
            created_by=created_by,
            created_at=now,
            expires_at=expires_at,
        )
    logger.info(
        "prompt override created",
        extra={"override_id": str(override.pk), "shop_id": str(shop.pk), "prompt": prompt_name, "replaced": replaced},
    )
    return override


def revoke_override(*, shop: Shop, prompt_name: str, revoked_by: str, now: datetime | None = None) -> PromptOverride:
    """Close a shop's override of a prompt; the shop is back on the library's at once.

    Raises:
        OverrideNotFound: there is none open (somebody else may have closed it just now).
    """
    rows = PromptOverride.objects.for_shop(shop).open().filter(prompt_name=prompt_name)
    override = rows.first()
    if override is None or not close_override(override=override, revoked_by=revoked_by, now=now):
        raise OverrideNotFound(f"{shop.domain} has no open override of {prompt_name}.")
    override.refresh_from_db()
    return override


def close_override(*, override: PromptOverride, revoked_by: str, now: datetime | None = None) -> bool:
    """Close one override; False if it was closed already."""
    closed = (
        PromptOverride.objects.open()
        .filter(pk=override.pk)
        .update(revoked_at=now or timezone.now(), revoked_by=revoked_by.strip() or "unknown")
    )
    if closed:
        logger.info("prompt override closed", extra={"override_id": str(override.pk), "prompt": override.prompt_name})
    return bool(closed)


def check_reason(reason: str) -> None:
    """Refuse an override that does not say why.

    Raises:
        OverrideInvalid: no reason, or one of more than 500 characters.
    """
    if not reason.strip():
        raise OverrideInvalid("An override needs a reason.")
    if len(reason) > MAX_REASON:
        raise OverrideInvalid(f"The reason may have at most {MAX_REASON} characters.")


def check_expiry(expires_at: datetime, now: datetime) -> None:
    """Refuse an override that has no near end.

    Raises:
        OverrideInvalid: the expiry is past, or more than 14 days away.
    """
    if expires_at <= now:
        raise OverrideInvalid("The override's expiry has to lie in the future.")
    if expires_at > now + MAX_LIFETIME:
        raise OverrideInvalid(
            f"An override lasts at most {MAX_LIFETIME.days} days; put a lasting change into the library."
        )


def with_params(template: str, params: Mapping[str, Any] | None) -> str:
    """The text with these params laid over the ones in its header; unchanged without any.

    Raises:
        PromptHeaderInvalid: the text's header is not valid.
    """
    if not params:
        return template
    header, body, _ = split_document(template)
    known = header.get("params", {})
    if not isinstance(known, dict):
        raise PromptParamsInvalid("`params` has to be an object.")
    header["params"] = {**known, **params}
    head = yaml.safe_dump(header, sort_keys=False, allow_unicode=True, width=110)
    return f"---\n{head}---\n{body}"


def load_live_overrides(shop: Shop | UUID, now: datetime | None = None) -> dict[str, LiveOverride]:
    """A shop's live overrides by prompt name, in one query."""
    rows = PromptOverride.objects.for_shop(shop).live(now or timezone.now())
    return {row.prompt_name: row.to_live() for row in rows}


def select_for_shop(shop: Shop, now: datetime | None = None) -> dict[str, Selection]:
    """Every prompt as the shop gets it at this moment, by name."""
    now = now or timezone.now()
    live = load_live_overrides(shop, now)
    return {
        name: select_prompt(name, shop_key=str(shop.pk), features=shop.features, override=live.get(name), now=now)
        for name in library().names()
    }


@dataclass(frozen=True, slots=True)
class Drift:
    """A live override whose base has moved on, and how."""

    override: PromptOverride
    kind: Literal["moved", "edited", "gone", "broken"]
    detail: str


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
