"""What the promises of speed and size come to: `python -m bench` measures them and writes `docs/benchmarks.md`."""

import imaging  # noqa: F401  (before NumPy: it sets how many threads there are)
