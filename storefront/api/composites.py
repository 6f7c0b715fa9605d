"""Composites: ask for one, watch it, change it, judge it, delete it."""

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.parsers import FormParser, JSONParser, MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response

from core.api import ok
from core.canonical import sha256_hex
from core.schema import enveloped, errors
from storefront.answers import POLL_AFTER_MS, Status, composite_answer, status_of
from storefront.api.base import (
    KEY_PARAMETER,
    VISITOR_PARAMETER,
    StorefrontView,
    TapField,
    Words,
    find_asset,
    find_composite,
    read_request_key,
    read_visitor,
)
from storefront.consent import consent_hash
from storefront.endings import delete_composite
from storefront.errors import ConsentRequired
from storefront.models import CompositeRun
from storefront.services import (
    RequestKey,
    check_open,
    create_composite,
    find_repeated,
    give_feedback,
    refine_composite,
)
from storefront.throttles import admit_composite, throttle_composites, throttle_feedback
from storefront.uploads import check_size, find_filled_upload, upload_directly
from storefront.visitors import Visitor

FORM_OVERHEAD = 64 * 1024
HINTS = ("left", "right", "back", "closer", "smaller", "against_wall")


class CompositeRequestSerializer(serializers.Serializer):
    """What to show where: an upload, or in a multipart form the photo itself."""

    product_id = Words(max_length=255)
    upload_id = Words(max_length=64, required=False, allow_null=True)
    room_photo = serializers.FileField(required=False, allow_null=True, use_url=False, allow_empty_file=True)
    tap = TapField(required=False, allow_null=True)
    consent = serializers.BooleanField(required=False, default=False, allow_null=True)
    visitor = Words(max_length=300, required=False, allow_blank=True, allow_null=True)
    n = Words(max_length=255, required=False, allow_blank=True, allow_null=True)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Consent before anything is done with the photo; then one photo, not two.

        Raises:
            ConsentRequired: it is missing or refused.
        """
        if not attrs.get("consent"):
            raise ConsentRequired()
        if bool(attrs.get("upload_id")) == (attrs.get("room_photo") is not None):
            raise serializers.ValidationError({"upload_id": ["Give either upload_id or room_photo."]})
        return attrs


class StartedSerializer(serializers.Serializer):
    """A composite on its way."""

    id = serializers.CharField()
    status = serializers.ChoiceField(choices=Status.choices)
    visitor = serializers.CharField()
    poll_after_ms = serializers.IntegerField()


class PictureSerializer(serializers.Serializer):
    """The finished picture."""

    url = serializers.URLField()
    width = serializers.IntegerField()
    height = serializers.IntegerField()
    expires_at = serializers.DateTimeField()
    source = serializers.ChoiceField(  # type: ignore[assignment]
        ["model", "local"], help_text="Painted by an image model, or by our own engine."
    )


class FailureSerializer(serializers.Serializer):
    """Why there is none."""

    code = serializers.CharField()
    message = serializers.CharField()
    retryable = serializers.BooleanField()


class CompositeSerializer(serializers.Serializer):
    """A composite as its shopper sees it."""

    id = serializers.CharField()
    reference = serializers.CharField(help_text="What a shopper tells support, as `7K3M-9QX2`.")
    status = serializers.ChoiceField(choices=Status.choices)
    stage = serializers.CharField(allow_null=True)
    message = serializers.CharField()
    result = PictureSerializer(allow_null=True)
    placement = serializers.DictField(allow_null=True)
    dimensions_text = serializers.CharField(allow_null=True)
    remaining_refinements = serializers.IntegerField()
    error = FailureSerializer(allow_null=True)


class RefineRequestSerializer(serializers.Serializer):
    """What to change."""

    hint = serializers.ChoiceField(choices=HINTS, required=False, allow_null=True)
    tap = TapField(required=False, allow_null=True)
    visitor = Words(max_length=300, required=False, allow_null=True)
    n = Words(max_length=255, required=False, allow_blank=True, allow_null=True)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Something has to change."""
        if not attrs.get("hint") and not attrs.get("tap"):
            raise serializers.ValidationError({"hint": ["Give a hint or a tap."]})
        return attrs


class FeedbackRequestSerializer(serializers.Serializer):
    """A shopper's opinion."""

    verdict = serializers.ChoiceField(choices=CompositeRun.Verdict.choices)
    issue = Words(max_length=63, required=False, allow_blank=True, allow_null=True)
    comment = Words(max_length=2000, required=False, allow_blank=True, allow_null=True)
    visitor = Words(max_length=300, required=False, allow_null=True)


class FeedbackSerializer(serializers.Serializer):
    """The opinion as kept."""

    verdict = serializers.ChoiceField(choices=CompositeRun.Verdict.choices)


class CompositesView(StorefrontView):
    """Asking for composites."""

    parser_classes = [JSONParser, MultiPartParser, FormParser]

    @extend_schema(
        operation_id="storefront_composite_start",
        summary="Show a product in a room",
        tags=["storefront"],
        parameters=[KEY_PARAMETER],
        request={"application/json": CompositeRequestSerializer, "multipart/form-data": CompositeRequestSerializer},
        responses={
            202: enveloped(StartedSerializer),
            **errors(400, 401, 402, 403, 404, 409, 410, 413, 415, 422, 429, 503),
        },
    )
    def post(self, request: Request) -> Response:
        """Starts a composite; poll it after `poll_after_ms`, with the `visitor` token of this answer."""
        if request.content_type.startswith("multipart/"):
            check_size(int(request.META.get("CONTENT_LENGTH") or 0) - FORM_OVERHEAD)
        form = CompositeRequestSerializer(data=request.data)
        form.is_valid(raise_exception=True)
        composite, visitor = self._start(request, form.validated_data)
        return ok(_started(composite, visitor), status=202)

    def _start(self, request: Request, asked: dict[str, Any]) -> tuple[CompositeRun, Visitor]:
        """Guard, look for a repetition, see whether there is room, count the request, open the photo, start."""
        shop, photo = self.shop, asked.get("room_photo")
        asset = find_asset(shop, asked["product_id"])
        check_open(shop, asset)
        key = read_request_key(request, asked.get("n"))
        visitor = read_visitor(request, shop) or (Visitor.of_request_key(shop, key) if key else Visitor.new(shop))
        content = photo.read() if photo is not None else b""
        request_key = RequestKey.of(visitor, key, _fingerprint(asked, content))
        made = find_repeated(shop, request_key)
        if made is not None:
            return made, visitor
        admit_composite(shop)
        throttle_composites(request, shop)
        if photo is not None:
            upload = upload_directly(shop=shop, content=content, content_type=photo.content_type or "")
        else:
            upload = find_filled_upload(shop=shop, upload_id=asked["upload_id"])
        composite = create_composite(
            shop=shop,
            asset=asset,
            upload=upload,
            visitor=visitor,
            request_key=request_key,
            consent_text_hash=consent_hash(shop),
            tap=asked.get("tap"),
        )
        return composite, visitor


class CompositeView(StorefrontView):
    """One composite."""

    @extend_schema(
        operation_id="storefront_composite",
        summary="How a composite is getting on",
        tags=["storefront"],
        parameters=[VISITOR_PARAMETER],
        responses={200: enveloped(CompositeSerializer), **errors(401, 403, 404, 503)},
    )
    def get(self, request: Request, composite_id: str) -> Response:
        """The picture's link is good for ten minutes; ask again for a new one."""
        composite = find_composite(request, self.shop, composite_id)
        return ok(composite_answer(composite, f"{request.scheme}://{request.get_host()}"))

    @extend_schema(
        operation_id="storefront_composite_delete",
        summary="Delete a composite's pictures",
        tags=["storefront"],
        parameters=[VISITOR_PARAMETER],
        request=None,
        responses={204: None, **errors(401, 403, 404, 503)},
    )
    def delete(self, request: Request, composite_id: str) -> Response:
        """The room photo and every picture made from it are gone at once; again is fine."""
        composite = find_composite(request, self.shop, composite_id, deleted=True)
        delete_composite(composite=composite)
        return Response(status=204)


class RefineView(StorefrontView):
    """Changing a composite."""

    @extend_schema(
        operation_id="storefront_composite_refine",
        summary="Change a composite",
        tags=["storefront"],
        parameters=[VISITOR_PARAMETER, KEY_PARAMETER],
        request=RefineRequestSerializer,
        responses={
            202: enveloped(StartedSerializer),
            **errors(400, 401, 402, 403, 404, 409, 410, 422, 429, 503),
        },
    )
    def post(self, request: Request, composite_id: str) -> Response:
        """Starts a new composite from the same photo; at most three changes in a chain."""
        form = RefineRequestSerializer(data=request.data)
        form.is_valid(raise_exception=True)
        asked, shop = form.validated_data, self.shop
        composite = find_composite(request, shop, composite_id)
        visitor = read_visitor(request, shop) or Visitor.new(shop)
        body = {"refine": str(composite.pk), "hint": asked.get("hint"), "tap": _tap_json(asked)}
        request_key = RequestKey.of(visitor, read_request_key(request, asked.get("n")), body)
        made = find_repeated(shop, request_key)
        if made is None:
            admit_composite(shop)
            throttle_composites(request, shop)
            made = refine_composite(
                composite=composite, hint=asked.get("hint") or "", tap=asked.get("tap"), request_key=request_key
            )
        return ok(_started(made, visitor), status=202)


class FeedbackView(StorefrontView):
    """Judging a composite."""

    @extend_schema(
        operation_id="storefront_composite_feedback",
        summary="Say what you think of a composite",
        tags=["storefront"],
        parameters=[VISITOR_PARAMETER],
        request=FeedbackRequestSerializer,
        responses={200: enveloped(FeedbackSerializer), **errors(400, 401, 403, 404, 422, 429, 503)},
    )
    def post(self, request: Request, composite_id: str) -> Response:
        """A later opinion replaces an earlier one."""
        form = FeedbackRequestSerializer(data=request.data)
        form.is_valid(raise_exception=True)
        composite = find_composite(request, self.shop, composite_id)
        throttle_feedback(request, self.shop)
        said = form.validated_data
        give_feedback(
            composite=composite,
            verdict=said["verdict"],
            issue=said.get("issue") or "",
            comment=said.get("comment") or "",
        )
        return ok({"verdict": said["verdict"]})


def _fingerprint(asked: dict[str, Any], content: bytes) -> dict[str, Any]:
    """What was asked for, without who asked: equal for a repetition, unequal for anything else."""
    photo = asked.get("upload_id") or f"sha256:{sha256_hex(content)}"
    return {"product_id": asked["product_id"], "photo": photo, "tap": _tap_json(asked)}


def _tap_json(asked: dict[str, Any]) -> dict[str, float] | None:
    tap = asked.get("tap")
    return tap.to_json() if tap else None


def _started(composite: CompositeRun, visitor: Visitor) -> dict[str, Any]:
    return {
        "id": str(composite.pk),
        "status": status_of(composite.run).value,
        "visitor": visitor.token,
        "poll_after_ms": POLL_AFTER_MS,
    }
