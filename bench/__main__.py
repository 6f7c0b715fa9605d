"""`python -m bench`: measure, print, and write `docs/benchmarks.md`."""

import argparse
import os
import sys
from importlib import import_module

from bench.processes import program_log
from bench.report import REPORT, markdown, stamp, terminal, write_report
from bench.scratch import scratch_folder

MEASUREMENTS = {
    "engine": "Engine overhead",
    "dispatch": "Dispatch",
    "pages": "Operator pages with 50,000 runs",
    "rerun": "Re-runs from the composite",
    "schemas": "Trying stored answers before a schema is in force",
    "waiting": "Many runs that wait",
    "many": "A thousand runs in flight",
    "fairness": "Fairness between shops",
    "recovery": "Leases under load, and killed workers",
    "chaos": "Processes killed at random",
    "adapters": "What our code costs per model call",
    "errors": "A model service that fails often",
    "widget": "Widget",
    "replay": "Runs replayed from their recordings",
    "debugflow": "From a complaint to a verified patch",
    "facts": "Facts from merchants' texts",
    "placing": "Placing products in rendered rooms",
    "reading": "How rooms are read",
    "walls": "Where walls are read to be",
    "cutout": "Cutouts",
    "pictures": "Pictures beside renders of the truth",
    "gate": "The composite gate",
    "repaint": "Image models' pictures, brought back into the photo",
    "clone": "Clone to first picture",
}
ON_REQUEST = {"clone"}


def main(arguments: list[str]) -> int:
    """Take the measurements asked for, one after another on a scratch installation."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--only", choices=sorted(MEASUREMENTS), action="append", help="measure this; may be repeated")
    parser.add_argument("--clone", action="store_true", help="also clone, install and start the demo (minutes)")
    options = parser.parse_args(arguments)
    usual = [name for name in MEASUREMENTS if options.clone or name not in ON_REQUEST]
    measured = {}
    with scratch_folder():
        for name in options.only or usual:
            print(f"Measuring: {MEASUREMENTS[name]} ...", flush=True)
            stamped = stamp(os.getloadavg()[0])
            try:
                section = import_module(f"bench.{name}").measure(MEASUREMENTS[name])
            except Exception:
                print(_last_words(), file=sys.stderr)
                raise
            print(terminal(section), flush=True)
            measured[section.title] = markdown(section, stamped)
            write_report(measured, list(MEASUREMENTS.values()))
    print(f"Written: {REPORT.relative_to(REPORT.parent.parent)}")
    return 0


def _last_words() -> str:
    """What the programs of a measurement that failed have said."""
    log = program_log()
    return "\n".join(log.read_text(errors="replace").splitlines()[-30:]) if log.exists() else ""


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
