"""The vendor `local`: every task answered in-process by rules and image processing, the same answer every time."""

from collections.abc import Sequence
from importlib import import_module
from typing import Any, Literal

from vendors.base import Call, Rejected, Reply

MODEL = "local-1"
# A task's module is imported when it is first asked for: the process that computes pays for the picture libraries.
_MODULES = {
    "cutout": "vendors.local.cutout",
    "facts": "vendors.local.read_facts",
    "placement": "vendors.local.placement",
    "composite": "vendors.local.composite",
}


class LocalVendor:
    """Needs no network, no key and no clock: a call's variables, params and pictures decide the answer to the byte."""

    name = "local"
    kind: Literal["network", "cpu"] = "cpu"
    tasks: Sequence[str] = tuple(_MODULES)

    async def call(self, call: Call) -> Reply:
        """Answer one call, in the calling thread.

        Raises:
            Rejected: an unknown task or model, or variables, params or pictures that cannot be worked with.
        """
        request = _request(call)
        try:
            answer = self._answer(call)
        except Rejected as error:
            raise Rejected(error.message, request=request) from error
        response = {
            "model": MODEL,
            "data": answer.data,
            "images": [{"$image": image.role, "sha256": image.sha256} for image in answer.images],
            "working": dict(answer.working),
        }
        return Reply(
            model=MODEL,
            data=answer.data,
            images=answer.images,
            request=request,
            response=response,
            cost_usd=0.0,
            cost_source="local",
        )

    def _answer(self, call: Call) -> Any:
        if call.task not in _MODULES:
            raise Rejected(f"The local vendor has no task {call.task!r}; it knows {', '.join(_MODULES)}.")
        if call.model != MODEL:
            raise Rejected(f"The local vendor has no model {call.model!r}; it knows {MODEL}.")
        return import_module(_MODULES[call.task]).answer(call)


def _request(call: Call) -> dict[str, Any]:
    """What the answer depends on; messages are left out because nobody here reads them."""
    return {
        "task": call.task,
        "model": call.model,
        "params": dict(call.params),
        "variables": dict(call.variables),
        "images": [
            {"$image": image.role, "sha256": image.sha256, "media_type": image.media_type} for image in call.images
        ],
    }
