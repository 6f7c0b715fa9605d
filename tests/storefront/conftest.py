"""What a storefront request needs before it is answered."""

from pathlib import Path

import pytest

from runs.services import publish_pipeline
from tests.storefront.doors import PIPELINE_FILE


@pytest.fixture
def door(files_of_its_own: Path) -> Path:
    """The published composite pipeline, for tests marked `django_db`; returns the picture folder."""
    publish_pipeline(PIPELINE_FILE)
    return files_of_its_own
