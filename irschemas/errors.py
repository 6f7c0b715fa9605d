"""What can be wrong with a schema or a profile, in sentences."""

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


class ProfileNotFound(NotFound):
    """There is no metric profile by that key."""

    code = "profile_not_found"


class JsonInvalid(Invalid):
    """This is not JSON."""

    code = "json_invalid"
