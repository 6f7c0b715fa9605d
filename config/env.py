"""Typed readers of the environment: a missing or malformed value stops the start with one line that names it."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

T = TypeVar("T")
TRUE, FALSE = {"1", "true", "yes", "on"}, {"0", "false", "no", "off", ""}


class BadEnvironment(SystemExit):
    """A setting in the environment is missing or malformed."""

    def __init__(self, name: str, problem: str) -> None:
        super().__init__(f"Environment variable {name}: {problem}")


def _read(name: str, default: T, parse: Callable[[str], T]) -> T:
    raw = os.environ.get(name)
    if raw is None or raw == "":
        return default
    try:
        return parse(raw.strip())
    except ValueError as error:
        raise BadEnvironment(name, str(error)) from error


def text(name: str, default: str = "") -> str:
    """A string."""
    return _read(name, default, str)


def flag(name: str, default: bool = False) -> bool:
    """A yes or no: 1/true/yes/on or 0/false/no/off."""

    def parse(raw: str) -> bool:
        if raw.lower() in TRUE:
            return True
        if raw.lower() in FALSE:
            return False
        raise ValueError(f"expected true or false, found {raw!r}")

    return _read(name, default, parse)


def integer(name: str, default: int, *, minimum: int = 0) -> int:
    """A whole number, at least `minimum`."""

    def parse(raw: str) -> int:
        try:
            value = int(raw)
        except ValueError:
            raise ValueError(f"expected a whole number, found {raw!r}") from None
        if value < minimum:
            raise ValueError(f"expected at least {minimum}, found {value}")
        return value

    return _read(name, default, parse)


def choice(name: str, default: str, options: tuple[str, ...]) -> str:
    """One of a few words."""

    def parse(raw: str) -> str:
        if raw not in options:
            raise ValueError(f"expected one of {', '.join(options)}, found {raw!r}")
        return raw

    return _read(name, default, parse)


def words(name: str, default: list[str] | None = None) -> list[str]:
    """A comma-separated list without empty items."""
    return _read(name, default or [], lambda raw: [word.strip() for word in raw.split(",") if word.strip()])


def path(name: str, default: Path) -> Path:
    """A file or folder."""
    return _read(name, default, lambda raw: Path(raw).expanduser().resolve())


def key(name: str) -> str:
    """A service's API key, as it was issued; what is wrong with it is said without repeating it."""

    def parse(raw: str) -> str:
        if not 8 <= len(raw) <= 512 or not raw.isascii() or not raw.isprintable() or " " in raw:
            raise ValueError("expected a key as it was issued: 8 to 512 plain characters without spaces")
        return raw

    return _read(name, "", parse)


def base_url(name: str) -> str:
    """A service's address, without a slash at its end: `https://host` or `https://host/v1`."""

    def parse(raw: str) -> str:
        url = urlsplit(raw)
        _ = url.port  # raises for a port that is no number
        if url.scheme not in ("http", "https") or not url.hostname or "@" in url.netloc or url.query or url.fragment:
            raise ValueError("expected an address such as https://host or https://host/v1")
        return raw.rstrip("/")

    return _read(name, "", parse)


@dataclass(frozen=True)
class Broker:
    """Which broker carries the hints, and the queue's name and region where it has them."""

    broker_class: str
    queue: str = "seeit"
    region: str = ""


def broker(name: str) -> tuple[str, Broker]:
    """A broker's address: empty for the database, `redis://HOST:PORT/DB`, or `sqs://REGION/QUEUE`."""

    def parse(raw: str) -> tuple[str, Broker]:
        url = urlsplit(raw)
        _ = url.port  # raises for a port that is no number
        if url.scheme in ("redis", "rediss") and url.hostname:
            if not (url.path.strip("/") or "0").isdigit():
                raise ValueError("expected the number of a Redis database after the host, as in redis://host:6379/0")
            return raw, Broker("runs.cluster.redis_broker.RedisBroker")
        if url.scheme == "sqs":
            if url.username or "/" in url.path.strip("/"):
                raise ValueError("expected sqs://REGION/QUEUE; credentials are found by boto3's own rules")
            queue = url.path.strip("/") or "seeit"
            return raw, Broker("runs.cluster.sqs_broker.SqsBroker", queue, url.hostname or "")
        raise ValueError("expected redis://HOST:PORT/DB or sqs://REGION/QUEUE, or nothing for the database")

    return _read(name, ("", Broker("runs.cluster.pg_broker.PgBroker")), parse)
