"""From what somebody typed or pasted into the search to the runs that it names, whatever their age."""

import re
from dataclasses import dataclass
from typing import Any

from django.db.models import Model, QuerySet

from core.ids import Ulid, parse_id
from runs.models import Artifact, Run, RunError, Step
from runs.references import ALPHABET, LENGTH, id_end, read_reference

BEGINNING = re.compile(rf"[0-7][{ALPHABET}]{{5,24}}")
END = re.compile(rf"[{ALPHABET}]{{{LENGTH},12}}")
MISTYPED = re.compile(r"[0-9A-Za-z]{4}[- ][0-9A-Za-z]{4}")
FEW = 20
PARTS: tuple[type[Model], ...] = (Step, RunError, Artifact)


@dataclass(frozen=True, slots=True)
class Named:
    """Runs that a text names by an id; `what` says by which part of it."""

    ids: tuple[Any, ...]
    what: str
    anchor: str = ""

    @property
    def only(self) -> Ulid | None:
        """The run, where it is one."""
        return self.ids[0] if len(self.ids) == 1 else None


def find_run(text: str) -> Ulid | None:
    """The one run that a text names: an id (ULID or UUID), its beginning or end, or a reference code."""
    found = find_named(text)
    return found.only if found else None


def find_named(text: str) -> Named | None:
    """Runs by an id of theirs or of one of their parts, by reference code, or by the beginning or end of their id."""
    text = text.strip()
    return _by_id(text) or _by_reference(text) or _by_piece(text)


def looks_mistyped(text: str) -> bool:
    """Whether a text has the form of a reference code and is none."""
    return bool(MISTYPED.fullmatch(text.strip())) and read_reference(text) is None


def _by_id(text: str) -> Named | None:
    try:
        wanted = parse_id(text)
    except ValueError:
        return None
    if Run.objects.filter(pk=wanted).exists():
        return Named((wanted,), "with this id")
    for part in PARTS:
        row = part._default_manager.filter(pk=wanted).values_list("run_id", flat=True).first()
        if row is not None:
            anchor = f"#step-{wanted}" if part is Step else ""
            return Named((row,), f"of this {part._meta.verbose_name}", anchor)
    return None


def _by_reference(text: str) -> Named | None:
    end = read_reference(text)
    return None if end is None else _named(Run.objects.with_end(end), "with this reference")


def _by_piece(text: str) -> Named | None:
    """As pages shorten an id (`…3M7K3M9Q`), or as much of its beginning as somebody copied."""
    piece = text.lstrip("….").upper()
    if END.fullmatch(piece):
        alike = Run.objects.with_end(id_end(piece[-LENGTH:])).values_list("pk", flat=True)
        if ending := tuple(run_id for run_id in alike if str(run_id).endswith(piece)):
            return Named(ending, f"whose id ends with {piece}")
    if not BEGINNING.fullmatch(piece):
        return None
    first, last = (parse_id(piece.ljust(26, filler)) for filler in "0Z")
    return _named(Run.objects.filter(pk__gte=first, pk__lte=last), f"whose id begins with {piece}")


def _named(runs: QuerySet[Run], what: str) -> Named | None:
    ids = tuple(runs.order_by("-id").values_list("pk", flat=True)[:FEW])
    return Named(ids, what) if ids else None
