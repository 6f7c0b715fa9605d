"""Facts by rules, on merchants' texts with known answers; every batch was written unseen and read once first.

A side is right within 1 % (or 2 mm); one that the text does not state must not be read from it. A wrong side is silent
where no conflict and no mark as estimated points at it. The peer takes the first numbers with a unit as width, depth
and height, and the first of the lexicon's words as type and material. `python -m bench.facts FILE ...` lists what is
wrong in some batches, text by text.
"""

import json
import re
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.figures import Figure, Section
from vendors.local.facts.extract import extract_facts
from vendors.local.facts.vocabulary import METRES, UNITS

Row = dict[str, Any]
Facts = dict[str, Any]
TEXTS = Path(__file__).resolve().parent.parent / "tests" / "vendors" / "local" / "facts"
SIDES = ("width", "depth", "height")
WITHIN, WITHIN_M = 0.01, 0.002
TARGET_WRONG = 3.0
_LENGTH = re.compile(r"(\d+(?:[.,]\d+)?) ?(mm|cm|m|in|inches|inch|ft|feet|'|\")(?!\w)", re.I)
_MARKUP = re.compile(r"<[^>]*>|&[a-z]+;")


@dataclass(slots=True)
class Judged:
    """What became of one text: per field `right`, `silent` (wrong), `flagged` (wrong, but said so) or `missing`."""

    row: Row
    facts: Facts
    fields: dict[str, str] = field(default_factory=dict)

    @property
    def right(self) -> bool:
        """Whether all that the row states of sizes and mount was read."""
        return all(self.fields[name] == "right" for name in (*SIDES, "mount", "conflicts") if name in self.fields)

    @property
    def silent(self) -> list[str]:
        """The sides that are wrong and nothing says so."""
        return [name for name in SIDES if self.fields.get(name) == "silent"]


def measure(title: str) -> Section:
    """The whole table: fields, batches, milliseconds."""
    batches = {file.stem: judge_file(file) for file in batch_files()}
    judged = [each for batch in batches.values() for each in batch]
    peer = [judge(each.row, plain_facts(each.row)) for each in judged]
    section = Section(title, " ".join((__doc__ or "").rsplit("`python", 1)[0].split()))
    section.how += f" {len(judged)} texts in {len(batches)} batches."
    for name in _FIELDS:
        target = TARGET_WRONG if name in (*SIDES, "diameter") else None
        section.figures.append(
            Figure(f"{name}, not right", _wrong(judged, name), "%", "plain", _wrong(peer, name), target)
        )
    section.figures += [
        Figure(
            f"sides {word}, of {_count(judged):,} stated or left open",
            _sides(judged, word), "", "plain", _sides(peer, word), 0.0 if word == "silent" else None,
        )
        for word in ("silent", "flagged", "missing")
    ]  # fmt: skip
    section.figures += [_batch(name, batch) for name, batch in batches.items()]
    rows = [each.row for each in judged]
    section.figures.append(
        Figure("a text", _milliseconds(read_facts, rows), "ms", "plain", _milliseconds(plain_facts, rows))
    )
    section.notes += [f"{each.row['title']}: {_wrongs(each)}" for each in judged if not each.right]
    return section


def batch_files() -> list[Path]:
    """The committed batches, oldest first."""
    return sorted((TEXTS / "batches").glob("*.jsonl"), key=lambda file: int(file.stem.rpartition("_")[2]))


def judge_file(file: Path) -> list[Judged]:
    """Every text of a batch, read by our rules."""
    rows = [json.loads(line) for line in file.read_text("utf-8").split("\n") if line]
    return [judge(row, read_facts(row)) for row in rows]


def read_facts(row: Row) -> Facts:
    """Our facts of a row's texts."""
    return extract_facts(row["title"], row["description"], row["product_type"], row.get("tags", ()))


def judge(row: Row, facts: Facts) -> Judged:
    """Facts held against a row, field by field; fields that the row does not speak of are left out."""
    judged = Judged(row, facts)
    for side in SIDES:
        judged.fields[side] = _side(row, facts, side)
    if row.get("diameter"):
        both = [name for name in SIDES if row[name] == row["diameter"]]
        found = [judged.fields[name] for name in both]
        judged.fields["diameter"] = next((word for word in found if word != "right"), "right")
    for name, found in (("mount", facts["mount"]), ("type", facts["product_type"])):
        if row.get(name):
            judged.fields[name] = "right" if row[name] == found else "silent"
    if row.get("conflicts"):
        told = {conflict["field"] for conflict in facts["conflicts"]}
        judged.fields["conflicts"] = "right" if told >= set(row["conflicts"]) else "silent"
    for name in ("materials", "colors"):
        if name in row:
            said = {item["name"] if isinstance(item, dict) else item for item in facts[name]}
            judged.fields[name] = "right" if _same_names(said, row[name]) else "silent"
    return judged


def _same_names(found: set[str], true: list[str]) -> bool:
    """Whether each name stands for one of the others; "solid oak" is oak."""
    pairs = [(one, other) for one in found for other in true if one == other or one.endswith(f" {other}")]
    return {one for one, _ in pairs} == found and {other for _, other in pairs} == set(true)


def _side(row: Row, facts: Facts, side: str) -> str:
    true, found, source = row[side], facts["dimensions_m"][side], facts["dimension_sources"][side]
    flagged = side in {conflict["field"] for conflict in facts["conflicts"]}
    if true is None:
        open_to_readers = source in {"estimated", "none"} or side not in row.get("unstated", ())
        return "right" if open_to_readers else "flagged" if flagged else "silent"
    if source in {"estimated", "none"}:
        return "missing"
    if abs(found - true) <= max(WITHIN * true, WITHIN_M):
        return "right"
    return "flagged" if flagged else "silent"


def plain_facts(row: Row) -> Facts:
    """What a page of code would make of it: the first three lengths, by the order of writing."""
    text = _MARKUP.sub(" ", f"{row['title']}\n{row['description']}").replace("″", '"')
    lengths = [
        float(number.replace(",", ".")) * METRES[UNITS[unit.lower()]] for number, unit in _LENGTH.findall(text)[:3]
    ]
    sides: dict[str, float | None] = dict.fromkeys(SIDES) | dict(zip(SIDES, lengths, strict=False))
    words = re.findall(r"[a-z]+", text.lower())
    return {
        "dimensions_m": sides,
        "dimension_sources": {side: "none" if sides[side] is None else "text" for side in SIDES},
        "conflicts": [],
        "mount": "wall" if "wall" in words else "ceiling" if "ceiling" in words else "floor",
        "product_type": next((word for word in words if word in _PLAIN_TYPES), ""),
        "materials": sorted({word for word in words if word in _PLAIN_MATERIALS}),
        "colors": [{"name": name} for name in sorted({word for word in words if word in _PLAIN_COLOURS})],
    }


_FIELDS = (*SIDES, "diameter", "conflicts", "mount", "type", "materials", "colors")
_PLAIN_TYPES = {"sofa", "chair", "table", "lamp", "rug", "mirror", "bed", "desk", "bench", "vase", "shelf", "stool"}
_PLAIN_MATERIALS = {"oak", "walnut", "steel", "glass", "wool", "cotton", "leather", "velvet", "brass", "ceramic"}
_PLAIN_COLOURS = {"white", "black", "grey", "green", "blue", "red", "brown", "beige", "pink", "yellow"}


def _wrong(judged: list[Judged], name: str) -> float:
    words = [each.fields[name] for each in judged if name in each.fields]
    return 100 * sum(word != "right" for word in words) / max(len(words), 1)


def _count(judged: list[Judged]) -> int:
    return sum(name in each.fields for each in judged for name in SIDES)


def _sides(judged: list[Judged], word: str) -> float:
    return float(sum(each.fields[name] == word for each in judged for name in SIDES))


def _batch(name: str, judged: list[Judged]) -> Figure:
    first = 100 * sum(each.row["first_run"] != "right" for each in judged) / len(judged)
    now = 100 * sum(not each.right for each in judged) / len(judged)
    return Figure(f"{name.replace('_', ' ')}: texts with anything wrong", now, "%", "first reading", first)


def _milliseconds(read: Callable[[Row], Facts], rows: list[Row]) -> float:
    begun = time.thread_time()
    for row in rows:
        read(row)
    return (time.thread_time() - begun) * 1000 / len(rows)


def _wrongs(judged: Judged) -> str:
    found = judged.facts["dimensions_m"] | {
        "mount": judged.facts["mount"], "type": judged.facts["product_type"],
        "materials": judged.facts["materials"], "colors": [colour["name"] for colour in judged.facts["colors"]],
    }  # fmt: skip
    return "; ".join(
        f"{name} {found.get(name)} instead of {judged.row.get(name)} ({word})"
        for name, word in judged.fields.items()
        if word != "right"
    )


def _list(files: Iterable[str]) -> None:
    for name in files:
        judged = judge_file(Path(name))
        for number, each in enumerate(judged, 1):
            if any(word != "right" for word in each.fields.values()):
                print(f"{number:3d} {each.row['title']}: {_wrongs(each)}")
        print({name: round(100 - _wrong(judged, name), 1) for name in _FIELDS}, "silent:", _sides(judged, "silent"))


if __name__ == "__main__":
    _list(sys.argv[1:])
