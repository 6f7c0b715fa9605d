"""One shape for every JSON answer of ours, and one place where errors get it."""

import logging
from typing import Any

import structlog
from django.core.exceptions import PermissionDenied
from django.db import InterfaceError, OperationalError
from django.http import Http404, JsonResponse
from rest_framework import exceptions, status
from rest_framework.response import Response
from rest_framework.views import set_rollback

from core.errors import NotFound, SeeItError, TemporarilyUnavailable

logger = logging.getLogger(__name__)


def request_id() -> str:
    """The id of the request being answered, as in its log lines and `X-Request-ID`."""
    return str(structlog.contextvars.get_contextvars().get("request_id", ""))


def ok(data: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """A good answer: `{"ok": true, "data": ...}`."""
    return Response({"ok": True, "data": data}, status=status, headers=headers)


def error_body(code: str, message: str, *, retryable: bool = False, details: Any = None) -> dict[str, Any]:
    """A bad answer: `{"ok": false, "error": {code, message, retryable, request_id, details?}}`."""
    error: dict[str, Any] = {"code": code, "message": message, "retryable": retryable, "request_id": request_id()}
    if details:
        error["details"] = details
    return {"ok": False, "error": error}


def exception_handler(exception: Exception, context: dict[str, Any]) -> Response | None:
    """DRF's handler: any exception that we can name becomes our error shape; the rest goes to Django's 500 page."""
    set_rollback()
    if isinstance(exception, (OperationalError, InterfaceError)):
        logger.error("database unavailable", exc_info=exception)
        exception = TemporarilyUnavailable()
    if isinstance(exception, Http404):
        exception = NotFound()
    if isinstance(exception, SeeItError):
        if exception.status >= 500 and not isinstance(exception, TemporarilyUnavailable):
            logger.error("request failed", exc_info=exception)
        body = error_body(exception.code, exception.message, retryable=exception.retryable, details=exception.details)
        return Response(body, status=exception.status, headers=getattr(exception, "headers", None))
    return _framework_error(exception)


def _framework_error(exception: Exception) -> Response | None:
    """What DRF or Django itself refused, in our shape."""
    if isinstance(exception, PermissionDenied):
        exception = exceptions.PermissionDenied()
    if not isinstance(exception, exceptions.APIException):
        return None
    headers: dict[str, str] = {}
    if isinstance(exception, exceptions.Throttled):
        wait = int(getattr(exception, "wait", None) or 1)
        headers["Retry-After"] = str(wait)
        body = error_body("throttled", f"Too many requests. Please wait {wait} seconds.", retryable=True)
        return Response(body, status=429, headers=headers)
    if isinstance(exception, exceptions.ValidationError):
        body = error_body("validation", "Some fields are not valid.", details=exception.detail)
        return Response(body, status=status.HTTP_422_UNPROCESSABLE_ENTITY)
    if isinstance(exception, exceptions.ParseError):
        return Response(error_body("validation", str(exception.detail)), status=400)
    code = exception.get_codes()
    text = code if isinstance(code, str) else "invalid"
    return Response(error_body(text, str(exception.detail)), status=exception.status_code)


def json_error(code: str, message: str, *, status: int, retryable: bool = False) -> JsonResponse:
    """The same error shape for views and middleware outside DRF."""
    return JsonResponse(error_body(code, message, retryable=retryable), status=status)
