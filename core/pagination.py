"""Lists of the API by cursor: nothing is counted, and the last page costs what the first one does."""

from dataclasses import dataclass
from typing import Any

from django.db.models import QuerySet
from drf_spectacular.utils import OpenApiParameter
from rest_framework.request import Request

from core.errors import Invalid
from core.ids import parse_id

DEFAULT_LIMIT, MAX_LIMIT = 50, 200
PARAMETERS = [
    OpenApiParameter("cursor", str, description="`next_cursor` of the page before."),
    OpenApiParameter("limit", int, description=f"At most {MAX_LIMIT}; {DEFAULT_LIMIT} unless told."),
]


@dataclass(frozen=True, slots=True)
class Page:
    """Some rows, newest first, and the cursor of the next page; None at the end."""

    rows: list[Any]
    next_cursor: str | None


def read_page(queryset: QuerySet[Any], request: Request) -> Page:
    """The page that `?cursor=` and `?limit=` ask for, by descending id; one row more than that is read.

    Raises:
        Invalid: a cursor that is none of ours, or a limit that is not a number from 1 to 200.
    """
    size = _limit(request.query_params.get("limit"))
    if cursor := request.query_params.get("cursor"):
        try:
            queryset = queryset.filter(id__lt=parse_id(cursor))
        except (ValueError, OverflowError):
            raise Invalid("This cursor is none of ours: use `next_cursor` of the page before.") from None
    found = list(queryset.order_by("-id")[: size + 1])
    rows = found[:size]
    return Page(rows, str(rows[-1].pk) if len(found) > size else None)


def _limit(text: str | None) -> int:
    if text is None:
        return DEFAULT_LIMIT
    if not text.isascii() or not text.isdigit() or not 1 <= int(text[:9]) <= MAX_LIMIT:
        raise Invalid(f"`limit` has to be a number from 1 to {MAX_LIMIT}.")
    return int(text)
