"""`manage.py rerun`: run a finished run again, from where it failed or from any of its nodes."""

import argparse
from pathlib import Path
from typing import Any

from core.commands import RUN_FAILED, SeeItCommand
from core.errors import SeeItError
from core.ids import parse_id
from core.storage import BlobStore
from runs.blobs import owner_of
from runs.inline import execute_inline
from runs.models import Run
from runs.rerunning import rerun_run
from storefront.report import composite_report


class Command(SeeItCommand):
    help = "Run a finished run again from one of its nodes: a new run that takes over what came before."
    example = "manage.py rerun 01JD8Q4Y4ZP1V6C3K9M2N5R7ST --from placement --json"

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("run", metavar="RUN", help="the run's id")
        parser.add_argument("--from", dest="node", metavar="NODE", help="where to begin; by default where it failed")
        parser.add_argument("--out", type=Path, metavar="FILE", help="where to write the picture, if one is made")
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, *args: Any, **options: Any) -> None:
        parent = self._find(options["run"])
        try:
            fork = rerun_run(parent, from_node=options["node"], by="command", inline_owner="inline")
        except SeeItError as error:
            self.fail(f"{error.code}: {error.message}")
        fork = execute_inline(fork)
        done = fork.status == Run.Status.COMPLETED
        out = self._write(fork, options["out"]) if done else None
        if options["json"]:
            self.print_json(composite_report(fork, out=out))
        elif done:
            self._tell(fork, out)
        if not done:
            self.fail(f"{fork.error_code}: {fork.error_message} (run {fork.pk})", RUN_FAILED)

    def _find(self, given: str) -> Run:
        try:
            run = Run.objects.filter(pk=parse_id(given)).first()
        except ValueError:
            self.fail(f"{given} is not the id of a run: expected 26 characters such as 01JD8Q4Y4ZP1V6C3K9M2N5R7ST.")
        if run is None:
            self.fail(f"There is no run {given}.")
        return run

    def _write(self, run: Run, out: Path | None) -> Path | None:
        sha256 = run.summary["pictures"].get("result")
        if out is None or sha256 is None:
            return None
        try:
            out.write_bytes(BlobStore().read(owner_of(run.shop_id), sha256))
        except OSError as error:
            self.fail(f"The picture cannot be written to {out}: {error.strerror}.")
        return out

    def _tell(self, run: Run, out: Path | None) -> None:
        for step in run.steps.all():
            time = "reused" if step.reused_from_id else f"{step.latency_ms or 0} ms"
            self.stdout.write(f"{step.node_key:<10} {time:>9}  {step.why}")
        self.stdout.write(f"Run        {run.pk}, a fork of {run.parent_id} from {run.fork_node}")
        if out:
            self.stdout.write(f"Picture    {out}")
