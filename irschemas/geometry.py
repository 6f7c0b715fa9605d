"""What a schema cannot say: that boxes are the right way round and in the picture, and that ids are not used twice."""

from collections.abc import Iterator
from typing import Any

from irschemas.findings import Problem, type_name

EDGES = ("x0", "y0", "x1", "y1")
# A product touches its support at its own box, give or take what a reading of a picture is off by.
NEAR = 0.5  # of the box's own size


def check_geometry(target: str, value: Any) -> tuple[Problem, ...]:
    """Findings of a value that already fits its schema: every box `{x0, y0, x1, y1}` in it has x0 < x1 and y0 < y1
    (fractions of the picture, y down), and a placement's candidates have an id each.
    """
    found = [problem for path, box in _boxes(value) for problem in _inside_out(path, box)]
    if target == "stage:placement":
        found.extend(_repeated_ids(value))
    return tuple(found)


def check_sight(value: Any) -> tuple[Problem, ...]:
    """Findings of an answer whose boxes were seen, not computed: each shows in the picture, each contact is at its box.

    What computes from a camera may put things beside the picture; whoever chooses leaves them out and says so.
    """
    outside = tuple(problem for path, box in _boxes(value) for problem in _outside(path, box))
    return outside or tuple(_far_contacts(value))


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


def _outside(path: str, box: dict[str, Any]) -> Iterator[Problem]:
    if not all(isinstance(box[edge], (int, float)) for edge in EDGES):
        return
    if box["x1"] <= 0 or box["x0"] >= 1 or box["y1"] <= 0 or box["y0"] >= 1:
        yield Problem(path, "#", "outside", "a box that shows in the picture (0 to 1)", type_name(box))


def _far_contacts(value: Any, path: str = "$") -> Iterator[Problem]:
    """Contact points that lie nowhere near their own box."""
    if isinstance(value, list):
        for index, child in enumerate(value):
            yield from _far_contacts(child, f"{path}[{index}]")
    elif isinstance(value, dict):
        box, contact = value.get("box"), value.get("contact")
        if isinstance(box, dict) and isinstance(contact, dict) and box.keys() >= set(EDGES):
            for axis, low, high in (("x", "x0", "x1"), ("y", "y0", "y1")):
                slack, place = NEAR * (box[high] - box[low]), contact.get(axis)
                if isinstance(place, (int, float)) and not box[low] - slack <= place <= box[high] + slack:
                    yield Problem(f"{path}.contact.{axis}", "#", "contact", "a point at its box", type_name(place))
        for key, child in value.items():
            yield from _far_contacts(child, f"{path}.{key}")


def _repeated_ids(value: Any) -> Iterator[Problem]:
    seen: set[str] = set()
    for index, candidate in enumerate(value["candidates"]):
        if candidate["id"] in seen:
            path = f"$.candidates[{index}].id"
            yield Problem(path, "#", "unique_ids", "an id that no other candidate has", type_name(candidate["id"]))
        seen.add(candidate["id"])
