"""Pages by key instead of by number: nothing is counted, and the last page costs what the first one does."""

from dataclasses import dataclass
from typing import Any

from django.core.exceptions import ValidationError
from django.db.models import Model, QuerySet
from django.http import QueryDict

from core.fields import UlidField

BEFORE, AFTER = "before", "after"


@dataclass(frozen=True, slots=True)
class KeysetPage:
    """Some rows, newest first, and the query strings of the pages around them (empty when there is none)."""

    rows: list[Any]
    older_query: str
    newer_query: str
    newest_query: str


def read_page(queryset: QuerySet[Any], query: QueryDict, size: int) -> KeysetPage:
    """The page that `?before=ID` or `?after=ID` asks for, by descending id; one row more than `size` is read."""
    before, after = _key(query.get(BEFORE)), _key(query.get(AFTER))
    if after is not None:
        found = list(queryset.filter(id__gt=after).order_by("id")[: size + 1])
        rows, more_newer = found[:size][::-1], len(found) > size
        more_older = True
    else:
        rows_query = queryset if before is None else queryset.filter(id__lt=before)
        found = list(rows_query.order_by("-id")[: size + 1])
        rows, more_older = found[:size], len(found) > size
        more_newer = before is not None
    return KeysetPage(
        rows,
        _query(query, BEFORE, rows[-1]) if rows and more_older else "",
        _query(query, AFTER, rows[0]) if rows and more_newer else "",
        _query(query),
    )


def _key(text: str | None) -> Any:
    """An id from the address, or None when it is not one."""
    if not text:
        return None
    try:
        return UlidField().to_python(text)
    except ValidationError:
        return None


def _query(query: QueryDict, name: str = "", row: Model | None = None) -> str:
    changed = query.copy()
    for key in (BEFORE, AFTER):
        changed.pop(key, None)
    if row is not None:
        changed[name] = str(row.pk)
    return changed.urlencode()
