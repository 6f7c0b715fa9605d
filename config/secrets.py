"""Secrets of the embedded default: made once, kept under the data folder, readable by the owner only."""

import base64
import os
import time
from pathlib import Path

from config.env import BadEnvironment


def local_secret(data_dir: Path, name: str, *, embedded: bool) -> str:
    """A secret of this installation: 32 random bytes in URL-safe base64, the same at every start.

    Raises:
        BadEnvironment: a server database is configured, so the secret has to come from the environment.
    """
    if not embedded:
        variable = {"secret_key": "SECRET_KEY", "field_encryption_key": "FIELD_ENCRYPTION_KEYS"}[name]
        raise BadEnvironment(variable, "required when DATABASE_URL is set")
    path = data_dir / name
    data_dir.mkdir(parents=True, exist_ok=True)
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return _read_written(path)
    with os.fdopen(descriptor, "w") as file:
        file.write(base64.urlsafe_b64encode(os.urandom(32)).decode())
    return path.read_text()


def _read_written(path: Path) -> str:
    """Another process may have created the file a moment ago and not filled it yet."""
    for _ in range(1000):
        if secret := path.read_text().strip():
            return secret
        time.sleep(0.001)
    raise BadEnvironment(path.name, f"the file {path} is empty; delete it and start again")
