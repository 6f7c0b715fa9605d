"""The base of every error a user can meet: a sentence, a stable code, an HTTP status."""

from typing import Any


class SeeItError(Exception):
    """Something went wrong that we can name."""

    code = "internal"
    status = 500
    retryable = False

    def __init__(self, message: str | None = None, *, details: dict[str, Any] | None = None) -> None:
        self.message = message or (type(self).__doc__ or "Something went wrong.").strip().splitlines()[0]
        self.details = details
        super().__init__(self.message)


class NotFound(SeeItError):
    """There is nothing here by that id."""

    code = "not_found"
    status = 404


class Invalid(SeeItError):
    """The request is not valid."""

    code = "validation"
    status = 422


class TemporarilyUnavailable(SeeItError):
    """See It is taking a short break. Please try again in a moment."""

    code = "temporarily_unavailable"
    status = 503
    retryable = True
