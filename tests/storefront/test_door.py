"""Who gets in: key, origin, shop."""

import pytest
from django.test import Client

from shops.models import Shop
from shops.services import issue_api_key, revoke_api_key
from storefront.models import CompositeRun
from tests.factories import ProductAssetFactory, ShopFactory, room_jpeg
from tests.storefront.doors import API, Page, a_page, code_of

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("door")]


def test_a_page_with_its_shops_key_gets_in() -> None:
    page, asset = a_page()
    response = page.get(f"products/{asset.product_id}")
    assert response.status_code == 200
    assert response.json() == {"ok": True, "data": {"status": "ready", "title": "Halden sofa"}}
    assert response["Cache-Control"] == "private, no-store"
    assert response["X-Request-ID"]


@pytest.mark.parametrize(
    "authorization",
    [None, "", "Bearer", "Bearer ", "Bearer pk_000000000000_x", "Basic cGs6eA==", "pk_a_b", "Bearer pk_\xe9_\xe9"],
)
def test_without_a_good_key_nobody_gets_in(authorization: str | None) -> None:
    page, asset = a_page()
    response = page.get(f"products/{asset.product_id}", Authorization=authorization)
    assert code_of(response) == (401, "key_invalid")
    assert response["WWW-Authenticate"] == "Bearer"


@pytest.mark.parametrize("scope", ["monitor", "ingest"])
def test_a_key_for_another_door_does_not_open_this_one(scope: str) -> None:
    page, asset = a_page()
    page.key = issue_api_key(scopes=[scope], shop=page.shop).plain
    assert code_of(page.get(f"products/{asset.product_id}")) == (401, "key_invalid")


def test_a_revoked_key_does_not_open() -> None:
    page, asset = a_page()
    revoke_api_key(key=page.shop.api_keys.get())
    assert code_of(page.get(f"products/{asset.product_id}")) == (401, "key_invalid")


@pytest.mark.parametrize("origin", ["https://thief.test", "null", "http://shop-1.example.test", "https://"])
def test_a_page_on_a_foreign_origin_is_turned_away(origin: str) -> None:
    page, asset = a_page()
    response = page.get(f"products/{asset.product_id}", Origin=origin)
    assert code_of(response) == (401, "key_invalid")
    assert "Access-Control-Allow-Origin" not in response


def test_our_own_pages_may_use_any_shops_key() -> None:
    page, asset = a_page()
    assert page.get(f"products/{asset.product_id}", Origin="http://testserver").status_code == 200


def test_a_request_within_one_site_sends_no_origin_and_gets_in() -> None:
    page, asset = a_page()
    path = f"products/{asset.product_id}"
    assert page.get(path, Origin=None).status_code == 200
    assert page.get(path, Origin=None, Sec_Fetch_Site="same-origin").status_code == 200
    assert code_of(page.get(path, Origin=None, Sec_Fetch_Site="cross-site")) == (401, "key_invalid")


@pytest.mark.parametrize("status", ["uninstalled", "redacted"])
def test_a_shop_that_left_has_closed_doors(status: str) -> None:
    page, asset = a_page()
    Shop.objects.filter(pk=page.shop.pk).update(status=status)
    assert code_of(page.get(f"products/{asset.product_id}")) == (403, "shop_inactive")
    assert code_of(page.post("composites", {})) == (403, "shop_inactive")


@pytest.mark.parametrize("product_id", ["nope", "%00", "a%20b", "gid://shop/Product/x", "%ED%A0%80", "../../etc"])
def test_an_unknown_product_is_not_found(product_id: str) -> None:
    page, _ = a_page()
    assert code_of(page.get(f"products/{product_id}")) == (404, "not_found")


def test_another_shops_product_is_not_found() -> None:
    page, _ = a_page()
    other = ProductAssetFactory.create()
    assert code_of(page.get(f"products/{other.product_id}")) == (404, "not_found")


@pytest.mark.parametrize(
    ("prep_status", "shown"),
    [
        ("unprepared", "preparing"),
        ("queued", "preparing"),
        ("processing", "preparing"),
        ("ready", "ready"),
        ("failed", "unavailable"),
    ],
)
def test_a_products_button_follows_its_preparation(prep_status: str, shown: str) -> None:
    asset = ProductAssetFactory.create(prep_status=prep_status)
    assert Page.of(asset.shop).get(f"products/{asset.product_id}").json()["data"]["status"] == shown


def test_with_pictures_switched_off_the_button_hides_and_a_composite_is_refused_honestly() -> None:
    page, asset = a_page(features={"composites": False})
    assert page.get(f"products/{asset.product_id}").json()["data"]["status"] == "unavailable"
    upload_id = page.upload(room_jpeg())
    assert code_of(page.ask(asset, upload_id)) == (403, "composites_unavailable")
    assert not CompositeRun.objects.exists()


def preflight(path: str, origin: str) -> dict[str, str]:
    """What a browser learns before it sends the real request."""
    headers = {"Origin": origin, "Access-Control-Request-Method": "POST"}
    response = Client().options(path, headers=headers)
    assert response.status_code == 204
    return {name: value for name, value in response.items() if name.startswith("Access-Control")}


def test_a_known_origin_may_ask_from_its_page() -> None:
    shop = ShopFactory.create()
    allowed = preflight(f"{API}/composites", shop.allowed_origins[0])
    assert allowed["Access-Control-Allow-Origin"] == shop.allowed_origins[0]
    assert "authorization" in allowed["Access-Control-Allow-Headers"]
    assert "Access-Control-Allow-Credentials" not in allowed
    assert "PUT" in preflight("/u/token", shop.allowed_origins[0])["Access-Control-Allow-Methods"]


def test_an_origin_that_only_a_key_allows_may_ask_too() -> None:
    issue_api_key(scopes=["storefront"], shop=ShopFactory.create(), allowed_origins=["https://preview.test"])
    assert preflight(f"{API}/uploads", "https://preview.test")["Access-Control-Allow-Origin"] == "https://preview.test"


def test_an_unknown_origin_learns_nothing() -> None:
    ShopFactory.create()
    assert preflight(f"{API}/composites", "https://thief.test") == {}
    assert preflight(f"{API}/composites", "https://a\0b") == {}


def test_a_shop_that_left_has_no_origins() -> None:
    shop = ShopFactory.create(status="uninstalled")
    assert preflight(f"{API}/composites", shop.allowed_origins[0]) == {}


def test_other_addresses_get_no_cross_origin_answer() -> None:
    shop = ShopFactory.create()
    response = Client().get("/healthz", headers={"Origin": shop.allowed_origins[0]})
    assert "Access-Control-Allow-Origin" not in response


def test_the_answer_to_a_page_may_be_read_by_it() -> None:
    page, asset = a_page()
    response = page.get(f"products/{asset.product_id}")
    assert response["Access-Control-Allow-Origin"] == page.origin
    assert "Origin" in response["Vary"]
    assert "Retry-After" in response["Access-Control-Expose-Headers"]
