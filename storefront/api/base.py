"""What all storefront views share: the key, the shop, no caching, and fields that survive strange bytes."""

import json
import logging
from typing import Any, cast

from django.http.request import UnreadablePostError
from drf_spectacular.utils import OpenApiParameter, extend_schema_field
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from core.api import error_body
from core.errors import NotFound, TemporarilyUnavailable
from core.ids import parse_id
from prep.models import ProductAsset
from shops.models import Shop
from storefront.authentication import Caller, StorefrontAuthentication
from storefront.errors import UploadIncomplete
from storefront.models import CompositeRun
from storefront.services import Tap
from storefront.visitors import Visitor

logger = logging.getLogger(__name__)
VISITOR_PARAMETER = OpenApiParameter("visitor", str, description="The token that we issued with the composite.")
KEY_PARAMETER = OpenApiParameter(
    "Idempotency-Key", str, OpenApiParameter.HEADER, description="Makes the request safe to repeat, as `n` does."
)


class StorefrontView(APIView):
    """A door that opens for a shop's page."""

    authentication_classes = [StorefrontAuthentication]

    @property
    def shop(self) -> Shop:
        """The shop whose key the page carries."""
        return cast(Caller, self.request.auth).shop

    def handle_exception(self, exc: Exception) -> Response:
        """A body that broke off is the sender's to repeat; and Shopify's proxy never hears of a failure of ours.

        Behind the app proxy a 5xx would reach the shopper as a page of Shopify's, so it is said in a 200.
        """
        if isinstance(exc, UnreadablePostError):
            exc = UploadIncomplete()
        proxied = "signature" in self.request.query_params
        try:
            response = super().handle_exception(exc)
        except Exception:  # what DRF lets through is a crash; without the proxy Django answers it
            if not proxied:
                raise
            logger.exception("storefront request failed")
            failure = TemporarilyUnavailable()
            response = Response(error_body(failure.code, failure.message, retryable=True))
        if proxied and response.status_code >= 500:
            response.status_code = 200
        return response

    def finalize_response(self, request: Request, response: Response, *args: Any, **kwargs: Any) -> Response:
        """Nothing here may be cached, by anybody."""
        response = super().finalize_response(request, response, *args, **kwargs)
        response.headers.setdefault("Cache-Control", "private, no-store")
        return response


class Words(serializers.CharField):
    """Text that PostgreSQL can keep."""

    def to_internal_value(self, data: Any) -> str:
        text = str(super().to_internal_value(data))
        try:
            text.encode()
        except UnicodeEncodeError:
            raise serializers.ValidationError("Not valid Unicode text.") from None
        return text


@extend_schema_field(
    {
        "type": "object",
        "required": ["x", "y"],
        "properties": {axis: {"type": "number", "minimum": 0, "maximum": 1} for axis in "xy"},
        "description": "A point in the upright photo, as fractions from its top left corner.",
    }
)
class TapField(serializers.Field):
    """Where the shopper tapped: an object, or in a form its JSON text or `x,y`."""

    default_error_messages = {"invalid": "Expected an object with x and y between 0 and 1."}

    def to_internal_value(self, data: Any) -> Tap:
        if isinstance(data, str):
            data = _parse_tap(data)
        if not isinstance(data, dict):
            self.fail("invalid")
        x, y = _fraction(data.get("x")), _fraction(data.get("y"))
        if x is None or y is None:
            self.fail("invalid")
        return Tap(x, y)

    def to_representation(self, value: Tap) -> dict[str, float]:
        return value.to_json()


def _parse_tap(text: str) -> Any:
    try:
        if "{" in text:
            return json.loads(text)
        x, y = text.split(",")
        return {"x": float(x), "y": float(y)}
    except ValueError:
        return None


def _fraction(value: Any) -> float | None:
    """A JSON number from 0 to 1, or None; true and false are no numbers here."""
    if isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value <= 1:
        return float(value)
    return None


def find_asset(shop: Shop, product_id: str) -> ProductAsset:
    """A shop's product.

    Raises:
        NotFound: it has none by that id.
    """
    asset: ProductAsset | None = None
    if product_id.isprintable():
        assets = ProductAsset.objects.for_shop(shop).select_related("shop", "photo", "cutout")
        asset = assets.filter(product_id=product_id).first()
    if asset is None:
        raise NotFound("This shop has no product by that id.")
    return asset


def read_visitor(request: Request, shop: Shop) -> Visitor | None:
    """Who asks, by the token in the query or the body; None for a stranger."""
    token = request.query_params.get("visitor")
    if token is None and isinstance(request.data, dict):
        token = request.data.get("visitor")
    return Visitor.read(shop, token) if isinstance(token, str) else None


def find_composite(request: Request, shop: Shop, composite_id: str, *, deleted: bool = False) -> CompositeRun:
    """The caller's own composite.

    Raises:
        NotFound: none by that id, or somebody else's, or deleted (unless asked for).
    """
    visitor = read_visitor(request, shop)
    composites = CompositeRun.objects.for_shop(shop).select_related(
        "run", "result", "shop", "asset", "asset__shop", "asset__photo", "asset__cutout"
    )
    if not deleted:
        composites = composites.visible()
    try:
        composite = composites.filter(pk=parse_id(composite_id)).first()
    except (ValueError, OverflowError):
        composite = None
    if composite is None or visitor is None or not visitor.owns(composite.visitor_hash):
        raise NotFound("There is no picture by that id.")
    return composite


def read_request_key(request: Request, n: str | None) -> str | None:
    """The idempotency key: header, body field `n`, or query parameter `n`.

    Raises:
        rest_framework.serializers.ValidationError: longer than 255 characters.
    """
    key = request.headers.get("Idempotency-Key") or n or request.query_params.get("n") or None
    if key is not None and (len(key) > 255 or not key.isprintable()):
        raise serializers.ValidationError({"n": ["At most 255 printable characters."]})
    return key
