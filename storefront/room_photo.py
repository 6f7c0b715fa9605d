"""A shopper's photo once it is stored."""

from dataclasses import dataclass

from runs.models import Blob


@dataclass(frozen=True, slots=True)
class RoomPhoto:
    """A stored room: its bytes' row, and the 35 mm equivalent focal length that its EXIF told, in mm."""

    blob: Blob
    f35_mm: float | None
