"""What a page does with a recorded value of another shape than it knows: it opens, and says so in that place.

Rows are our own, but what is inside their JSON is a model's, another release's, or, in an imported run, whoever's.
"""

import logging
from collections.abc import Callable
from typing import TypeVar

from django.template import VariableDoesNotExist

logger = logging.getLogger(__name__)
T = TypeVar("T")

# What reading a value that is not of the shape one takes it for comes to.
MISSHAPEN = (
    ArithmeticError,
    AttributeError,
    LookupError,
    RecursionError,
    TypeError,
    ValueError,
    VariableDoesNotExist,
)


def readable(what: str, read: Callable[[], T], otherwise: T) -> T:
    """What is read, or the other value where that is not possible; it is logged, since the mistake may be ours."""
    try:
        return read()
    except MISSHAPEN:
        logger.exception("unreadable", extra={"what": what})
        return otherwise
