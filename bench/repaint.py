"""Image models' pictures on their way to a shopper: laid over the photo, restored, and judged by the gate.

Good pictures are renders of the truth in every manner in which models send them (`bench.answers`), bad ones are broken
or were never asked for; none of it is a real model's. The peer is no alignment: the picture resized to the photo.
`python -m bench.repaint FOLDER` also writes contact sheets, one row per picture: sent, aligned, kept, restored.
"""

import sys
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path
from statistics import median

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from bench.answers import MANNERS, Answer, bad_answers, good_answers
from bench.breaking import Picture
from bench.figures import Figure, Section
from bench.gate import library_gate
from bench.scenes import ScenePair, pairs, rooms
from imaging.compose import compose
from imaging.cutout import cut_out
from imaging.drift import outside_change, shadow_zone
from imaging.metrics import measure as measure_picture
from imaging.photo import decode, encode_jpeg
from imaging.repaint import NotThePhoto, Repainted, bring_back, bulk_of
from irschemas.metrics import MetricValue, grade
from irschemas.records import Profile

Pixels = NDArray[np.uint8]
SHEET_WIDTH = 400


@dataclass(frozen=True, eq=False)
class Judged:
    """One answer and what became of it; distances are px of the photo, drifts ΔE, and None where it was refused."""

    pair: str
    answer: Answer
    passed: bool
    why: str
    error_px: float | None = None
    plain_error_px: float = 0.0
    drift: float | None = None
    plain_drift: float = 0.0
    restored_drift: float | None = None
    repainted: Repainted | None = None


def measure(title: str) -> Section:
    """The benchmark's section."""
    judged = [replace(each, repainted=None) for each in judge_all()]
    section = Section(title, " ".join((__doc__ or "").split("\n\n")[0].split()) + f" {len(pairs())} pairs.")
    good = [each for each in judged if each.answer.good]
    for kind in MANNERS:
        found = [each for each in good if each.answer.kind == kind]
        section.figures.append(_share(f"good, refused: {kind}", [not each.passed for each in found], None))
    section.figures.append(_share("good, refused: all", [not each.passed for each in good], 25.0))
    by_kind: dict[str, list[Judged]] = defaultdict(list)
    for each in judged:
        if not each.answer.good:
            by_kind[each.answer.kind].append(each)
    section.figures += [
        _share(f"let through: {kind}", [each.passed for each in found], 0.0) for kind, found in by_kind.items()
    ]
    section.figures += _distances(good)
    section.notes += [
        f"{each.pair}, {each.answer.kind}: {each.why}" for each in judged if each.passed != each.answer.good
    ]
    return section


def _distances(good: list[Judged]) -> list[Figure]:
    laid = [each for each in good if each.error_px is not None]
    per = [each.error_px or 0.0 for each in laid], [each.plain_error_px for each in laid]
    drift = [each.drift or 0.0 for each in laid], [each.plain_drift for each in laid]
    restored = [each.restored_drift or 0.0 for each in laid]
    beside = "no alignment"
    return [
        Figure("alignment error at the worst corner, median", median(per[0]), "px", beside, median(per[1]), 2.0),
        Figure("alignment error at the worst corner, worst", max(per[0]), "px", beside, max(per[1])),
        Figure("room drift before restoring, median", median(drift[0]), "ΔE", beside, median(drift[1]), 6.5),
        Figure("room drift before restoring, worst", max(drift[0]), "ΔE", beside, max(drift[1])),
        Figure("room drift after restoring, worst", max(restored), "ΔE", target=0.0),
    ]


def judge_all() -> Iterator[Judged]:
    """Every pair's answers, good and bad."""
    gate = library_gate()
    for pair in pairs():
        other = next(room for room in rooms() if room.name != pair.room.name)
        yield from judge_pair(pair, other.photo.pixels, gate)


def judge_pair(pair: ScenePair, other: Pixels, gate: Profile) -> Iterator[Judged]:
    """One pair's answers; `other` is another room's photo."""
    cutout = cut_out(pair.product.photo.pixels).rgba
    product = pair.product.sized(cutout.shape[1] / cutout.shape[0])
    place, room, photo = pair.placement(product), pair.room.true_room(), pair.room.photo.pixels
    guide = decode(encode_jpeg(compose(photo, room, cutout, product, place).pixels))
    truth = Picture(pair.truth.pixels, cv2.GaussianBlur(pair.mask, (0, 0), 0.7))
    zone = shadow_zone(room, product, place, np.maximum(pair.mask, bulk_of(room, product, place, photo.shape)))
    for answer in (*good_answers(truth), *bad_answers(photo, truth, guide, other)):
        plain = _resized(answer.content, photo.shape)
        beside = _error(answer, _plain(answer, photo.shape), photo.shape), outside_change(plain, photo, zone)[0] or 0.0
        try:
            done = bring_back(answer.content, photo, room, cutout, product, place, guide)
        except NotThePhoto as refusal:
            yield Judged(pair.name, answer, False, str(refusal), None, beside[0], None, beside[1])
            continue
        found = measure_picture(done.pixels, photo, room, cutout, product, place, None, done.numbers())
        verdict = grade(gate, [MetricValue(item.key, item.value, applies=item.asked) for item in found])
        away = cv2.dilate((done.kept > 0).astype(np.uint8), np.ones((3, 3), np.uint8)) == 0
        left = float(np.abs(done.pixels.astype(int) - photo)[away].max(initial=0))
        error = _error(answer, done.registration.matrix, photo.shape)
        why = "let through" if verdict.passed else verdict.summary()
        yield Judged(pair.name, answer, verdict.passed, why, error, *beside[:1], done.drift, beside[1], left, done)


def _plain(answer: Answer, shape: tuple[int, ...]) -> NDArray[np.float64]:
    with Image.open(BytesIO(answer.content)) as picture:
        across, below = picture.width / shape[1], picture.height / shape[0]
    return np.array([[across, 0, (across - 1) / 2], [0, below, (below - 1) / 2], [0, 0, 1]])


def _resized(content: bytes, shape: tuple[int, ...]) -> Pixels:
    return np.asarray(cv2.resize(decode(content), (shape[1], shape[0]), interpolation=cv2.INTER_CUBIC), np.uint8)


def _error(answer: Answer, matrix: NDArray[np.float64], shape: tuple[int, ...]) -> float:
    """How far (px of the photo) the worst corner is from where the answer truly shows it."""
    corners = np.array([[[0, 0], [shape[1], 0], [shape[1], shape[0]], [0, shape[0]]]], np.float64)
    true, found = (cv2.perspectiveTransform(corners, each)[0] for each in (answer.matrix, matrix))
    scale = float(np.sqrt(abs(np.linalg.det(answer.matrix[:2, :2]))))
    return float(np.linalg.norm(true - found, axis=1).max()) / scale


def _share(what: str, hits: list[bool], target: float | None) -> Figure:
    return Figure(f"{what}, of {len(hits)}", 100.0 * sum(hits) / max(len(hits), 1), "%", target=target)


def write_sheets(judged: list[Judged], folder: Path) -> None:
    """A contact sheet per pair for people."""
    folder.mkdir(parents=True, exist_ok=True)
    by_pair: dict[str, list[Judged]] = defaultdict(list)
    for each in judged:
        by_pair[each.pair].append(each)
    for name, found in by_pair.items():
        rows = [_row(each) for each in found]
        Image.fromarray(np.vstack(rows)).save(folder / f"{name}.jpg", quality=85)


def _row(each: Judged) -> Pixels:
    sent, done = decode(each.answer.content), each.repainted
    shown = [sent] if done is None else [sent, done.aligned, cv2.merge([done.kept] * 3), done.pixels]
    height = SHEET_WIDTH * 3 // 4
    tiles = [np.asarray(cv2.resize(tile, (SHEET_WIDTH, height), interpolation=cv2.INTER_AREA)) for tile in shown]
    tiles += [np.zeros_like(tiles[0])] * (4 - len(tiles))
    row = np.hstack(tiles)
    text = f"{each.answer.kind}: {'passed' if each.passed else each.why}"[:150]
    cv2.putText(row, text, (8, 20), cv2.FONT_HERSHEY_SIMPLEX, 0.5, (0, 0, 0), 3, cv2.LINE_AA)
    cv2.putText(row, text, (8, 20), cv2.FONT_HERSHEY_SIMPLEX, 0.5, (255, 255, 255), 1, cv2.LINE_AA)
    return np.asarray(row, np.uint8)


if __name__ == "__main__":
    everything = list(judge_all())
    if len(sys.argv) > 1:
        write_sheets(everything, Path(sys.argv[1]))
    for one in everything:
        mark = "" if one.passed == one.answer.good else "WRONG "
        print(f"{mark}{one.pair}, {one.answer.kind}: {one.why} {one.error_px} {one.drift}")
