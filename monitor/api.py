"""`/api/monitoring/…`: what programs may read of runs."""

from typing import Any

from django.http import StreamingHttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.request import Request
from rest_framework.views import APIView

from core.errors import NotFound
from core.ids import parse_id
from core.schema import errors
from monitor.reproducing import PACKED, bundle_response
from runs.errors import RunActive
from runs.models import Run
from shops.authentication import StaffOrMonitorKey, require_permission, throttle_caller

BUNDLES = 30  # a minute, for each person or key


class WhateverIsAsked(BaseContentNegotiation):
    """A download is what it is: `Accept: application/zip` gets it as well as no wish at all; errors are JSON."""

    def select_parser(self, request: Request, parsers: Any) -> Any:
        return next(iter(parsers), None)

    def select_renderer(self, request: Request, renderers: Any, format_suffix: str | None = None) -> Any:
        renderer = next(iter(renderers))
        return renderer, renderer.media_type


class RunBundleView(APIView):
    """Everything about one run that has ended, as a zip."""

    authentication_classes = (StaffOrMonitorKey,)
    permission_classes = ()
    content_negotiation_class = WhateverIsAsked

    @extend_schema(
        operation_id="run_bundle",
        summary="A run's bundle",
        description="One zip with rows, prompts, requests, responses, replies and pictures; `manifest.json` in it has "
        "the SHA-256 of every other file. `manage.py import_bundle` takes it in elsewhere.",
        parameters=[
            OpenApiParameter("photos", bool, description="`false` leaves out every picture that shows a room."),
        ],
        responses={(200, "application/zip"): OpenApiResponse(OpenApiTypes.BINARY), **errors(401, 403, 404, 409, 429)},
        tags=["monitoring"],
    )
    def get(self, request: Request, run_id: str) -> StreamingHttpResponse:
        """Sent as it is packed."""
        require_permission(request, "runs.view_run", keys_too=True)
        throttle_caller(request, "bundle", BUNDLES)
        try:
            run = Run.objects.select_related(*PACKED).filter(pk=parse_id(run_id)).first()
        except ValueError:
            run = None
        if run is None:
            raise NotFound()
        if not run.is_over:
            raise RunActive()
        return bundle_response(
            run, photos=request.query_params.get("photos", "true").lower() not in ("false", "no", "0")
        )
