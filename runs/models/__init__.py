"""The trace: pipelines, runs, steps and their evidence. A run knows nothing about the domain that owns it.

Django looks for an app's models in one module, so this one names them all.
"""

from runs.models.evidence import Artifact, Blob, MetricResult, StepOutputLink
from runs.models.limits import VendorPace, VendorSlot
from runs.models.pipelines import Pipeline, PipelineVersion
from runs.models.run import Run, Worker
from runs.models.step import RunError, Step, StepPayload

__all__ = [
    "Artifact",
    "Blob",
    "MetricResult",
    "Pipeline",
    "PipelineVersion",
    "Run",
    "RunError",
    "Step",
    "StepOutputLink",
    "StepPayload",
    "VendorPace",
    "VendorSlot",
    "Worker",
]
