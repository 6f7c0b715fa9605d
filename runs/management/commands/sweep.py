"""`manage.py sweep`: what the workers' sweep does, once."""

from typing import Any

from core.commands import SeeItCommand
from runs.sweeping import keep_house, sweep


class Command(SeeItCommand):
    help = "Park runs that keep killing their workers, and hint at those that wait unattended, and keep house."
    example = "manage.py sweep"

    def handle(self, *args: Any, **options: Any) -> None:
        report = sweep()
        done = keep_house(now=True)
        self.stdout.write(f"{report.parked} parked, {report.hinted} hinted, {done} chores done")
