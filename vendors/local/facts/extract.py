"""ProductFacts from merchant text and the cutout, by rules: the same input gives the same facts, with quotes."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from vendors.local.facts.colors import find_colours
from vendors.local.facts.estimates import estimate
from vendors.local.facts.find_kind import Found, find_kind
from vendors.local.facts.looks import find_materials, find_styles
from vendors.local.facts.mounts import FoundMount, find_mount
from vendors.local.facts.papers import paper_sizes
from vendors.local.facts.plausible import SIDES, Side, Size, against_cutout, implausible, odd_shape
from vendors.local.facts.readings import MeasureReader
from vendors.local.facts.scopes import PART, VAGUE
from vendors.local.facts.sizes import settle
from vendors.local.facts.text import Document, read_document
from vendors.local.facts.variants import size_names

MAX_QUOTE = 200
_ROUND = re.compile(
    r"\b(?:round|circular|circle|rund(?:er|e|es)?|ronde?|redond[oa]|square|quadratisch|carree?|cuadrad[oa])\b"
)


@dataclass(frozen=True)
class _Settled:
    document: Document
    found: Found
    mount: FoundMount
    sizes: dict[Side, Size]
    estimated: dict[Side, float]
    conflicts: list[dict[str, Any]]


def extract_facts(
    title: str,
    description: str,
    product_type: str,
    tags: Sequence[str] = (),
    cutout_rgba: npt.NDArray[np.uint8] | None = None,
    *,
    hints: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """ProductFacts of one product; lengths in metres, quotes verbatim from `cleaned_text` of the same input.

    `description` may be HTML. `cutout_rgba` is (H, W, 4) uint8; its aspect and colours are used. Of the `hints`,
    `unit_default` (mm, cm, m, in, ft) is the unit of numbers written without one. Sentences addressed to a model are
    not read as facts. Never raises on any text.
    """
    document = read_document(title, description, product_type, tuple(tags))
    found = find_kind(document)
    aspect = cutout_aspect(cutout_rgba)
    unit = (hints or {}).get("unit_default")
    groups = MeasureReader(found.kind, unit if isinstance(unit, str) else None).read(document)
    groups += paper_sizes(document, found.kind)
    sizes, conflicts = settle(groups, found.kind, aspect, _variants(document), is_round=_is_round(document))
    sizes, turned = against_cutout(sizes, found.kind, aspect)
    conflicts += turned + odd_shape(sizes, found.kind)
    known = {side: size.metres for side, size in sizes.items()}
    mount = find_mount(document, found, known.get("height"))
    estimated = estimate(known, found.kind, mount.mount, aspect, is_round=_is_round(document))
    conflicts += implausible(groups, known | estimated, found.kind)
    settled = _Settled(document, found, mount, sizes, estimated, conflicts)
    return _facts(settled, title, product_type, cutout_rgba)


def cleaned_text(title: str, description: str, product_type: str = "", tags: Sequence[str] = ()) -> str:
    """The text that quotes are taken from: title, description, type and tags without markup, a line each."""
    return read_document(title, description, product_type, tuple(tags)).text


def cutout_aspect(rgba: npt.NDArray[np.uint8] | None) -> float | None:
    """Width over height of the opaque part; None without a picture or with an empty one."""
    if rgba is None or rgba.ndim != 3 or rgba.shape[2] != 4:
        return None
    opaque = rgba[..., 3] > 127
    columns, rows = np.flatnonzero(opaque.any(axis=0)), np.flatnonzero(opaque.any(axis=1))
    if not len(columns) or not len(rows):
        return None
    return float((columns[-1] - columns[0] + 1) / (rows[-1] - rows[0] + 1))


def _facts(settled: _Settled, title: str, product_type: str, cutout: npt.NDArray[np.uint8] | None) -> dict[str, Any]:
    document = settled.document
    materials, styles = find_materials(document), find_styles(document)
    colours = find_colours(document, cutout)
    kind = settled.found.kind
    own_words = next((line.text.lower() for line in document.of("type")), "")
    evidence = _size_evidence(settled.sizes)
    for field, quotes in (
        ("mount", [settled.mount.quote]),
        ("product_type", [settled.found.quote]),
        ("materials", [item.quote for item in materials]),
        ("colors", [colour.quote for colour in colours]),
        ("style", [item.quote for item in styles]),
    ):
        evidence += [{"field": field, "quote": quote[:MAX_QUOTE]} for quote in quotes if quote]
    return {
        "title": next((line.text for line in document.of("title")), ""),
        "product_type": kind.name if kind else own_words,
        "mount": settled.mount.mount,
        "dimensions_m": {side: _metres(settled, side) for side in SIDES},
        "dimension_sources": {side: _source(settled, side) for side in SIDES},
        "evidence": evidence,
        "conflicts": settled.conflicts,
        "materials": [item.name for item in materials],
        "colors": [{"name": colour.name, "hex": colour.hex} for colour in colours],
        "style": [item.name for item in styles],
        "confidence": _confidence(settled),
    }


def _size_evidence(sizes: dict[Side, Size]) -> list[dict[str, str]]:
    return [{"field": side, "quote": sizes[side].reading.quote[:MAX_QUOTE]} for side in SIDES if side in sizes]


def _metres(settled: _Settled, side: Side) -> float | None:
    size = settled.sizes.get(side)
    return size.metres if size else settled.estimated.get(side)


def _source(settled: _Settled, side: Side) -> str:
    size = settled.sizes.get(side)
    if size is None:
        return "estimated" if side in settled.estimated else "none"
    return "metadata" if size.reading.line.source == "tags" else "text"


def _confidence(settled: _Settled) -> float:
    """0..1: how well the sides are supported, less for contradictions and an unknown kind or mount."""
    scores = [_side_confidence(settled, side) for side in SIDES]
    value = sum(scores) / len(scores)
    value *= 1.0 if settled.found.kind else 0.8
    value *= 0.6 if settled.mount.mount == "unknown" else 1.0
    value -= 0.05 * min(len(settled.conflicts), 4)
    return round(min(max(value, 0.0), 1.0), 2)


def _side_confidence(settled: _Settled, side: Side) -> float:
    size = settled.sizes.get(side)
    if size is None:
        return 0.35 if settled.found.kind and side in settled.estimated else 0.15 if side in settled.estimated else 0.0
    base = 0.55 if size.tier >= PART - 1 else 0.7 if size.tier >= VAGUE - 1 else 0.9 if size.tier >= 0.5 else 0.96
    return min(base + 0.02 * (size.support - 1), 0.99)


def _is_round(document: Document) -> bool:
    return any(_ROUND.search(line.folded) for line in document.of("title", "type", "tags"))


def _variants(document: Document) -> frozenset[str]:
    """The title's words that pick one of several listed sizes: "Large", "Queen", "3-seater"."""
    return frozenset().union(*(size_names(line.folded) for line in document.of("title")))
