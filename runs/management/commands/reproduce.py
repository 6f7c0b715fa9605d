"""`manage.py reproduce`: replay a run from its recording and compare every hash."""

import argparse
import time
from typing import Any

from core.commands import RUN_FAILED, SeeItCommand
from core.errors import SeeItError
from core.ids import parse_id
from runs.inline import execute_inline, replay_deps
from runs.models import Run
from runs.replaying import start_replay
from runs.verdicts import Verdict, read_verdict


class Command(SeeItCommand):
    help = (
        "Replay a run from its recording: a new run whose every model call is answered with what was recorded, without "
        "network or key. Compares every hash on the way; exit 0 only if all are met."
    )
    example = "manage.py reproduce 01JD8Q4Y4ZP1V6C3K9M2N5R7ST --json"

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("run", metavar="RUN", help="the run's id")
        parser.add_argument("--json", action="store_true", help="print one JSON object")
        parser.add_argument(
            "--recompute", action="store_true", help="have the local engine compute its answers anew, too"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        run = self._find(options["run"])
        started = time.monotonic()
        try:
            replay = execute_inline(
                start_replay(run, by="command", inline_owner="inline"), replay_deps(recompute=options["recompute"])
            )
        except SeeItError as error:
            self.fail(f"{error.code}: {error.message}")
        verdict = read_verdict(replay)
        elapsed_ms = round((time.monotonic() - started) * 1000)
        if options["json"]:
            self.print_json({**verdict.to_json(), "status": replay.status, "elapsed_ms": elapsed_ms})
        else:
            self._tell(verdict, elapsed_ms)
        if not verdict.reproduced:
            self.fail(f"not_reproduced: {verdict.first}.", RUN_FAILED)

    def _find(self, given: str) -> Run:
        try:
            run = Run.objects.filter(pk=parse_id(given)).first()
        except ValueError:
            self.fail(f"{given} is not the id of a run: expected 26 characters such as 01JD8Q4Y4ZP1V6C3K9M2N5R7ST.")
        if run is None:
            self.fail(f"There is no run {given}.")
        return run

    def _tell(self, verdict: Verdict, elapsed_ms: int) -> None:
        if verdict.reproduced:
            self.stdout.write(f"Reproduced  {verdict.met} hashes met in {elapsed_ms} ms, no call made")
        else:
            self.stdout.write(f"Different   {verdict.differing} of {verdict.hashes} hashes not met")
            for difference in verdict.differences:
                self.stdout.write(f"  {difference}")
        for note in verdict.notes:
            self.stdout.write(f"Note        {note}")
        self.stdout.write(f"Replay      {verdict.replay}")
