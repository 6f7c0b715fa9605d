"""What the tasks of the local vendor share: their answer, and reading pictures and variables from a call."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, ValidationError

from imaging.photo import PhotoError, decode
from vendors.base import Call, Image, Rejected

Pixels = npt.NDArray[np.uint8]
Model = TypeVar("Model", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Answer:
    """A task's result: JSON data, pictures by role, and `working`, what somebody who doubts the result wants to see."""

    data: Any
    images: tuple[Image, ...] = ()
    working: Mapping[str, Any] = field(default_factory=dict)


class Variables(BaseModel):
    """Base of a task's variables: typed, further keys ignored."""

    model_config = ConfigDict(extra="ignore", allow_inf_nan=False)


def read_variables(shape: type[Model], call: Call) -> Model:
    """The call's variables in their typed form.

    Raises:
        Rejected: naming the first variable that is wrong.
    """
    try:
        return shape.model_validate(dict(call.variables))
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        raise Rejected(f"The variable {place or 'set'} of the task {call.task} is wrong: {first['msg']}.") from error


def read_number(call: Call, name: str, low: float, high: float) -> float | None:
    """A numeric param within its bounds, or None if it is not given.

    Raises:
        Rejected: it is no number, or out of bounds.
    """
    value = call.params.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        raise Rejected(f"The param {name} must be a number from {low:g} to {high:g}.")
    return float(value)


def read_picture(call: Call, role: str, *, channels: tuple[int, ...]) -> Pixels:
    """The decoded picture with this role, (H, W, C) or (H, W) for one channel, uint8.

    Raises:
        Rejected: there is none, it cannot be decoded, or it has other channels.
    """
    image = call.image(role)
    if image is None:
        raise Rejected(f"The task {call.task} needs a picture with the role {role}.")
    try:
        pixels = decode(image.content)
    except PhotoError as error:
        raise Rejected(f"The picture {role} cannot be read: {error.message}") from error
    found = 1 if pixels.ndim == 2 else pixels.shape[2]
    if found not in channels:
        raise Rejected(f"The picture {role} has {found} channels instead of {' or '.join(map(str, channels))}.")
    return pixels
