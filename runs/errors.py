"""What can go wrong with a run, a pipeline or an attempt."""

from typing import TYPE_CHECKING, Any

from django.db import OperationalError

from core.errors import SeeItError, TemporarilyUnavailable
from runs.redaction import redact_secrets

if TYPE_CHECKING:
    from runs.recording import Recording


class PipelineInvalid(SeeItError):
    """The pipeline's DAG is not valid."""

    code = "pipeline_invalid"
    status = 422


class PipelineUnknown(SeeItError):
    """There is no published pipeline by that name. Run `manage.py publish_pipelines`."""

    code = "pipeline_unknown"
    status = 404


class VersionMoved(SeeItError):
    """Somebody else has published this pipeline meanwhile. Look at what would change now, and decide again."""

    code = "version_moved"
    status = 409


class DuplicateKey(SeeItError):
    """This idempotency key was used before with another input."""

    code = "duplicate_nonce"
    status = 409


class RunActive(SeeItError):
    """This run has not ended yet. Wait for its end, or cancel it first."""

    code = "run_active"
    status = 409
    retryable = True


class NotRerunnable(SeeItError):
    """This run was not executed here, so it cannot be run again here."""

    code = "not_rerunnable"
    status = 409


class StageMissing(SeeItError):
    """This release lacks a stage of the run's pipeline. Start a new run with the pipeline as it is now."""

    code = "stage_missing"
    status = 409


class NodeUnknown(SeeItError):
    """The run's pipeline has no such node."""

    code = "node_unknown"
    status = 422


class NotReproducible(SeeItError):
    """This run cannot be reproduced: not everything that it depended on was kept."""

    code = "not_reproducible"
    status = 409


class ChangesInvalid(SeeItError):
    """What should be different in the new run is not valid."""

    code = "changes_invalid"
    status = 422


class BlobsExpired(SeeItError):
    """A picture that this would need has been deleted."""

    code = "blobs_expired"
    status = 410


class LineTooLong(TemporarilyUnavailable):
    """Many pictures are being made right now. Please try again in a moment."""

    def __init__(self, retry_after_s: int) -> None:
        super().__init__()
        self.headers = {"Retry-After": str(retry_after_s)}


class LeaseLost(Exception):
    """Another worker holds this run now, or it has ended: whatever this worker still computes changes nothing."""


class DatabaseAway(OperationalError):
    """The database was away while an attempt asked it something: nothing is wrong with attempt and run."""


class BytesGone(SeeItError):
    """Stored bytes were deleted elsewhere before they had a row; storing them again mends it."""

    code = "bytes_gone"
    status = 503
    retryable = True


class PutOff(Exception):
    """An attempt that could not begin yet: nothing has been asked, and it counts neither as an attempt nor as a retry.

    Raised by what a stage waits for (a limit shared by all workers) when the wait is too long to be held in memory.
    """

    def __init__(self, wait_s: float, why: str) -> None:
        super().__init__(why)
        self.wait_s = wait_s
        self.why = why


class ComputeLost(Exception):
    """The computing child died under its work."""


class AttemptFailed(Exception):
    """One attempt of one node failed for a reason we can name.

    `kind` is the word that a policy's `retry_on` lists: timeout, rate_limit, vendor, ir_invalid, metric_failed,
    worker_lost; empty for a failure that a repetition cannot mend. Message and details are shown and stored, so they
    hold no secret and nothing that a text column refuses, whatever the exception was that they were taken from.
    """

    def __init__(
        self,
        code: str,
        message: str,
        *,
        kind: str = "",
        retryable: bool = False,
        retry_after_s: float | None = None,
        details: dict[str, Any] | None = None,
    ) -> None:
        self.code = code
        self.message: str = redact_secrets(message).replace("\0", "")
        super().__init__(self.message)
        self.kind = kind
        self.retryable = retryable
        self.retry_after_s = retry_after_s
        self.details: dict[str, Any] = redact_secrets(details or {})
        # What the stage had said by then: its recording where it failed in the child, its answer as far as it got.
        self.recording: Recording | None = None
        self.answer: Any = None

    def __reduce__(self) -> tuple[Any, ...]:
        """Attempts fail in the computing child too, so the error travels between processes."""
        values = (self.code, self.message, self.kind, self.retryable, self.retry_after_s, self.details)
        return _rebuild, (type(self), *values, self.recording, self.answer)


def _rebuild(
    kind_of: type[AttemptFailed],
    code: str,
    message: str,
    kind: str,
    retryable: bool,
    after: float | None,
    details: dict[str, Any],
    recording: "Recording | None",
    answer: Any,
) -> AttemptFailed:
    error = kind_of(code, message, kind=kind, retryable=retryable, retry_after_s=after, details=details)
    error.recording, error.answer = recording, answer
    return error


def ended_itself(error: BaseException) -> str:
    """The sentence for a stage that raised what is meant for a whole process."""
    return f"The stage wanted to end its process: {type(error).__name__}({error})."


class StageError(AttemptFailed):
    """Raised by a stage when its work has an honest negative outcome (`cutout_rejected`, `no_placement`)."""

    def __init__(
        self, code: str, message: str, *, retryable: bool = False, details: dict[str, Any] | None = None, **more: Any
    ) -> None:
        super().__init__(code, message, retryable=retryable, details=details, **more)
