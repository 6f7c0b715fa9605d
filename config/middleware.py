"""Middleware of the house: the request id on every response, and a plain 503 when the database is gone."""

import logging
from collections.abc import Callable

from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase

from core.api import json_error, request_id
from core.errors import TemporarilyUnavailable

logger = logging.getLogger(__name__)
Handler = Callable[[HttpRequest], HttpResponseBase]


class RequestIdMiddleware:
    """Adds `X-Request-ID` to every response, the same id that stands in the log lines and error bodies."""

    def __init__(self, get_response: Handler) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        response = self.get_response(request)
        response["X-Request-ID"] = request_id()
        return response


class DatabaseGoneMiddleware:
    """A database that cannot be reached is 503 with `Retry-After`: JSON for programs, plain words for people."""

    def __init__(self, get_response: Handler) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponseBase | None:
        """Called by Django when a view (not DRF's, which answers itself) lets an exception out."""
        if not isinstance(exception, (OperationalError, InterfaceError)):
            return None
        logger.error("database unavailable", exc_info=exception)
        response: HttpResponseBase
        if "text/html" in request.headers.get("Accept", ""):
            response = HttpResponse(TemporarilyUnavailable().message, status=503, content_type="text/plain")
        else:
            response = json_error(
                "temporarily_unavailable", TemporarilyUnavailable().message, status=503, retryable=True
            )
        response["Retry-After"] = "5"
        return response
