"""The one model call of a step: prompt, route, idempotency key, the call itself, and the recording of all of it."""

import json
import time
from collections.abc import Awaitable, Callable, Mapping

from django.db import InterfaceError, OperationalError

from core.canonical import json_hash
from core.pictures import PictureRef, unbind_pictures
from prompts.selection import render_selection
from runs.blobs import PUTS, draft_blob
from runs.context import Deps, RunContext
from runs.errors import AttemptFailed, BytesGone, DatabaseAway
from runs.exchange import capture_error, capture_reply, note_error, note_recorded, note_reply
from runs.models import Artifact
from runs.pools import SMALL, off_loop, off_loop_if_large, weighs_at_most
from runs.recording import ArtifactDraft, ModelCall, PromptUse, Recorder
from runs.rules import AttemptRules
from runs.step import Question
from runs.turns import PATIENCE, Patience
from vendors.base import Call, Image, Message, RateLimited, Reply, TimedOut, Vendor, VendorError
from vendors.records import reply_from_record
from vendors.routes import Route

SaveReply = Callable[[list[ArtifactDraft]], Awaitable[None]]


async def call_vendor(vendor: Vendor, call: Call) -> Reply:
    """Ask a vendor; module-level, so that the computing child can be asked to do it."""
    return await vendor.call(call)


class Asker:
    """Asks on behalf of one attempt of one node, on the route that the attempt uses."""

    def __init__(
        self, context: RunContext, deps: Deps, node_key: str, route_index: int, save: SaveReply, rules: AttemptRules
    ) -> None:
        self._context = context
        self._deps = deps
        self._node_key = node_key
        self._route_index = route_index
        self._save = save
        self._rules = rules
        self.routes: tuple[Route, ...] = ()

    def route_for(self, task: str) -> Route:
        """The route that this attempt takes for a task.

        Raises:
            AttemptFailed: the task has none, or its vendor is not set up here.
        """
        known = self._rules.known_routes(task)
        if known is not None:
            self.routes, taken = known
            return self.routes[taken]
        self.routes = self._context.run.changes.routes_for(task, self._deps.routes)
        if not self.routes:
            raise AttemptFailed("no_route", f"No model is routed to the task {task!r}.")
        taken = min(self._route_index, len(self.routes) - 1)
        self._rules.note_routes(task, self.routes, taken)
        route = self.routes[taken]
        if route.vendor not in self._deps.vendors:  # chosen for this run where another installation's workers had it
            raise AttemptFailed("vendor_not_set_up", f"The vendor {route.vendor!r} is not set up here.")
        return route

    async def __call__(self, question: Question, recorder: Recorder) -> Reply:
        """Answer a stage's question, from the recording of this very call when there is one.

        Raises:
            DatabaseAway: a limit or the answer could not be written; the run goes on when the database is back.
        """
        route = self.route_for(question.task)
        call = await self._call(question, recorder, route)
        record = ModelCall(question.task, route.vendor, call.model, call.idempotency_key)
        recorder.recording.call = record
        answered = await self._rules.answer(call, record, recorder)
        if answered is not None:
            return answered
        known = self._context.replies.pop(call.idempotency_key, None)
        if known is not None:
            record.answered_from = "recording"
            reply = await off_loop(_recorded, known, recorder)
            note_recorded(record, reply)
            return reply
        try:
            return await self._fresh(call, route, record, recorder)
        except (OperationalError, InterfaceError) as error:  # not the stage's crash
            raise DatabaseAway(*error.args) from error

    async def _call(self, question: Question, recorder: Recorder, route: Route) -> Call:
        """The call as the vendor gets it: messages rendered, pictures loaded in order, params merged."""
        messages: tuple[Message, ...] = ()
        params = {**route.params, **question.params}
        variables = unbind_pictures(question.variables)
        if question.prompt is not None:
            selection = self._rules.select(question.prompt)
            rendered = render_selection(selection, variables, question.params)
            messages = tuple(rendered.messages)
            params = {**route.params, **selection.params, **question.params}
            recording = recorder.recording
            recording.prompt = PromptUse(selection.prompt_name, selection.version, selection.sha256, selection.source)
            recording.variables = variables
            sent = {
                "template": selection.template,
                "params": question.params,
                "messages": [{"role": message.role, "text": message.text} for message in messages],
                "filled": [[part.message, part.start, part.end, part.name] for part in rendered.segments],
            }
            recorder.artifact("prompt", sent, role=Artifact.Role.PROMPT)
        images = await off_loop(_read_images, question.images) if question.images else ()
        key = await off_loop_if_large(
            [variables, params],
            json_hash,
            {
                "run": str(self._context.told_as),
                "node": self._node_key,
                "route": [route.vendor, route.model],
                "purpose": question.task,
                "messages": [[message.role, message.text] for message in messages],
                "images": [
                    [image.role, ref.sha256] for image, ref in zip(images, question.images.values(), strict=True)
                ],
                "variables": variables,
                "params": params,
            },
        )
        return Call(
            task=question.task,
            model=route.model,
            messages=messages,
            images=images,
            variables=variables,
            params=params,
            idempotency_key=key,
        )

    async def _fresh(self, call: Call, route: Route, record: ModelCall, recorder: Recorder) -> Reply:
        context, limiter = self._context, self._deps.limiter
        step_id, token = context.steps[self._node_key].id, context.claim.token
        async with limiter.turn(route.vendor, priority=context.run.priority, step_id=step_id, token=token) as waited:
            if waited.limit:
                wait_ms = round(waited.seconds * 1000)
                recorder.reasoning(limit={"vendor": route.vendor, "limit": waited.limit, "waited_ms": wait_ms})
            await self._save([])  # whom it asks; and a worker that has lost the run must not spend money on it
            reply = await self._ask(call, route, record, recorder)
        with (PATIENCE.get() or Patience(0)).waiting():
            return await self._put(reply, call.idempotency_key, record, recorder)

    async def _put(self, reply: Reply, key: str, record: ModelCall, recorder: Recorder) -> Reply:
        """Store an answer and commit it; gives it as any replay will see it.

        Bytes that were deleted elsewhere before they had a row are put again: the answer is at hand and paid for.
        """
        small = not reply.images and weighs_at_most([reply.data, reply.request, reply.response], SMALL)
        for left in reversed(range(PUTS)):
            if small:
                kept_reply, kept = capture_reply(reply, key, record, self._draft)
            else:
                kept_reply, kept = await off_loop(capture_reply, reply, key, record, self._draft)
            try:
                await self._save([recorder.recording.keep(draft.role, draft.name, draft.blob) for draft in kept])
            except BytesGone as error:
                if not left:
                    raise AttemptFailed(error.code, error.message, kind="worker_lost", retryable=True) from error
            else:
                return kept_reply
        raise AssertionError("unreachable")

    async def _ask(self, call: Call, route: Route, record: ModelCall, recorder: Recorder) -> Reply:
        """The call itself; a service that asks for a rest gets it from all workers."""
        vendor, prices, began = self._deps.vendors[route.vendor], self._deps.prices, self._deps.clock()
        started = time.monotonic()
        record.answered_from = "vendor"
        try:
            if vendor.kind == "cpu":
                reply: Reply = await self._deps.compute(call_vendor, vendor, call)
            else:
                async with Patience(call.timeout_s):
                    reply = await vendor.call(call)
        except TimeoutError as error:
            raise capture_error(TimedOut(f"{route.vendor} did not answer in {call.timeout_s:g} s"), recorder) from error
        except VendorError as error:
            note_error(record, error, prices, began)
            if isinstance(error, RateLimited):
                await self._deps.limiter.let_rest(route.vendor, error.retry_after_s)
            raise capture_error(error, recorder) from error
        finally:
            record.latency_ms = round((time.monotonic() - started) * 1000)
        return note_reply(record, reply, prices, began)

    def _draft(self, role: str, name: str, content: bytes, media_type: str) -> ArtifactDraft:
        return ArtifactDraft(str(role), name, draft_blob(self._deps.store, self._context.owner, content, media_type))


def _read_images(pictures: Mapping[str, PictureRef]) -> tuple[Image, ...]:
    return tuple(Image(role, ref.read(), ref.media_type, ref.sha256) for role, ref in pictures.items())


def _recorded(known: bytes, recorder: Recorder) -> Reply:
    return reply_from_record(json.loads(known), recorder.read_blob)
