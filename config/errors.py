"""What a person or a program sees when something of ours broke: one shape, plain words, no traceback."""

import sys

from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase

from core.api import json_error
from core.errors import SeeItError, TemporarilyUnavailable


def server_error(request: HttpRequest) -> HttpResponseBase:
    """Django's `handler500`, wherever the exception came from, middleware included.

    A database that cannot be reached is 503 with `Retry-After`; all else is 500. JSON, or plain text for a browser.
    """
    gone = isinstance(sys.exception(), (OperationalError, InterfaceError))
    error: SeeItError = TemporarilyUnavailable() if gone else SeeItError("Something went wrong on our side.")
    response: HttpResponseBase
    if "text/html" in request.headers.get("Accept", ""):
        response = HttpResponse(error.message, status=error.status, content_type="text/plain; charset=utf-8")
    else:
        response = json_error(error.code, error.message, status=error.status, retryable=error.retryable)
    if gone:
        response["Retry-After"] = "5"
    return response
