"""The product's colours: names from the text, measured on the cutout where there is one."""

import re
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from vendors.local.facts.palette import COLOURS, PLAIN, SAME
from vendors.local.facts.text import Document

_NAMES = sorted({*COLOURS, *SAME}, key=len, reverse=True)
_COLOUR = re.compile(rf"(?<![a-z])(?:{'|'.join(re.sub('[- ]', '[- ]', name) for name in _NAMES)})(?![a-z])")
_NO_COLOUR_AFTER = re.compile(
    r"^(?:[ -](?:friday|tree|glove|standard|guarantee|label|energy|house|plant|leaf|star|garden|branch|rug pad)|\d)"
)
_ON_OFFER = re.compile(
    r"\b(?:available in|also in|comes in|choose|options?|other colou?rs|swatch|like|go green|ceiling)\b"
)
# Finishes and fabrics that are colours only where a title or a tag uses them as such.
_SHY = {
    "natural",
    "linen",
    "stone",
    "rose",
    "oak",
    "walnut",
    "copper",
    "brass",
    "bronze",
    "chrome",
    "slate",
    "pearl",
    "smoke",
    "mint",
    "wine",
    "eucalyptus",
    "mahogany",
    "chestnut",
    "natural oak",
    "naturel",
    "sand",
    "moss",
    "olive",
    "golden",
    "gold",
    "silver",
    "plum",
}
# Distances in L*a*b* with lightness halved: the same colour in shade, a colour worth naming beside another, and how far
# the picture may be from the colour that the text names.
SAME_IN_LAB, APART_IN_LAB, CLOSE_IN_LAB = 11.0, 14.0, 26.0
MAIN_SHARE = 0.12
_LAB_WEIGHTS = np.array([0.5, 1.0, 1.0], np.float32)


@dataclass(frozen=True, slots=True)
class Colour:
    """A colour with its name, sRGB hex and, if the text named it, the merchant's words."""

    name: str
    hex: str
    quote: str = ""


def find_colours(document: Document, cutout_rgba: npt.NDArray[np.uint8] | None) -> list[Colour]:
    """At most four colours: named ones first, each measured on the cutout if a main colour there is close to it."""
    measured = dominant_colours(cutout_rgba) if cutout_rgba is not None else []
    colours: list[Colour] = []
    for name, quote in _named(document):
        near = next((code for code, _ in measured if _distance(COLOURS[name], code) <= CLOSE_IN_LAB), None)
        colours.append(Colour(name, near or COLOURS[name], quote))
        measured = [entry for entry in measured if entry[0] != near]
    known = {colour.name for colour in colours}
    for code, share in measured:
        alike = any(_distance(code, colour.hex) < APART_IN_LAB for colour in colours)
        if share >= MAIN_SHARE and not alike and name_of(code) not in known:
            colours.append(Colour(name_of(code), code))
            known.add(name_of(code))
    return colours[:4]


def dominant_colours(rgba: npt.NDArray[np.uint8], count: int = 5) -> list[tuple[str, float]]:
    """(hex, share) of the opaque pixels' main colours, largest first; shades of one colour count as one.

    Seeded k-means in CIE L*a*b* with lightness halved, on at most 4,096 pixels; clusters that lie close are merged.
    """
    opaque = rgba[..., :3][rgba[..., 3] > 200]
    if len(opaque) < 16:
        return []
    sample = np.ascontiguousarray(opaque[:: max(1, len(opaque) // 4096)][:4096])
    lab = np.asarray(cv2.cvtColor(sample[None].astype(np.float32) / 255, cv2.COLOR_RGB2LAB)[0], np.float32)
    cv2.setRNGSeed(0)
    criteria = (cv2.TERM_CRITERIA_EPS + cv2.TERM_CRITERIA_MAX_ITER, 30, 0.2)
    scaled = np.ascontiguousarray(lab * _LAB_WEIGHTS)
    _, found, _ = cv2.kmeans(scaled, count, np.zeros((len(lab), 1), np.int32), criteria, 2, cv2.KMEANS_PP_CENTERS)
    labels = np.asarray(found)[:, 0]
    merged: list[npt.NDArray[np.uint8]] = []
    for cluster in sorted((sample[labels == k] for k in range(count)), key=len, reverse=True):
        if not len(cluster):
            continue
        near = next((k for k, other in enumerate(merged) if _distance(_hex(cluster), _hex(other)) < SAME_IN_LAB), None)
        if near is None:
            merged.append(cluster)
        else:
            merged[near] = np.concatenate([merged[near], cluster])
    merged.sort(key=lambda cluster: -len(cluster))
    return [(_hex(cluster), len(cluster) / len(sample)) for cluster in merged]


def name_of(hex_code: str) -> str:
    """The plain colour name nearest to a hex code."""
    return min(PLAIN, key=lambda name: (_distance(hex_code, COLOURS[name]), name))


def _named(document: Document) -> list[tuple[str, str]]:
    found: dict[str, str] = {}
    for line in document.of("title", "tags", "description"):
        if line.source == "description" and found:
            break
        for match in _COLOUR.finditer(line.folded):
            name = match.group()
            name = SAME.get(name, SAME.get(name.replace("-", " "), name))
            name = (
                name
                if name in COLOURS
                else name.replace("-", " ")
                if name.replace("-", " ") in COLOURS
                else name.replace(" ", "-")
            )
            if _NO_COLOUR_AFTER.match(line.folded[match.end() :]) or _ON_OFFER.search(
                line.folded[max(0, match.start() - 50) : match.start()]
            ):
                continue
            if name in COLOURS and not (line.source != "title" and name in _SHY):
                found.setdefault(name, line.text[slice(*match.span())])
    # "Oatmeal linen" is a colour and a cloth.
    firm = [name for name in found if name not in _SHY]
    return [(name, quote) for name, quote in found.items() if not firm or name in firm][:3]


def _distance(one: str, other: str) -> float:
    return float(np.linalg.norm((_lab(one) - _lab(other)) * _LAB_WEIGHTS))


def _lab(hex_code: str) -> npt.NDArray[np.float32]:
    rgb = np.array([[[int(hex_code[k : k + 2], 16) for k in (1, 3, 5)]]], np.float32) / 255
    return np.asarray(cv2.cvtColor(rgb, cv2.COLOR_RGB2LAB)[0, 0], np.float32)


def _hex(pixels: npt.NDArray[np.uint8]) -> str:
    return "#" + "".join(f"{round(float(value)):02x}" for value in np.median(pixels, axis=0))
