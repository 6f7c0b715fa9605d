"""Params that steer a service behind a network, typed: what a route or prompt may set for it."""

from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from vendors.base import Rejected


class Params(BaseModel):
    """Base of a vendor's params. A call also carries the prompt's, which are for the text: those are ignored here."""

    model_config = ConfigDict(extra="ignore", allow_inf_nan=False)


Kind = TypeVar("Kind", bound=Params)


def read_params(kind: type[Kind], params: Mapping[str, Any]) -> Kind:
    """A call's params as this vendor understands them.

    Raises:
        Rejected: naming the first one that is wrong.
    """
    try:
        return kind.model_validate(dict(params))
    except ValidationError as error:
        raise Rejected(problem(error)) from error


def problem(error: ValidationError) -> str:
    """What is wrong with a param, as a sentence."""
    first = error.errors(include_url=False, include_input=False)[0]
    place = ".".join(str(part) for part in first["loc"])
    return f"The param {place} cannot be used: {first['msg']}."
