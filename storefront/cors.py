"""Answers that a shop's page on another origin may read."""

import logging
from collections.abc import Callable

from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.utils.cache import patch_vary_headers

from shops.models import Shop

logger = logging.getLogger(__name__)
PATHS = ("/proxy/v1/", "/u/")
PREFLIGHT = {
    "Access-Control-Allow-Methods": "GET, POST, PUT, DELETE",
    "Access-Control-Allow-Headers": "authorization, content-type, idempotency-key",
    "Access-Control-Max-Age": "7200",
}
EXPOSED = "X-Request-ID, Retry-After"


class StorefrontCorsMiddleware:
    """Lets the origins that any active shop allows read the storefront's answers; no cookies, no wildcard.

    Which shop's key may be used from which origin is decided by authentication; a preflight carries no key.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if not request.path_info.startswith(PATHS):
            return self.get_response(request)
        preflight = request.method == "OPTIONS" and "Access-Control-Request-Method" in request.headers
        response = HttpResponse(status=204) if preflight else self.get_response(request)
        patch_vary_headers(response, ["Origin"])
        origin = request.headers.get("Origin", "")
        if origin and knows_origin(origin):
            response["Access-Control-Allow-Origin"] = origin
            response["Access-Control-Expose-Headers"] = EXPOSED
            if preflight:
                for name, value in PREFLIGHT.items():
                    response[name] = value
        return response


def knows_origin(origin: str) -> bool:
    """Whether any active shop allows this origin; no database, no permission."""
    if "\0" in origin or len(origin) > 255:
        return False
    try:
        return Shop.objects.knowing_origin(origin).exists()
    except (OperationalError, InterfaceError):
        logger.exception("database unavailable")
        return False
