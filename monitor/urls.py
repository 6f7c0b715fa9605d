"""Addresses of evidence inside the console; every one asks for a signed-in member of staff who may view runs."""

from typing import TYPE_CHECKING

from django.urls import URLPattern, path

from monitor import evidence

if TYPE_CHECKING:
    from monitor.site import ConsoleSite


def evidence_urls(site: "ConsoleSite") -> list[URLPattern]:
    """Pictures, downloads and the fragments of the run page."""
    view = site.admin_view
    return [
        path("evidence/pictures/<str:blob_id>/<int:size>/", view(evidence.thumbnail), name="monitor_thumbnail"),
        path("evidence/pictures/<str:blob_id>/", view(evidence.picture), name="monitor_picture"),
        path("evidence/artifacts/<str:artifact_id>/", view(evidence.artifact), name="monitor_artifact"),
        path("evidence/steps/<str:step_id>/asked/<int:attempt>/", view(evidence.asked), name="monitor_asked"),
        path("evidence/steps/<str:step_id>/body/", view(evidence.step_body), name="monitor_step_body"),
        path("evidence/steps/<str:step_id>/<slug:field>.json", view(evidence.payload), name="monitor_payload"),
        path("evidence/runs/<str:run_id>/live/", view(evidence.live), name="monitor_live"),
        path("evidence/runs/<str:run_id>/input.json", view(evidence.run_input), name="monitor_input"),
    ]
