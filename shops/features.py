"""A shop's feature flags: one typed reader for the JSON column."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Self


@dataclass(frozen=True, slots=True)
class Features:
    """What is switched on for a shop; a flag that is not stored has the default below."""

    composites: bool = True  # shoppers may make pictures
    experimental_prompts: bool = False  # takes part in prompt experiments
    new_model: bool = False  # gets the newest model route first

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Self:
        """Read the stored flags.

        Raises:
            ValueError: an unknown flag, or a value that is not true or false; the message names it.
        """
        if not isinstance(stored, Mapping):
            raise ValueError("features: expected an object of flags")
        known = {field.name for field in fields(cls)}
        for name, value in stored.items():
            if name not in known:
                raise ValueError(f"features: unknown flag {name!r}; known are {', '.join(sorted(known))}")
            if not isinstance(value, bool):
                raise ValueError(f"features: {name} must be true or false")
        return cls(**stored)

    def to_json(self) -> dict[str, bool]:
        """Every flag, for the JSON column."""
        return asdict(self)


def default_features() -> dict[str, bool]:
    """The flags of a new shop."""
    return Features().to_json()
