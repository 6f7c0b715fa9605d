"""The vendors of this installation."""

from collections.abc import Mapping
from typing import Any

from vendors.base import Vendor
from vendors.local.vendor import LocalVendor
from vendors.routes import Routes, RoutesInvalid


def build_vendors(settings: Mapping[str, Any]) -> dict[str, Vendor]:
    """Every vendor that can be used with these settings, by name. `local` needs nothing."""
    return {"local": LocalVendor()}


def require_vendors(routes: Routes, vendors: Mapping[str, Vendor]) -> None:
    """Every vendor that a route leads to is there.

    Raises:
        RoutesInvalid: naming the first one that is not.
    """
    missing = sorted(routes.vendors - vendors.keys())
    if missing:
        raise RoutesInvalid(
            f"routes: the vendor {missing[0]!r} is not set up; available are {', '.join(sorted(vendors))}"
        )
