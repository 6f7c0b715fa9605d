"""`manage.py bundle`: everything about one run as a zip."""

import argparse
import contextlib
import os
import tempfile
from pathlib import Path
from typing import Any

from core.commands import SeeItCommand
from core.ids import parse_id
from runs.bundles.packing import pack_run
from runs.models import Run


class Command(SeeItCommand):
    help = "Write everything about one run into a zip that can be read by hand, imported elsewhere and replayed there."
    example = "manage.py bundle 01JD8Q4Y4ZP1V6C3K9M2N5R7ST --out run.zip"

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("run", metavar="RUN", help="the run's id")
        parser.add_argument("--out", type=Path, required=True, metavar="FILE.zip", help="where to write it")
        parser.add_argument("--without-photos", action="store_true", help="leave out what shows the shopper's room")

    def handle(self, *args: Any, **options: Any) -> None:
        out: Path = options["out"]
        run = self._find(options["run"])
        if not run.is_over:
            self.fail("run_active: This run has not ended yet. Wait for its end, or cancel it first.")
        try:
            size = self._write(run, out, photos=not options["without_photos"])
        except OSError as error:
            self.fail(f"The bundle cannot be written to {out}: {error.strerror}.")
        self.stdout.write(f"Bundle      {out}, {size:,} bytes")

    def _write(self, run: Run, out: Path, *, photos: bool) -> int:
        """Beside its place first: a bundle that was broken off is none."""
        handle, name = tempfile.mkstemp(dir=out.resolve().parent, prefix=f".{out.name}.")
        try:
            with os.fdopen(handle, "wb") as file:
                size = sum(file.write(chunk) for chunk in pack_run(run, photos=photos))
            Path(name).replace(out)
        except BaseException:
            with contextlib.suppress(OSError):
                Path(name).unlink()
            raise
        return size

    def _find(self, given: str) -> Run:
        try:
            found = (
                Run.objects.select_related("pipeline", "pipeline_version", "shop").filter(pk=parse_id(given)).first()
            )
        except ValueError:
            self.fail(f"{given} is not the id of a run: expected 26 characters such as 01JD8Q4Y4ZP1V6C3K9M2N5R7ST.")
        if found is None:
            self.fail(f"There is no run {given}.")
        return found
