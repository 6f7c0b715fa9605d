"""Queue tasks."""

from runs.loop import wake


def kick(run_id: str) -> None:
    """Wake this process's engine loop: there is due work."""
    wake(run_id)
