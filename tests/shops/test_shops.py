"""A shop: its domain, its origins, its flags."""

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError

from shops.features import Features
from shops.models import Shop
from shops.services import create_shop
from shops.validators import normalise_origin
from tests.factories import ShopFactory

pytestmark = pytest.mark.django_db


def test_a_new_shop_is_installed_with_default_flags() -> None:
    shop = create_shop(domain="shop.example.test", allowed_origins=["HTTPS://Shop.example.test:443/"])
    assert shop.is_active
    assert shop.flags == Features(composites=True, experimental_prompts=False, new_model=False)
    assert shop.allowed_origins == ["https://shop.example.test"]


@pytest.mark.parametrize(
    "domain", ["Shop.test", "https://shop.test", "shop.test\n", "", "-shop.test", "a b", "shop.test/"]
)
def test_a_bad_domain_is_refused_by_the_service_and_by_the_database(domain: str) -> None:
    with pytest.raises(ValidationError):
        create_shop(domain=domain)
    with pytest.raises(IntegrityError, match="shops_shop_domain_is_host"):
        Shop.objects.create(domain=domain)


def test_a_domain_belongs_to_one_shop() -> None:
    ShopFactory.create(domain="one.test")
    with pytest.raises(ValidationError):
        create_shop(domain="one.test")


@pytest.mark.parametrize("flags", [{"composites": "yes"}, {"unknown": True}, [], {"new_model": 1}])
def test_bad_flags_are_refused_when_edited(flags: object) -> None:
    shop = ShopFactory.create()
    shop.features = flags
    with pytest.raises(ValidationError, match="features"):
        shop.full_clean()


def test_a_missing_flag_has_its_default() -> None:
    assert Features.from_json({"new_model": True}) == Features(composites=True, new_model=True)


@pytest.mark.parametrize(
    ("written", "origin"),
    [
        ("https://Shop.Test/", "https://shop.test"),
        ("http://127.0.0.1:8000", "http://127.0.0.1:8000"),
        ("http://[::1]:8000", "http://[::1]:8000"),
        ("https://shop.test:443", "https://shop.test"),
    ],
)
def test_an_origin_is_written_as_browsers_send_it(written: str, origin: str) -> None:
    assert normalise_origin(written) == origin


@pytest.mark.parametrize(
    "text", ["shop.test", "ftp://shop.test", "https://", "https://a/b", "https://u@a", "null", "https://a:x", "*"]
)
def test_what_is_not_an_origin_is_refused(text: str) -> None:
    with pytest.raises(ValidationError):
        normalise_origin(text)
