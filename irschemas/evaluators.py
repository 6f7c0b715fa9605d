"""Evaluators of answers alone: how a page was cut, and whether generated markup holds together."""

from collections.abc import Iterable, Mapping
from html.parser import HTMLParser
from itertools import pairwise
from typing import Any

from irschemas.metrics import MetricValue, evaluator

Box = tuple[float, float, float, float]
VOID = frozenset(
    ["area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"]
)  # HTML Living Standard, 13.1.2: void elements have no end tag
OPTIONAL_END = frozenset(
    ["body", "colgroup", "dd", "dt", "head", "html", "li", "optgroup", "option", "p", "rp", "rt", "tbody", "td",
     "tfoot", "th", "thead", "tr"]
)  # fmt: skip  # the same, 13.1.2.4: their end tag may be left out


@evaluator("layout_split")
def measure_split(ir: Any, inputs: Mapping[str, Any], artifacts: Mapping[str, Any]) -> Iterable[MetricValue]:
    """`split_coverage` and `overlap_ratio`: shares of the page's area that some, or more than one region covers."""
    boxes = list(_boxes(ir))
    if not boxes:
        return [MetricValue("split_coverage", None), MetricValue("overlap_ratio", None)]
    covered, twice = _areas(boxes)
    details = {"regions": len(boxes)}
    return [MetricValue("split_coverage", covered, details), MetricValue("overlap_ratio", twice, details)]


def _boxes(ir: Any) -> Iterable[Box]:
    """The regions' boxes, as far as they lie in the page."""
    regions = ir.get("regions") if isinstance(ir, Mapping) else None
    for region in regions if isinstance(regions, list) else []:
        box = region.get("box") if isinstance(region, Mapping) else None
        if isinstance(box, Mapping) and all(isinstance(box.get(e), (int, float)) for e in ("x0", "y0", "x1", "y1")):
            x0, y0, x1, y1 = (min(1.0, max(0.0, float(box[edge]))) for edge in ("x0", "y0", "x1", "y1"))
            yield x0, y0, x1, y1


def _areas(boxes: list[Box]) -> tuple[float, float]:
    """Areas covered at least once and at least twice: between two neighbouring edges across, strips do not change."""
    once = twice = 0.0
    for left, right in pairwise(sorted({edge for box in boxes for edge in (box[0], box[2])})):
        here = [(y0, y1) for x0, y0, x1, y1 in boxes if x0 <= left and right <= x1]
        for top, bottom in pairwise(sorted({edge for span in here for edge in span})):
            deep = sum(y0 <= top and bottom <= y1 for y0, y1 in here)
            area = (right - left) * (bottom - top)
            once += area if deep else 0.0
            twice += area if deep > 1 else 0.0
    return once, twice


@evaluator("module_markup")
def measure_markup(ir: Any, inputs: Mapping[str, Any], artifacts: Mapping[str, Any]) -> Iterable[MetricValue]:
    """`html_validity`: whether every element of every generated module is closed where it has to be."""
    modules = ir.get("modules") if isinstance(ir, Mapping) else None
    found = modules if isinstance(modules, list) else []
    texts = [module.get("html") for module in found if isinstance(module, Mapping)]
    if not texts or not all(isinstance(text, str) for text in texts):
        return [MetricValue("html_validity", None)]
    wrong = sum(not _is_balanced(str(text)) for text in texts)
    return [MetricValue("html_validity", wrong == 0, {"modules": len(texts), "unbalanced": wrong})]


def _is_balanced(text: str) -> bool:
    reader = _Balance()
    reader.feed(text)
    reader.close()
    return reader.balanced and all(name in OPTIONAL_END for name in reader.open)


class _Balance(HTMLParser):
    """Keeps the elements that are open."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.balanced = True

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """One more is open."""
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """`<path/>`: opened and closed."""

    def handle_endtag(self, tag: str) -> None:
        """The innermost open element ends; those inside it whose end may be left out end with it."""
        while self.open and self.open[-1] != tag and self.open[-1] in OPTIONAL_END:
            self.open.pop()
        if self.open and self.open[-1] == tag:
            self.open.pop()
        else:
            self.balanced = False
