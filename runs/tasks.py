"""Queue tasks."""

from runs.loop import wake


def kick(run_id: str) -> None:
    """Wake this process's engine loop: there is due work, or without a run there will be."""
    wake(run_id)
