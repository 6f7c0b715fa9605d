"""What monitors ask: is the process up, and can it do its work."""

import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from cryptography.fernet import Fernet
from django.core.files.storage import FileSystemStorage
from django.test import Client

from config import health
from runs.claims import beat
from tests.workers import ROOT


@pytest.fixture(autouse=True)
def a_new_look() -> None:
    health.storage.forget()


def test_healthz_looks_at_nothing_else(client: Client) -> None:
    answer = client.get("/healthz")
    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})
    assert client.post("/healthz").status_code == 405


@pytest.mark.django_db
def test_readyz_wants_a_worker_that_was_heard_lately(client: Client) -> None:
    silent = client.get("/readyz")
    assert silent.status_code == 503
    assert "no worker has reported" in silent.json()["checks"]["worker"]
    beat("host:1", "host", 1, 0)
    ready = client.get("/readyz")
    assert (ready.status_code, ready.json()["status"]) == (200, "ready")
    assert set(ready.json()["checks"].values()) == {"ok"}


@pytest.mark.django_db
def test_readyz_says_when_pictures_cannot_be_stored(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> str:
        raise OSError("no space left")

    monkeypatch.setattr(FileSystemStorage, "_save", full)
    answer = client.get("/readyz")
    assert answer.status_code == 503 and answer.json()["checks"]["storage"] == "OSError"


@pytest.mark.django_db
def test_readyz_tries_the_storage_once_for_many_requests(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    saved: list[str] = []
    save = FileSystemStorage._save
    monkeypatch.setattr(FileSystemStorage, "_save", lambda *given: saved.append(given[1]) or save(*given))
    for _ in range(5):
        assert client.get("/readyz").json()["checks"]["storage"] == "ok"
    assert saved == [health.PROBE_NAME]


@pytest.mark.django_db
def test_readyz_does_not_hang_with_the_storage(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    let_go = threading.Event()
    monkeypatch.setattr(FileSystemStorage, "_save", lambda *_, **__: let_go.wait(30))
    monkeypatch.setattr(health.storage, "_patience_s", 0.2)
    started = threading.active_count()
    for _ in range(3):
        answer = client.get("/readyz")
        assert answer.status_code == 503 and "no answer" in answer.json()["checks"]["storage"]
    assert threading.active_count() == started + 1, "one hanging look is enough"
    let_go.set()


ASK = """
import django, json, sys
django.setup()
from django.test import Client
headers = {"accept": sys.argv[2], "authorization": "Bearer pk_0123456789ab_" + "x" * 43}
client = Client(raise_request_exception=False, headers=headers)
answer = client.get(sys.argv[1])
print(json.dumps([answer.status_code, answer.headers.get("Retry-After"), answer.content.decode()]))
"""


@pytest.mark.parametrize(
    ("path", "accept", "says"),
    [
        ("/readyz", "application/json", "the database cannot be reached"),
        ("/demo/", "text/html", "taking a short break"),
        ("/admin/", "text/html", "taking a short break"),
        ("/proxy/v1/products/1", "application/json", "temporarily_unavailable"),
    ],
)
def test_without_a_database_every_door_answers_503(path: str, accept: str, says: str, tmp_path: Path) -> None:
    environment = {
        **os.environ,
        "DATABASE_URL": "postgresql://nobody@127.0.0.1:1/nothing",
        "SECRET_KEY": "k" * 50,
        "FIELD_ENCRYPTION_KEYS": Fernet.generate_key().decode(),
        "ALLOWED_HOSTS": "testserver",
        "SEEIT_DATA_DIR": str(tmp_path),
        "DJANGO_SETTINGS_MODULE": "config.settings",
        "SECURE_SSL_REDIRECT": "0",
        "LOG_LEVEL": "ERROR",
    }
    cookie = ASK.replace("answer =", "client.cookies['sessionid'] = 'x' * 32\nanswer =") if path == "/admin/" else ASK
    done = subprocess.run(
        [sys.executable, "-c", cookie, path, accept], cwd=ROOT, env=environment, capture_output=True, text=True
    )
    status, _, body = json.loads(done.stdout.splitlines()[-1])
    assert status == 503, body
    assert says in body
    assert "Traceback" not in body
