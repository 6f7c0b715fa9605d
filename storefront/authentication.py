"""Who may knock at the shopper's door: Shopify's app proxy, or a page with a shop's key on one of its origins."""

import time
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.contrib.auth.models import AnonymousUser
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from rest_framework.authentication import BaseAuthentication
from rest_framework.request import Request

from shops.errors import KeyInvalid, ShopInactive
from shops.models import ApiKey, Shop
from shops.services import authenticate_key
from storefront.app_proxy import verify


@dataclass(frozen=True, slots=True)
class Caller:
    """The shop whose page is calling."""

    shop: Shop


class StorefrontAuthentication(BaseAuthentication):
    """A query signed by Shopify's app proxy, or `Authorization: Bearer pk_…` from an `Origin` that the shop allows.

    The origin keeps other sites' pages from using the key in a shopper's browser, which always sends `Origin` across
    sites. Our own pages (the demo shop) pass as well. A request without `Origin` is no page of another site: browsers
    leave it out only within a site, unless `Sec-Fetch-Site` says otherwise. Programs can write any `Origin` they like,
    so quotas and rate limits hold them, not this check.
    """

    def authenticate(self, request: Request) -> tuple[AnonymousUser, Caller]:
        """Nobody by name, calling from a shop's page.

        Raises:
            SignatureInvalid: a signature that is not Shopify's.
            KeyInvalid: no key, a wrong one, or a page that may not use it.
            ShopInactive: the shop has closed its doors.
        """
        shop = signed_shop(request) if "signature" in request.query_params else keyed_shop(request)
        if shop is None or not shop.is_active:
            raise ShopInactive()
        return AnonymousUser(), Caller(shop)

    def authenticate_header(self, request: Request) -> str:
        """What `WWW-Authenticate` says."""
        return "Bearer"


def signed_shop(request: Request) -> Shop | None:
    """The shop that Shopify's app proxy speaks for, if we know it.

    Raises:
        SignatureInvalid: see `app_proxy.verify`.
    """
    domain = verify(request.query_params, settings.SHOPIFY_API_SECRET, time.time())
    return Shop.objects.filter(domain=domain).first()


def keyed_shop(request: Request) -> Shop | None:
    """The shop whose publishable key the page carries.

    Raises:
        KeyInvalid: no key, a wrong one, or a page that may not use it.
    """
    kind, _, plain = request.headers.get("Authorization", "").partition(" ")
    if kind.lower() != "bearer":
        raise KeyInvalid("This request carries no API key.")
    key = authenticate_key(plain=plain.strip(), scope=ApiKey.Scope.STOREFRONT)
    check_origin(request, key)
    return key.shop


def check_origin(request: Request, key: ApiKey) -> None:
    """Refuse a page on an origin that the shop has not allowed.

    Raises:
        KeyInvalid: with a sentence that names the remedy.
    """
    origin = request.headers.get("Origin")
    if origin is None:
        if request.headers.get("Sec-Fetch-Site", "none") in ("cross-site", "same-site"):
            raise KeyInvalid("This API key may not be used from this page.")
        return
    own = f"{request.scheme}://{request.get_host()}"
    if origin not in key.origins and origin != own:
        raise KeyInvalid("This API key may not be used from this page: its origin is not one of the shop's.")


class PublishableKeyScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """How the key stands in the OpenAPI document."""

    target_class = "storefront.authentication.StorefrontAuthentication"
    name = "publishableKey"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        """A bearer token."""
        return {"type": "http", "scheme": "bearer", "description": "A shop's publishable key, `pk_…`."}
