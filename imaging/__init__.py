"""Pictures in, pictures out: the photo door, cutouts, room geometry, placement, compositing and their measures.

Plain Python and NumPy, no Django. Pixels are uint8 sRGB arrays (H, W, 3); lengths are metres, angles degrees.
Everything is deterministic to the byte: one thread of OpenCV and of OpenBLAS (core), a fixed seed, seeded generators.
"""

import core  # noqa: F401, I001  (before NumPy, which cv2 imports)
import cv2

cv2.setNumThreads(1)
cv2.setRNGSeed(0)
