"""`manage.py sweep`: what the workers' sweep does, once."""

from typing import Any

from runs.commands import SeeItCommand
from runs.sweeping import sweep


class Command(SeeItCommand):
    help = "Park runs that keep killing their workers, and send a new hint for every run that waits unattended."
    example = "manage.py sweep"

    def handle(self, *args: Any, **options: Any) -> None:
        report = sweep()
        self.stdout.write(f"{report.parked} parked, {report.hinted} hinted")
