"""Who may use the API behind the counter: staff who are signed in, or a program with a key for all shops."""

from typing import Any

from django.contrib.auth.models import AnonymousUser, User
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from rest_framework.authentication import BaseAuthentication, SessionAuthentication
from rest_framework.request import Request

from shops.errors import NotAllowed, NotSignedIn
from shops.models import ApiKey
from shops.services import authenticate_key, require_token


class StaffOrMonitorKey(BaseAuthentication):
    """A signed-in member of staff (who sends Django's CSRF token too), or `Authorization: Bearer sk_…`.

    A key needs the scope `monitor`, belongs to no single shop, and opens what is only looked at.
    """

    def authenticate(self, request: Request) -> tuple[Any, ApiKey | None]:
        """The member of staff, or nobody by name with a key.

        Raises:
            KeyInvalid: a key that is none, or made for another door.
            NotAllowed: a key of one shop, or somebody who is not staff.
            NotSignedIn: neither.
        """
        kind, _, plain = request.headers.get("Authorization", "").partition(" ")
        if kind.lower() == "bearer":
            key = authenticate_key(plain=plain.strip(), scope=ApiKey.Scope.MONITOR)
            if key.shop is not None:
                raise NotAllowed("This key belongs to one shop; this needs one for all shops.")
            return AnonymousUser(), key
        signed_in = SessionAuthentication().authenticate(request)
        if signed_in is None:
            raise NotSignedIn()
        if not signed_in[0].is_staff:
            raise NotAllowed()
        return signed_in[0], None

    def authenticate_header(self, request: Request) -> str:
        """What `WWW-Authenticate` says."""
        return "Bearer"


def require_permission(request: Request, permission: str, *, keys_too: bool = False) -> User | None:
    """Who asks, as a user; None for a key where `keys_too`.

    Raises:
        NotAllowed: they lack the permission, or it is a key that may only look.
    """
    if request.auth is not None:
        if not keys_too:
            raise NotAllowed("An API key may only look here; this is for staff.")
        return None
    user: User = request.user  # type: ignore[assignment]
    if not user.has_perm(permission):
        raise NotAllowed()
    return user


def throttle_caller(request: Request, what: str, per_minute: int) -> None:
    """One request more of this person or key.

    Raises:
        Throttled: with `Retry-After`.
    """
    who = f"key:{request.auth.pk}" if isinstance(request.auth, ApiKey) else f"user:{request.user.pk}"
    require_token(f"{what}:{who}", per_minute, per_minute)


class StaffOrMonitorKeyScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """How the two ways stand in the OpenAPI document."""

    target_class = "shops.authentication.StaffOrMonitorKey"
    name = ["staffSession", "monitorKey"]

    def get_security_definition(self, auto_schema: Any) -> list[dict[str, str]]:
        """The session's cookie, and a bearer token."""
        return [
            {"type": "apiKey", "in": "cookie", "name": "sessionid", "description": "A member of staff, signed in."},
            {"type": "http", "scheme": "bearer", "description": "A key `sk_…` with the scope `monitor`; reads only."},
        ]
