"""The console tells times in its reader's zone (Django's documentation, "Selecting the current time zone")."""

import zoneinfo
from collections.abc import Callable
from urllib.parse import unquote

from django.http import HttpRequest, HttpResponse
from django.utils import timezone

COOKIE = "console_zone"
PATH = "/admin/"


class ConsoleZoneMiddleware:
    """Activates the zone that the reader's browser has told (console.js), for the console alone; else it is UTC."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        name = unquote(request.COOKIES.get(COOKIE, ""))
        if not name or not request.path.startswith(PATH):
            return self.get_response(request)
        try:
            zone = zoneinfo.ZoneInfo(name)
        except (KeyError, ValueError, OSError):  # unknown, malformed, or a folder of the zone data
            return self.get_response(request)
        with timezone.override(zone):
            return self.get_response(request)
