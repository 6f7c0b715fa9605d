"""What a measure is, and those of how far a model's picture had gone from the photo before that was put back."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

# What can only be asked of a picture that a model painted anew, by the name of its number.
PAINTED = (("frame_residual", "px in 1000"), ("tone_shift", "levels"), ("guide_change", "ΔE"))


@dataclass(frozen=True)
class Measure:
    """One figure of a composite; `value` is None where there is none, `asked` False where it means nothing.

    `note` says why.
    """

    key: str
    value: float | None
    unit: str
    note: str = ""
    asked: bool = True


def with_drift(measures: list[Measure], numbers: Mapping[str, Any] | None, longest: int) -> list[Measure]:
    """The measures of a picture with those of its repainting; `longest` is the photo's long side (px).

    The drift is the one before the room was put back: afterwards there is none left to see. Of a picture that was not
    painted by a model the further measures are not asked.
    """
    if numbers is None:
        return [*measures, *(Measure(key, None, unit, "not painted by a model", False) for key, unit in PAINTED)]
    before = {"outside_drift": numbers["drift"], "outside_changed_share": numbers["changed_share"]}
    kept = [
        Measure(item.key, before[item.key], item.unit, "before the room was put back") if item.key in before else item
        for item in measures
    ]
    change = numbers["guide_change"]
    return [
        *kept,
        Measure("frame_residual", round(1000.0 * numbers["residual_px"] / longest, 3), "px in 1000"),
        Measure("tone_shift", abs(numbers["tone"]), "levels"),
        Measure("guide_change", change, "ΔE", "" if change is not None else "there was no guide", change is not None),
    ]


__all__ = ["PAINTED", "Measure", "with_drift"]
