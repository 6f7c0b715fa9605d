"""Shopify's app proxy: its signature opens the door, and it never hears of a failure of ours."""

import time
from collections.abc import Iterator
from urllib.parse import urlencode

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.http import HttpResponse, QueryDict
from django.test import Client
from pytest_django.fixtures import Settings

from prep.models import ProductAsset
from shops.models import Shop
from storefront.app_proxy import sign, verify
from storefront.errors import SignatureInvalid
from tests.factories import ProductAssetFactory, room_jpeg
from tests.storefront.doors import API, code_of

SECRET, OLD_SECRET, DOMAIN = "hush", "older-hush", "shop-name.myshopify.com"
# The documentation's example (secret `hush`), with and without the customer's id.
EXAMPLE = "extra=1&extra=2&shop=shop-name.myshopify.com&path_prefix=%2Fapps%2Fawesome_reviews&timestamp=1317327555"
VECTORS = [
    ("&logged_in_customer_id=1", "4c68c8624d737112c91818c11017d24d334b524cb5c2b8ba08daa056f7395ddb"),
    ("&logged_in_customer_id=", "e072b6d7e6622d85912a5214b860d3100dc1e73d9bc29f43796ac8c9ff8093cb"),
    ("", "a9718877bea71c2484f91608a7eaea1532bdf71f5c56825065fa4ccabe549ef3"),
]


@pytest.fixture
def asset(door: object, settings: Settings) -> Iterator[ProductAsset]:
    settings.SHOPIFY_API_SECRET = [SECRET, OLD_SECRET]
    yield ProductAssetFactory.create(shop__domain=DOMAIN, product_id="8411001")


def signed(secret: str = SECRET, **changes: object) -> str:
    """A query as Shopify appends it; a change to None leaves a parameter out."""
    values = {"shop": DOMAIN, "path_prefix": "/apps/see-it", "timestamp": int(time.time()), "logged_in_customer_id": ""}
    query = urlencode({name: value for name, value in {**values, **changes}.items() if value is not None}, doseq=True)
    return f"{query}&signature={sign(QueryDict(query), secret)}"


def knock(query: str) -> HttpResponse:
    """A product asked for through the proxy."""
    return Client().get(f"{API}/products/8411001?{query}")


@pytest.mark.parametrize(("more", "signature"), VECTORS)
def test_the_documented_examples_verify(more: str, signature: str) -> None:
    query = QueryDict(f"{EXAMPLE}{more}&signature={signature}")
    assert verify(query, [SECRET], now=1317327555) == DOMAIN


@pytest.mark.parametrize("now", [1317327555 - 91, 1317327555 + 91])
def test_an_old_signature_does_not(now: float) -> None:
    with pytest.raises(SignatureInvalid):
        verify(QueryDict(f"{EXAMPLE}&signature={VECTORS[2][1]}"), [SECRET], now=now)


@pytest.mark.django_db
def test_a_signed_request_gets_in_without_any_key(asset: ProductAsset) -> None:
    assert knock(signed()).json()["data"]["status"] == "ready"
    assert knock(signed(OLD_SECRET)).status_code == 200, "while the secret is being changed"


@pytest.mark.django_db
def test_a_signed_request_starts_a_picture_once(asset: ProductAsset) -> None:
    form = {"product_id": asset.product_id, "consent": "true"}
    ids = set()
    for _ in range(2):
        with_photo = {**form, "room_photo": _file(room_jpeg())}
        answer = Client().post(f"{API}/composites?{signed(n='5f0c')}", with_photo)
        assert answer.status_code == 202
        ids.add(answer.json()["data"]["id"])
    assert len(ids) == 1


BAD = {
    "no timestamp": lambda: signed(timestamp=None),
    "two timestamps": lambda: signed(timestamp=[int(time.time())] * 2),
    "an old timestamp": lambda: signed(timestamp=int(time.time()) - 100),
    "a timestamp of words": lambda: signed(timestamp="NaN"),
    "no shop": lambda: signed(shop=None),
    "two shops": lambda: signed(shop=[DOMAIN, DOMAIN]),
    "a shop elsewhere": lambda: signed(shop="a.myshopify.com.evil.test"),
    "a shop with a line break": lambda: signed(shop=DOMAIN + "\n"),
    "somebody else's secret": lambda: signed("guess"),
    "one more parameter": lambda: signed() + "&extra=1",
    "two signatures": lambda: signed() + "&signature=0",
    "an empty signature": lambda: "shop=x&timestamp=1&signature=",
    "a signature of strange letters": lambda: "shop=x&timestamp=1&signature=%C3%A9",
}


@pytest.mark.django_db
@pytest.mark.parametrize("kind", BAD)
def test_a_badly_signed_request_is_turned_away(kind: str, asset: ProductAsset) -> None:
    assert code_of(knock(BAD[kind]())) == (401, "signature_invalid")


@pytest.mark.django_db
def test_without_a_secret_no_signature_is_good(asset: ProductAsset, settings: Settings) -> None:
    settings.SHOPIFY_API_SECRET = []
    assert code_of(knock(signed(""))) == (401, "signature_invalid")


@pytest.mark.django_db
def test_a_shop_that_left_or_never_was_is_told_so(asset: ProductAsset) -> None:
    assert code_of(knock(signed(shop="other.myshopify.com"))) == (403, "shop_inactive")
    Shop.objects.update(status="uninstalled")
    assert code_of(knock(signed())) == (403, "shop_inactive")


@pytest.mark.django_db(transaction=True)
def test_a_failure_of_ours_is_said_in_a_200(asset: ProductAsset) -> None:
    query = signed()
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE prep_productasset RENAME TO elsewhere")
    broken = knock(query)
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE elsewhere RENAME TO prep_productasset")
    assert code_of(broken) == (200, "temporarily_unavailable")


def _file(content: bytes) -> object:
    return SimpleUploadedFile("room.jpg", content, "image/jpeg")
