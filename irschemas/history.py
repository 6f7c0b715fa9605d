"""Who did what to a schema, a metric or a profile: Django's own log, whichever door they came through."""

from collections.abc import Iterable

from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.auth.models import User
from django.contrib.contenttypes.models import ContentType
from django.db.models import Model, QuerySet


def note(by: User | None, row: Model, text: str, flag: int = CHANGE) -> None:
    """Write it down; a release has no author and is told by the version's origin."""
    if by is not None and by.pk is not None:
        LogEntry.objects.log_actions(by.pk, [row], flag, text[:2000], single_object=True)


def notes_of(model: type[Model], ids: Iterable[object]) -> QuerySet[LogEntry]:
    """What was done to some rows, newest first."""
    kind = ContentType.objects.get_for_model(model)
    entries = LogEntry.objects.filter(content_type=kind, object_id__in=[str(each) for each in ids])
    return entries.select_related("user").order_by("-action_time", "-id")
