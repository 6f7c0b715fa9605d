"""The one model call of a step: prompt, route, idempotency key, the call itself, and the recording of all of it."""

import contextlib
import json
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict, replace
from decimal import Decimal

from django.db import InterfaceError, OperationalError

from core.canonical import json_hash
from core.pictures import PictureRef, unbind_pictures
from core.pools import SMALL, off_loop, off_loop_if_large, weighs_at_most
from core.storage import BlobMissing, BlobStore
from prompts.selection import render_selection
from runs.blobs import PUTS, draft_blob, read_blob
from runs.choices import Choice
from runs.choosing import Chooser
from runs.context import Deps, RunContext
from runs.errors import AttemptFailed, BytesGone, DatabaseAway, PutOff
from runs.exchange import capture_error, capture_reply, note_error, note_recorded, note_reply
from runs.limits import TurnTooLate
from runs.models import Artifact, Blob
from runs.recording import ArtifactDraft, ModelCall, PromptUse, Recorder
from runs.repairing import answer_schema, ask_again, problems_of, refuse, repair_of
from runs.rules import AttemptRules
from runs.step import Question
from runs.turns import PATIENCE, Patience
from vendors.base import (
    Call,
    Image,
    KeyRefused,
    Message,
    QuotaExhausted,
    RateLimited,
    Reply,
    TimedOut,
    Vendor,
    VendorError,
)
from vendors.records import reply_from_record
from vendors.routes import Route

GRACE_SECONDS = 2.0  # for a vendor to say itself that its time is over, with what it has sent
CLOSED_SECONDS = 300.0  # a service that has refused our key, or whose quota is used up

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
        self._chooser: Chooser | None = None
        self.choice: Choice | None = None
        self._target = ""  # of the schema that an answer is held against
        self._mends = False

    def route_for(self, task: str) -> Route:
        """The route that this attempt takes for a task; the same however often it is asked.

        Raises:
            AttemptFailed: the task has none that can be taken.
        """
        if self.choice is None:
            self.choice = self._rules.known_choice(task) or self._choose(task)
        return self.choice.route

    def _choose(self, task: str) -> Choice:
        self._chooser = Chooser(self._context, self._deps, self._node_key, task)
        choice = self._chooser.choose(self._route_index)
        self._rules.note_choice(choice)
        return choice

    def conclude(self, call: ModelCall | None) -> Choice | None:
        """The choice of an attempt that has ended, with whether another route is left now that its call is paid."""
        choice = self.choice
        if self._chooser is not None and choice is not None and choice.index is not None:
            left = self._chooser.is_left(choice.index, (call and call.cost_usd) or Decimal(0))
            self.choice = choice = replace(choice, left=left)
            self._rules.note_choice(choice)
        return choice

    async def __call__(self, question: Question, recorder: Recorder) -> Reply:
        """Answer a stage's question, from the recording of this very call when there is one.

        Raises:
            DatabaseAway: a limit or the answer could not be written; the run goes on when the database is back.
        """
        route = self.route_for(question.task)
        if self.choice is not None and self.choice.skipped:
            recorder.reasoning(skipped_routes=[asdict(skip) for skip in self.choice.skipped])
        call = await self._call(question, recorder, route)
        record = ModelCall(question.task, route.vendor, call.model, call.idempotency_key)
        recorder.recording.call = record
        reply = await self._rules.answer(call, record, recorder) or await self._answer(call, route, record, recorder)
        await self._refuse_words(call, route, reply)
        return reply

    async def _answer(self, call: Call, route: Route, record: ModelCall, recorder: Recorder) -> Reply:
        """What arrived while a worker was being lost, else what the service answers now."""
        known = self._context.replies.pop(call.idempotency_key, None)
        if known is not None:
            with contextlib.suppress(BlobMissing):  # then the service is asked again
                reply = await off_loop(_recorded, known, self._deps.store, recorder)
                record.answered_from = "recording"
                note_recorded(record, reply)
                return reply
        try:
            return await self._fresh(call, route, record, recorder)
        except (OperationalError, InterfaceError) as error:  # not the stage's crash
            raise DatabaseAway(*error.args) from error

    async def _refuse_words(self, call: Call, route: Route, reply: Reply) -> None:
        """Fail the attempt whose answer does not hold what was asked for; the next one shows the model what is wrong.

        Raises:
            AttemptFailed: `vendor_bad_response`, with what is wrong and, the first time, what is to be mended.
        """
        step = self._context.steps[self._node_key]
        problems = await off_loop_if_large(reply.data, problems_of, call, self._target, reply)
        step.repair = None
        if problems:
            if not self._mends:
                step.repair = repair_of(route.name, reply.text or "", problems)
            raise refuse(route.name, problems, mended=self._mends)

    async def _call(self, question: Question, recorder: Recorder, route: Route) -> Call:
        """The call as the vendor gets it: messages rendered, pictures loaded in order, params merged."""
        messages: tuple[Message, ...] = ()
        params = {**route.params, **question.params}
        variables = unbind_pictures(question.variables)
        if question.prompt is not None:
            selection = self._rules.select(question.prompt)
            rendered = render_selection(selection, variables, question.params)
            messages = self._mended(tuple(rendered.messages), route)
            params = {**route.params, **selection.params, **question.params}
            self._target = selection.ir_schema
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
        schema = answer_schema(self._rules.schema(self._target) if self._target else None, question.answers)
        key = await off_loop_if_large(
            [variables, params],
            json_hash,
            {
                "run": str(self._context.told_as),
                "node": self._node_key,
                "route": [route.vendor, route.model],
                "purpose": f"{question.task}:repair" if self._mends else question.task,
                "messages": [[message.role, message.text] for message in messages],
                "images": [
                    [image.role, ref.sha256] for image, ref in zip(images, question.images.values(), strict=True)
                ],
                "variables": variables,
                "params": params,
                **({"schema": json_hash(schema)} if schema is not None else {}),
            },
        )
        return Call(
            task=question.task,
            model=route.model,
            messages=messages,
            images=images,
            variables=variables,
            params=params,
            response_schema=schema,
            seed=self._seed(key),
            timeout_s=self._timeout_s(route),
            idempotency_key=key,
        )

    def _mended(self, messages: tuple[Message, ...], route: Route) -> tuple[Message, ...]:
        """The question, or, where this route's last answer is to be mended, that answer with it."""
        repair = self._context.steps[self._node_key].repair
        if repair is None or repair.route != route.name:
            return messages
        self._mends = True
        return ask_again(messages, repair)

    def _seed(self, key: str) -> int:
        """The same call has the same seed; another attempt, which is to come to something else, has another."""
        return (int(key[:8], 16) + self._context.steps[self._node_key].attempt) % 2**31

    def _timeout_s(self, route: Route) -> float:
        """How long the service may take: the route's time, within the node's, and what the run has left for it.

        The call ends before its node does, so that it is the call that failed, with its evidence, and not the stage.
        """
        node_s = self._context.dag.nodes[self._node_key].timeout_ms / 1000
        left = self._chooser.seconds_left(route) if self._chooser else None
        return min(route.timeout_s, max(node_s - 1.0, node_s * 0.8), *(() if left is None else (max(left, 0.1),)))

    async def _fresh(self, call: Call, route: Route, record: ModelCall, recorder: Recorder) -> Reply:
        context, limiter = self._context, self._deps.limiter
        step_id, token = context.steps[self._node_key].id, context.claim.token
        try:
            async with limiter.turn(
                route.vendor, priority=context.run.priority, step_id=step_id, token=token
            ) as waited:
                if waited.limit:
                    wait_ms = round(waited.seconds * 1000)
                    recorder.reasoning(limit={"vendor": route.vendor, "limit": waited.limit, "waited_ms": wait_ms})
                await self._save([])  # whom it asks; and a worker that has lost the run must not spend money on it
                reply = await self._ask(call, route, record, recorder)
        except TurnTooLate as late:
            if late.closed_by or self._would_choose_another():
                raise PutOff(0.0, late.why) from late  # a stage may have made its pictures for this very route
            raise
        with (PATIENCE.get() or Patience(0)).waiting():
            return await self._put(reply, call.idempotency_key, record, recorder)

    def _would_choose_another(self) -> bool:
        """Whether, with what is known of the service by now, the attempt would take another route."""
        return (
            self._chooser is not None
            and self.choice is not None
            and self._chooser.choose(self._route_index).index != self.choice.index
        )

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
        expected = prices.estimate(
            route.vendor, route.model, began,
            characters=sum(len(message.text) for message in call.messages), images=len(call.images),
        )  # fmt: skip
        self._context.expected_usd[self._node_key] = expected or Decimal(0)
        try:
            if vendor.kind == "cpu":
                reply: Reply = await self._deps.compute(call_vendor, vendor, call)
            else:
                async with Patience(call.timeout_s + GRACE_SECONDS):
                    reply = await vendor.call(call)
        except TimeoutError as error:
            raise capture_error(TimedOut(f"{route.vendor} did not answer in {call.timeout_s:g} s"), recorder) from error
        except VendorError as error:
            note_error(record, error, prices, began)
            await self._leave_alone(route.vendor, error)
            raise capture_error(error, recorder) from error
        finally:
            record.latency_ms = round((time.monotonic() - started) * 1000)
        await self._deps.limiter.note_answer(route.vendor)
        return note_reply(record, reply, prices, began)

    async def _leave_alone(self, vendor: str, error: VendorError) -> None:
        """Give a service the rest it asks for; one that would refuse everybody is not asked for minutes."""
        limiter = self._deps.limiter
        if isinstance(error, (KeyRefused, QuotaExhausted)):
            await limiter.let_rest(vendor, error.retry_after_s or CLOSED_SECONDS, error.code)
        elif isinstance(error, RateLimited):
            await limiter.let_rest(vendor, error.retry_after_s)

    def _draft(self, role: str, name: str, content: bytes, media_type: str) -> ArtifactDraft:
        return ArtifactDraft(str(role), name, draft_blob(self._deps.store, self._context.owner, content, media_type))


def _read_images(pictures: Mapping[str, PictureRef]) -> tuple[Image, ...]:
    return tuple(Image(role, ref.read(), ref.media_type, ref.sha256) for role, ref in pictures.items())


def _recorded(known: Blob, store: BlobStore, recorder: Recorder) -> Reply:
    return reply_from_record(json.loads(read_blob(known, store)), recorder.read_blob)
