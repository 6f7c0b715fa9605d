"""The figures on a terminal, and in `docs/benchmarks.md`, where a measurement replaces only its own section."""

import os
import platform
import re
from datetime import UTC, datetime
from pathlib import Path

from bench.figures import COLUMNS, Section

REPORT = Path(__file__).resolve().parent.parent / "docs" / "benchmarks.md"
INTRODUCTION = """\
# Benchmarks

Written by `make bench` (`python -m bench`); `--only NAME` measures one section again and leaves the others as they are.
Every figure stands beside a peer or a limit that was measured in the same run on the same machine, and the ratio
between the two is what can be carried to another machine. Nothing here is a test: a figure that misses its target says
so and breaks no build.
"""


def machine() -> str:
    """What it was measured on, without names: processor, memory, load, interpreter."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    python = f"{platform.python_implementation()} {platform.python_version()}"
    return f"{os.cpu_count()} cores, {memory:.0f} GiB, {platform.system()} {platform.machine()}, {python}"


def stamp(load: float) -> str:
    """When and on what a section was measured, and how busy the machine was with other things."""
    now = datetime.now(UTC)
    return f"{now:%Y-%m-%d %H:%M} UTC; {machine()}; load average {load:.1f} at the start."


def terminal(section: Section) -> str:
    """A section as aligned columns."""
    rows = [COLUMNS, *(figure.cells() for figure in section.figures)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(COLUMNS))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    lines.insert(1, "  ".join("-" * width for width in widths).rstrip())
    return "\n".join(["", section.title, *lines, *(f"* {note}" for note in section.notes), ""])


def markdown(section: Section, stamped: str) -> str:
    """A section of the report."""
    rows = [COLUMNS, ["---", "--:", "---", "--:", "--:", "---"], *(figure.cells() for figure in section.figures)]
    table = ["| " + " | ".join(row) + " |" for row in rows]
    notes = ["", *(f"- {note}" for note in section.notes)] if section.notes else []
    return "\n".join([f"## {section.title}", "", section.how, "", *table, *notes, "", f"*{stamped}*", ""])


def write_report(measured: dict[str, str], order: list[str]) -> None:
    """Replace the sections that were measured (by title) and keep the others, in the given order of titles."""
    kept = REPORT.read_text() if REPORT.exists() else ""
    sections = {text.partition("\n")[0].removeprefix("## "): text for text in re.split(r"(?m)^(?=## )", kept)[1:]}
    sections |= measured
    known = [sections[title].rstrip() + "\n" for title in order if title in sections]
    REPORT.parent.mkdir(exist_ok=True)
    REPORT.write_text("\n".join([INTRODUCTION, *known]))
