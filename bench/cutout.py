"""Cutouts of rendered products against their true alpha, beside GrabCut from the same picture and decoding alone."""

import time

import cv2
import numpy as np
from numpy.typing import NDArray

from bench.figures import Figure, Section
from bench.products import is_plain
from bench.scenes import SceneProduct, products, scenes_folder
from bench.studio import boundary_mae, figures, overlap, sweep
from imaging.cutout import cut_out
from imaging.photo import PRODUCT_LIMITS, open_photo

Mask = NDArray[np.bool_]


def measure(title: str) -> Section:
    """One row per product for the outline and for the alpha; IoU is given as what is missing to 1."""
    section = Section(
        title,
        "Each rendered product cut out once warm; CPU seconds of one thread. Then every product before every studio "
        "backdrop and in rooms (`python -m bench.studio` has the table), by kind of backdrop.",
    )
    for scene in products():
        _measure_one(section, scene)
    if not section.figures:
        section.notes.append(f"No products with a true alpha in {scenes_folder().name}; set SEEIT_SCENES.")
    swept = figures(*sweep())
    section.figures += swept.figures
    section.notes += swept.notes
    return section


def _measure_one(section: Section, scene: SceneProduct) -> None:
    content, truth = scene.path.read_bytes(), scene.alpha.astype(np.float32) / 255.0
    started = time.process_time()
    photo = open_photo(content, PRODUCT_LIMITS)
    decoded = time.process_time()
    cutout = cut_out(photo.pixels)
    done = time.process_time()
    alpha = np.zeros_like(truth)
    x0, y0, x1, y1 = cutout.crop
    alpha[y0:y1, x0:x1] = cutout.rgba[..., 3] / 255.0
    missing, peer = (1.0 - overlap(mask, truth > 0.5) for mask in (alpha > 0.5, _grabcut(photo.pixels)))
    plain = is_plain(scene)
    name = f"{scene.name} ({'plain' if plain else 'lifestyle'}, {'accepted' if cutout.accepted else 'refused'})"
    section.figures += [
        Figure(f"{name}: 1 - IoU", 100 * missing, "%", "GrabCut", 100 * peer, 5.0 if plain else None),
        Figure(f"{name}: alpha MAE", 1000 * float(np.abs(alpha - truth).mean()), "‰", target=4.0 if plain else None),
        Figure(f"{name}: alpha MAE at the outline", 1000 * boundary_mae(alpha, truth), "‰"),
        Figure(f"{name}: CPU", done - decoded, "s", "decoding", decoded - started, 0.8),
    ]
    if cutout.warnings:
        section.notes.append(f"{scene.name}: {', '.join(cutout.warnings)}.")


def _grabcut(pixels: NDArray[np.uint8]) -> Mask:
    """The product by OpenCV's GrabCut, seeded with a frame of background."""
    height, width = pixels.shape[:2]
    labels = np.full((height, width), cv2.GC_PR_FGD, np.uint8)
    edge = max(4, min(height, width) // 50)
    labels[:edge] = labels[-edge:] = cv2.GC_BGD
    labels[:, :edge] = labels[:, -edge:] = cv2.GC_BGD
    cv2.setRNGSeed(0)
    back, fore = np.zeros((1, 65)), np.zeros((1, 65))
    cv2.grabCut(np.ascontiguousarray(pixels[..., ::-1]), labels, None, back, fore, 3, cv2.GC_INIT_WITH_MASK)
    return np.isin(labels, (cv2.GC_FGD, cv2.GC_PR_FGD))


__all__ = ["measure"]
