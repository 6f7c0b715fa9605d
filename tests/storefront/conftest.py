"""The storefront's tests store their pictures in a folder of their own, and the composite pipeline is published."""

from pathlib import Path

import pytest
from pytest_django.fixtures import Settings

from runs.services import publish_pipeline
from tests.storefront.doors import PIPELINE_FILE


@pytest.fixture
def files(settings: Settings, tmp_path: Path) -> Path:
    """The folder where blobs are written, empty at first."""
    folder = tmp_path / "files"
    storage = {
        "BACKEND": "django.core.files.storage.FileSystemStorage",
        "OPTIONS": {"location": str(folder), "allow_overwrite": True},
    }
    settings.STORAGES = {**settings.STORAGES, "blobs": storage}
    return folder


@pytest.fixture
def door(files: Path) -> Path:
    """What a storefront request needs, for tests marked `django_db`; returns the picture folder."""
    publish_pipeline(PIPELINE_FILE)
    return files
