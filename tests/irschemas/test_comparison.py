"""What sets two schemas apart, and what the difference means: in words that a reader of the schema understands."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from irschemas.comparison import Change, Compatibility, compare_schemas, incompatibilities
from irschemas.validation import Checker
from tests.irschemas.examples import SCHEMAS, closed

TEXT, NUMBER = {"type": "string"}, {"type": "number"}


def told(before: Any, after: Any) -> list[tuple[str, str]]:
    """Each difference of one property, with its effect."""
    changes = compare_schemas(closed({"a": before}), closed({"a": after}))
    return [(str(change), change.effect) for change in changes]


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (NUMBER, NUMBER | {"minimum": 0}, [("$.a: has to be at least 0 now.", "stricter")]),
        (NUMBER | {"maximum": 2}, NUMBER | {"maximum": 3}, [("$.a: was at most 2, is at most 3.", "looser")]),
        (NUMBER | {"maximum": 2}, NUMBER, [("$.a: has no upper bound any more.", "looser")]),
        (NUMBER, {"type": "integer"}, [("$.a: was a number, is an integer.", "stricter")]),
        (TEXT, {"type": ["string", "null"]}, [("$.a: was text, is null or text.", "looser")]),
        (TEXT, NUMBER, [("$.a: was text, is a number.", "changed")]),
        ({"enum": ["floor", "wall"]}, {"enum": ["floor", "ceiling"]},
         [("$.a: “wall” is not allowed any more.", "stricter"), ("$.a: “ceiling” is allowed too.", "looser")]),
        (TEXT | {"enum": ["a"]}, {"enum": ["a", "b"]}, [("$.a: “b” is allowed too.", "looser")]),
        (TEXT | {"enum": ["a"]}, {"enum": ["a", None]},
         [("$.a: was text, is null or text.", "looser"), ("$.a: “null” is allowed too.", "looser")]),
        (TEXT, TEXT | {"pattern": "^p"}, [("$.a: has to be text that matches ^p now.", "stricter")]),
        (TEXT | {"pattern": "^p"}, TEXT | {"pattern": "^q"},
         [("$.a: has to be text that matches ^q now.", "changed")]),
        (TEXT, TEXT | {"description": "A name."}, [("$.a: its description is worded otherwise.", "wording")]),
        (closed({"b": TEXT}), closed({"b": TEXT, "c": TEXT}),
         [("$.a.c: has to be there now.", "stricter"), ("$.a.c: is new.", "looser")]),
        (closed({"b": TEXT, "c": TEXT}), closed({"b": TEXT}),
         [("$.a.c: may be left out now.", "looser"), ("$.a.c: is gone.", "stricter")]),
        ({"type": "array", "items": TEXT}, {"type": "array", "items": TEXT | {"maxLength": 5}},
         [("$.a[*]: has to be at most 5 characters now.", "stricter")]),
        ({"anyOf": [TEXT, NUMBER]}, {"anyOf": [TEXT]}, [("$.a: of its alternatives 1 is gone.", "stricter")]),
        ({"anyOf": [NUMBER, TEXT]}, {"anyOf": [TEXT, NUMBER]}, []),
        ({"oneOf": [TEXT]}, {"oneOf": [TEXT, NUMBER]}, [("$.a: of its alternatives 1 is new.", "changed")]),
        ({"not": TEXT}, {"not": NUMBER}, [("$.a: “not” is different.", "changed")]),
    ],
)  # fmt: skip
def test_a_difference_is_told_in_words_with_its_effect(before: Any, after: Any, expected: list[Any]) -> None:
    assert told(before, after) == expected


def test_what_a_reference_names_is_compared_wherever_it_is_used() -> None:
    def schema(maximum: int) -> dict[str, Any]:
        edge = {"type": "number", "maximum": maximum}
        return closed({"a": {"$ref": "#/$defs/edge"}, "b": {"$ref": "#/$defs/edge"}}, **{"$defs": {"edge": edge}})

    assert [str(change) for change in compare_schemas(schema(2), schema(1))] == [
        "$.a: was at most 2, is at most 1.",
        "$.b: was at most 2, is at most 1.",
    ]


def test_a_schema_that_refers_to_itself_is_compared_to_an_end() -> None:
    def tree(kind: str) -> dict[str, Any]:
        node = {"properties": {"left": {"$ref": "#"}, "right": {"$ref": "#"}, "value": {"type": kind}}}
        return {"type": "object", "additionalProperties": False} | node

    assert [str(change) for change in compare_schemas(tree("string"), tree("number"))] == [
        "$.value: was text, is a number."
    ]


def test_every_schema_is_equal_to_itself() -> None:
    assert all(compare_schemas(schema, schema) == [] for schema in SCHEMAS.values())


def test_a_promise_forbids_what_would_break_it() -> None:
    narrow, wide, wording = Change("$", "a", True, False), Change("$", "b", False, True), Change("$", "c")
    both = [narrow, wide, wording]
    assert incompatibilities(both, Compatibility.BACKWARD) == [narrow]
    assert incompatibilities(both, Compatibility.FORWARD) == [wide]
    assert incompatibilities(both, Compatibility.FULL) == [narrow, wide]
    assert incompatibilities(both, Compatibility.NONE) == []


NUMBERS = [-1, 0, 1, 2, 3, 0.5, 1.5, 2.0, True, None, "a"]
TEXTS = ["", "a", "ab", "b", "ba", "abc", "2026-11-21", 1, None]
LISTS = [[], ["a"], ["a", "b"], ["a", "a"], ["ab", "b", "abc"], [1], "a"]
OBJECTS = [
    {},
    *({"a": value} for value in TEXTS),
    {"a": "a", "b": 1},
    {"b": 1},
    {"b": "a"},
    {"c": 1},
    {"a": "ab", "c": 1},
]
bounds = st.integers(0, 3)


def written(kind: Any, **keywords: Any) -> st.SearchStrategy[dict[str, Any]]:
    """Schemas of a kind with some of the keywords."""
    return st.fixed_dictionaries({"type": kind}, optional=keywords)


numbers = written(st.sampled_from(["number", "integer", ["number", "null"]]), minimum=bounds, maximum=bounds,
                  exclusiveMinimum=bounds, multipleOf=st.just(1), enum=st.just([1, 2]))  # fmt: skip
texts = st.just({"enum": ["a", 1]}) | written(st.sampled_from(["string", ["string", "null"], ["string", "integer"]]),
                minLength=bounds, maxLength=bounds, pattern=st.sampled_from(["^a", "b"]),
                enum=st.sampled_from([["a"], ["a", "b"]]), format=st.just("date"))  # fmt: skip
lists = written(st.just("array"), items=texts, minItems=bounds, maxItems=bounds, uniqueItems=st.booleans())
objects = written(
    st.just("object"), properties=st.fixed_dictionaries({}, optional={"a": texts, "b": numbers}),
    required=st.sampled_from([[], ["a"], ["a", "b"]]), additionalProperties=st.booleans() | numbers,
)  # fmt: skip
chosen = st.one_of(
    *(
        st.fixed_dictionaries({keyword: st.lists(texts, min_size=1, max_size=2)})
        for keyword in ("anyOf", "oneOf", "allOf")
    ),
    st.fixed_dictionaries({"$ref": st.just("#/$defs/a"), "$defs": st.fixed_dictionaries({"a": texts})}),
    texts,
)
KINDS = [(numbers, NUMBERS), (texts, TEXTS), (lists, LISTS), (objects, OBJECTS), (chosen, TEXTS)]


@pytest.mark.parametrize(("kind", "values"), KINDS, ids=["numbers", "texts", "lists", "objects", "choices"])
def test_a_promise_that_is_given_is_kept_for_every_answer(kind: Any, values: list[Any]) -> None:
    @settings(max_examples=40, deadline=None)
    @given(before=kind, after=kind)
    def hold(before: dict[str, Any], after: dict[str, Any]) -> None:
        changes = compare_schemas(before, after)
        narrowed = [value for value in values if Checker(before)(value).passed and not Checker(after)(value).passed]
        widened = [value for value in values if Checker(after)(value).passed and not Checker(before)(value).passed]
        assert incompatibilities(changes, Compatibility.BACKWARD) or not narrowed
        assert incompatibilities(changes, Compatibility.FORWARD) or not widened

    hold()
