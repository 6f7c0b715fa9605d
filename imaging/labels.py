"""What a pixel of a room photo can belong to."""

from enum import IntEnum


class REGION(IntEnum):
    """Labels of the region map."""

    OTHER = 0
    FLOOR = 1
    WALL = 2
    FURNITURE = 3
    OPENING = 4
    CEILING = 5


__all__ = ["REGION"]
