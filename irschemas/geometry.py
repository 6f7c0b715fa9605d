"""What a schema cannot say: that boxes are the right way round and ids are not used twice."""

from collections.abc import Iterator
from typing import Any

from irschemas.findings import Problem, type_name

EDGES = ("x0", "y0", "x1", "y1")


def check_geometry(target: str, value: Any) -> tuple[Problem, ...]:
    """Findings of a value that already fits its schema: every box `{x0, y0, x1, y1}` in it has x0 < x1 and y0 < y1
    (fractions of the picture, y down), and a placement's candidates have an id each.
    """
    found = [problem for path, box in _boxes(value) for problem in _inside_out(path, box)]
    if target == "stage:placement":
        found.extend(_repeated_ids(value))
    return tuple(found)


def _boxes(value: Any, path: str = "$") -> Iterator[tuple[str, dict[str, Any]]]:
    """Every box in a JSON value of limited depth, with its path."""
    if isinstance(value, dict):
        if value.keys() >= set(EDGES):
            yield path, value
        for key, child in value.items():
            yield from _boxes(child, f"{path}.{key}")
    elif isinstance(value, list):
        for index, child in enumerate(value):
            yield from _boxes(child, f"{path}[{index}]")


def _inside_out(path: str, box: dict[str, Any]) -> Iterator[Problem]:
    numbers = all(isinstance(box[edge], (int, float)) for edge in EDGES)
    for low, high in (("x0", "x1"), ("y0", "y1")):
        if not numbers or not box[low] < box[high]:
            yield Problem(path, "#", "geometry", f"a box whose {low} is less than its {high}", type_name(box))


def _repeated_ids(value: Any) -> Iterator[Problem]:
    seen: set[str] = set()
    for index, candidate in enumerate(value["candidates"]):
        if candidate["id"] in seen:
            path = f"$.candidates[{index}].id"
            yield Problem(path, "#", "unique_ids", "an id that no other candidate has", type_name(candidate["id"]))
        seen.add(candidate["id"])
