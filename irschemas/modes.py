"""What an invalid answer does to its step."""

from enum import StrEnum


class IRMode(StrEnum):
    """The three ways to treat IR validation."""

    OFF = "off"  # nothing is validated
    LOG = "log"  # the step records it and goes on
    ENFORCE = "enforce"  # the attempt fails with `ir_invalid`


def ir_mode(node_mode: str | None, settings_mode: str) -> IRMode:
    """The mode of one node: what its pipeline pins wins over `IR_VALIDATION_MODE`.

    Raises:
        ValueError: the one that counts is not off, log or enforce.
    """
    return IRMode(node_mode or settings_mode)
