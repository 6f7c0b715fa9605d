"""`manage.py publish_pipelines`: publishes what has changed in the git-tracked pipelines, schemas and metrics."""

from pathlib import Path
from typing import Any

from django.apps import apps

from core.commands import SeeItCommand
from core.errors import SeeItError
from irschemas.publishing import sync_library
from runs.services import publish_pipeline


class Command(SeeItCommand):
    help = "Publish changed pipeline files, IR schemas and metric profiles; unchanged ones publish nothing."
    example = "manage.py publish_pipelines"

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            sync_library()
            for config in apps.get_app_configs():
                for path in sorted((Path(config.path) / "pipelines").glob("*.json")):
                    version, new = publish_pipeline(path, published_by="publish_pipelines")
                    self.stdout.write(f"{version} {'published' if new else 'unchanged'}")
        except SeeItError as error:
            problems = "; ".join((error.details or {}).get("problems", []))
            self.fail(f"{error.message} {problems}")
