"""Addresses inside the console that are no model's own: evidence, and what an operator does to runs.

Every one asks for a signed-in member of staff who may view runs, or change them.
"""

from functools import partial
from typing import TYPE_CHECKING

from django.urls import URLPattern, path

from monitor import (
    comparing,
    evidence,
    forking,
    gate_views,
    pages,
    patching,
    publishing,
    reproducing,
    schema_views,
    steering,
)

if TYPE_CHECKING:
    from monitor.site import ConsoleSite


def console_urls(site: "ConsoleSite") -> list[URLPattern]:
    """Pictures, downloads, fragments of the run page, and its buttons."""
    view, kept = site.admin_view, partial(site.admin_view, cacheable=True)  # else no browser keeps what it is told to
    two = "runs/run/<str:before_id>/compare/<str:after_id>/"
    return [
        path("evidence/pictures/<str:blob_id>/<int:size>/", kept(evidence.thumbnail), name="monitor_thumbnail"),
        path("evidence/pictures/<str:blob_id>/", kept(evidence.picture), name="monitor_picture"),
        path(
            "evidence/pictures/<str:before_id>/difference/<str:after_id>/",
            kept(comparing.difference),
            name="monitor_difference",
        ),
        path("evidence/artifacts/<str:artifact_id>/", view(evidence.artifact), name="monitor_artifact"),
        path("evidence/steps/<str:step_id>/asked/<int:attempt>/", view(evidence.asked), name="monitor_asked"),
        path(
            "evidence/steps/<str:step_id>/asked/<int:attempt>/against/<slug:against>/",
            view(evidence.prompt_diff),
            name="monitor_prompt_diff",
        ),
        path("evidence/steps/<str:step_id>/body/", view(evidence.step_body), name="monitor_step_body"),
        path("evidence/steps/<str:step_id>/<slug:field>.json", view(evidence.payload), name="monitor_payload"),
        path("evidence/runs/<str:run_id>/live/", view(evidence.live), name="monitor_live"),
        path("evidence/runs/<str:run_id>/input.json", view(evidence.run_input), name="monitor_input"),
        path("evidence/runs/<str:run_id>/bundle.zip", view(reproducing.bundle), name="monitor_bundle"),
        path("runs/run/import/", view(reproducing.import_page), name="monitor_import"),
        path("runs/run/<str:run_id>/reproduce/", view(reproducing.reproduce), name="monitor_reproduce"),
        path("runs/run/<str:run_id>/cancel/", view(steering.cancel), name="monitor_cancel"),
        path("runs/run/<str:run_id>/rerun/", view(forking.page), name="monitor_rerun"),
        path("runs/run/<str:run_id>/rerun/check/", view(forking.check), name="monitor_rerun_check"),
        path("runs/run/<str:run_id>/compare/", view(comparing.entrance), name="monitor_compare_with"),
        path(two, view(comparing.compare), name="monitor_compare"),
        path(f"{two}live/", view(comparing.live), name="monitor_compare_live"),
        path(f"{two}patch/", view(patching.patch), name="monitor_patch"),
        path(f"{two}patch/panel/", view(patching.panel), name="monitor_patch_panel"),
        path(f"{two}patch/revoke/", view(patching.revoke), name="monitor_patch_revoke"),
        path(f"{two}patch/verify/", view(patching.verify), name="monitor_patch_verify"),
        path("runs/run/<str:run_id>/older/", view(pages.older), name="monitor_older"),
        path("runs/run/<str:run_id>/newer/", view(pages.newer), name="monitor_newer"),
        path("errors/", view(pages.errors), name="monitor_errors"),
        path("experiments/", view(pages.experiments), name="monitor_experiments"),
        path("queue/", view(pages.queue), name="monitor_queue"),
        path("models/", view(pages.models), name="monitor_models"),
        path("runs/run/group/<str:group_id>/", view(pages.group), name="monitor_group"),
        path("runs/run/group/<str:group_id>/live/", view(steering.group_live), name="monitor_group_live"),
        path("runs/run/group/<str:group_id>/cancel/", view(steering.cancel_all), name="monitor_group_cancel"),
        path("runs/run/group/<str:group_id>/rerun/", view(steering.rerun_all), name="monitor_group_rerun"),
        path("runs/pipeline/<str:pipeline_id>/edit/", view(publishing.edit), name="monitor_pipeline_edit"),
        path("runs/pipeline/<str:pipeline_id>/check/", view(publishing.check), name="monitor_pipeline_check"),
        path("runs/pipeline/<str:pipeline_id>/publish/", view(publishing.publish), name="monitor_pipeline_publish"),
        path("runs/pipelineversion/<str:version_id>/activate/", view(publishing.activate), name="monitor_activate"),
        path("irschemas/metricprofile/check/", view(gate_views.check), name="monitor_gate_check"),
        path("irschemas/metricprofile/save/", view(gate_views.save), name="monitor_gate_save"),
        path("irschemas/metricprofile/<slug:key>/library/", view(gate_views.library), name="monitor_gate_library"),
        path("irschemas/irschema/check/", view(schema_views.check), name="monitor_schema_check"),
        path("irschemas/irschema/save/", view(schema_views.save), name="monitor_schema_save"),
        path("irschemas/irschema/<str:schema_id>/edit/", view(schema_views.edit), name="monitor_schema_edit"),
        path("irschemas/irschema/<str:schema_id>/try/", view(schema_views.trial), name="monitor_schema_try"),
        path("irschemas/irschema/<str:schema_id>/review/", view(schema_views.review), name="monitor_schema_review"),
        path(
            "irschemas/irschema/<str:schema_id>/activate/", view(schema_views.activate), name="monitor_schema_activate"
        ),
        path("irschemas/irschema/<str:schema_id>/back/", view(schema_views.back), name="monitor_schema_back"),
    ]
