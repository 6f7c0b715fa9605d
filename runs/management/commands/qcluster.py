"""`manage.py qcluster`: the workers."""

import argparse
from typing import Any

from django.db import connection, connections

from core.commands import SeeItCommand
from runs.models import Worker


class Command(SeeItCommand):
    help = (
        "Run the workers until SIGTERM or Ctrl-C, which lets them finish or hand over what is under way within 30 s; "
        "a second one hands over at once."
    )
    example = "WORKERS=2 RUNS_IN_FLIGHT=100 manage.py qcluster"

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """None: WORKERS and RUNS_IN_FLIGHT are settings of the machine."""

    def handle(self, *args: Any, **options: Any) -> None:
        from runs.cluster.guard import serve
        from runs.cluster.pins import unexpected

        if problem := unexpected():
            self.fail(problem)
        Worker.objects.alive().exists()  # says in one line that there is no database, or that nobody has set it up
        connections.close_all()
        connection.close()
        serve()
