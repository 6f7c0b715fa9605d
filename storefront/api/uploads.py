"""`POST uploads` announces a photo, `PUT` to the one-time URL brings it."""

from django.urls import reverse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from core.api import ok
from core.schema import enveloped, errors
from storefront.api.base import StorefrontView, Words
from storefront.errors import UploadIncomplete
from storefront.photos import max_bytes
from storefront.throttles import throttle_uploads
from storefront.uploads import announce_upload, find_waiting_upload, receive_photo


class UploadRequestSerializer(serializers.Serializer):
    """The photo to come."""

    content_type = Words(max_length=100)
    bytes = serializers.IntegerField(min_value=1, max_value=2**31 - 1)


class UploadSerializer(serializers.Serializer):
    """Where to bring it."""

    upload_id = serializers.CharField()
    url = serializers.URLField()
    method = serializers.ChoiceField(choices=["PUT"])
    headers = serializers.DictField(child=serializers.CharField())
    expires_at = serializers.DateTimeField()
    max_bytes = serializers.IntegerField()


class UploadsView(StorefrontView):
    """Announcing photos."""

    @extend_schema(
        operation_id="storefront_upload",
        summary="A one-time place for a photo",
        tags=["storefront"],
        request=UploadRequestSerializer,
        responses={201: enveloped(UploadSerializer), **errors(401, 403, 413, 415, 422, 429, 503)},
    )
    def post(self, request: Request) -> Response:
        """Answers with the URL to `PUT` exactly the announced bytes to, once, within ten minutes."""
        form = UploadRequestSerializer(data=request.data)
        form.is_valid(raise_exception=True)
        throttle_uploads(request, self.shop)
        content_type = form.validated_data["content_type"]
        upload, token = announce_upload(
            shop=self.shop, content_type=content_type, declared_bytes=form.validated_data["bytes"]
        )
        answer = {
            "upload_id": str(upload.pk),
            "url": request.build_absolute_uri(reverse("storefront-upload-photo", args=[token])),
            "method": "PUT",
            "headers": {"Content-Type": content_type},
            "expires_at": upload.expires_at,
            "max_bytes": max_bytes(),
        }
        return ok(UploadSerializer(answer).data, status=201)


class UploadPhotoView(StorefrontView):
    """Bringing the photo: the token in the URL is the key."""

    authentication_classes = []

    @extend_schema(
        operation_id="storefront_upload_photo",
        summary="Bring the photo",
        tags=["storefront"],
        auth=[],
        request={"image/*": OpenApiTypes.BINARY},
        responses={204: None, **errors(400, 410, 413, 415, 422, 503)},
    )
    def put(self, request: Request, token: str) -> Response:
        """Takes the announced bytes once; a photo that is refused, or half of one, leaves nothing behind."""
        upload = find_waiting_upload(token=token, announced=_content_length(request))
        content = request._request.read(upload.declared_bytes + 1)
        receive_photo(upload=upload, content=content)
        return Response(status=204)


def _content_length(request: Request) -> int:
    """The announced body size; a body without one cannot be checked before it is read.

    Raises:
        UploadIncomplete: there is none.
    """
    try:
        return int(request.META["CONTENT_LENGTH"])
    except (KeyError, ValueError):
        raise UploadIncomplete("Please send the photo with its Content-Length.") from None
