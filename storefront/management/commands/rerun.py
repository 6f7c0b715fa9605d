"""`manage.py rerun`: run a finished run again, from where it failed or from any of its nodes, as it was or changed."""

import argparse
import json
from pathlib import Path
from typing import Any

from core.commands import RUN_FAILED, SeeItCommand
from core.errors import SeeItError
from core.ids import parse_id
from core.storage import BlobStore
from runs.blobs import owner_of
from runs.changes import Changes
from runs.estimating import estimate_fork
from runs.fork_plan import plan_fork
from runs.inline import default_deps, execute_inline
from runs.models import Run
from runs.rerunning import rerun_run
from storefront.report import composite_report

MAX_FILE = 8 * 1024 * 1024


class Command(SeeItCommand):
    help = "Run a finished run again from one of its nodes: a new run that takes over what came before."
    example = "manage.py rerun 01JD8Q4Y4ZP1V6C3K9M2N5R7ST --from placement --prompt placement=edited.prompt --json"

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("run", metavar="RUN", help="the run's id")
        parser.add_argument("--from", dest="node", metavar="NODE", help="where to begin; by default where it failed")
        parser.add_argument(
            "--prompt", action="append", default=[], metavar="NAME=FILE", help="ask with this text; may be given again"
        )
        parser.add_argument(
            "--input", type=Path, metavar="FILE", help="JSON object laid over the input; a node's name is its answer"
        )
        parser.add_argument(
            "--model", action="append", default=[], metavar="TASK=VENDOR/MODEL", help="ask this model and no other"
        )
        parser.add_argument("--out", type=Path, metavar="FILE", help="where to write the picture, if one is made")
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, *args: Any, **options: Any) -> None:
        parent = self._find(options["run"])
        changes = Changes(
            prompts={name: self._read(Path(file)) for name, file in self._pairs("--prompt", options["prompt"])},
            input=self._read_input(options["input"]),
            routes=dict(self._pairs("--model", options["model"])),
        )
        try:
            if not options["json"]:
                plan = plan_fork(parent, from_node=options["node"], changes=changes)
                self.stdout.write(f"Estimate   {estimate_fork(plan, default_deps())}")
            fork = rerun_run(parent, from_node=options["node"], by="command", changes=changes, inline_owner="inline")
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

    def _pairs(self, option: str, given: list[str]) -> list[tuple[str, str]]:
        pairs = [(name.strip(), value.strip()) for name, _, value in (text.partition("=") for text in given)]
        for text, (name, value) in zip(given, pairs, strict=True):
            if not name or not value:
                self.fail(f"{option} {text}: expected a name, an equals sign and a value.")
        names = [name for name, _ in pairs]
        if len(set(names)) < len(names):
            self.fail(f"{option}: {max(names, key=names.count)} is given twice.")
        return pairs

    def _read(self, path: Path) -> str:
        try:
            if path.stat().st_size > MAX_FILE:
                self.fail(f"{path} is larger than {MAX_FILE // 1024 // 1024} MB.")
            return path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            self.fail(f"{path} cannot be read as text: {getattr(error, 'strerror', None) or 'not UTF-8'}.")

    def _read_input(self, path: Path | None) -> dict[str, Any]:
        if path is None:
            return {}
        try:
            value = json.loads(self._read(path))
        except (ValueError, RecursionError) as error:
            self.fail(f"{path} is not JSON: {error}.")
        if not isinstance(value, dict):
            self.fail(f'{path} has to hold a JSON object, such as {{"tap": {{"x": 0.5, "y": 0.8}}}}.')
        return value

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
            time = "by hand" if step.type == "human" else time
            self.stdout.write(f"{step.node_key:<10} {time:>9}  {step.why}")
        self.stdout.write(f"Run        {run.pk}, a fork of {run.parent_id} from {run.fork_node}")
        if out:
            self.stdout.write(f"Picture    {out}")
