"""Liveness and readiness: is the process up; can it do its work."""

import logging
import uuid
from collections.abc import Callable

from django.db import DatabaseError, InterfaceError, connection
from django.http import HttpRequest, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from core.storage import BlobStore
from runs.models import Worker

logger = logging.getLogger(__name__)


@require_safe
@never_cache
def healthz(request: HttpRequest) -> JsonResponse:
    """200 while the process answers; it looks at nothing else."""
    return JsonResponse({"status": "ok"})


@require_safe
@never_cache
def readyz(request: HttpRequest) -> JsonResponse:
    """200 when database, storage and at least one worker are there; 503 with the reason otherwise."""
    checks = {name: _checked(check) for name, check in CHECKS.items()}
    ready = all(result == "ok" for result in checks.values())
    return JsonResponse({"status": "ready" if ready else "not ready", "checks": checks}, status=200 if ready else 503)


def _database() -> str:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    return "ok"


def _storage() -> str:
    store, probe = BlobStore(), uuid.uuid4().bytes
    stored = store.put("readyz", probe, "application/octet-stream")
    try:
        return "ok" if store.read_key(stored.key) == probe else "storage does not give back what it was given"
    finally:
        store.delete_key(stored.key)


def _worker() -> str:
    alive = Worker.objects.alive().exists()
    return "ok" if alive else "no worker has reported for 30 seconds; start one with `manage.py qcluster`"


CHECKS: dict[str, Callable[[], str]] = {"database": _database, "storage": _storage, "worker": _worker}


def _checked(check: Callable[[], str]) -> str:
    try:
        return check()
    except (DatabaseError, InterfaceError):
        return "the database cannot be reached"
    except Exception as error:  # any storage backend's own error
        logger.error("readiness check failed", exc_info=error)
        return f"{type(error).__name__}"
