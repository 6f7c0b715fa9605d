"""The admin site of the console: our sections, our dashboard, and the addresses of evidence."""

from dataclasses import dataclass
from typing import Any

from django.contrib.admin import AdminSite
from django.http import HttpRequest, HttpResponse
from django.urls import NoReverseMatch, URLPattern, URLResolver, reverse

# Label, the model whose readers see it, and the page where that is not the model's list.
SECTIONS = (
    ("Runs", "runs.run"),
    ("Queue", "runs.run", "monitor_queue"),
    ("Models", "runs.run", "monitor_models"),
    ("Steps", "runs.step"),
    ("Errors", "runs.run", "monitor_errors"),
    ("Pipelines", "runs.pipeline"),
    ("Products", "prep.productasset"),
    ("Prompts", "prompts.promptoverride"),
    ("Experiments", "runs.run", "monitor_experiments"),
    ("Schemas", "irschemas.irschema"),
    ("Gates", "irschemas.metricprofile"),
    ("Shops", "shops.shop"),
)


@dataclass(frozen=True, slots=True)
class Section:
    """One entry of the console's main navigation."""

    label: str
    url: str
    here: bool


class ConsoleSite(AdminSite):
    """Django's admin under our name: every page lists the sections its reader may see."""

    site_header = "See It"
    site_title = "See It console"
    index_title = "Dashboard"
    index_template = "monitor/dashboard.html"
    enable_nav_sidebar = False

    def get_urls(self) -> list[URLPattern | URLResolver]:
        """Our own addresses come before the models'."""
        from monitor.urls import console_urls

        return [*console_urls(self), *super().get_urls()]

    def index(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        """The dashboard; who may not see runs gets the list of sections alone."""
        from monitor.dashboard import read_dashboard

        seen = read_dashboard() if request.user.has_perm("runs.view_run") else None
        if request.headers.get("HX-Request") and seen is None:
            return HttpResponse(status=204)
        return super().index(request, {"dashboard": seen, **(extra_context or {})})

    def each_context(self, request: HttpRequest) -> dict[str, Any]:
        """What every page knows: Django's own, and the sections."""
        return {**super().each_context(request), "sections": _sections(request)}


def _sections(request: HttpRequest) -> list[Section]:
    found = []
    for label, model, *page in SECTIONS:
        app, name = model.split(".")
        if not any(request.user.has_perm(f"{app}.{verb}_{name}") for verb in ("view", "change")):
            continue
        try:
            url = reverse(f"admin:{page[0] if page else f'{app}_{name}_changelist'}")
        except NoReverseMatch:
            continue
        found.append(Section(label, url, request.path.startswith(url)))
    return found
