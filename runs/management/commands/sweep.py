"""`manage.py sweep`: what the workers' sweep does, once."""

import socket
from typing import Any

from core.commands import SeeItCommand
from runs.claims import forget_dead_workers
from runs.sweeping import keep_house, sweep


class Command(SeeItCommand):
    help = (
        "End runs that keep killing their workers or whose command is gone, hint at those that wait unattended, forget "
        "this host's dead workers, and do every chore: what the workers do every few seconds, once."
    )
    example = "manage.py sweep"

    def handle(self, *args: Any, **options: Any) -> None:
        dead = forget_dead_workers(socket.gethostname())
        report = sweep()
        chores = keep_house(now=True)
        for what, runs in (("parked", report.parked), ("abandoned", report.abandoned), ("hinted", report.hinted)):
            for run in runs:
                self.stdout.write(f"{what} {run}")
        for name, outcome in chores.items():
            self.stdout.write(f"{name}: {outcome}")
        self.stdout.write(
            f"{len(report.parked)} parked, {len(report.abandoned)} abandoned, {len(report.hinted)} hinted, "
            f"{dead} dead workers forgotten, {len(chores)} chores done"
        )
