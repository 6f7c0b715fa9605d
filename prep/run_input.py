"""What staff may give a run of the `prep` pipeline differently."""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from core.errors import Invalid
from prep.facts import check_overrides
from runs.registry import checks_input


class ProductTexts(BaseModel):
    """The merchant's words about a product."""

    model_config = ConfigDict(extra="forbid", strict=True)
    id: str = Field(max_length=255)
    title: str = Field(min_length=1, max_length=1000)
    description: str = Field("", max_length=100_000)
    product_type: str = Field("", max_length=255)
    tags: list[str] = Field(default_factory=list, max_length=250)


class PrepInput(BaseModel):
    """Members of a prep run's input; pictures have been checked to be the run's own.

    A member with the default None may be left out, but not be null where its type does not say so.
    """

    model_config = ConfigDict(extra="forbid", strict=True)
    product: ProductTexts = None  # type: ignore[assignment]
    source: dict[str, Any] | None = None
    source_url: str = Field("", max_length=2000)
    merchant_overrides: dict[str, Any] | None = None


def checked(model: type[BaseModel], given: Mapping[str, Any]) -> dict[str, Any]:
    """The members as a model takes them, and nothing besides; the merchant's statements as they take them elsewhere.

    Raises:
        core.errors.Invalid: naming the first member that is wrong.
    """
    try:
        found = model.model_validate(dict(given)).model_dump(exclude_unset=True)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise Invalid(f"The edited input, {'.'.join(str(part) for part in first['loc'])}: {first['msg']}.") from error
    if found.get("merchant_overrides") is not None:
        found["merchant_overrides"] = check_overrides(found["merchant_overrides"])
    return found


@checks_input("prep")
def check_prep_input(given: Mapping[str, Any]) -> Mapping[str, Any]:
    """Refuse what the prep stages do not take."""
    return checked(PrepInput, given)
