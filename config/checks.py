"""System checks: what is wrong with this installation, said before the first request instead of at it."""

from datetime import UTC, datetime
from typing import Any

from cryptography.fernet import Fernet
from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register

from vendors.prices import PricesInvalid, load_prices
from vendors.registry import build_vendors, installed_routes
from vendors.routes import TASKS, Routes, RoutesInvalid

MIN_SECRET = 32


@register(Tags.security)
def check_secrets(**_: Any) -> list[CheckMessage]:
    """Keys that can do their work."""
    found: list[CheckMessage] = []
    for number, key in enumerate(settings.FIELD_ENCRYPTION_KEYS, start=1):
        try:
            Fernet(key)
        except ValueError:
            hint = 'Make one: python -c "from cryptography.fernet import Fernet; print(Fernet.generate_key().decode())"'
            found.append(Error(f"FIELD_ENCRYPTION_KEYS: key {number} is not a Fernet key.", hint=hint, id="seeit.E001"))
    if len(settings.SECRET_KEY) < MIN_SECRET:
        found.append(Error(f"SECRET_KEY is shorter than {MIN_SECRET} characters.", id="seeit.E002"))
    return found


@register()
def check_routes(**_: Any) -> list[CheckMessage]:
    """A routes file that leads to vendors that are there."""
    try:
        _installed_routes()
    except RoutesInvalid as error:
        return [Error(f"Model routes cannot be used: {error}.", hint="See MODEL_ROUTES.", id="seeit.E003")]
    return []


@register()
def check_own_server(**_: Any) -> list[CheckMessage]:
    """A server of one's own has models of its own, which the default routes do not know."""
    if not settings.VENDORS.get("OPENAI_BASE_URL") or settings.MODEL_ROUTES != settings.DEFAULT_MODEL_ROUTES:
        return []
    text = "OPENAI_BASE_URL is set, and the default routes name OpenAI's own models; every call may be refused."
    return [Warning(text, hint="Name the server's models in a file of your own: MODEL_ROUTES.", id="seeit.W004")]


def _installed_routes() -> Routes:
    default = settings.MODEL_ROUTES == settings.DEFAULT_MODEL_ROUTES
    return installed_routes(settings.MODEL_ROUTES, build_vendors(settings.VENDORS), default=default)


@register()
def check_prices(**_: Any) -> list[CheckMessage]:
    """A price table that can be read, and a price for every model that may be asked."""
    try:
        prices = load_prices(settings.MODEL_PRICES)
    except PricesInvalid as error:
        return [Error(f"Model prices cannot be used: {error}.", hint="See MODEL_PRICES.", id="seeit.E005")]
    try:
        routes = _installed_routes()
    except RoutesInvalid:
        return []  # the other check says so
    found: list[CheckMessage] = []
    now = datetime.now(UTC)
    for name in sorted({(route.vendor, route.model) for task in TASKS for route in routes.for_task(task)}):
        if not prices.knows(*name, now):
            text = f"{'/'.join(name)} has no price; what it costs will be unknown."
            found.append(Warning(text, hint=f"Add it to {settings.MODEL_PRICES.name}.", id="seeit.W003"))
    return found


@register(Tags.security, deploy=True)
def check_production(**_: Any) -> list[CheckMessage]:
    """What is fine on a laptop and not in production."""
    found: list[CheckMessage] = []
    if settings.EMBEDDED:
        found.append(Warning("The embedded PostgreSQL is for trying out; set DATABASE_URL.", id="seeit.W001"))
    if settings.DEBUG:
        found.append(Error("DEBUG is on.", id="seeit.E004"))
    if not settings.STORAGE_BUCKET:
        text = "Pictures are files of this machine; several machines need STORAGE_BUCKET."
        found.append(Warning(text, id="seeit.W002"))
    return found
