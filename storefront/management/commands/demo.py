"""`manage.py demo`: the demo shop with web and workers in the foreground."""

import argparse
import base64
import os
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.management import call_command

from core.commands import RUN_FAILED, SeeItCommand
from core.errors import SeeItError
from core.processes import adopt_orphans, end_orphans, end_with_parent
from runs.models import Run, Worker
from shops.models import Shop
from storefront.demo_catalog import load_catalog
from storefront.demo_shop import ensure_demo_key, ensure_demo_shop, prepare_products, seed_products
from storefront.execution import CompositeParams, execute_composite_run
from storefront.photos import store_room_photo

ADMIN = "admin"
READY_SECONDS = 60
# What ends soon after its start is given more and more time before the next one.
RESTART_SECONDS, LONGEST_REST_SECONDS, SETTLED_SECONDS = 1.0, 30.0, 60.0


class Command(SeeItCommand):
    help = "Set up the demo shop (database, products, one sample picture), then serve web and workers until Ctrl-C."
    example = "manage.py demo --port 8000"

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--port", type=int, default=int(os.environ.get("PORT") or 8000), help="port on 127.0.0.1")
        parser.add_argument("--setup-only", action="store_true", help="set up and print, but do not serve")

    def handle(self, *args: Any, **options: Any) -> None:
        port = options["port"]
        if not 1 <= port <= 65535:
            self.fail(f"PORT {port}: expected a number from 1 to 65535.")
        base = f"http://localhost:{port}"
        call_command("migrate", verbosity=0)
        call_command("publish_pipelines", stdout=open(os.devnull, "w"))  # noqa: SIM115, PTH123
        try:
            sample = self._set_up([base, f"http://127.0.0.1:{port}"])
        except SeeItError as error:
            self.fail(f"The demo could not be set up: {error.message}", RUN_FAILED)
        password = ensure_admin()
        lines = [
            f"Storefront  {base}/demo/",
            f"Admin       {base}/admin/  {ADMIN} / {password}",
            f"Sample run  {base}/admin/runs/run/{sample.id}/change/",
            f"API docs    {base}/api/docs/",
        ]
        if options["setup_only"]:
            self.stdout.write("\n".join(lines))
            return
        Servers(port, self).serve(lines)

    def _set_up(self, origins: list[str]) -> Run:
        """Shop, key, products and one picture; what is there already is left as it is."""
        shop = ensure_demo_shop()
        ensure_demo_key(shop, origins)
        assets = seed_products(shop)
        if any(not asset.is_ready for asset in assets):
            self._say("Preparing the demo products ...")
        for asset in prepare_products(assets):
            self.stderr.write(f"{asset.title} could not be made ready: {asset.prep_error}")
        return self._sample(shop, assets)

    def _say(self, text: str) -> None:
        """A line that is seen at once, in a pipe too."""
        self.stdout.write(text)
        self.stdout.flush()

    def _sample(self, shop: Shop, assets: list[Any]) -> Run:
        known = Run.objects.for_shop(shop).filter(trigger="demo", pipeline_slug="composite", status="completed").first()
        if known is not None:
            return known
        self._say("Making a sample picture ...")
        ready = [asset for asset in assets if asset.is_ready]
        if not ready:
            self.fail("No demo product could be made ready.", RUN_FAILED)
        room = store_room_photo(shop=shop, content=load_catalog().rooms[0].photo_path.read_bytes())
        return execute_composite_run(CompositeParams(ready[0], room, trigger="demo"))


def ensure_admin() -> str:
    """The demo's administrator and its password, made once for this data folder."""
    path = settings.DATA_DIR / "admin_password"
    if not path.exists():
        path.touch(mode=0o600)
        path.write_text(base64.urlsafe_b64encode(os.urandom(9)).decode())
    password: str = path.read_text().strip()
    users = get_user_model().objects
    user = users.filter(username=ADMIN).first() or users.create_superuser(ADMIN, password=password)
    if not user.check_password(password):
        user.set_password(password)
        user.save()
    return password


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:  # noqa: S310 - our own loopback address
            return bool(answer.status == 200)
    except OSError:  # refused, or not ready yet (urllib's errors are OSErrors)
        return False


def _end_with_the_demo() -> None:
    """For a child of the demo: a demo that was killed leaves nobody behind on its port."""
    end_with_parent(signal.SIGTERM)


class Servers:
    """Web and workers as children of this command, in its process group; one that dies is started again."""

    def __init__(self, port: int, command: SeeItCommand) -> None:
        self._port = port
        self._command = command
        self._stopping = False
        self._children: dict[str, subprocess.Popen[bytes]] = {}
        self._started_at: dict[str, float] = {}
        self._rests: dict[str, float] = {}
        bind = f"127.0.0.1:{port}"
        gunicorn = [
            sys.executable,
            "-m",
            "gunicorn",
            "config.wsgi",
            "--bind",
            bind,
            "--worker-class",
            "gthread",
            "--workers",
            "2",
            "--threads",
            "4",
            "--log-level",
            "warning",
            "--graceful-timeout",
            "5",
        ]
        manage = str(Path(settings.BASE_DIR) / "manage.py")
        self._programs = {"web": gunicorn, "workers": [sys.executable, manage, "qcluster"]}

    def serve(self, lines: list[str]) -> None:
        """Start both, print the addresses when they answer, and wait for Ctrl-C."""
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._stop)
        adopt_orphans()
        for name in self._programs:
            self._start(name)
        if self._wait_ready():
            self._command.stdout.write("\n".join(["", *lines, "", "Ctrl-C stops all of it."]))
            self._command.stdout.flush()
        while not self._stopping:
            time.sleep(0.5)
            for name, child in self._children.items():
                if child.poll() is not None and not self._stopping:
                    self._command.stderr.write(f"{name} ended ({child.returncode}); starting it again")
                    self._end_orphans()  # what it leaves behind would hold its port, or work beside its successor
                    time.sleep(self._rest(name))
                    self._start(name)
        self._end()

    def _rest(self, name: str) -> float:
        """Seconds before a program is started again: doubled each time that it did not last."""
        lasted = time.monotonic() - self._started_at[name]
        before = self._rests.get(name, RESTART_SECONDS / 2) if lasted < SETTLED_SECONDS else RESTART_SECONDS / 2
        self._rests[name] = min(2 * before, LONGEST_REST_SECONDS)
        return self._rests[name]

    def _start(self, name: str) -> None:
        self._started_at[name] = time.monotonic()
        environment = {"LOG_LEVEL": "WARNING", "SEEIT_DEMO": "1", **os.environ}
        self._children[name] = subprocess.Popen(
            self._programs[name], env=environment, cwd=settings.BASE_DIR, preexec_fn=_end_with_the_demo
        )

    def _end_orphans(self) -> None:
        end_orphans([child.pid for child in self._children.values() if child.poll() is None])

    def _stop(self, *_: Any) -> None:
        self._stopping = True

    def _wait_ready(self) -> bool:
        deadline = time.monotonic() + READY_SECONDS
        while not self._stopping and time.monotonic() < deadline:
            if self._children["web"].poll() is not None:
                self._stopping = True
                self._command.stderr.write(f"The web server did not start; is port {self._port} in use? Try PORT=8001.")
                return False
            if _answers(f"http://127.0.0.1:{self._port}/healthz") and Worker.objects.alive().exists():
                return True
            time.sleep(0.2)
        return not self._stopping

    def _end(self) -> None:
        for child in self._children.values():
            if child.poll() is None:
                child.terminate()
        for child in self._children.values():
            try:
                child.wait(timeout=40)
            except subprocess.TimeoutExpired:
                child.kill()
        self._end_orphans()
        self._command.stdout.write("Stopped.")
