"""The house itself: layers, settings, schema file, migrations, lock files."""

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from django.conf import settings
from django.core.management import call_command

from config.management.commands.dump_schema import schema_sql
from tests.workers import ROOT


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """A Python program in the project's root, with some of the environment changed."""
    return subprocess.run(
        [sys.executable, *arguments], cwd=ROOT, env={**os.environ, **environment}, capture_output=True, text=True
    )


def test_each_package_imports_only_from_those_below_it() -> None:
    done = run("-c", "from importlinter.cli import lint_imports_command; lint_imports_command()")
    assert done.returncode == 0, done.stdout


@pytest.mark.django_db
def test_models_and_migrations_agree() -> None:
    call_command("makemigrations", check=True, dry_run=True, verbosity=0)


@pytest.mark.django_db
@pytest.mark.skipif(not settings.EMBEDDED, reason="another server version words its dump differently")
def test_the_schema_file_shows_the_tables_and_views_as_they_are() -> None:
    assert (ROOT / "docs" / "schema.sql").read_text() == schema_sql(), "run `make schema`"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DEBUG", "perhaps"),
        ("DATABASE_URL", "mysql://localhost/x"),
        ("WORKERS", "none"),
        ("WORKERS", "0"),
        ("IR_VALIDATION_MODE", "sometimes"),
        ("LOG_FORMAT", "yaml"),
        ("DATABASE_DIRECT_URL", "localhost:5432"),
        ("BROKER_URL", "amqp://localhost"),
        ("BROKER_URL", "redis://localhost:port"),
        ("BROKER_URL", "redis://localhost/jobs"),
        ("BROKER_URL", "sqs://key:secret@eu-west-1/queue"),
    ],
)
def test_a_malformed_setting_stops_the_start_with_one_line_that_names_it(name: str, value: str) -> None:
    done = run("manage.py", "check", **{name: value, "SECRET_KEY": "x" * 40, "FIELD_ENCRYPTION_KEYS": "x"})
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1 and name in done.stderr


@pytest.mark.parametrize("missing", ["SECRET_KEY", "FIELD_ENCRYPTION_KEYS", "ALLOWED_HOSTS"])
def test_a_server_database_wants_the_rest_from_the_environment_too(missing: str) -> None:
    given = {"SECRET_KEY": "x" * 40, "FIELD_ENCRYPTION_KEYS": "x", "ALLOWED_HOSTS": "shop.test", missing: ""}
    done = run("manage.py", "check", DATABASE_URL="postgresql://x@127.0.0.1/x", **given)
    assert done.returncode == 1
    assert done.stderr.startswith(f"Environment variable {missing}: required when DATABASE_URL is set")
    assert done.stderr.count("\n") == 1


def test_a_bad_encryption_key_and_a_bad_routes_file_are_found_by_the_checks(tmp_path: Path) -> None:
    routes = tmp_path / "models.toml"
    tasks = ("cutout", "facts", "placement", "composite")
    routes.write_text("".join(f'[[tasks.{task}]]\nvendor = "nobody"\nmodel = "x"\n' for task in tasks))
    done = run("manage.py", "check", FIELD_ENCRYPTION_KEYS="short", MODEL_ROUTES=str(routes))
    assert done.returncode == 1
    assert "seeit.E001" in done.stderr and "seeit.E003" in done.stderr and "nobody" in done.stderr


def test_dependencies_are_locked_with_hashes_and_name_no_index() -> None:
    for name in ("requirements.txt", "requirements-dev.txt"):
        lines = (ROOT / name).read_text().splitlines()
        pinned = [line for line in lines if line and not line.startswith((" ", "#"))]
        assert pinned and all("==" in line and line.endswith("\\") for line in pinned)
        assert not [line for line in lines if "://" in line or "index-url" in line]


def test_every_direct_dependency_is_in_the_lock_file() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    locked = (ROOT / "requirements.txt").read_text().lower()
    for wanted in project["dependencies"]:
        name = wanted.split("=")[0].split(">")[0].split("<")[0].split("[")[0].strip().lower()
        assert f"\n{name}==" in f"\n{locked}" or f"\n{name}[" in f"\n{locked}", name
