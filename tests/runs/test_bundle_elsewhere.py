"""A bundle opens and replays in another database, in another process, without a network."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.db import connection

from prompts.services import create_override
from runs.blobs import store_blob
from runs.bundles.packing import pack_run
from tests.factories import ShopFactory, room_jpeg
from tests.runs.engine import ScriptedVendor, chain, deps, publish, run_inline
from tests.workers import ROOT, database_url, worker_environment
from vendors.base import Image, RateLimited, Reply

pytestmark = pytest.mark.django_db(transaction=True)

PROGRAM = """
import sys, django
django.setup()
from django.core.management import call_command
from runs.models import Run
from runs.bundles.packing import pack_run
call_command("import_bundle", sys.argv[1])
call_command("reproduce", sys.argv[2], "--json")
run = Run.objects.get(pk=sys.argv[2])
assert (run.mode, run.shop_id) == ("imported", None)
"""


@pytest.fixture
def elsewhere() -> Iterator[str]:
    """The address of a second, empty database on the same server."""
    from django.db import connections

    here = connection.settings_dict["NAME"]
    url, name = database_url(), f"{here}_elsewhere"
    connections.close_all()
    with connection._nodb_cursor() as cursor:  # type: ignore[attr-defined]
        cursor.execute(f'DROP DATABASE IF EXISTS "{name}"')
        cursor.execute(f'CREATE DATABASE "{name}" TEMPLATE "{here}"')
    yield url.replace(f"/{here}?", f"/{name}?")
    with connection._nodb_cursor() as cursor:  # type: ignore[attr-defined]
        cursor.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


def test_a_bundle_replays_where_nothing_of_it_is_known(elsewhere: str, tmp_path: Path) -> None:
    shop = ShopFactory()
    photo = store_blob(shop=shop, content=room_jpeg(64, 48), media_type="image/jpeg", retention="shopper")
    whole = "Describe {{ title | quote }} in a few words."
    create_override(shop=shop, prompt_name="facts_extraction", template=whole, reason="test", created_by="test")
    publish("p", *chain("prompted@1", "asking@1", retries=1, backoff={"initial_ms": 1}))
    drawn = Reply("m-1", data={"n": 1}, images=(Image("result", room_jpeg(32, 24, seed=2), "image/jpeg"),))
    vendor = ScriptedVendor([RateLimited("slow down", retry_after_s=0.01), drawn])
    given = {"title": "Oak lamp", "room": {"photo": photo.to_json()}}
    run = run_inline("p", given, deps(vendor), shop=shop, pictures={"room": photo})
    assert run.status == "completed", run.error_message
    assert run.steps.get(node_key="a").prompt_source == "override"
    bundle = tmp_path / "run.zip"
    bundle.write_bytes(b"".join(pack_run(run)))

    environment = worker_environment(tmp_path / "laptop" / "files", DATABASE_URL=elsewhere)
    environment["DJANGO_SETTINGS_MODULE"] = "tests.offline_settings"
    command = [sys.executable, "-c", PROGRAM, str(bundle), str(run.pk)]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr[-2000:]
    verdict = json.loads(done.stdout.strip().splitlines()[-1])
    assert verdict["reproduced"] and verdict["met"] == verdict["hashes"] > 40
    assert len(vendor.calls) == 3, "nobody was asked again"
