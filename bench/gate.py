"""Whom the composite gate lets through: rendered truth and our own pictures have to pass, broken ones never.

Every pair is judged three times: the render as a model's picture (the product has to be found), our picture of the same
place as our own (it says where it painted), and our picture as if a model had made it. Each is then broken in every way
of `bench.breaking`. All pictures go through JPEG first. `python -m bench.gate` prints the ranges of every metric.
"""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from bench.breaking import KINDS, Picture
from bench.figures import Figure, Section
from bench.scenes import ScenePair, pairs, scenes_folder
from imaging.compose import compose
from imaging.cutout import cut_out
from imaging.metrics import measure as measure_picture
from imaging.photo import decode, encode_jpeg
from irschemas.library import METRIC_DEFAULTS, library_metrics
from irschemas.metrics import GateResult, MetricValue, grade
from irschemas.records import Profile, ProfileItem

Pixels = NDArray[np.uint8]
GATE = "composite_gate_v1"
TRUTH, OURS, OURS_SOUGHT = "render", "ours", "ours, as a model's"
# Turned by chance, a model's honest picture may look mirrored: asked of our own engine only.
NOT_ASKED = {(TRUTH, "mirrored"), (OURS_SOUGHT, "mirrored")}


@dataclass(frozen=True)
class Judged:
    """One picture at the gate; kind "" is as it was made."""

    pair: str
    made_by: str
    kind: str
    gate: GateResult


def measure(title: str) -> Section:
    """The benchmark's section."""
    judged = list(judge_all())
    section = Section(title, f"{(__doc__ or '').split(chr(10))[0]} {len(pairs())} pairs; every kind of break on each.")
    for maker in (TRUTH, OURS, OURS_SOUGHT):
        honest = [each for each in judged if each.made_by == maker and not each.kind]
        section.figures.append(_share(f"refused: {maker}", [not each.gate.passed for each in honest], 0.0))
    for kind in KINDS:
        for maker in (TRUTH, OURS, OURS_SOUGHT):
            broken = [each for each in judged if each.made_by == maker and each.kind == kind]
            target = None if (maker, kind) in NOT_ASKED else 0.0
            section.figures.append(_share(f"let through: {kind} ({maker})", [e.gate.passed for e in broken], target))
    section.notes += [
        f"{each.pair}, {each.made_by}, {each.kind or 'as made'}: {_why(each)}" for each in judged if _wrong(each)
    ]
    return section


def judge_all() -> Iterator[Judged]:
    """Every pair's pictures, as made and broken."""
    gate = library_gate()
    for pair in pairs():
        yield from judge_pair(pair, gate)


def judge_pair(pair: ScenePair, gate: Profile) -> Iterator[Judged]:
    """One pair's pictures, as made and broken."""
    cutout = cut_out(pair.product.photo.pixels).rgba
    product = pair.product.sized(cutout.shape[1] / cutout.shape[0])
    place, room, photo = pair.placement(product), pair.room.true_room(), pair.room.photo.pixels
    ours = compose(photo, room, cutout, product, place)
    made = Picture(ours.pixels, ours.product_mask)
    true = Picture(pair.truth.pixels, cv2.GaussianBlur(pair.mask, (0, 0), 0.7))
    for maker, good in ((TRUTH, true), (OURS, made), (OURS_SOUGHT, made)):
        for kind in ("", *KINDS):
            picture = KINDS[kind](photo, good) if kind else good
            sent = decode(encode_jpeg(picture.pixels))
            told = picture.mask if maker == OURS else None
            found = measure_picture(sent, photo, room, cutout, product, place, told)
            values = [MetricValue(item.key, item.value, applies=item.asked) for item in found]
            yield Judged(pair.name, maker, kind, grade(gate, values))


def library_gate() -> Profile:
    """The gate as it ships."""
    library = library_metrics()
    items = []
    for item in library.profiles[GATE]["items"]:
        metric = METRIC_DEFAULTS | library.metrics[item["metric"]]
        items.append(
            ProfileItem(
                metric_key=item["metric"],
                evaluator=metric["evaluator"],
                threshold=item["threshold"],
                direction=metric["direction"],
                must_pass=item["must_pass"],
                weight=item["weight"],
                unit=metric["unit"],
            )
        )
    return Profile(GATE, tuple(items))


def _share(what: str, hits: list[bool], target: float | None) -> Figure:
    return Figure(f"{what}, of {len(hits)}", 100.0 * sum(hits) / max(len(hits), 1), "%", target=target)


def _wrong(each: Judged) -> bool:
    return each.gate.passed == bool(each.kind) and (each.made_by, each.kind) not in NOT_ASKED


def _why(each: Judged) -> str:
    return "let through" if each.kind else each.gate.summary()


def ranges(judged: list[Judged]) -> str:
    """A Markdown table per maker: each metric's range and each kind's verdict."""
    lines = [f"{len(pairs())} pairs of {scenes_folder().name}"]
    for maker in (TRUTH, OURS, OURS_SOUGHT):
        rows: dict[str, list[Judged]] = defaultdict(list)
        for each in judged:
            if each.made_by == maker:
                rows[each.kind or "as made"].append(each)
        keys = [outcome.key for outcome in judged[0].gate.results]
        lines += ["", f"### {maker}", "| kind | pass | " + " | ".join(keys) + " |", "|-" * (len(keys) + 2) + "|"]
        for kind, group in rows.items():
            passed = f"{sum(each.gate.passed for each in group)}/{len(group)}"
            lines.append(f"| {kind} | {passed} | " + " | ".join(_range(group, key) for key in keys) + " |")
    return "\n".join(lines)


def _range(group: list[Judged], key: str) -> str:
    found = [outcome.value for each in group for outcome in each.gate.results if outcome.key == key]
    values = [float(value) for value in found if value is not None]
    return f"{min(values):.2g} to {max(values):.2g}" if values else "not asked"


if __name__ == "__main__":
    everything = list(judge_all())
    print(ranges(everything))
    for one in everything:
        if _wrong(one):
            print(f"{one.pair}, {one.made_by}, {one.kind or 'as made'}: {_why(one)}")
