"""The one protocol every model and image service speaks: a call, a reply, and errors by meaning. No Django here."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, runtime_checkable

Role = Literal["system", "user", "model"]


@dataclass(frozen=True, slots=True)
class Message:
    """One rendered message, its role fixed before any value was filled in."""

    role: Role
    text: str


@dataclass(frozen=True, slots=True)
class Image:
    """Encoded picture bytes with the role they play (`room`, `cutout`, `regions`, `product`, `result`, ...)."""

    role: str
    content: bytes = field(repr=False)  # megabytes, which a task's or an error's own words would repeat
    media_type: str
    digest: str = field(default="", compare=False, repr=False)

    @property
    def sha256(self) -> str:
        """SHA-256 of the bytes in hex; `digest`, where whoever made this knew it already."""
        return self.digest or hashlib.sha256(self.content).hexdigest()


@dataclass(frozen=True, slots=True)
class Call:
    """What a model is asked: rendered messages, pictures in order, and the numbers that steer it.

    `variables` are the values the messages were rendered from, as plain JSON: a vendor that computes instead of
    reading prose (`local`) works from them. `params` are the prompt's and the route's (`prefer`, `scale`, ...); a
    vendor takes those that it knows and leaves the others alone. `response_schema` (JSON Schema 2020-12) asks for one
    JSON value as the answer. `seed` asks for the same answer again, as far as the service can. The service is given up
    after `timeout_s` seconds, everything included. Calls with the same `idempotency_key` are one call.
    """

    task: str
    model: str
    messages: tuple[Message, ...] = ()
    images: tuple[Image, ...] = ()
    variables: Mapping[str, Any] = field(default_factory=dict)
    params: Mapping[str, Any] = field(default_factory=dict)
    response_schema: Mapping[str, Any] | None = None
    seed: int | None = None
    timeout_s: float = 60.0
    idempotency_key: str = ""

    def image(self, role: str) -> Image | None:
        """The first picture with this role, or None."""
        return next((image for image in self.images if image.role == role), None)


@dataclass(frozen=True, slots=True)
class Usage:
    """Token and picture counts in exclusive buckets; None where the vendor does not say (never 0 for unknown).

    Every token is in one bucket: `tokens_in` without the cached ones, `tokens_out` without thinking and without the
    tokens that a drawn picture was made of (`tokens_image`). `images` are the pictures that were drawn. Tokens of the
    pictures that were shown are input as any other, but for services that bill them apart (`tokens_in_image`).
    """

    tokens_in: int | None = None
    tokens_out: int | None = None
    tokens_cached: int | None = None
    tokens_thinking: int | None = None
    tokens_image: int | None = None
    images: int | None = None
    tokens_in_image: int | None = None


# Of a call that never reached its service, which is known to have cost nothing.
NOTHING_USED = Usage(0, 0, 0, 0, 0, 0, 0)


@dataclass(frozen=True, slots=True)
class Reply:
    """What a model answered, with the request and response as they went over the wire.

    `model` is the one that was asked, `model_version` what the service says has answered. `data` is the answer as JSON;
    of a service that answers in text, None where the text is not JSON: whoever asked for JSON judges `text`.
    `finish_reason` is the service's own word. `latency_ms` is there for services behind a network.

    `request` and `response` are JSON objects without secrets and without thinking parts; pictures in them are named by
    `{"$image": role, "sha256": ...}` instead of inlined bytes. Of services behind a network they are
    `{"method", "url", "headers", "body"}` and `{"status", "headers", "body"}`.
    """

    model: str
    model_version: str = ""
    text: str | None = None
    data: Any = None
    images: tuple[Image, ...] = ()
    usage: Usage = Usage()
    finish_reason: str = "stop"
    response_id: str | None = None
    request: Mapping[str, Any] = field(default_factory=dict)
    response: Mapping[str, Any] = field(default_factory=dict)
    thinking_removed: bool = False
    latency_ms: int | None = None
    cost_usd: float | None = None
    cost_source: str | None = None


class VendorError(Exception):
    """The model service did not give a usable answer.

    It may have billed one all the same (a refusal, an answer that cannot be read): `usage` and cost say what is known.
    """

    code = "vendor_error"
    retryable = False

    def __init__(
        self,
        message: str,
        *,
        retry_after_s: float | None = None,
        request: Mapping[str, Any] | None = None,
        response: Mapping[str, Any] | None = None,
        model: str = "",
        usage: Usage = Usage(),
        response_id: str | None = None,
        cost_usd: float | None = None,
        cost_source: str | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.retry_after_s = retry_after_s
        self.request = dict(request or {})
        self.response = dict(response or {})
        self.model, self.response_id = model, response_id
        self.usage, self.cost_usd, self.cost_source = usage, cost_usd, cost_source

    def __reduce__(self) -> tuple[Any, ...]:
        """Errors cross a process boundary (the computing child), keyword arguments included."""
        named = {key: value for key, value in self.__dict__.items() if key != "message"}
        return _rebuild_error, (type(self), self.message, named)


def _rebuild_error(kind: type[VendorError], message: str, named: dict[str, Any]) -> VendorError:
    return kind(message, **named)


class RateLimited(VendorError):
    """The model service asks us to slow down; `retry_after_s` says for how long, if it told us."""

    code = "vendor_rate_limited"
    retryable = True


class QuotaExhausted(VendorError):
    """What may be used of the model service for today, or what was paid for, is used up; waiting does not help."""

    code = "vendor_quota_exhausted"


class Unavailable(VendorError):
    """The model service cannot be reached or answers with a server error."""

    code = "vendor_unavailable"
    retryable = True


class TimedOut(VendorError):
    """The model service did not answer in time."""

    code = "vendor_timeout"
    retryable = True


class Refused(VendorError):
    """The model service declined on grounds of safety or policy; `category` is the service's own word for which."""

    code = "vendor_refused"

    def __init__(self, message: str, *, category: str = "", **known: Any) -> None:
        super().__init__(message, **known)
        self.category = category


class Rejected(VendorError):
    """The model service says our request is wrong; sending it again will not help."""

    code = "vendor_rejected"


class KeyRefused(Rejected):
    """The model service does not accept our key, or the key may not do this: every call would end the same way."""

    code = "vendor_key_refused"


class BadResponse(VendorError):
    """The model service answered with something that cannot be read or makes no sense."""

    code = "vendor_bad_response"
    retryable = True


@contextmanager
def before_sending() -> Iterator[None]:
    """Whatever is refused in here has cost nothing: the service has not heard of it."""
    try:
        yield
    except VendorError as error:
        error.usage = NOTHING_USED
        raise


@runtime_checkable
class Vendor(Protocol):
    """A client of one service. `kind` says where its time goes: `network` waits, `cpu` computes (in a child)."""

    name: str
    kind: Literal["network", "cpu"]
    tasks: Sequence[str]

    async def call(self, call: Call) -> Reply:
        """Answer one call; one that is made here asks the service exactly once.

        Raises:
            VendorError: one of its subclasses, by meaning.
        """
        ...
