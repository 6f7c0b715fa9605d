"""Middleware of the house: the request id on every response."""

from collections.abc import Callable

from django.http import HttpRequest
from django.http.response import HttpResponseBase

from core.api import request_id

Handler = Callable[[HttpRequest], HttpResponseBase]


class RequestIdMiddleware:
    """Adds `X-Request-ID` to every response, the same id that stands in the log lines and error bodies."""

    def __init__(self, get_response: Handler) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        response = self.get_response(request)
        response["X-Request-ID"] = request_id()
        return response
