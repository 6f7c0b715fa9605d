"""`manage.py import_bundle`: a run that was packed elsewhere, to be looked at and replayed here."""

import argparse
import getpass
from pathlib import Path
from typing import Any

from core.commands import SeeItCommand
from core.errors import SeeItError
from runs.bundles.unpacking import import_bundle


class Command(SeeItCommand):
    help = "Take in the bundle of a run. It belongs to no shop, counts nowhere, opens in the console and replays here."
    example = "manage.py import_bundle run-01JD8Q4Y4ZP1V6C3K9M2N5R7ST.zip"

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("file", type=Path, metavar="FILE.zip", help="what `bundle` wrote")

    def handle(self, *args: Any, **options: Any) -> None:
        path: Path = options["file"]
        if not path.is_file():
            self.fail(f"There is no file {path}.")
        try:
            run, created = import_bundle(path, by=getpass.getuser())
        except SeeItError as error:
            self.fail(f"{error.code}: {error.message}")
        self.stdout.write(f"{'Imported' if created else 'Here already'}  {run.pk}")
        self.stdout.write(f"Replay it with: manage.py reproduce {run.pk}")
