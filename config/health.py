"""Liveness and readiness: is the process up; can it do its work."""

import io
import logging
import math
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager

from django.core.files.base import File
from django.db import DatabaseError, InterfaceError, connection, transaction
from django.db.backends.utils import CursorWrapper
from django.http import HttpRequest, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from core.storage import BlobStore
from runs.models import Worker

logger = logging.getLogger(__name__)
PATIENCE_SECONDS = 3.0
STORAGE_EVERY_SECONDS = 15.0
PROBE_NAME = "health/probe"


@require_safe
@never_cache
def healthz(request: HttpRequest) -> JsonResponse:
    """200 while the process answers; it looks at nothing else."""
    return JsonResponse({"status": "ok"})


@require_safe
@never_cache
def readyz(request: HttpRequest) -> JsonResponse:
    """200 when database, storage and at least one worker are there; 503 with the reason otherwise.

    Made to be asked every second: the storage is tried every 15 s, and nothing is waited for longer than 3 s.
    """
    checks = {name: _checked(check) for name, check in CHECKS.items()}
    ready = all(result == "ok" for result in checks.values())
    return JsonResponse({"status": "ready" if ready else "not ready", "checks": checks}, status=200 if ready else 503)


class Probe:
    """A check that may take long: made on a thread, at most once in `every_s`, by one request for all.

    An answer is kept for `every_s`. Nobody waits for longer than `patience_s` since it was asked for, and while a check
    hangs nobody waits again: the answer is then that there is none.
    """

    def __init__(self, check: Callable[[], str], *, every_s: float, patience_s: float) -> None:
        self._check, self._every_s, self._patience_s = check, every_s, patience_s
        self._lock = threading.Lock()
        self.forget()

    def forget(self) -> None:
        """Have the next request look anew."""
        self._asked_at, self._answer = -math.inf, Future[str]()

    def __call__(self) -> str:
        """The check's answer, or its exception."""
        with self._lock:
            waited = time.monotonic() - self._asked_at
            if waited == math.inf or (self._answer.done() and waited > self._every_s):
                self._asked_at, self._answer, waited = time.monotonic(), Future(), 0.0
                threading.Thread(target=self._ask, args=(self._answer,), name="readiness", daemon=True).start()
            answer = self._answer
        try:
            return answer.result(max(0.0, self._patience_s - waited))
        except TimeoutError:
            return f"no answer for {max(waited, self._patience_s):.0f} s"

    def _ask(self, answer: "Future[str]") -> None:
        try:
            answer.set_result(self._check())
        except Exception as error:  # told by whoever reads it
            answer.set_exception(error)


def _database() -> str:
    with _impatient_cursor() as cursor:
        cursor.execute("SELECT 1")
    return "ok"


def _worker() -> str:
    with _impatient_cursor():
        alive = Worker.objects.alive().exists()
    return "ok" if alive else "no worker has reported for 30 seconds; start one with `manage.py qcluster`"


@contextmanager
def _impatient_cursor() -> Iterator[CursorWrapper]:
    """A cursor whose statements give up when the database is too busy to answer a monitor."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT set_config('statement_timeout', %s, true)", [f"{PATIENCE_SECONDS:g}s"])
        yield cursor


def _store_and_read() -> str:
    """Write one small file, always the same, and read it back: a full disk or a lost right shows only in writing."""
    store, content = BlobStore(), uuid.uuid4().bytes
    store.storage.save(PROBE_NAME, File(io.BytesIO(content), name=PROBE_NAME))
    return "ok" if store.read_key(PROBE_NAME) == content else "storage does not give back what it was given"


storage = Probe(_store_and_read, every_s=STORAGE_EVERY_SECONDS, patience_s=PATIENCE_SECONDS)
CHECKS: dict[str, Callable[[], str]] = {"database": _database, "storage": storage, "worker": _worker}


def _checked(check: Callable[[], str]) -> str:
    try:
        return check()
    except (DatabaseError, InterfaceError):
        return "the database cannot be reached"
    except Exception as error:  # any storage backend's own error
        logger.error("readiness check failed", exc_info=error)
        return f"{type(error).__name__}"
