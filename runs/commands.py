"""The commands' base, which lives in `core` because apps below `runs` have commands too."""

from core.commands import BAD_INPUT, RUN_FAILED, SeeItCommand

__all__ = ["BAD_INPUT", "RUN_FAILED", "SeeItCommand"]
