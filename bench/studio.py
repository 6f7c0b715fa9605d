"""Cutouts of every product before every studio backdrop, and in rooms: how good, and whether the doubts are honest.

`python -m bench.studio` prints one row per product and one column per backdrop, the worst last.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from bench.figures import Figure, Section
from bench.products import ProductPhoto, is_plain, room_photos, studio_photos
from bench.scenes import products
from imaging.colour import disk, to_lab
from imaging.cutout import cut_out

Float = NDArray[np.float32]
Mask = NDArray[np.bool_]
# A difference just noticed is ΔE 2.3 (Mahy et al., "Evaluation of uniform color spaces", 1994). Where this share of an
# outline is below it, nobody could cut the product out; a refusal is then right.
NOTICED, UNSEEN = 2.3, 0.3
# A cutout that may go ready has at least this IoU.
GOOD = 0.9


@dataclass(frozen=True, slots=True)
class Trial:
    """One photo cut out: how near to its true coverage, and what was said of it."""

    name: str
    kind: str
    iou: float
    alpha_mae: float
    boundary_mae: float
    accepted: bool
    warnings: tuple[str, ...]
    unseen: float

    @property
    def fair(self) -> bool:
        """Whether a person could see the outline."""
        return self.unseen < UNSEEN


def overlap(found: Mask, truth: Mask) -> float:
    """Intersection over union."""
    return float((found & truth).sum() / max(1, (found | truth).sum()))


def boundary_mae(alpha: Float, truth: Float) -> float:
    """Mean error of coverage (H, W; 0..1) within 4 px of the true outline."""
    solid = (truth > 0.5).astype(np.uint8)
    band = (cv2.dilate(solid, disk(4)) - cv2.erode(solid, disk(4))) > 0
    return float(np.abs(alpha - truth)[band].mean()) if band.any() else 0.0


def unseen_share(pixels: NDArray[np.uint8], truth: Float) -> float:
    """Share of the true outline along which the two sides differ less than can be noticed."""
    lab = to_lab(cv2.GaussianBlur(pixels, (0, 0), 0.8))
    solid = (truth > 0.5).astype(np.uint8)
    seen = (cv2.dilate(solid, disk(1)) - cv2.erode(solid, disk(1))) > 0
    sides = []
    for side in (truth > 0.98, truth < 0.02):
        weight = side.astype(np.float32)
        near = cv2.blur(weight, (9, 9))
        seen &= near > 0.02
        sides.append(cv2.blur(lab * weight[..., None], (9, 9)) / np.maximum(near, 1e-4)[..., None])
    return float((np.linalg.norm(sides[0] - sides[1], axis=2)[seen] < NOTICED).mean()) if seen.any() else 0.0


def try_photo(photo: ProductPhoto) -> Trial:
    """Cuts one photo out and holds it against the truth."""
    done = cut_out(photo.pixels)
    alpha = np.zeros(photo.alpha.shape, np.float32)
    x0, y0, x1, y1 = done.crop
    alpha[y0:y1, x0:x1] = done.rgba[..., 3] / 255.0
    return Trial(
        photo.name,
        photo.backdrop,
        overlap(alpha > 0.5, photo.alpha > 0.5),
        float(np.abs(alpha - photo.alpha).mean()),
        boundary_mae(alpha, photo.alpha),
        done.accepted,
        tuple(done.warnings),
        unseen_share(photo.pixels, photo.alpha),
    )


def rendered_photos() -> Iterator[ProductPhoto]:
    """The rendered products as they were photographed."""
    for scene in products():
        plain = is_plain(scene)
        alpha = scene.alpha.astype(np.float32) / 255.0
        yield ProductPhoto(scene.name, "own photo" if plain else "lifestyle", scene.photo.pixels, alpha, plain)


def sweep() -> tuple[list[Trial], list[Trial]]:
    """(trials before plain backdrops, trials in rooms)."""
    rendered = list(rendered_photos())
    plain = [try_photo(photo) for photo in (*studio_photos(), *(each for each in rendered if each.plain))]
    busy = [try_photo(photo) for photo in (*room_photos(), *(each for each in rendered if not each.plain))]
    return plain, busy


def figures(plain: list[Trial], busy: list[Trial]) -> Section:
    """The sweep as figures by kind of backdrop, and how often accepting or refusing was wrong."""
    section = Section("", "")
    fair = [trial for trial in plain if trial.fair]
    for kind in ("all", *dict.fromkeys(trial.kind for trial in plain)):
        of_kind = [trial for trial in fair if kind in ("all", trial.kind)]
        if not of_kind:
            continue
        missing = [100 * (1 - trial.iou) for trial in of_kind]
        section.figures += [
            Figure(f"{kind} ({len(of_kind)}): 1 - IoU, mean", float(np.mean(missing)), "%", target=2.0),
            Figure(f"{kind}: 1 - IoU, worst", max(missing), "%", target=5.0),
            Figure(f"{kind}: alpha MAE", 1000 * _mean(of_kind, lambda each: each.alpha_mae), "‰", target=4.0),
            Figure(f"{kind}: alpha MAE at the outline", 1000 * _mean(of_kind, lambda each: each.boundary_mae), "‰"),
        ]
    tried = plain + busy
    wrong = [trial for trial in tried if trial.accepted and trial.iou < GOOD]
    lost = [trial for trial in tried if not trial.accepted and trial.iou >= GOOD and trial.fair]
    section.figures += [
        Figure("Accepted with IoU < 0.9", len(wrong), "", "all tried", len(tried), 0),
        Figure("Refused with IoU >= 0.9", len(lost), "", "all tried", len(tried), 0),
    ]
    section.notes += [
        f"{answer} with IoU {low:g} to {high:g}: {count(tried, accepted, low, high)}"
        for answer, accepted in (("Accepted", True), ("Refused", False))
        for low, high in ((0.0, 0.5), (0.5, 0.8), (0.8, GOOD), (GOOD, 0.95), (0.95, 1.0))
    ]
    section.notes += [f"No person could see the outline of {_named(trial)}." for trial in plain if not trial.fair]
    section.notes += [f"Wrongly accepted: {_named(trial)}, IoU {trial.iou:.2f}." for trial in wrong]
    section.notes += [f"Wrongly refused: {_named(trial)}, IoU {trial.iou:.2f}." for trial in lost]
    return section


def count(trials: Iterable[Trial], accepted: bool, low: float, high: float) -> int:
    """How many were answered so, with an IoU from `low` up to but not including `high` (1 included)."""
    return sum(each.accepted == accepted and low <= each.iou and (each.iou < high or high >= 1.0) for each in trials)


def grid(trials: list[Trial]) -> str:
    """IoU per product and backdrop, worst mean last; a star where it was refused, (so) where no outline can be seen."""
    kinds = list(dict.fromkeys(trial.kind for trial in trials))
    names = list(dict.fromkeys(trial.name for trial in trials))
    found = {(trial.name, trial.kind): trial for trial in trials}
    names.sort(key=lambda name: -float(np.mean([trial.iou for trial in trials if trial.name == name])))
    lines = [" " * 16 + "".join(f"{kind:>15}" for kind in kinds)]
    for name in names:
        cells = (found.get((name, kind)) for kind in kinds)
        lines.append(f"{name:16}" + "".join(f"{_cell(each):>15}" for each in cells))
    return "\n".join(lines)


def _cell(trial: Trial | None) -> str:
    if trial is None:
        return ""
    text = f"{trial.iou:.3f}{'' if trial.accepted else '*'}"
    return text if trial.fair else f"({text})"


def _mean(trials: list[Trial], value: Callable[[Trial], float]) -> float:
    return float(np.mean([value(trial) for trial in trials]))


def _named(trial: Trial) -> str:
    return f"{trial.name} on {trial.kind}"


if __name__ == "__main__":
    from bench.report import terminal

    cut = sweep()
    print(grid(cut[0]), grid(cut[1]), terminal(figures(*cut)), sep="\n\n")

__all__ = ["Trial", "boundary_mae", "count", "figures", "grid", "overlap", "sweep", "try_photo", "unseen_share"]
