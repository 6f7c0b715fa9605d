"""What a shopper's browser has to fetch: before the tap, and with it."""

import gzip
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

from bench.figures import Figure, Section
from bench.processes import ROOT

FOLDER = ROOT / "static" / "storefront"
LOADER = "seeit-button.js"
NOT_THE_WIDGET = {"shop.css", "icon.svg"}  # the demo shop's own
TARGET_BYTES = 10_000
FIRST_FLIGHT_BYTES = 10 * 1460  # RFC 6928: ten segments may leave before the first acknowledgement


def measure(title: str) -> Section:
    """Bytes as they travel, per file and in all."""
    files = sorted(path for path in FOLDER.iterdir() if path.is_file() and path.name not in NOT_THE_WIDGET)
    packed = {path.name: len(gzip.compress(path.read_bytes(), 9, mtime=0)) for path in files}
    plain = {path.name: path.stat().st_size for path in files}
    flight = "first TCP flight"
    how = (
        "The files of `static/storefront` that the widget consists of, compressed with gzip -9 as a server sends them. "
        "Beside them: what a server may send before the first acknowledgement (RFC 6928, ten segments of 1460 bytes)."
    )
    section = Section(title, how)
    section.figures = [
        Figure("all of the widget, gzip", sum(packed.values()), "bytes", flight, FIRST_FLIGHT_BYTES, TARGET_BYTES),
        Figure("before the tap, gzip", packed[LOADER], "bytes", flight, FIRST_FLIGHT_BYTES),
        Figure("before the tap, requests", 1, ""),
        *(Figure(f"{name}, gzip", packed[name], "bytes", "plain", plain[name]) for name in packed),
    ]
    section.notes = [_brotli(files)]
    return section


def _brotli(files: list[Path]) -> str:
    if find_spec("brotli") is None:
        return "Brotli is not installed here, so it is not measured; gzip is the upper bound."
    compress = import_module("brotli").compress
    return f"With Brotli (quality 11): {sum(len(compress(path.read_bytes())) for path in files):,} bytes."
