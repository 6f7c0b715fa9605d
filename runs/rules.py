"""The rules that one attempt goes by: prompts, routes, schema, profile; each is noted, so that a replay has it."""

from collections.abc import Mapping
from dataclasses import asdict
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from platform import python_version
from typing import TYPE_CHECKING, Any

from django.conf import settings

from irschemas.modes import IRMode, ir_mode
from irschemas.records import ActiveSchema, Profile
from prompts.selection import Selection
from runs.choices import Choice
from runs.recording import ModelCall, Recorder
from vendors.base import Call, Reply

if TYPE_CHECKING:
    from runs.context import Deps, RunContext

# What pictures and numbers depend on, bit by bit.
LIBRARIES = ("numpy", "opencv-python-headless", "pillow", "scipy", "scikit-image")


class AttemptRules:
    """The rules as they are now. `noted` is what was asked for, as JSON: it is kept with the attempt as evidence."""

    def __init__(self, context: "RunContext", deps: "Deps") -> None:
        self._context = context
        self._deps = deps
        self.noted: dict[str, Any] = {}

    def select(self, name: str) -> Selection:
        """The prompt by this name.

        Raises:
            prompts.errors.PromptNotFound: there is none.
        """
        selection = self._context.select(name, self._deps.clock())
        self._note("prompts", name, asdict(selection))
        return selection

    def known_choice(self, task: str) -> Choice | None:
        """Which of a task's routes is taken, where that is decided already; None where it is not."""
        return None

    def note_choice(self, choice: Choice) -> None:
        """Keep which routes a task has, and which of them this attempt takes."""
        self._note("routes", choice.task, choice.to_json())

    def schema(self, target: str) -> ActiveSchema | None:
        """The schema that an answer is held against."""
        schema = self._context.schemas.get(target)
        if schema is not None:
            named = {"version": schema.version, "schema": schema.schema, "sha256": schema.sha256}
            self._note("schemas", target, named)
        return schema

    def ir_mode(self, node_mode: str | None) -> IRMode:
        """What an invalid answer does."""
        mode = ir_mode(node_mode, settings.IR_VALIDATION_MODE)
        if "schemas" in self.noted:  # without a schema it makes no difference
            self.noted["ir_mode"] = str(mode)
        return mode

    def profile(self, key: str) -> Profile | None:
        """The metrics that the work is judged by."""
        profile = self._context.profiles.get(key)
        if profile is not None:
            self._note("profiles", key, asdict(profile))
        return profile

    async def answer(self, call: Call, record: ModelCall, recorder: Recorder) -> Reply | None:
        """The answer to a model call that need not be made; None where the model has to be asked.

        Raises:
            AttemptFailed: what the call came to, if it came to that.
        """
        return None

    def from_outside(self, name: str) -> bytes | None:
        """Bytes that were fetched from outside before; None where they have to be fetched.

        Raises:
            AttemptFailed: what fetching them came to, if it came to that.
        """
        return None

    def to_record(self) -> dict[str, Any] | None:
        """What was noted, with what it was computed by; None when nothing was asked for."""
        if not self.noted:
            return None
        shop = self._context.shop_values
        named = any(node.condition and node.condition.names("shop") for node in self._context.dag.nodes.values())
        more = {"shop": shop} if named and shop else {}
        return {**self.noted, **more, "computed_by": computed_by()}

    def _note(self, kind: str, name: str, value: Mapping[str, Any]) -> None:
        self.noted.setdefault(kind, {})[name] = dict(value)


@cache
def computed_by() -> dict[str, Any]:
    """This release, its Python, and the libraries that pictures and numbers depend on."""
    return {"release": settings.RELEASE[:63], "python": python_version(), "libraries": _libraries()}


def _libraries() -> dict[str, str]:
    found = {}
    for name in LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
