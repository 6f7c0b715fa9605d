"""What can be wrong with a schema or a profile, in sentences."""

from typing import Any

from core.errors import Invalid, NotFound, SeeItError


class SchemaRefused(Invalid):
    """The schema cannot be used as it is; every problem is listed."""

    code = "schema_refused"

    def __init__(self, problems: list[str]) -> None:
        count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
        super().__init__(f"The schema cannot be used: {count}. {problems[0]}", details={"problems": problems})
        self.problems = problems

    def __reduce__(self) -> tuple[type["SchemaRefused"], tuple[list[str]]]:
        """It crosses a process boundary (the computing child) with its problems."""
        return type(self), (self.problems,)


class TargetInvalid(Invalid):
    """A target is written as stage:, prompt: or process: and a snake_case name."""

    code = "schema_target_invalid"


class SchemaNotFound(NotFound):
    """There is no such IR schema."""

    code = "schema_not_found"


class SchemaUnchanged(SeeItError):
    """That is exactly the newest version already; there is nothing to save."""

    code = "schema_unchanged"
    status = 409


class SchemaMoved(SeeItError):
    """Somebody else changed this schema in the meantime. Please look at it again."""

    code = "schema_moved"
    status = 409


class SchemaIncompatible(SeeItError):
    """The schema breaks its promise to the version in force."""

    code = "schema_incompatible"
    status = 409

    def __init__(self, mode: str, reasons: list[str]) -> None:
        count = "1 difference does" if len(reasons) == 1 else f"{len(reasons)} differences do"
        text = f"This version is not {mode} compatible with the one in force: {count} not allow it. {reasons[0]}"
        super().__init__(text, details={"compatibility": mode, "reasons": reasons})


class SchemaWouldRefuse(SeeItError):
    """Stored answers would fail under this schema."""

    code = "schema_would_refuse"
    status = 409

    def __init__(self, failed: int, checked: int, review: dict[str, Any]) -> None:
        text = (
            f"{failed} of the last {checked} stored answers would fail under this version. Agree to that, or change it."
        )
        super().__init__(text, details=review)


class NothingBefore(SeeItError):
    """No other version was in force before this one."""

    code = "schema_nothing_before"
    status = 409


class ProfileNotFound(NotFound):
    """There is no metric profile by that key."""

    code = "profile_not_found"


class JsonInvalid(Invalid):
    """This is not JSON."""

    code = "json_invalid"


class BodyTooLarge(SeeItError):
    """The request is too large: at most 4 MiB are read here."""

    code = "body_too_large"
    status = 413


class ProfileMoved(SeeItError):
    """Somebody else changed this gate in the meantime. Please look at it again."""

    code = "profile_moved"
    status = 409


class ProfileUnchanged(SeeItError):
    """That is exactly what is in force already; there is nothing to save."""

    code = "profile_unchanged"
    status = 409


class ProfileRefused(Invalid):
    """The gate cannot work as it is; every problem is listed."""

    code = "profile_refused"

    def __init__(self, problems: list[str]) -> None:
        super().__init__(problems[0], details={"problems": problems})
        self.problems = problems


class DefinitionRefused(ProfileRefused):
    """The metric cannot work as it is; every problem is listed."""

    code = "metric_refused"


class MetricMoved(SeeItError):
    """Somebody else changed this metric in the meantime. Please look at it again."""

    code = "metric_moved"
    status = 409
