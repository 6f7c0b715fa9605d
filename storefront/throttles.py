"""How fast a shop, and one shopper in it, may ask for what costs something; reads are free."""

from django.conf import settings
from django.utils.crypto import salted_hmac
from rest_framework.request import Request

from runs.admission import require_room
from shops.models import Shop
from shops.services import require_token
from storefront.services import PIPELINE

UPLOADS_PER_COMPOSITE = 2  # a shopper may change their mind about the photo
FEEDBACK_PER_MINUTE = 30


def throttle_composites(request: Request, shop: Shop) -> None:
    """One new picture: the shop's pace and the shopper's.

    Raises:
        shops.errors.Throttled: with `Retry-After`.
    """
    _take(request, shop, "composite", shop.composites_per_minute, shop.client_composites_per_minute)


def admit_composite(shop: Shop) -> None:
    """A place in line for one more picture, before anything of it is stored or counted.

    Raises:
        runs.errors.LineTooLong: it would have to wait too long; `Retry-After` says when to come back.
    """
    require_room(shop, PIPELINE)


def throttle_uploads(request: Request, shop: Shop) -> None:
    """One new upload.

    Raises:
        shops.errors.Throttled: with `Retry-After`.
    """
    both = shop.composites_per_minute, shop.client_composites_per_minute
    _take(request, shop, "upload", *(pace * UPLOADS_PER_COMPOSITE for pace in both))


def throttle_feedback(request: Request, shop: Shop) -> None:
    """One opinion.

    Raises:
        shops.errors.Throttled: with `Retry-After`.
    """
    require_token(f"feedback:{shop.pk}:{client_key(request)}", FEEDBACK_PER_MINUTE, FEEDBACK_PER_MINUTE)


def _take(request: Request, shop: Shop, what: str, per_shop: int, per_client: int) -> None:
    """The shopper's token first, so that one impatient shopper does not use up the shop's."""
    require_token(f"{what}:{shop.pk}:{client_key(request)}", per_client, per_client)
    require_token(f"{what}:{shop.pk}", per_shop, per_shop)


def client_key(request: Request) -> str:
    """A shopper's address, unreadable: what a rate limit can hold on to, since visitor tokens are free."""
    address = request.META.get("REMOTE_ADDR", "")
    forwarded = request.headers.get("X-Forwarded-For", "")
    if settings.SECURE_PROXY_SSL_HEADER and forwarded:
        address = forwarded.rsplit(",", 1)[-1].strip()  # the hop that our own proxy saw
    return salted_hmac("storefront.client", address, algorithm="sha256").hexdigest()[:32]
