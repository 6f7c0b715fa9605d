"""The picture behind a signed link."""

from django.http import HttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request

from core.schema import errors
from core.storage import BlobStore
from storefront.api.base import StorefrontView
from storefront.links import open_link


class ResultView(StorefrontView):
    """One picture: the token in the URL is the key, so that an `<img>` can show it."""

    authentication_classes = []

    @extend_schema(
        operation_id="storefront_result",
        summary="The finished picture",
        tags=["storefront"],
        auth=[],
        responses={(200, "image/jpeg"): OpenApiTypes.BINARY, **errors(404, 410, 503)},
    )
    def get(self, request: Request, token: str) -> HttpResponse:
        """The picture in full size."""
        blob = open_link(token)
        response = HttpResponse(BlobStore().read_key(blob.storage_key), content_type=blob.media_type)
        response["Content-Disposition"] = "inline"
        response["Cross-Origin-Resource-Policy"] = "cross-origin"  # shops' pages show it in an <img>
        response["Cache-Control"] = "private, no-store"
        return response
