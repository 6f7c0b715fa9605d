"""From `git clone` to the demo shop's first picture, as somebody new would do it, and the second start."""

import os
import signal
import subprocess
import tempfile
import time
from contextlib import suppress
from pathlib import Path

import httpx
import psutil

from bench.figures import Figure, Section
from bench.processes import ROOT, free_port

FIRST_TARGET_S, SECOND_TARGET_S = 180, 10
PATIENCE_SECONDS = 900
OURS = ("SEEIT_DATA_DIR", "DJANGO_SETTINGS_MODULE", "LOG_LEVEL", "RELEASE", "BENCH_DATABASE", "VIRTUAL_ENV")


def measure(title: str) -> Section:
    """Clone, install into an empty virtual environment, prepare, serve; stop; start again; stop."""
    how = (
        "`git clone` of this repository's last commit into an empty folder, then `make demo` (no virtual environment, "
        "no database, no pictures yet) until it prints its addresses: the sample picture is made by then "
        "and the shop answers. Ctrl-C (SIGINT to the process group), and the same command again."
    )
    with tempfile.TemporaryDirectory(prefix="seeit-clone-") as name:
        checkout = Path(name) / "see-it"
        begun = time.time()
        subprocess.run(["git", "clone", "--quiet", str(ROOT), str(checkout)], check=True)
        cloned = time.time() - begun
        first = _demo(checkout)
        installed = (checkout / ".venv" / "demo.stamp").stat().st_mtime - begun - cloned
        bare = _bare_start(checkout)
        second = _demo(checkout)
        left = _left_behind(checkout)
    section = Section(title, how)
    section.figures = [
        Figure("clone to first picture", cloned + first.up, "s", "installing alone", installed, FIRST_TARGET_S),
        Figure("second start", second.up, "s", "`manage.py check`", bare, SECOND_TARGET_S),
        Figure("first start without installing", first.up - installed, "s"),
        Figure("Ctrl-C to the end, first", first.down, "s"),
        Figure("Ctrl-C to the end, second", second.down, "s"),
        Figure("processes left behind", len(left), "", target=0),
    ]
    section.notes = [f"`git clone` itself took {cloned:.1f} s. The installer may find downloads in its own cache."]
    if left:
        section.notes.append(f"Left behind: {', '.join(left)}.")
    return section


class _Timed:
    """Seconds until the demo was up, and until it was gone."""

    def __init__(self, up: float, down: float) -> None:
        self.up, self.down = up, down


def _demo(checkout: Path) -> _Timed:
    port = free_port()
    log = checkout.parent / "demo.log"
    begun = time.time()
    with log.open("wb") as output:
        demo = subprocess.Popen(
            ["make", "demo", f"PORT={port}"],
            cwd=checkout,
            env={name: value for name, value in os.environ.items() if name not in OURS},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            _wait_for_addresses(demo, log)
            up = time.time() - begun
            httpx.get(f"http://127.0.0.1:{port}/demo/", trust_env=False).raise_for_status()
        finally:
            down = _interrupt(demo)
    return _Timed(up, down)


def _wait_for_addresses(demo: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while b"Ctrl-C stops" not in log.read_bytes():
        if demo.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"The demo did not come up:\n{log.read_text(errors='replace')[-2000:]}")
        time.sleep(0.05)


def _interrupt(demo: subprocess.Popen[bytes]) -> float:
    """SIGINT to the group as a terminal's Ctrl-C sends it; seconds until the command has ended."""
    begun = time.monotonic()
    with suppress(ProcessLookupError):
        os.killpg(demo.pid, signal.SIGINT)
    try:
        demo.wait(timeout=60)
    except subprocess.TimeoutExpired:
        os.killpg(demo.pid, signal.SIGKILL)
        demo.wait()
    return time.monotonic() - begun


def _bare_start(checkout: Path) -> float:
    """One start of Django that does nothing: the least that any command of ours takes."""
    begun = time.monotonic()
    environment = {name: value for name, value in os.environ.items() if name not in OURS}
    subprocess.run(
        [".venv/bin/python", "manage.py", "check"], cwd=checkout, env=environment, check=True, capture_output=True
    )
    return time.monotonic() - begun


def _left_behind(checkout: Path) -> list[str]:
    """Programs that still run from the checkout ten seconds after; they are ended, for they are ours."""
    deadline = time.monotonic() + 10
    while (found := _running_from(checkout)) and time.monotonic() < deadline:
        time.sleep(0.2)
    names = []
    for process in found:
        with suppress(psutil.NoSuchProcess):
            names.append(" ".join(process.cmdline()[1:4]).replace(str(checkout), "."))
            process.kill()
    return names


def _running_from(checkout: Path) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if str(checkout) in " ".join([process.cwd(), *process.cmdline()]):
                found.append(process)
    return found
