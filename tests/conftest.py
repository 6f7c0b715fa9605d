"""What all tests share: storage of their own, and published pipelines where they are asked for."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from django.core.files.storage import storages
from django.core.management import call_command


@pytest.fixture(autouse=True)
def files_of_its_own(tmp_path: Path, settings: pytest.FixtureRequest) -> Iterator[Path]:
    """Every test stores its pictures in a folder of its own."""
    folder = tmp_path / "files"
    options = {
        "BACKEND": "django.core.files.storage.FileSystemStorage",
        "OPTIONS": {"location": str(folder), "allow_overwrite": True},
    }
    settings.STORAGES = {**settings.STORAGES, "default": options, "blobs": options}
    storages._storages = {}  # Django keeps opened storages across settings changes
    yield folder
    storages._storages = {}


@pytest.fixture
def published(db: None) -> None:
    """The pipelines, schemas and metric profiles of this release."""
    call_command("publish_pipelines", verbosity=0)
