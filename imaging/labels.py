"""What a pixel of a room photo can belong to."""

from enum import IntEnum

import numpy as np
from numpy.typing import NDArray


class REGION(IntEnum):
    """Labels of the region map; UNDER is floor that is seen between and under the feet of things."""

    OTHER = 0
    FLOOR = 1
    WALL = 2
    FURNITURE = 3
    OPENING = 4
    CEILING = 5
    UNDER = 6


def is_floor(regions: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Where floor is seen, free or not."""
    return np.asarray((regions == REGION.FLOOR) | (regions == REGION.UNDER))


def is_taken(regions: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Things, and the floor between their feet."""
    return np.asarray((regions == REGION.FURNITURE) | (regions == REGION.UNDER))


__all__ = ["REGION", "is_floor", "is_taken"]
