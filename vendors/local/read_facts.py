"""The task `facts`: ProductFacts from a product's texts and, where there is one, its cutout."""

from pydantic import Field

from vendors.base import Call
from vendors.local.answer import Answer, Variables, read_picture, read_variables
from vendors.local.facts.extract import cleaned_text, extract_facts


class FactsVariables(Variables):
    """What a merchant wrote; the description may be HTML."""

    title: str = ""
    description: str = ""
    product_type: str | None = ""
    tags: list[str] = Field(default_factory=list)


def answer(call: Call) -> Answer:
    """ProductFacts as in CONTRACT; the param `unit_default` is the unit of numbers written without one."""
    given = read_variables(FactsVariables, call)
    cutout = read_picture(call, "cutout", channels=(4,)) if call.image("cutout") else None
    texts = (given.title, given.description, given.product_type or "", tuple(given.tags))
    facts = extract_facts(*texts, cutout, hints=call.params)
    return Answer(facts, working={"cleaned_text": cleaned_text(*texts)})
