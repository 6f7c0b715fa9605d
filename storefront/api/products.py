"""`GET products/{product_id}`: may this product be shown in a room?"""

from django.db import models
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from core.api import ok
from core.schema import enveloped, errors
from prep.models import ProductAsset
from storefront.api.base import StorefrontView, find_asset


class Availability(models.TextChoices):
    """What a product's button may do."""

    READY = "ready"
    PREPARING = "preparing"
    UNAVAILABLE = "unavailable"


Prep = ProductAsset.PrepStatus
AVAILABILITY = {Prep.READY: Availability.READY, Prep.FAILED: Availability.UNAVAILABLE}


class ProductSerializer(serializers.Serializer):
    """A product at the storefront."""

    status = serializers.ChoiceField(choices=Availability.choices)
    title = serializers.CharField()


class ProductView(StorefrontView):
    """One product."""

    @extend_schema(
        operation_id="storefront_product",
        summary="Whether a product can be shown in a room",
        tags=["storefront"],
        responses={200: enveloped(ProductSerializer), **errors(401, 403, 404, 503)},
    )
    def get(self, request: Request, product_id: str) -> Response:
        """`ready`, `preparing`, or `unavailable` (switched off, or the product cannot be prepared)."""
        asset = find_asset(self.shop, product_id)
        availability = AVAILABILITY.get(Prep(asset.prep_status), Availability.PREPARING)
        if not self.shop.flags.composites:
            availability = Availability.UNAVAILABLE
        return ok({"status": availability.value, "title": asset.title})
