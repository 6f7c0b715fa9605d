"""Everything that writes overrides, and what a run asks before it starts."""

import logging
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import yaml
from django.db import transaction
from django.utils import timezone

from prompts.document import split_document
from prompts.errors import OverrideInvalid, OverrideMoved, OverrideNotFound, PromptParamsInvalid
from prompts.library import library
from prompts.models import PromptOverride
from prompts.querysets import PromptOverrideQuerySet
from prompts.selection import LiveOverride, Selection, complete_edit, select_prompt
from shops.models import Shop

logger = logging.getLogger(__name__)

DEFAULT_LIFETIME = timedelta(hours=72)
MAX_LIFETIME = timedelta(days=14)
LONGEST_LIFETIME = timedelta(days=90)  # for those who ask for it
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
    lasting: bool = False,
    seen: str | None = None,
    source_run: UUID | None = None,
    now: datetime | None = None,
) -> PromptOverride:
    """Give one shop its own text of a prompt, closing the one it has.

    `template` is a whole prompt file or a part of one (see `prompts.document.complete`); `params` go over those in its
    header. `base_version` defaults to production, `expires_at` to 72 hours from now; `lasting` allows up to 90 days.
    `seen` is the id of the live override that the author was shown, empty if there was none: when another is live by
    then, nothing is written. Without it the newest wins.

    Raises:
        PromptNotFound: there is no such prompt or version.
        OverrideInvalid: no reason, or the expiry is not within the next 14 days.
        OverrideMoved: what the author has seen is not what is live.
        PromptError: the text is not a valid prompt, or does not render against the library's input.
    """
    begun = now or timezone.now()
    expires_at = (expires_at or begun + DEFAULT_LIFETIME).replace(microsecond=0)
    reason, created_by = reason.strip(), created_by.strip() or "unknown"
    check_reason(reason)
    check_expiry(expires_at, begun, lasting=lasting)
    base = library().get(prompt_name, base_version or library().production(prompt_name).version)
    edited = complete_edit(prompt_name, with_params(template, params), base_version=base.version)
    with transaction.atomic():
        # The lock on the shop's row makes rivals take turns, so closing and creating are one step.
        Shop.objects.select_for_update(no_key=True).get(pk=shop.pk)
        moment = now or timezone.now()  # after the wait: a row is never closed before it was made
        rows = PromptOverride.objects.for_shop(shop).filter(prompt_name=prompt_name)
        check_seen(rows, seen, moment)
        replaced = rows.open().update(revoked_at=moment, revoked_by=created_by)
        override = PromptOverride.objects.create(
            shop=shop,
            prompt_name=prompt_name,
            template=edited.template,
            sha256=edited.sha256,
            params=dict(edited.params),
            base_version=base.version,
            base_sha256=base.sha256,
            reason=reason,
            source_run=source_run,
            created_by=created_by,
            created_at=moment,
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
        OverrideNotFound: there is none live (somebody else may have closed it just now, or it has expired).
    """
    rows = PromptOverride.objects.for_shop(shop).open().filter(prompt_name=prompt_name)
    override = rows.first()
    if override is None or not close_override(override=override, revoked_by=revoked_by, now=now):
        expired = f"; one expired at {override.expires_at:%Y-%m-%d %H:%M:%S} UTC" if override else ""
        raise OverrideNotFound(f"{shop.domain} has no live override of {prompt_name}{expired}.")
    override.refresh_from_db()
    return override


def close_override(*, override: PromptOverride, revoked_by: str, now: datetime | None = None) -> bool:
    """Close one override; False if it was closed or had expired already."""
    now = now or timezone.now()
    closed = (
        PromptOverride.objects.live(now)
        .filter(pk=override.pk)
        .update(revoked_at=now, revoked_by=revoked_by.strip() or "unknown")
    )
    if closed:
        logger.info("prompt override closed", extra={"override_id": str(override.pk), "prompt": override.prompt_name})
    return bool(closed)


def check_seen(rows: PromptOverrideQuerySet, seen: str | None, now: datetime) -> None:
    """Refuse to go over what the author has not seen; `rows` are the overrides of one shop and prompt.

    What has expired meanwhile needs no second look.

    Raises:
        OverrideMoved: another is live, or the one that was seen has been closed by somebody.
    """
    if seen is None:
        return
    live = rows.live(now).first()
    if live is not None and str(live.pk) != seen:
        raise OverrideMoved(
            f"{live.created_by} has patched {live.prompt_name} for this shop at {live.created_at:%H:%M} UTC, "
            f"until {live.expires_at:%Y-%m-%d %H:%M}: “{live.reason}”. Yours would replace that one.",
            details={"seen": str(live.pk)},
        )
    before = rows.first() if seen and live is None else None
    if before is not None and str(before.pk) == seen and before.state(now) == "closed":
        raise OverrideMoved(
            f"{before.revoked_by} has closed the override of {before.prompt_name} at {before.ended_at:%H:%M} UTC; "
            "the shop is back on the library's. Yours would patch it again.",
            details={"seen": ""},
        )


def check_reason(reason: str) -> None:
    """Refuse an override that does not say why.

    Raises:
        OverrideInvalid: no reason, or one of more than 500 characters.
    """
    if not reason.strip():
        raise OverrideInvalid("An override needs a reason.")
    if len(reason) > MAX_REASON:
        raise OverrideInvalid(f"The reason may have at most {MAX_REASON} characters.")


def check_expiry(expires_at: datetime, now: datetime, *, lasting: bool = False) -> None:
    """Refuse an override that has no near end.

    Raises:
        OverrideInvalid: the expiry is past, or more than 14 days away (90 for a `lasting` one).
    """
    if expires_at <= now:
        raise OverrideInvalid("The override's expiry has to lie in the future.")
    longest = LONGEST_LIFETIME if lasting else MAX_LIFETIME
    if expires_at > now + longest:
        raise OverrideInvalid(f"An override lasts at most {longest.days} days; put a lasting change into the library.")


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
