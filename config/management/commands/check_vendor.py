"""`manage.py check_vendor`: whether a model service can be used with the key that is set, by one cheap call."""

import argparse
from typing import Any

from asgiref.sync import async_to_sync
from django.conf import settings
from django.utils import timezone

from core.commands import RUN_FAILED, SeeItCommand
from vendors.base import Call, Image, Message, Reply, Vendor, VendorError
from vendors.prices import load_prices
from vendors.registry import SET_UP_BY, build_vendors, installed_routes
from vendors.routes import TASKS, RoutesInvalid

QUESTION = (
    Message("system", "You answer questions of a program that tests its connection."),
    Message("user", 'Answer with the JSON object {"ok": true} and nothing else.'),
)
SCHEMA = {
    "type": "object",
    "additionalProperties": False,
    "required": ["ok"],
    "properties": {"ok": {"type": "boolean"}},
}
SECONDS = 60.0
# The parameters of a test cost as little as they can.
CHEAP: dict[str, dict[str, Any]] = {
    "gemini": {"thinking_level": "low", "max_output_tokens": 2048},
    "openai": {"max_output_tokens": 2048},
}


class Command(SeeItCommand):
    help = (
        "Ask a model service one cheap question with the key that is set. Says what works, which of the routed models "
        "the service knows, and what the call cost. It is a real call: it costs a fraction of a cent."
    )
    example = "manage.py check_vendor gemini"

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("vendor", metavar="VENDOR", help=f"one of {', '.join(SET_UP_BY)}")
        parser.add_argument("--model", metavar="MODEL", help="ask this model (default: the first one routed to)")
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, *args: Any, **options: Any) -> None:
        name = options["vendor"]
        vendor = self._vendor(name)
        routed = self._routed(name, vendor)
        told: dict[str, Any] = {"vendor": name, "key": "not checked", "routed": routed, "unknown_models": None}
        try:
            known = self._known_models(vendor)
            if known is not None:
                told |= {"key": "accepted", "unknown_models": sorted(set(routed) - known)}
            call = _call(name, options["model"] or next(iter(routed), ""))
            reply: Reply = async_to_sync(vendor.call)(call)
        except VendorError as error:
            if options["json"]:
                self.print_json({**told, "error": {"code": error.code, "message": error.message}})
            self.fail(f"{error.code}: {error.message}{self._advice(error, name)}", RUN_FAILED)
        told |= {"key": "accepted", "error": None, **self._told(name, call, reply)}
        if options["json"]:
            self.print_json(told)
        else:
            self._say(told)
        if told["unknown_models"]:
            self.fail(f"{name} does not know {', '.join(told['unknown_models'])}; see MODEL_ROUTES.", RUN_FAILED)

    def _vendor(self, name: str) -> Vendor:
        if name not in SET_UP_BY:
            self.fail(f"There is no vendor {name!r}; there are {', '.join(SET_UP_BY)}.")
        vendors = build_vendors(settings.VENDORS)
        if name not in vendors:
            self.fail(f"{name} is not set up: set {' or '.join(SET_UP_BY[name])}.")
        return vendors[name]

    def _routed(self, name: str, vendor: Vendor) -> list[str]:
        """The models of this vendor in the routes, in order, each once; those of facts first, as they are cheapest."""
        default = settings.MODEL_ROUTES == settings.DEFAULT_MODEL_ROUTES
        try:
            routes = installed_routes(settings.MODEL_ROUTES, build_vendors(settings.VENDORS), default=default)
        except RoutesInvalid as error:
            self.fail(f"Model routes cannot be used: {error}.")
        tasks = sorted(TASKS, key=lambda task: task != "facts")
        models = [route.model for task in tasks for route in routes.for_task(task) if route.vendor == name]
        return list(dict.fromkeys(models))

    def _known_models(self, vendor: Vendor) -> frozenset[str] | None:
        """The models that the service lists for this key; None for a service without a list."""
        listing = getattr(vendor, "list_models", None)
        return None if listing is None else async_to_sync(listing)()

    def _told(self, name: str, call: Call, reply: Reply) -> dict[str, Any]:
        cost = load_prices(settings.MODEL_PRICES).cost(name, call.model, reply, timezone.now())
        usage = reply.usage
        return {
            "model": call.model,
            "model_version": reply.model_version,
            "followed_schema": None if call.response_schema is None else isinstance(reply.data, dict),
            "latency_ms": reply.latency_ms,
            "tokens": {"in": usage.tokens_in, "out": usage.tokens_out, "thinking": usage.tokens_thinking},
            "cost_usd": None if cost is None else float(cost.usd),
            "cost_source": None if cost is None else cost.source,
        }

    def _say(self, told: dict[str, Any]) -> None:
        lines = [f"{told['vendor']}: the key is accepted."]
        if told["unknown_models"] is not None:
            unknown = told["unknown_models"]
            known = [name for name in told["routed"] if name not in unknown]
            lines.append(f"Routed models that it knows: {', '.join(known) or 'none'}.")
        version = f" ({told['model_version']})" if told["model_version"] else ""
        lines.append(f"Asked {told['model']}{version}: an answer after {told['latency_ms']} ms.")
        if told["followed_schema"] is not None:
            text = (
                "follows the schema" if told["followed_schema"] else "does NOT follow the schema: see response_format"
            )
            lines.append(f"The answer {text}.")
        cost = told["cost_usd"]
        source = f" ({told['cost_source']})" if cost is not None else f": add it to {settings.MODEL_PRICES.name}"
        lines.append(f"Cost of this call: {'unknown' if cost is None else f'${cost:.6f}'}{source}.")
        self.stdout.write("\n".join(lines))

    def _advice(self, error: VendorError, name: str) -> str:
        variables = " or ".join(SET_UP_BY[name])
        return {
            "vendor_key_refused": f" Check {variables}, and that the key may use this model.",
            "vendor_quota_exhausted": " Look at the plan and the billing of this account.",
            "vendor_unavailable": f" Check the network, and {name.upper()}_BASE_URL if it is set.",
        }.get(error.code, "")


def _call(name: str, model: str) -> Call:
    """The cheapest call that shows whether the service works for us."""
    if name == "photoroom":
        return Call("cutout", model, images=(_square(),), timeout_s=SECONDS, idempotency_key="check")
    return Call(
        "facts",
        model,
        messages=QUESTION,
        params=CHEAP[name],
        response_schema=SCHEMA,
        timeout_s=SECONDS,
        idempotency_key="check",
    )


def _square() -> Image:
    """A small picture of a thing on a plain ground."""
    import numpy as np

    from imaging.photo import encode_jpeg

    pixels = np.full((96, 96, 3), 245, np.uint8)
    pixels[30:66, 30:66] = (140, 60, 40)
    return Image("product", encode_jpeg(pixels), "image/jpeg")
