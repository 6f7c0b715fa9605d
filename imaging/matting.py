"""Soft edges: closed-form matting in a narrow band, and the product's own colour where background shines through."""

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse.linalg import cg

Float = NDArray[np.float32]
UNKNOWN = 0.5


def solve_alpha(pixels: NDArray[np.uint8], trimap: Float, epsilon: float = 1e-5) -> Float:
    """Alpha (H, W) 0..1 where the trimap says 0.5; 0 and 1 are kept.

    Minimises the matting Laplacian of Levin, Lischinski and Weiss, "A Closed-Form Solution to Natural Image Matting"
    (PAMI 2008), eq. 12, over 3 x 3 windows that touch an unknown pixel. Known pixels are eliminated, not penalised.
    """
    unknown = trimap == UNKNOWN
    if not unknown.any():
        return trimap.copy()
    image = pixels.astype(np.float64) / 255.0
    laplacian, pixels_used = _laplacian_around(image, unknown, epsilon)
    is_unknown = unknown.ravel()[pixels_used]
    values = trimap.ravel()[pixels_used].astype(np.float64)
    inner = laplacian[is_unknown][:, is_unknown]
    boundary = laplacian[is_unknown][:, ~is_unknown] @ values[~is_unknown]
    diagonal = np.maximum(inner.diagonal(), 1e-12)
    start = np.full(int(is_unknown.sum()), 0.5)
    solution, _ = cg(
        inner + sparse.identity(inner.shape[0]) * 1e-9,
        -boundary,
        x0=start,
        rtol=1e-4,
        maxiter=300,
        M=sparse.diags(1.0 / diagonal),
    )
    alpha = trimap.astype(np.float64).ravel()
    alpha[pixels_used[is_unknown]] = np.clip(solution, 0.0, 1.0)
    return np.asarray(alpha.reshape(trimap.shape), dtype=np.float32)


def _laplacian_around(
    image: NDArray[np.float64], unknown: NDArray[np.bool_], epsilon: float
) -> tuple[sparse.csr_matrix, NDArray[np.int64]]:
    """(Laplacian over the pixels used, their flat positions)."""
    width = unknown.shape[1]
    centres = cv2.dilate(unknown.astype(np.uint8), np.ones((3, 3), np.uint8)).astype(bool)
    centres[[0, -1], :] = False
    centres[:, [0, -1]] = False
    flat = np.flatnonzero(centres)
    offsets = np.array([dy * width + dx for dy in (-1, 0, 1) for dx in (-1, 0, 1)])
    windows = flat[:, None] + offsets
    used, compact = np.unique(windows, return_inverse=True)
    compact = compact.reshape(windows.shape)
    colours = image.reshape(-1, 3)[windows]
    centred = colours - colours.mean(axis=1, keepdims=True)
    covariance = np.einsum("nki,nkj->nij", centred, centred) / 9.0 + np.eye(3) * (epsilon / 9.0)
    affinity = (1.0 + centred @ np.linalg.inv(covariance) @ centred.transpose(0, 2, 1)) / 9.0
    values = np.eye(9) - affinity
    rows = np.repeat(compact, 9, axis=1).ravel()
    columns = np.tile(compact, (1, 9)).ravel()
    matrix = sparse.coo_matrix((values.ravel(), (rows, columns)), shape=(used.size, used.size)).tocsr()
    return matrix, used


def foreground(pixels: NDArray[np.uint8], alpha: Float) -> NDArray[np.uint8]:
    """The product's own colour (H, W, 3) everywhere, also under half-covered and uncovered pixels.

    Weighted-blur estimate of foreground and background, then one correction towards I = aF + (1-a)B:
    Forte, "Approximate Fast Foreground Colour Estimation" (ICIP 2021), eq. 4 to 7, in two passes.
    """
    image = pixels.astype(np.float32) / 255.0
    colour, back = image, image
    for size in (61, 7):
        weight = np.maximum(cv2.blur(alpha, (size, size)), 1e-5)[..., None]
        colour_mean = cv2.blur(colour * alpha[..., None], (size, size)) / weight
        rest = 1.0 - alpha
        back_weight = np.maximum(cv2.blur(rest, (size, size)), 1e-5)[..., None]
        back = cv2.blur(back * rest[..., None], (size, size)) / back_weight
        residual = image - alpha[..., None] * colour_mean - rest[..., None] * back
        colour = np.clip(colour_mean + alpha[..., None] * residual, 0.0, 1.0)
    solid = (alpha > 0.995)[..., None]
    return np.asarray(np.rint(np.where(solid, image, colour) * 255.0), dtype=np.uint8)


__all__ = ["UNKNOWN", "foreground", "solve_alpha"]
