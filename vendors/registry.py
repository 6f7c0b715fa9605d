"""The vendors of this installation, by the keys it has, and the routes that lead to them."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from vendors.base import Vendor
from vendors.local.vendor import LocalVendor
from vendors.routes import Routes, RoutesInvalid, load_routes

# What sets a vendor up; one of several is enough (a server of one's own needs no key).
SET_UP_BY: Mapping[str, tuple[str, ...]] = {
    "gemini": ("GEMINI_API_KEY",),
    "openai": ("OPENAI_API_KEY", "OPENAI_BASE_URL"),
    "photoroom": ("PHOTOROOM_API_KEY",),
}


def build_vendors(settings: Mapping[str, Any]) -> dict[str, Vendor]:
    """Every vendor that can be used with these settings (`GEMINI_API_KEY`, ...), by name. `local` needs nothing.

    The code of a service is imported with its key only: without one, nothing of it costs anything.
    """
    vendors: dict[str, Vendor] = {"local": LocalVendor()}
    if _is_set_up("gemini", settings):
        from vendors.gemini.vendor import GeminiVendor

        vendors["gemini"] = GeminiVendor(settings["GEMINI_API_KEY"], **_base_url("GEMINI_BASE_URL", settings))
    if _is_set_up("openai", settings):
        from vendors.openai.vendor import OpenAIVendor

        vendors["openai"] = OpenAIVendor(settings.get("OPENAI_API_KEY", ""), **_base_url("OPENAI_BASE_URL", settings))
    if _is_set_up("photoroom", settings):
        from vendors.photoroom import PhotoroomVendor

        vendors["photoroom"] = PhotoroomVendor(
            settings["PHOTOROOM_API_KEY"], **_base_url("PHOTOROOM_BASE_URL", settings)
        )
    return vendors


def installed_routes(path: Path, vendors: Mapping[str, Vendor], *, default: bool) -> Routes:
    """The routes of a file as they hold here. Of the default file, those to vendors without a key are left out.

    Raises:
        RoutesInvalid: the file cannot be used, or leads to a vendor that is not there.
    """
    routes = load_routes(path)
    if default:
        routes = replace(
            routes,
            by_task={
                task: tuple(route for route in found if route.vendor in vendors or route.vendor not in SET_UP_BY)
                for task, found in routes.by_task.items()
            },
        )
    require_vendors(routes, vendors)
    return routes


def require_vendors(routes: Routes, vendors: Mapping[str, Vendor]) -> None:
    """Every vendor that a route leads to is there.

    Raises:
        RoutesInvalid: naming the first one that is not, and what sets it up.
    """
    missing = sorted(routes.vendors - vendors.keys())
    if missing:
        name = missing[0]
        how = f"set {' or '.join(SET_UP_BY[name])}; " if name in SET_UP_BY else ""
        raise RoutesInvalid(
            f"routes: the vendor {name!r} is not set up; {how}available are {', '.join(sorted(vendors))}"
        )


def _is_set_up(name: str, settings: Mapping[str, Any]) -> bool:
    return any(settings.get(variable) for variable in SET_UP_BY[name])


def _base_url(name: str, settings: Mapping[str, Any]) -> dict[str, str]:
    return {"base_url": settings[name]} if settings.get(name) else {}
