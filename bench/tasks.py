"""Queue tasks."""

import time
from pathlib import Path


def stamp(path: str) -> None:
    """Write down when this task's body began, in seconds of the wall clock."""
    began = time.time()
    Path(path).write_text(str(began))
