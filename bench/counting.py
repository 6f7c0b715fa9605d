"""Counting what the database is asked: statements, and the transactions they came in."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from django.db import connection

CONTROL = re.compile(r"\s*(SAVEPOINT|RELEASE|ROLLBACK|COMMIT|BEGIN)\b", re.IGNORECASE)


@dataclass(slots=True)
class Asked:
    """The statements of one stretch of work, without transaction control, and how many transactions held them."""

    statements: list[str] = field(default_factory=list)
    transactions: int = 0

    def count(self, *verbs: str) -> int:
        """How many statements begin with one of these words."""
        return sum(text.lstrip().upper().startswith(verbs) for text in self.statements)


@contextmanager
def counting() -> Iterator[Asked]:
    """Count what this thread's connection is asked."""
    asked = Asked()
    commit = connection._commit  # type: ignore[attr-defined]

    def statement(execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Any) -> Any:
        if not CONTROL.match(sql):
            asked.statements.append(sql)
            asked.transactions += not connection.in_atomic_block
        return execute(sql, params, many, context)

    def committed() -> None:
        asked.transactions += 1
        commit()

    setattr(connection, "_commit", committed)  # noqa: B010 - for as long as the counting lasts
    try:
        with connection.execute_wrapper(statement):
            yield asked
    finally:
        setattr(connection, "_commit", commit)  # noqa: B010
