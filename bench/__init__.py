"""What the promises of speed and size come to: `python -m bench` measures them and writes `docs/benchmarks.md`."""
