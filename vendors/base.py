"""The one protocol every model and image service speaks: a call, a reply, and errors by meaning. No Django here."""

import hashlib
from collections.abc import Mapping, Sequence
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
    content: bytes
    media_type: str

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.content).hexdigest()


@dataclass(frozen=True, slots=True)
class Call:
    """What a model is asked: rendered messages, pictures in order, and the numbers that steer it.

    `variables` are the values the messages were rendered from, as plain JSON: a vendor that computes instead of
    reading prose (`local`) works from them. `params` are the prompt's and the route's (`prefer`, `scale`, ...).
    """

    task: str
    model: str
    messages: tuple[Message, ...] = ()
    images: tuple[Image, ...] = ()
    variables: Mapping[str, Any] = field(default_factory=dict)
    params: Mapping[str, Any] = field(default_factory=dict)
    response_schema: Mapping[str, Any] | None = None
    seed: int = 0
    timeout_s: float = 60.0
    idempotency_key: str = ""

    def image(self, role: str) -> Image | None:
        """The first picture with this role, or None."""
        return next((image for image in self.images if image.role == role), None)


@dataclass(frozen=True, slots=True)
class Usage:
    """Token and picture counts in exclusive buckets; None where the vendor does not say (never 0 for unknown)."""

    tokens_in: int | None = None
    tokens_out: int | None = None
    tokens_cached: int | None = None
    tokens_thinking: int | None = None
    images: int | None = None


@dataclass(frozen=True, slots=True)
class Reply:
    """What a model answered, with the request and response as they went over the wire.

    `request` and `response` are JSON objects without secrets and without thinking parts; pictures in them are named by
    `{"$image": role, "sha256": ...}` instead of inlined bytes.
    """

    model: str
    text: str | None = None
    data: Any = None
    images: tuple[Image, ...] = ()
    usage: Usage = Usage()
    finish_reason: str = "stop"
    response_id: str | None = None
    request: Mapping[str, Any] = field(default_factory=dict)
    response: Mapping[str, Any] = field(default_factory=dict)
    thinking_removed: bool = False
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


class Unavailable(VendorError):
    """The model service cannot be reached or answers with a server error."""

    code = "vendor_unavailable"
    retryable = True


class TimedOut(VendorError):
    """The model service did not answer in time."""

    code = "vendor_timeout"
    retryable = True


class Refused(VendorError):
    """The model service declined on safety grounds; the message names the category."""

    code = "vendor_refused"


class Rejected(VendorError):
    """The model service says our request is wrong; sending it again will not help."""

    code = "vendor_rejected"


class BadResponse(VendorError):
    """The model service answered with something that cannot be read or makes no sense."""

    code = "vendor_bad_response"
    retryable = True


@runtime_checkable
class Vendor(Protocol):
    """A client of one service. `kind` says where its time goes: `network` waits, `cpu` computes (in a child)."""

    name: str
    kind: Literal["network", "cpu"]
    tasks: Sequence[str]

    async def call(self, call: Call) -> Reply:
        """Answer one call.

        Raises:
            VendorError: one of its subclasses, by meaning.
        """
        ...
