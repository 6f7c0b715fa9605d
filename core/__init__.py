"""What every other package may use."""

import os

# OpenBLAS would part its sums by the number of cores, and burn more CPU in waiting threads than small matrices take.
# NumPy reads this once, when it is first imported.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
