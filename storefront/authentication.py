"""Who may knock at the shopper's door: a page with a shop's publishable key, on one of the shop's origins."""

from typing import Any

from django.contrib.auth.models import AnonymousUser
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from rest_framework.authentication import BaseAuthentication
from rest_framework.request import Request

from shops.errors import KeyInvalid, ShopInactive
from shops.models import ApiKey
from shops.services import authenticate_key


class PublishableKeyAuthentication(BaseAuthentication):
    """`Authorization: Bearer pk_…`, and an `Origin` that the shop has allowed.

    The origin keeps other sites' pages from using the key in a shopper's browser, which always sends `Origin` across
    sites. Our own pages (the demo shop) pass as well. A request without `Origin` is no page of another site: browsers
    leave it out only within a site, unless `Sec-Fetch-Site` says otherwise. Programs can write any `Origin` they like,
    so quotas and rate limits hold them, not this check.
    """

    def authenticate(self, request: Request) -> tuple[AnonymousUser, ApiKey]:
        """Nobody by name, with the shop's key.

        Raises:
            KeyInvalid: no key, a wrong one, or a page that may not use it.
            ShopInactive: the shop has closed its doors.
        """
        kind, _, plain = request.headers.get("Authorization", "").partition(" ")
        if kind.lower() != "bearer":
            raise KeyInvalid("This request carries no API key.")
        key = authenticate_key(plain=plain.strip(), scope=ApiKey.Scope.STOREFRONT)
        if key.shop is None:
            raise KeyInvalid()
        check_origin(request, key)
        if not key.shop.is_active:
            raise ShopInactive()
        return AnonymousUser(), key

    def authenticate_header(self, request: Request) -> str:
        """What `WWW-Authenticate` says."""
        return "Bearer"


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

    target_class = "storefront.authentication.PublishableKeyAuthentication"
    name = "publishableKey"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        """A bearer token."""
        return {"type": "http", "scheme": "bearer", "description": "A shop's publishable key, `pk_…`."}
