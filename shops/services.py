"""Everything that writes a shop's rows: shops themselves, keys, quotas, rate limits."""

import hashlib
import hmac
import math
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from django.db import connection, transaction
from django.db.models import F
from django.utils import timezone

from shops.errors import KeyInvalid, QuotaExceeded, Throttled
from shops.features import Features
from shops.models import ApiKey, RateBucket, Shop, Usage
from shops.validators import normalise_origin

LAST_USED_RESOLUTION = timedelta(minutes=1)
IDLE_BUCKET_AGE = timedelta(hours=1)


def create_shop(
    *,
    domain: str,
    name: str = "",
    plan: str = Shop.Plan.FREE,
    quota_daily: int = 100,
    quota_monthly: int = 1000,
    composites_per_minute: int = 60,
    client_composites_per_minute: int = 20,
    features: Features | None = None,
    allowed_origins: Sequence[str] = (),
) -> Shop:
    """A new installed shop.

    Raises:
        django.core.exceptions.ValidationError: a bad domain or origin, or the domain is taken.
    """
    shop = Shop(
        domain=domain,
        name=name,
        plan=plan,
        quota_daily=quota_daily,
        quota_monthly=quota_monthly,
        composites_per_minute=composites_per_minute,
        client_composites_per_minute=client_composites_per_minute,
        features=(features or Features()).to_json(),
        allowed_origins=[normalise_origin(origin) for origin in allowed_origins],
    )
    shop.full_clean()
    shop.save()
    return shop


@dataclass(frozen=True, slots=True)
class IssuedKey:
    """A key and its plain text, which nobody sees again."""

    key: ApiKey
    plain: str


def issue_api_key(
    *,
    scopes: Sequence[str],
    shop: Shop | None = None,
    name: str = "",
    allowed_origins: Sequence[str] = (),
    expires_at: datetime | None = None,
) -> IssuedKey:
    """A new key: `pk_…` for a shop's pages, `sk_…` for programs.

    Raises:
        django.core.exceptions.ValidationError: unknown scopes, or a storefront key without a shop or with other scopes.
    """
    publishable = list(scopes) == [ApiKey.Scope.STOREFRONT] and shop is not None
    prefix, secret = secrets.token_hex(6), secrets.token_urlsafe(32)
    plain = f"{'pk' if publishable else 'sk'}_{prefix}_{secret}"
    key = ApiKey(
        name=name,
        shop=shop,
        prefix=prefix,
        secret_sha256=_digest(secret),
        publishable_value=plain if publishable else "",
        scopes=list(scopes),
        allowed_origins=[normalise_origin(origin) for origin in allowed_origins],
        expires_at=expires_at,
    )
    key.full_clean()
    key.save()
    return IssuedKey(key, plain)


def revoke_api_key(*, key: ApiKey) -> bool:
    """Close a key's doors now; False if somebody did before."""
    return bool(ApiKey.objects.filter(pk=key.pk, revoked_at=None).update(revoked_at=timezone.now()))


def authenticate_key(*, plain: str, scope: str) -> ApiKey:
    """The live key with this plain text that has the scope; its shop is loaded.

    Raises:
        KeyInvalid: unknown, revoked, expired, or made for another door.
    """
    kind, _, rest = plain.partition("_")
    prefix, _, secret = rest.partition("_")
    if kind not in ("pk", "sk") or not secret or not plain.isascii() or "\0" in plain:
        raise KeyInvalid()
    key = ApiKey.objects.select_related("shop").filter(prefix=prefix).first()
    expected = key.secret_sha256 if key else _digest("")
    if not hmac.compare_digest(_digest(secret), expected) or key is None:
        raise KeyInvalid()
    now = timezone.now()
    if not key.is_live(now) or scope not in key.scopes:
        raise KeyInvalid()
    if key.last_used_at is None or now - key.last_used_at > LAST_USED_RESOLUTION:
        ApiKey.objects.filter(pk=key.pk).update(last_used_at=now)
    return key


def _digest(secret: str) -> str:
    """SHA-256 is enough: the secret has 256 random bits, so there is nothing to guess."""
    return hashlib.sha256(secret.encode()).hexdigest()


def lock_shop(shop: Shop) -> Shop:
    """The shop's row, locked until the transaction ends: what its requests must do one after the other comes after it.

    Inside a transaction.
    """
    return Shop.objects.select_for_update(no_key=True).get(pk=shop.pk)


def reserve_quota(shop: Shop) -> date:
    """Count one picture against the shop's day and month, and return the day it was counted on.

    Inside a transaction the count is kept or lost with it. The shop's row stays locked until then, so that no two
    requests can both take the last one.

    Raises:
        QuotaExceeded: the day's or the month's pictures are used up; nothing was counted.
    """
    with transaction.atomic():
        locked = lock_shop(shop)
        today = timezone.now().date()
        used = Usage.objects.totals(locked, today)
        if used["day"] >= locked.quota_daily or used["month"] >= locked.quota_monthly:
            raise QuotaExceeded()
        Usage.objects.update_or_create(
            shop=locked,
            day=today,
            defaults={"composites": F("composites") + 1},
            create_defaults={"composites": 1},
        )
    return today


def give_back_quota(shop: Shop, day: date) -> None:
    """Take back one picture counted on `day`: it never came to be."""
    Usage.objects.filter(shop=shop, day=day, composites__gt=0).update(composites=F("composites") - 1)


@dataclass(frozen=True, slots=True)
class Token:
    """The answer of a rate limit: allowed, or seconds (whole, at least 1) to wait."""

    allowed: bool
    retry_after_s: int = 0


# `excluded.tat` is now + step, so one reading of the database's clock serves the whole statement.
GCRA = """
INSERT INTO shops_ratebucket AS bucket (key, tat, allowed)
VALUES (%(key)s, clock_timestamp() + %(step)s, true)
ON CONFLICT (key) DO UPDATE SET
  allowed = GREATEST(bucket.tat + %(step)s, excluded.tat) <= excluded.tat + %(slack)s,
  tat = CASE WHEN GREATEST(bucket.tat + %(step)s, excluded.tat) <= excluded.tat + %(slack)s
             THEN GREATEST(bucket.tat + %(step)s, excluded.tat) ELSE bucket.tat END
RETURNING allowed, EXTRACT(EPOCH FROM tat - %(slack)s - clock_timestamp())
"""


def take_token(key: str, rate_per_minute: float, burst: int) -> Token:
    """Take one token of the bucket `key`, which holds `burst` and gains `rate_per_minute`; exact across processes.

    One atomic statement by the database's clock. Call it outside a transaction: inside one, requests would queue for
    the row, and a rollback would give the token back.
    """
    step = timedelta(seconds=60 / rate_per_minute)
    values: dict[str, Any] = {"key": key, "step": step, "slack": step * (burst - 1)}
    with connection.cursor() as cursor:
        cursor.execute(GCRA, values)
        allowed, wait_s = cursor.fetchone()
    return Token(True) if allowed else Token(False, max(1, math.ceil(wait_s)))


def require_token(key: str, rate_per_minute: float, burst: int) -> None:
    """Take one token.

    Raises:
        Throttled: there is none; its `Retry-After` says when the next comes.
    """
    token = take_token(key, rate_per_minute, burst)
    if not token.allowed:
        raise Throttled(token.retry_after_s)


def forget_idle_buckets() -> int:
    """Drop the buckets that have long been full again; returns how many."""
    return RateBucket.objects.filter(tat__lt=timezone.now() - IDLE_BUCKET_AGE).delete()[0]


def reencrypt_tokens() -> int:
    """Write every shop's tokens anew with the newest encryption key; returns how many shops had any."""
    ids = list(Shop.objects.exclude(access_token="", refresh_token="").values_list("pk", flat=True))
    for shop_id in ids:
        with transaction.atomic():
            shop = Shop.objects.select_for_update(no_key=True).get(pk=shop_id)
            shop.save(update_fields=["access_token", "refresh_token"])
    return len(ids)
