"""Tokens are unreadable at rest, and survive a change of keys."""

import pytest
from cryptography.fernet import Fernet
from django.core.exceptions import FieldError, ImproperlyConfigured
from django.db import connection
from pytest_django.fixtures import Settings

from core.encryption import SecretUnreadable
from shops.models import Shop
from shops.services import reencrypt_tokens
from tests.factories import ShopFactory

pytestmark = pytest.mark.django_db
OLD, NEW = Fernet.generate_key().decode(), Fernet.generate_key().decode()


def stored_token(shop: Shop) -> str:
    """The column as the database has it."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT access_token FROM shops_shop WHERE id = %s", [shop.pk])
        return str(cursor.fetchone()[0])


def test_a_token_is_encrypted_in_the_database_and_plain_in_python() -> None:
    shop = ShopFactory.create(access_token="shpat_secret")
    assert "shpat" not in stored_token(shop)
    assert Shop.objects.get(pk=shop.pk).access_token == "shpat_secret"


def test_no_token_stays_empty() -> None:
    assert stored_token(ShopFactory.create()) == ""


def test_an_old_key_still_reads_after_rotation(settings: Settings) -> None:
    settings.FIELD_ENCRYPTION_KEYS = [OLD]
    shop = ShopFactory.create(access_token="shpat_secret")
    settings.FIELD_ENCRYPTION_KEYS = [NEW, OLD]
    assert Shop.objects.get(pk=shop.pk).access_token == "shpat_secret"


def test_after_reencryption_the_old_key_can_go(settings: Settings) -> None:
    settings.FIELD_ENCRYPTION_KEYS = [OLD]
    shop = ShopFactory.create(access_token="shpat_secret", refresh_token="shprt_secret")
    settings.FIELD_ENCRYPTION_KEYS = [NEW, OLD]
    assert reencrypt_tokens() == 1
    settings.FIELD_ENCRYPTION_KEYS = [NEW]
    shop = Shop.objects.get(pk=shop.pk)
    assert (shop.access_token, shop.refresh_token) == ("shpat_secret", "shprt_secret")


def test_a_lost_key_is_named_instead_of_giving_rubbish(settings: Settings) -> None:
    settings.FIELD_ENCRYPTION_KEYS = [OLD]
    shop = ShopFactory.create(access_token="shpat_secret")
    settings.FIELD_ENCRYPTION_KEYS = [NEW]
    with pytest.raises(SecretUnreadable):
        Shop.objects.get(pk=shop.pk)


def test_an_encrypted_column_cannot_be_searched() -> None:
    with pytest.raises(FieldError):
        Shop.objects.filter(access_token__contains="shpat").exists()


def test_a_malformed_key_is_named(settings: Settings) -> None:
    settings.FIELD_ENCRYPTION_KEYS = ["short"]
    with pytest.raises(ImproperlyConfigured, match="FIELD_ENCRYPTION_KEYS"):
        ShopFactory.create(access_token="shpat_secret")
