"""A malformed environment stops the start with one line that names the variable."""

import os
import subprocess
import sys

import pytest

from tests.workers import ROOT


@pytest.mark.parametrize("url", ["postgresql://u:p@host:port/name", "postgresql://[u/name", "mysql://host/name"])
def test_a_malformed_database_url(url: str) -> None:
    environment = {**os.environ, "DATABASE_URL": url, "SECRET_KEY": "x" * 40, "FIELD_ENCRYPTION_KEYS": "x"}
    done = subprocess.run(
        [sys.executable, "-c", "import config.settings"], cwd=ROOT, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 1
    assert done.stderr.startswith("Environment variable DATABASE_URL: ") and done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("GEMINI_API_KEY", "my secret key with spaces"),
        ("OPENAI_BASE_URL", "localhost:11434/v1?key=secret"),
        ("GEMINI_BASE_URL", "https://:secret@host"),
    ],
)
def test_a_malformed_key_or_address_is_named_and_not_repeated(name: str, value: str) -> None:
    environment = {**os.environ, name: value}
    done = subprocess.run(
        [sys.executable, "-c", "import config.settings"], cwd=ROOT, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 1
    assert done.stderr.startswith(f"Environment variable {name}: expected") and done.stderr.count("\n") == 1
    assert "secret" not in done.stderr
