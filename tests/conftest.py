"""What all tests share: storage of their own, and published pipelines where they are asked for."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.core.files.storage import storages
from django.core.management import call_command

# No test asks a real service, whatever keys its developer has; processes that tests start do not either.
VENDOR_SETTINGS = [f"{name}_{what}" for name in ("GEMINI", "OPENAI", "PHOTOROOM") for what in ("API_KEY", "BASE_URL")]
for name in (*VENDOR_SETTINGS, "MODEL_ROUTES"):
    os.environ.pop(name, None)


@pytest.fixture(autouse=True)
def no_keys(settings: pytest.FixtureRequest) -> None:
    """Settings that were read before the environment was cleared."""
    settings.VENDORS = {}


@pytest.fixture(autouse=True)
def passwords_are_hashed_fast(settings: pytest.FixtureRequest) -> None:
    """A real hash takes a third of a second on purpose, and every operator of a test has one."""
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


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
