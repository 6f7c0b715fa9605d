"""Shops and keys in the operator console: no token is ever shown, a secret once."""

import re

import pytest
from django.contrib.auth import get_user_model
from django.test import Client

from shops.models import ApiKey
from shops.services import authenticate_key, issue_api_key
from tests.factories import ShopFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def operator() -> Client:
    client = Client()
    client.force_login(get_user_model().objects.create_superuser("operator", password="x"))
    return client


def test_a_shops_page_shows_its_limits_and_none_of_its_tokens(operator: Client) -> None:
    shop = ShopFactory.create(access_token="shpat_secret", refresh_token="shprt_secret")
    page = operator.get(f"/admin/shops/shop/{shop.pk}/change/").content.decode()
    assert "quota_daily" in page
    assert "shpat" not in page
    assert "shprt" not in page
    assert shop.domain in operator.get("/admin/shops/shop/").content.decode()


def edited(**changes: str | list[str]) -> dict[str, str | list[str]]:
    """The shop form as a browser sends it."""
    form = {
        "domain": "shop.example.test",
        "name": "Shop",
        "status": "installed",
        "plan": "pro",
        "quota_daily": "5",
        "quota_monthly": "50",
        "composites_per_minute": "6",
        "client_composites_per_minute": "3",
        "features": ["new_model"],
        "allowed_origins": "https://Shop.example.test/\r\n\r\nhttp://localhost:8000",
    }
    return {**form, **changes}


def test_an_operator_can_change_plan_flags_and_origins_and_keeps_the_tokens(operator: Client) -> None:
    shop = ShopFactory.create(access_token="shpat_secret")
    assert operator.post(f"/admin/shops/shop/{shop.pk}/change/", edited()).status_code == 302
    shop.refresh_from_db()
    assert (shop.plan, shop.quota_daily) == ("pro", 5)
    assert shop.features == {"composites": False, "experimental_prompts": False, "new_model": True}
    assert shop.allowed_origins == ["https://shop.example.test", "http://localhost:8000"]
    assert shop.access_token == "shpat_secret"


@pytest.mark.parametrize(
    "changes",
    [
        {"features": ["unknown"]},
        {"allowed_origins": "shop.test/path"},
        {"domain": "Not A Host"},
    ],
)
def test_a_wrong_value_is_explained_and_changes_nothing(changes: dict[str, str | list[str]], operator: Client) -> None:
    shop = ShopFactory.create()
    response = operator.post(f"/admin/shops/shop/{shop.pk}/change/", edited(**changes))
    assert response.status_code == 200
    assert response.context["adminform"].form.errors.keys() == changes.keys()
    shop.refresh_from_db()
    assert shop.plan == "free"


def test_a_new_key_is_shown_once(operator: Client) -> None:
    form = {
        "name": "dashboards",
        "shop": "",
        "scopes": ["monitor"],
        "allowed_origins": "",
        "expires_at_0": "",
        "expires_at_1": "",
    }
    page = operator.post("/admin/shops/apikey/add/", form, follow=True).content.decode()
    plain = re.search(r"sk_[0-9a-f]{12}_[\w-]{43}", page).group()
    assert authenticate_key(plain=plain, scope="monitor").name == "dashboards"
    assert ApiKey.objects.count() == 1
    again = operator.get("/admin/shops/apikey/").content.decode()
    assert plain.split("_", 2)[2] not in again
    assert (
        plain.split("_", 2)[2]
        not in operator.get(f"/admin/shops/apikey/{ApiKey.objects.get().pk}/change/").content.decode()
    )


def test_a_storefront_key_without_a_shop_is_refused(operator: Client) -> None:
    form = {
        "name": "",
        "shop": "",
        "scopes": ["storefront"],
        "allowed_origins": "",
        "expires_at_0": "",
        "expires_at_1": "",
    }
    assert operator.post("/admin/shops/apikey/add/", form).context["adminform"].form.errors
    assert not ApiKey.objects.exists()


def test_a_key_is_revoked_in_the_list_and_never_deleted(operator: Client) -> None:
    key = issue_api_key(scopes=["monitor"]).key
    operator.post("/admin/shops/apikey/", {"action": "revoke", "_selected_action": [str(key.pk)]})
    key.refresh_from_db()
    assert key.revoked_at is not None
    assert b"delete_selected" not in operator.get("/admin/shops/apikey/").content
