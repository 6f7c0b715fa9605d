"""The rules of one attempt as they were, for its replay, and what its questions were answered with."""

import json
from collections.abc import Mapping
from dataclasses import fields
from typing import Any, TypeVar, cast

from core.canonical import sha256_hex
from core.pools import off_loop
from irschemas.modes import IRMode
from irschemas.records import ActiveSchema, Profile, ProfileItem
from prompts.selection import Selection
from runs.choices import Choice
from runs.errors import AttemptFailed
from runs.models import Artifact
from runs.recorded import EXCHANGE, RecordedRun, keep_evidence, note_free
from runs.recording import ModelCall, Recorder
from runs.rules import AttemptRules
from vendors.base import Call, Reply
from vendors.recorded import NotRecorded, RecordedVendor
from vendors.records import reply_from_record
from vendors.routes import Route

T = TypeVar("T")


class RecordedRules(AttemptRules):
    """The rules of one attempt as they were, and what its questions were answered with."""

    def __init__(self, recorded: RecordedRun, context: Any, deps: Any, node_key: str, number: int) -> None:
        super().__init__(context, deps)
        self._recorded = recorded
        self._node_key, self._number = node_key, number
        self._attempt = recorded.attempt(node_key, number)
        self._rules = recorded.rules_of(self._attempt)

    def select(self, name: str) -> Selection:
        """The prompt that was used, whatever the library says today."""
        known = self._rules.get("prompts", {}).get(name)
        if known is None:
            raise self._unrecorded(f"Which prompt {name} was used here is not recorded.")
        self._note("prompts", name, known)
        return read_as(Selection, known)

    def known_choice(self, task: str) -> Choice:
        """The routes that the task had, and the one that was taken."""
        known = self._rules.get("routes", {}).get(task)
        if known is None:
            raise self._unrecorded(f"Which model was routed to the task {task} here is not recorded.")
        self._note("routes", task, known)
        routes = [read_as(Route, {**raw, "move_on": tuple(raw.get("move_on", ()))}) for raw in known["routes"]]
        return Choice.from_json(task, known, routes)

    def schema(self, target: str) -> ActiveSchema | None:
        """The schema that was active."""
        known = self._rules.get("schemas", {}).get(target)
        if known is None:
            return None
        self._note("schemas", target, known)
        row_id = self._context.schema_ids.get((target, known["sha256"]))
        return ActiveSchema(row_id, target, known["version"], known["schema"], known["sha256"])

    def ir_mode(self, node_mode: str | None) -> IRMode:
        """What an invalid answer did."""
        mode = IRMode(self._rules["ir_mode"]) if "ir_mode" in self._rules else super().ir_mode(node_mode)
        if "schemas" in self.noted:
            self.noted["ir_mode"] = str(mode)
        return mode

    def profile(self, key: str) -> Profile | None:
        """The profile as it was."""
        known = self._rules.get("profiles", {}).get(key)
        if known is None:
            return None
        self._note("profiles", key, known)
        items = tuple(read_as(ProfileItem, raw) for raw in known["items"])
        return read_as(Profile, {**known, "items": items})

    async def answer(self, call: Call, record: ModelCall, recorder: Recorder) -> Reply | None:
        """What was answered when exactly this was asked the first time; nothing goes out and nothing is spent."""
        vendor = self._deps.vendors.get(record.vendor)
        if self._deps.recompute and vendor is not None and vendor.kind == "cpu":
            return None
        note_free(record)
        replies = self._attempt.of_role(Artifact.Role.REPLY)
        if not replies and self._attempt.failure is not None:
            keep_evidence(recorder.recording, self._attempt.of_role(*EXCHANGE))
            raise self._recorded.failure(self._node_key, self._number)
        used = next((item for item in self._usable_replies() if item.name == call.idempotency_key), None)
        known = {used.name: await off_loop(self._parse, used, recorder)} if used else {}
        try:
            reply = await RecordedVendor(known).call(call)
        except NotRecorded as error:
            raise AttemptFailed("not_recorded", error.message) from error
        keep_evidence(recorder.recording, self._of_call(used, reply))
        record.model, record.finish_reason = reply.model or record.model, reply.finish_reason
        record.response_id, record.thinking_removed = reply.response_id, reply.thinking_removed
        return reply

    def _unrecorded(self, text: str) -> AttemptFailed:
        """An attempt that asks for more than was recorded goes as far as the recorded one, if that failed there."""
        if self._attempt.failure is not None:
            return self._recorded.failure(self._node_key, self._number)
        return AttemptFailed("not_recorded", text)

    def _parse(self, used: Artifact, recorder: Recorder) -> Reply:
        def read(sha256: str) -> bytes:
            content = recorder.read_blob(sha256)
            if sha256_hex(content) != sha256:
                raise AttemptFailed("evidence_damaged", "A picture of the answer is not the one that was recorded.")
            return content

        return reply_from_record(json.loads(self._recorded.read(used)), read)

    def _usable_replies(self) -> list[Artifact]:
        """Answers that this attempt could use: its own, else one that an attempt left whose worker was lost."""
        numbers = range(self._number, 0, -1)
        attempts = [self._recorded.attempt(self._node_key, number) for number in numbers]
        return [item for attempt in attempts for item in attempt.of_role(Artifact.Role.REPLY)]

    def _of_call(self, used: Artifact | None, reply: Reply) -> list[Artifact]:
        """The evidence of the call that this attempt made; one that used an earlier attempt's answer made none."""
        if used not in self._attempt.artifacts:
            return []
        pictures = {(image.role, image.sha256) for image in reply.images}
        return [
            item
            for item in self._attempt.artifacts
            if item.blob is not None
            and (item.role in EXCHANGE or (item.role == "image" and (item.name, item.blob.sha256) in pictures))
        ]

    def from_outside(self, name: str) -> bytes | None:
        """What was fetched."""
        kept = [item for item in self._attempt.of_role(Artifact.Role.IMAGE) if item.name == name]
        if kept:
            return self._recorded.read(kept[0])
        raise self._recorded.failure(self._node_key, self._number)


def read_as(kind: type[T], raw: Mapping[str, Any]) -> T:
    """A record of a dataclass, as it was noted; what a later release has noted more is left out."""
    names = {item.name for item in fields(cast(Any, kind))}
    return kind(**{name: value for name, value in raw.items() if name in names})
