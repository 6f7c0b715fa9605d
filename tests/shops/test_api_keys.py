"""API keys: only what has to be readable is readable, and each opens only its own door."""

from datetime import timedelta

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError
from django.utils import timezone

from shops.errors import KeyInvalid
from shops.models import ApiKey
from shops.services import authenticate_key, issue_api_key, revoke_api_key
from tests.factories import ApiKeyFactory, ShopFactory

pytestmark = pytest.mark.django_db


def test_a_monitor_key_is_kept_as_a_hash_only() -> None:
    issued = issue_api_key(scopes=["monitor", "ingest"], name="dashboards")
    secret = issued.plain.split("_", 2)[2]
    row = ApiKey.objects.filter(pk=issued.key.pk).values().get()
    assert issued.plain.startswith("sk_")
    assert len(secret) == 43, "32 random bytes in base64"
    assert secret not in str(row)


def test_a_publishable_key_can_be_shown_again() -> None:
    key = ApiKeyFactory.create()
    assert ApiKey.objects.publishable_for(key.shop).get().publishable_value.startswith(f"pk_{key.prefix}_")


def test_a_live_key_is_recognised_and_its_use_noted() -> None:
    issued = issue_api_key(scopes=["monitor"])
    key = authenticate_key(plain=issued.plain, scope="monitor")
    assert key.pk == issued.key.pk
    assert ApiKey.objects.get(pk=key.pk).last_used_at is not None


@pytest.mark.parametrize(
    "spoil",
    [
        lambda plain: plain[:-1] + ("A" if plain[-1] != "A" else "B"),
        lambda plain: plain.replace("sk_", "xx_", 1),
        lambda plain: plain[:16],
        lambda plain: "",
        lambda plain: plain + "\0",
        lambda plain: plain + "é",
        lambda plain: "sk_000000000000_" + plain.split("_", 2)[2],
    ],
)
def test_a_wrong_key_is_refused(spoil) -> None:  # type: ignore[no-untyped-def]
    issued = issue_api_key(scopes=["monitor"])
    with pytest.raises(KeyInvalid):
        authenticate_key(plain=spoil(issued.plain), scope="monitor")


def test_a_key_for_another_door_is_refused() -> None:
    issued = issue_api_key(scopes=["monitor"])
    with pytest.raises(KeyInvalid):
        authenticate_key(plain=issued.plain, scope="ingest")


def test_a_revoked_key_is_refused_and_revoking_twice_says_so() -> None:
    issued = issue_api_key(scopes=["monitor"])
    assert revoke_api_key(key=issued.key) is True
    assert revoke_api_key(key=issued.key) is False
    with pytest.raises(KeyInvalid):
        authenticate_key(plain=issued.plain, scope="monitor")


def test_an_expired_key_is_refused() -> None:
    issued = issue_api_key(scopes=["monitor"], expires_at=timezone.now() - timedelta(seconds=1))
    with pytest.raises(KeyInvalid):
        authenticate_key(plain=issued.plain, scope="monitor")


def test_unknown_scopes_are_refused() -> None:
    with pytest.raises(ValidationError):
        issue_api_key(scopes=["root"])


def test_a_readable_key_can_never_open_more_than_the_shoppers_door() -> None:
    key = ApiKeyFactory.create()
    with pytest.raises(IntegrityError, match="shops_apikey_publishable_is_storefront_only"):
        ApiKey.objects.filter(pk=key.pk).update(scopes=["storefront", "monitor"])


def test_a_key_uses_its_own_origins_before_the_shops() -> None:
    shop = ShopFactory.create(allowed_origins=["https://a.test"])
    assert ApiKeyFactory.create(shop=shop).origins == [f"https://{shop.domain}", "https://a.test"]
    assert ApiKeyFactory.create(shop=shop, allowed_origins=["https://B.test/"]).origins == ["https://b.test"]
